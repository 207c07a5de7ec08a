//! Sign-ins and refreshes in a closed loop; what `wrk` cannot do, since every refresh needs the token of the last one.
//!
//! `load VERB ADDRESS PID SECONDS CONNECTIONS`, where VERB is `register` (makes the accounts, measures nothing), `login`,
//! `refresh`, or `storm`: sign-ins without pause, of which the server may shed some. Prints one JSON object; `cpu_ms` is the CPU time that the process PID took meanwhile.

use std::io::{Error, ErrorKind, Result};
use std::time::{Duration, Instant};
use std::{env, fs};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

const PASSWORD: &str = "a password for measuring";

/// Length of one tick of /proc/PID/stat, in milliseconds; a constant of Linux's user-space ABI.
const TICK_MS: u64 = 10;

#[derive(Clone, Copy, PartialEq)]
enum Verb {
    Register,
    Login,
    Refresh,
    Storm,
}

struct Plan {
    verb: Verb,
    address: String,
    pid: String,
    length: Duration,
    connections: usize,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let plan = Plan::from_arguments().ok_or_else(|| {
        Error::new(
            ErrorKind::InvalidInput,
            "usage: load register|login|refresh|storm ADDRESS PID SECONDS CONNECTIONS",
        )
    })?;

    let mut clients = vec![];
    for number in 0..plan.connections {
        clients.push(Client::prepared(&plan, number).await?);
    }

    let (before, started) = (cpu_ms(&plan.pid)?, Instant::now());
    let mut running = JoinSet::new();
    if plan.verb != Verb::Register {
        for client in clients {
            running.spawn(client.repeat(plan.verb, started + plan.length));
        }
    }
    let mut latencies = vec![];
    while let Some(finished) = running.join_next().await {
        latencies.extend(finished.map_err(Error::other)??);
    }
    let (seconds, cpu_ms) = (started.elapsed().as_secs_f64(), cpu_ms(&plan.pid)? - before);

    latencies.sort_unstable();
    let percentile = |per_cent: usize| {
        let at = latencies.len().saturating_sub(1) * per_cent / 100;
        latencies.get(at).map_or(0, Duration::as_micros)
    };
    let report = json!({
        "requests": latencies.len(),
        "seconds": seconds,
        "cpu_ms": cpu_ms,
        "p50_us": percentile(50) as u64,
        "p99_us": percentile(99) as u64,
    });
    println!("{report}");
    Ok(())
}

impl Plan {
    fn from_arguments() -> Option<Self> {
        let mut arguments = env::args().skip(1);
        let verb = match arguments.next()?.as_str() {
            "register" => Verb::Register,
            "login" => Verb::Login,
            "refresh" => Verb::Refresh,
            "storm" => Verb::Storm,
            _ => return None,
        };
        Some(Self {
            verb,
            address: arguments.next()?,
            pid: arguments.next()?,
            length: Duration::from_secs(arguments.next()?.parse().ok()?),
            connections: arguments.next()?.parse().ok()?,
        })
    }
}

/// One account on one connection.
struct Client {
    stream: BufStream<TcpStream>,
    address: String,
    email: String,
    refresh_token: String,
}

impl Client {
    async fn prepared(plan: &Plan, number: usize) -> Result<Self> {
        let stream = TcpStream::connect(&plan.address).await?;
        stream.set_nodelay(true)?;
        let mut client = Self {
            stream: BufStream::new(stream),
            address: plan.address.clone(),
            email: format!("measured-{number}@example.com"),
            refresh_token: String::new(),
        };
        match plan.verb {
            Verb::Register => client.register().await?,
            Verb::Refresh => client.login().await?,
            Verb::Login | Verb::Storm => {}
        }
        Ok(client)
    }

    /// Asks again and again until `end`; how long each answer took, but for what was shed.
    async fn repeat(mut self, verb: Verb, end: Instant) -> Result<Vec<Duration>> {
        let mut latencies = vec![];
        while Instant::now() < end {
            let asked = Instant::now();
            match verb {
                Verb::Register => self.register().await?,
                Verb::Login => self.login().await?,
                Verb::Refresh => self.refresh().await?,
                Verb::Storm => match self.login().await {
                    Err(shed) if shed.kind() == ErrorKind::ResourceBusy => continue,
                    outcome => outcome?,
                },
            }
            latencies.push(asked.elapsed());
        }
        Ok(latencies)
    }

    async fn register(&mut self) -> Result<()> {
        let body = json!({"email": self.email, "password": PASSWORD, "organization_name": "Measured"});
        self.post("/v1/auth/register", &body).await.map(drop)
    }

    async fn login(&mut self) -> Result<()> {
        let body = json!({"email": self.email, "password": PASSWORD, "token_transport": "bearer"});
        let answer = self.post("/v1/auth/login", &body).await?;
        self.keep_refresh_token(&answer)
    }

    async fn refresh(&mut self) -> Result<()> {
        let body = json!({"refresh_token": self.refresh_token});
        let answer = self.post("/v1/auth/refresh", &body).await?;
        self.keep_refresh_token(&answer)
    }

    fn keep_refresh_token(&mut self, answer: &Value) -> Result<()> {
        let token = answer.get("refresh_token").and_then(Value::as_str);
        token
            .ok_or_else(|| Error::other(format!("no refresh token in {answer}")))?
            .clone_into(&mut self.refresh_token);
        Ok(())
    }

    /// One request over HTTP/1.1; anything but success is an error, since a failed request must not count as a fast one.
    async fn post(&mut self, path: &str, body: &Value) -> Result<Value> {
        let (body, address) = (body.to_string(), &self.address);
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        self.stream.write_all(head.as_bytes()).await?;
        self.stream.write_all(body.as_bytes()).await?;
        self.stream.flush().await?;

        let mut status = String::new();
        if self.stream.read_line(&mut status).await? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let mut length = 0;
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line).await?;
            match line.trim_end().split_once(": ") {
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                    length = value.parse().map_err(Error::other)?;
                }
                Some(_) => {}
                None => break,
            }
        }
        let mut answer = vec![0; length];
        self.stream.read_exact(&mut answer).await?;
        if status.starts_with("HTTP/1.1 503") {
            return Err(ErrorKind::ResourceBusy.into());
        }
        if !status.starts_with("HTTP/1.1 2") {
            return Err(Error::other(format!("{path}: {status}{}", String::from_utf8_lossy(&answer))));
        }
        Ok(serde_json::from_slice(&answer)?)
    }
}

/// User and system time of a process, in milliseconds (proc_pid_stat(5), fields 14 and 15).
fn cpu_ms(pid: &str) -> Result<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let after_name = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    let ticks: u64 =
        after_name.split(' ').skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Ok(ticks * TICK_MS)
}
