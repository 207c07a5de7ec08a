//! Sign-ins and refreshes in a closed loop; what `wrk` cannot do, since every refresh needs the token of the last one.
//!
//! `load VERB ADDRESS PID SECONDS CONNECTIONS`, where VERB is `register` (makes the accounts, measures nothing), `login`,
//! `refresh`, `storm`: sign-ins without pause, of which the server may shed some, or `first-sight`: session checks with
//! tokens that the server has not seen yet. Prints one JSON object; `cpu_ms` is the CPU time that the process PID took
//! meanwhile.

use std::env;
use std::io::{Error, ErrorKind, Result};
use std::time::{Duration, Instant};

use identsphere_bench::CpuTimes;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

const PASSWORD: &str = "a password for measuring";

/// Sessions of each connection that checks tokens at first sight.
const SESSIONS: usize = 8;

#[derive(Clone, Copy, PartialEq)]
enum Verb {
    Register,
    Login,
    Refresh,
    Storm,
    FirstSight,
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
            "usage: load register|login|refresh|storm|first-sight ADDRESS PID SECONDS CONNECTIONS",
        )
    })?;

    let mut clients = vec![];
    for number in 0..plan.connections {
        clients.push(Client::prepared(&plan, number).await?);
    }

    let measured = match plan.verb {
        Verb::FirstSight => first_sights(&plan, clients).await?,
        Verb::Register | Verb::Login | Verb::Refresh | Verb::Storm => without_pause(&plan, clients).await?,
    };
    println!("{}", measured.report());
    Ok(())
}

/// How long answers took, and how many requests the server would not take.
#[derive(Default)]
struct Answers {
    latencies: Vec<Duration>,
    shed: u64,
}

/// What a measurement found.
struct Measured {
    answers: Answers,
    length: Duration,
    cpu_ms: f64,
}

impl Measured {
    fn report(self) -> Value {
        let Answers { mut latencies, shed } = self.answers;
        latencies.sort_unstable();
        let percentile = |per_cent: usize| {
            let at = latencies.len().saturating_sub(1) * per_cent / 100;
            latencies.get(at).map_or(0, Duration::as_micros)
        };
        json!({
            "requests": latencies.len(),
            "shed": shed,
            "seconds": self.length.as_secs_f64(),
            "cpu_ms": self.cpu_ms,
            "p50_us": percentile(50) as u64,
            "p99_us": percentile(99) as u64,
        })
    }
}

/// Every client asks again and again until the time is over.
async fn without_pause(plan: &Plan, clients: Vec<Client>) -> Result<Measured> {
    let (before, started) = (CpuTimes::of(&plan.pid)?, Instant::now());
    let mut running = JoinSet::new();
    if plan.verb != Verb::Register {
        for client in clients {
            running.spawn(client.repeat(plan.verb, started + plan.length));
        }
    }
    let mut answers = Answers::default();
    while let Some(finished) = running.join_next().await {
        let Answers { latencies, shed } = finished.map_err(Error::other)??;
        answers.latencies.extend(latencies);
        answers.shed += shed;
    }
    Ok(Measured { answers, length: started.elapsed(), cpu_ms: CpuTimes::of(&plan.pid)?.since(&before) })
}

/// In turns, every session is refreshed, and then asked for with its new token. The refresh makes the server forget who
/// is behind the session, so each check verifies a signature and reads the store. Only the checks are measured.
async fn first_sights(plan: &Plan, mut clients: Vec<Client>) -> Result<Measured> {
    let mut measured = Measured { answers: Answers::default(), length: Duration::ZERO, cpu_ms: 0.0 };
    let started = Instant::now();
    while started.elapsed() < plan.length {
        clients = wave(clients, Step::Refresh).await?.0;
        let (before, began) = (CpuTimes::of(&plan.pid)?, Instant::now());
        let (back, latencies) = wave(clients, Step::Check).await?;
        clients = back;
        measured.length += began.elapsed();
        measured.cpu_ms += CpuTimes::of(&plan.pid)?.since(&before);
        measured.answers.latencies.extend(latencies);
    }
    Ok(measured)
}

#[derive(Clone, Copy)]
enum Step {
    Refresh,
    Check,
}

