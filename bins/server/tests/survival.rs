//! The real binary through what happens to processes: killed, restarted, drained, doubled. Whatever was acknowledged
//! is there afterwards.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use identsphere_testkit::{Durability, PostgresServer, fresh_schema_name};
use serde_json::{Value, json};

const PASSWORD: &str = "correct horse battery";
const MASTER_KEY: &str = "DelBwWc6182EtBHiERHyp7f+Z/fva6XYFhAdjuPM1kA=";

/// Where a server keeps its data.
enum Database {
    Sqlite,
    Postgres { url: String, schema: String },
}

impl Database {
    fn url(&self) -> &str {
        match self {
            Self::Sqlite => "sqlite://identsphere.db",
            Self::Postgres { url, .. } => url,
        }
    }
}

/// A running server, killed when the test is over.
struct Node {
    child: Child,
    address: SocketAddr,
    http: reqwest::Client,
}

/// What somebody holds after signing in.
#[derive(Clone)]
struct Tokens {
    email: String,
    access: String,
    refresh: String,
}

impl Node {
    /// Starts a server on a free port and waits until it says that it is ready.
    async fn start(database: &Database, directory: &Path) -> Self {
        let address: SocketAddr = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_identsphere-server"));
        command
            .current_dir(directory)
            .env_clear()
            .env("IDENTSPHERE_LISTEN", address.to_string())
            .env("IDENTSPHERE_PUBLIC_BASE_URL", "http://localhost:4000")
            .env("IDENTSPHERE_DATABASE_URL", database.url())
            .env("IDENTSPHERE_PASSWORD_HASH", "argon2id:m=19456,t=2,p=1")
            .env("IDENTSPHERE_RATE_LIMITS", "off")
            .env("IDENTSPHERE_DRAIN_SECS", "1")
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        if let Database::Postgres { schema, .. } = database {
            command.env("IDENTSPHERE_SCHEMA", schema).env("IDENTSPHERE_MASTER_KEY", MASTER_KEY);
        }
        let mut child = command.spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || {
            stderr.lines().map_while(Result::ok).for_each(|line| eprintln!("{address} {line}"))
        });
        let http = reqwest::Client::builder().timeout(Duration::from_secs(20)).no_proxy().build().unwrap();
        let mut node = Self { child, address, http };
        node.wait_until("ready", async |node: &Self| node.status("/readyz").await == Some(200)).await;
        node
    }

    async fn status(&self, path: &str) -> Option<u16> {
        self.http
            .get(format!("http://{}{path}", self.address))
            .send()
            .await
            .ok()
            .map(|answer| answer.status().as_u16())
    }

    /// Polls until the condition holds; gives up after half a minute.
    async fn wait_until(&mut self, what: &str, holds: impl AsyncFn(&Self) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !holds(self).await {
            assert!(Instant::now() < deadline, "not {what} within 30 s");
            assert!(self.child.try_wait().unwrap().is_none(), "the server ended before it was {what}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn client(&self) -> Client {
        Client { http: self.http.clone(), base: format!("http://{}", self.address) }
    }

    fn signal(&self, name: &str) {
        assert!(
            Command::new("kill")
                .args([format!("-{name}"), self.child.id().to_string()])
                .status()
                .unwrap()
                .success()
        );
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Somebody who talks to a server.
#[derive(Clone)]
struct Client {
    http: reqwest::Client,
    base: String,
}

impl Client {
    async fn post(&self, path: &str, body: &Value) -> Option<(u16, Value)> {
        let answer = self.http.post(format!("{}{path}", self.base)).json(body).send().await.ok()?;
        let status = answer.status().as_u16();
        Some((status, answer.json().await.unwrap_or(Value::Null)))
    }

    async fn register(&self, email: &str) -> Option<Tokens> {
        let request = json!({ "email": email, "password": PASSWORD, "organization_name": "Acme", "token_transport": "bearer" });
        let (status, body) = self.post("/v1/auth/register", &request).await?;
        if status == 201 {
            assert_eq!(body["refresh_expires_in"], 2_592_000, "a new session lasts as long as it is set to");
        }
        (status == 201).then(|| tokens(email, &body))
    }

    /// The next tokens, or the status of the refusal.
    async fn refresh(&self, tokens: &Tokens) -> Result<Tokens, u16> {
        let request = json!({ "refresh_token": tokens.refresh });
        let (status, body) = self.post("/v1/auth/refresh", &request).await.expect("an answer");
        if status == 200 { Ok(self::tokens(&tokens.email, &body)) } else { Err(status) }
    }

    async fn logout(&self, access: &str) {
        let request = self.http.post(format!("{}/v1/auth/logout", self.base)).bearer_auth(access);
        assert_eq!(request.send().await.expect("an answer").status().as_u16(), 204);
    }

    async fn session(&self, access: &str) -> u16 {
        let request = self.http.get(format!("{}/v1/auth/session", self.base)).bearer_auth(access);
        request.send().await.expect("an answer").status().as_u16()
    }
}

fn tokens(email: &str, body: &Value) -> Tokens {
    assert_eq!(body["expires_in"], 900);
    let to_the_end = body["refresh_expires_in"].as_u64().unwrap();
    assert!((2_592_000 - 300..=2_592_000).contains(&to_the_end), "{to_the_end}");
    let text = |member: &str| body[member].as_str().expect("a token").to_owned();
    Tokens { email: email.to_owned(), access: text("access_token"), refresh: text("refresh_token") }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Registers people with eight clients at once; once `enough` were acknowledged, `strike` happens. Everyone whose
/// registration was acknowledged, before or after.
async fn register_through(node: &Node, round: u32, enough: usize, strike: impl FnOnce()) -> Vec<Tokens> {
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    let writers: Vec<_> = (0..8)
        .map(|writer| {
            let (http, sender) = (node.client(), sender.clone());
            tokio::spawn(async move {
                for n in 0..1_000 {
                    match http.register(&format!("r{round}.w{writer}.n{n}@example.com")).await {
                        Some(tokens) => sender.send(tokens).unwrap(),
                        None => return,
                    }
                }
            })
        })
        .collect();
    drop(sender);
    let mut ledger = vec![];
    while ledger.len() < enough {
        ledger.push(receiver.recv().await.expect("registrations go on"));
    }
    strike();
    while let Some(tokens) = receiver.recv().await {
        ledger.push(tokens);
    }
    for writer in writers {
        writer.await.unwrap();
    }
    ledger
}

/// Everyone in the ledger is there, whole: account, session, refresh token.
async fn assert_nothing_lost(node: &Node, ledger: &mut [Tokens]) {
    for tokens in ledger {
        assert_eq!(node.client().session(&tokens.access).await, 200, "{} lost the session", tokens.email);
        assert_eq!(
            node.client().register(&tokens.email).await.map(|t| t.email),
            None,
            "the account was lost"
        );
        *tokens =
            node.client().refresh(tokens).await.unwrap_or_else(|status| panic!("{}: {status}", tokens.email));
    }
}

#[test]
fn a_killed_server_on_sqlite_loses_no_acknowledged_write() {
    runtime().block_on(async {
        let directory = tempfile::tempdir().unwrap();
        let mut ledger = vec![];
        for round in 0..3 {
            let node = Node::start(&Database::Sqlite, directory.path()).await;
            assert_nothing_lost(&node, &mut ledger).await;
            ledger.extend(register_through(&node, round, 12, || node.signal("KILL")).await);
        }
        let node = Node::start(&Database::Sqlite, directory.path()).await;
        assert_nothing_lost(&node, &mut ledger).await;
        assert!(ledger.len() >= 36);
    });
}

#[test]
fn a_killed_server_on_postgres_loses_no_acknowledged_write() {
    runtime().block_on(async {
        let directory = tempfile::tempdir().unwrap();
        let database = shared_postgres();
        let mut ledger = vec![];
        for round in 0..3 {
            let node = Node::start(&database, directory.path()).await;
            assert_nothing_lost(&node, &mut ledger).await;
            ledger.extend(register_through(&node, round, 12, || node.signal("KILL")).await);
        }
        let node = Node::start(&database, directory.path()).await;
        assert_nothing_lost(&node, &mut ledger).await;
    });
}

/// D-01, D-02.
#[test]
fn a_killed_postgres_loses_no_acknowledged_write_and_the_server_recovers_by_itself() {
    runtime().block_on(async {
        let directory = tempfile::tempdir().unwrap();
        let postgres = PostgresServer::start(Durability::Full);
        let database = Database::Postgres { url: postgres.url(), schema: fresh_schema_name() };
        let mut node = Node::start(&database, directory.path()).await;
        let mut ledger = vec![];
        for round in 0..3 {
            ledger.extend(register_through(&node, round, 12, || postgres.kill()).await);
            let (asked, status) = (Instant::now(), node.client().session(&ledger[0].access).await);
            assert_eq!(status, 503, "without its store the service refuses");
            assert!(asked.elapsed() < Duration::from_secs(5), "and does not hang");
            assert_eq!(node.status("/healthz").await, Some(200), "the process lives");
            assert_eq!(node.status("/readyz").await, Some(503));
            postgres.start_again();
            let back = Instant::now();
            node.wait_until("ready again", async |node: &Node| node.status("/readyz").await == Some(200))
                .await;
            assert!(back.elapsed() < Duration::from_secs(10));
            assert_nothing_lost(&node, &mut ledger).await;
        }
    });
}

#[test]
fn what_one_process_revokes_another_refuses_within_a_second() {
    runtime().block_on(async {
        let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let database = shared_postgres();
        let (first, second) =
            tokio::join!(Node::start(&database, here.path()), Node::start(&database, there.path()));
        for n in 0..3 {
            let tokens = first.client().register(&format!("p{n}@example.com")).await.unwrap();
            assert_eq!(second.client().session(&tokens.access).await, 200);
            first.client().logout(&tokens.access).await;
            let ended = Instant::now();
            while second.client().session(&tokens.access).await != 401 {
                assert!(ended.elapsed() < Duration::from_secs(1), "a revoked session is still let in");
            }
            assert_eq!(second.client().refresh(&tokens).await.err(), Some(401));
        }
    });
}

/// D-10: what is under way is finished, and the exit is clean.
#[test]
fn a_terminated_server_finishes_what_is_under_way() {
    runtime().block_on(async {
        let directory = tempfile::tempdir().unwrap();
        let mut node = Node::start(&Database::Sqlite, directory.path()).await;
        let registrations: Vec<_> = (0..8)
            .map(|n| {
                let client = node.client();
                tokio::spawn(async move { client.register(&format!("d{n}@example.com")).await })
            })
            .collect();
        node.wait_until("hashing", async |node: &Node| node.status("/healthz").await == Some(200)).await;
        node.signal("TERM");
        for registration in registrations {
            assert!(registration.await.unwrap().is_some(), "a request under way was cut off");
        }
        let status = tokio::task::spawn_blocking(move || node.child.wait().unwrap()).await.unwrap();
        assert_eq!(status.code(), Some(0));
    });
}

fn shared_postgres() -> Database {
    Database::Postgres { url: PostgresServer::shared().url(), schema: fresh_schema_name() }
}