/// Every client takes a step with each of its sessions.
async fn wave(clients: Vec<Client>, step: Step) -> Result<(Vec<Client>, Vec<Duration>)> {
    let mut running = JoinSet::new();
    for mut client in clients {
        running.spawn(async move {
            let mut latencies = vec![];
            for number in 0..client.sessions.len() {
                let asked = Instant::now();
                match step {
                    Step::Refresh => client.refresh(number).await?,
                    Step::Check => client.check(number).await?,
                }
                latencies.push(asked.elapsed());
            }
            Ok::<_, Error>((client, latencies))
        });
    }
    let (mut clients, mut latencies) = (vec![], vec![]);
    while let Some(finished) = running.join_next().await {
        let (client, its) = finished.map_err(Error::other)??;
        clients.push(client);
        latencies.extend(its);
    }
    Ok((clients, latencies))
}

impl Plan {
    fn from_arguments() -> Option<Self> {
        let mut arguments = env::args().skip(1);
        let verb = match arguments.next()?.as_str() {
            "register" => Verb::Register,
            "login" => Verb::Login,
            "refresh" => Verb::Refresh,
            "storm" => Verb::Storm,
            "first-sight" => Verb::FirstSight,
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
    sessions: Vec<Session>,
}

/// The tokens of a session.
#[derive(Default)]
struct Session {
    access_token: String,
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
            sessions: vec![],
        };
        match plan.verb {
            Verb::Register => client.register().await?,
            Verb::Refresh => client.begin_sessions(1).await?,
            Verb::FirstSight => client.begin_sessions(SESSIONS).await?,
            Verb::Login | Verb::Storm => {}
        }
        Ok(client)
    }

    /// Asks again and again until `end`.
    async fn repeat(mut self, verb: Verb, end: Instant) -> Result<Answers> {
        let mut answers = Answers::default();
        while Instant::now() < end {
            let asked = Instant::now();
            match verb {
                Verb::Register => self.register().await?,
                Verb::Login => drop(self.login().await?),
                Verb::Refresh => self.refresh(0).await?,
                Verb::Storm => match self.login().await {
                    Err(shed) if shed.kind() == ErrorKind::ResourceBusy => {
                        answers.shed += 1;
                        continue;
                    }
                    outcome => drop(outcome?),
                },
                Verb::FirstSight => return Err(Error::other("tokens are checked in waves")),
            }
            answers.latencies.push(asked.elapsed());
        }
        Ok(answers)
    }

    async fn register(&mut self) -> Result<()> {
        let body = json!({"email": self.email, "password": PASSWORD, "organization_name": "Measured"});
        self.post("/v1/auth/register", &body).await.map(drop)
    }

    async fn begin_sessions(&mut self, count: usize) -> Result<()> {
        for _ in 0..count {
            let session = self.login().await?;
            self.sessions.push(session);
        }
        Ok(())
    }

    async fn login(&mut self) -> Result<Session> {
        let body = json!({"email": self.email, "password": PASSWORD, "token_transport": "bearer"});
        Session::of(&self.post("/v1/auth/login", &body).await?)
    }

    /// Refreshes the session of this number.
    async fn refresh(&mut self, number: usize) -> Result<()> {
        let body = json!({"refresh_token": self.session(number)?.refresh_token});
        let next = Session::of(&self.post("/v1/auth/refresh", &body).await?)?;
        *self.session(number)? = next;
        Ok(())
    }

    /// Asks for the session of this number with its access token.
    async fn check(&mut self, number: usize) -> Result<()> {
        let authorization = format!("authorization: Bearer {}\r\n", self.session(number)?.access_token);
        self.ask("GET", "/v1/auth/session", &authorization, "").await.map(drop)
    }

    fn session(&mut self, number: usize) -> Result<&mut Session> {
        self.sessions.get_mut(number).ok_or_else(|| Error::other("no such session"))
    }

    async fn post(&mut self, path: &str, body: &Value) -> Result<Value> {
        self.ask("POST", path, "content-type: application/json\r\n", &body.to_string()).await
    }

    /// One request over HTTP/1.1; anything but success is an error, since a failed request must not count as a fast one.
    async fn ask(&mut self, method: &str, path: &str, fields: &str, body: &str) -> Result<Value> {
        let (address, length) = (&self.address, body.len());
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {address}\r\n{fields}content-length: {length}\r\n\r\n"
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

impl Session {
    fn of(answer: &Value) -> Result<Self> {
        let token = |name| {
            let token = answer.get(name).and_then(Value::as_str).map(str::to_owned);
            token.ok_or_else(|| Error::other(format!("no {name} in {answer}")))
        };
        Ok(Self { access_token: token("access_token")?, refresh_token: token("refresh_token")? })
    }
}
