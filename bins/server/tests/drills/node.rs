//! Running servers, and somebody who talks to them.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use identsphere_testkit::{PostgresServer, fresh_schema_name};
use serde_json::{Value, json};

const PASSWORD: &str = "correct horse battery";
const MASTER_KEY: &str = "DelBwWc6182EtBHiERHyp7f+Z/fva6XYFhAdjuPM1kA=";

/// Runs a drill while no other one runs: they measure time and memory.
pub(crate) fn drill(scenario: impl Future<Output = ()>) {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.unwrap().block_on(scenario);
}

/// A size of a drill: `quick` among the other tests, `full` when asked for.
pub(crate) fn sized<T>(quick: T, full: T) -> T {
    if std::env::var_os("IDENTSPHERE_DRILLS").is_some_and(|size| size == "full") { full } else { quick }
}

/// Reports what was measured. The scripts pick these lines up.
pub(crate) fn figure(drill: &str, what: &str, value: impl std::fmt::Display) {
    println!("figure | {drill} | {what} | {value} |");
}

/// Where servers keep their data.
#[derive(Clone)]
pub(crate) enum Database {
    Sqlite,
    Postgres { url: String, schema: String },
}

impl Database {
    /// A schema of one's own on the server of all tests.
    pub(crate) fn shared_postgres() -> Self {
        Self::on(PostgresServer::shared())
    }

    /// A schema of one's own on this server.
    pub(crate) fn on(server: &PostgresServer) -> Self {
        Self::Postgres { url: server.url(), schema: fresh_schema_name() }
    }

    /// The same data, reached through a proxy.
    pub(crate) fn through(&self, proxy: SocketAddr) -> Self {
        let Self::Postgres { schema, .. } = self else { panic!("SQLite has no network") };
        Self::Postgres { url: format!("postgres://identsphere@{proxy}/postgres"), schema: schema.clone() }
    }

    fn url(&self) -> &str {
        match self {
            Self::Sqlite => "sqlite://identsphere.db",
            Self::Postgres { url, .. } => url,
        }
    }
}

/// How to start a server.
#[derive(Clone)]
pub(crate) struct Launch {
    database: Database,
    directory: PathBuf,
    address: SocketAddr,
    environment: Vec<(&'static str, String)>,
}

impl Launch {
    /// On a free port, with settings that suit tests.
    pub(crate) fn new(database: &Database, directory: &Path) -> Self {
        let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        Self { database: database.clone(), directory: directory.to_owned(), address, environment: vec![] }
    }

    /// With this in the environment.
    pub(crate) fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.environment.push((name, value.to_string()));
        self
    }

    /// Starts the server and waits until it says that it is ready.
    pub(crate) async fn start(&self) -> Node {
        let mut node = self.spawn();
        node.wait_until("ready", async |node: &Node| node.status("/readyz").await == Some(200)).await;
        node
    }

    /// Starts the server.
    pub(crate) fn spawn(&self) -> Node {
        let address = self.address;
        let mut child = self.command().arg("serve").spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || {
            stderr.lines().map_while(Result::ok).for_each(|line| eprintln!("{address} {line}"))
        });
        let http = reqwest::Client::builder().timeout(Duration::from_secs(20)).no_proxy().build().unwrap();
        Node { launch: self.clone(), child, started: Instant::now(), address, http }
    }

    fn run(&self, arguments: &[&str]) {
        let output = self.command().args(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn try_run(&self, arguments: &[&str]) -> bool {
        self.command().args(arguments).output().unwrap().status.success()
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_identsphere-server"));
        command
            .current_dir(&self.directory)
            .env_clear()
            .env("IDENTSPHERE_LISTEN", self.address.to_string())
            .env("IDENTSPHERE_PUBLIC_BASE_URL", "http://localhost:4000")
            .env("IDENTSPHERE_DATABASE_URL", self.database.url())
            .env("IDENTSPHERE_PASSWORD_HASH", "argon2id:m=19456,t=2,p=1")
            .env("IDENTSPHERE_RATE_LIMITS", "off")
            .env("IDENTSPHERE_DRAIN_SECS", "1")
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        if let Database::Postgres { schema, .. } = &self.database {
            command.env("IDENTSPHERE_SCHEMA", schema).env("IDENTSPHERE_MASTER_KEY", MASTER_KEY);
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }
}

/// A running server, killed when the test is over.
pub(crate) struct Node {
    launch: Launch,
    child: Child,
    started: Instant,
    pub(crate) address: SocketAddr,
    http: reqwest::Client,
}

impl Node {
    /// How long ago the server was started.
    pub(crate) fn age(&self) -> Duration {
        self.started.elapsed()
    }

    /// Starts a server on a free port and waits until it says that it is ready.
    pub(crate) async fn start(database: &Database, directory: &Path) -> Self {
        Launch::new(database, directory).start().await
    }

    /// Starts a server like this one, at the same address, when this one has ended.
    pub(crate) async fn start_again(&mut self) {
        let launch = self.launch.clone();
        *self = launch.start().await;
    }

    /// Where the server keeps its data.
    pub(crate) fn database(&self) -> &Database {
        &self.launch.database
    }

    /// Runs another command of the program, with the same settings, to its end.
    pub(crate) fn run(&self, arguments: &[&str]) {
        self.launch.run(arguments);
    }

    /// Runs another command of the program, with the same settings; whether it succeeded.
    pub(crate) fn try_run(&self, arguments: &[&str]) -> bool {
        self.launch.try_run(arguments)
    }

    pub(crate) async fn status(&self, path: &str) -> Option<u16> {
        let answer = self.http.get(format!("http://{}{path}", self.address)).send().await.ok()?;
        Some(answer.status().as_u16())
    }

    /// Polls until the condition holds, and for how long that took; gives up after half a minute.
    pub(crate) async fn wait_until(&mut self, what: &str, holds: impl AsyncFn(&Self) -> bool) -> Duration {
        let started = Instant::now();
        while !holds(self).await {
            assert!(started.elapsed() < Duration::from_secs(30), "not {what} within 30 s");
            assert!(self.child.try_wait().unwrap().is_none(), "the server ended before it was {what}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        started.elapsed()
    }

    pub(crate) fn client(&self) -> Client {
        Client { http: self.http.clone(), base: format!("http://{}", self.address) }
    }

    pub(crate) fn signal(&self, name: &str) {
        let arguments = [format!("-{name}"), self.child.id().to_string()];
        assert!(Command::new("kill").args(arguments).status().unwrap().success());
    }

    /// Waits until the process ends, without standing in the way of others.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The most memory that the process ever held, in MiB (proc_pid_status(5), `VmHWM`).
    pub(crate) fn peak_memory_mib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What somebody holds after signing in.
#[derive(Clone)]
pub(crate) struct Tokens {
    pub(crate) email: String,
    pub(crate) access: String,
    pub(crate) refresh: String,
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Says when to come back.
    pub(crate) retry_after: bool,
    pub(crate) body: Value,
}

impl Answer {
    /// Whether the service refused for a while, in good order.
    pub(crate) fn is_turned_away(&self) -> bool {
        self.status == 503 && self.retry_after && self.body["error"]["code"] == "overloaded"
    }
}

/// Somebody who talks to a server.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: String,
}

impl Client {
    /// Somebody who talks to whoever listens there.
    pub(crate) fn at(address: SocketAddr) -> Self {
        let http = reqwest::Client::builder().timeout(Duration::from_secs(30)).no_proxy().build().unwrap();
        Self { http, base: format!("http://{address}") }
    }

    /// `None` when the connection ended without an answer.
    async fn send(&self, request: reqwest::RequestBuilder) -> Option<Answer> {
        let answer = request.send().await.ok()?;
        let status = answer.status().as_u16();
        let retry_after = answer.headers().contains_key("retry-after");
        let body = answer.bytes().await.ok()?;
        Some(Answer { status, retry_after, body: serde_json::from_slice(&body).unwrap_or_default() })
    }

    pub(crate) async fn get(&self, path: &str) -> Option<Answer> {
        self.send(self.http.get(format!("{}{path}", self.base))).await
    }

    async fn post(&self, path: &str, body: &Value) -> Option<Answer> {
        self.send(self.http.post(format!("{}{path}", self.base)).json(body)).await
    }

    /// Posts as somebody, or as nobody. JSON `null` is no body.
    pub(crate) async fn post_as(&self, access: Option<&str>, path: &str, body: &Value) -> Option<Answer> {
        let mut request = self.http.post(format!("{}{path}", self.base));
        if let Some(access) = access {
            request = request.bearer_auth(access);
        }
        if !body.is_null() {
            request = request.json(body);
        }
        self.send(request).await
    }

    pub(crate) async fn try_register(&self, email: &str) -> Option<Answer> {
        let request = json!({
            "email": email, "password": PASSWORD, "organization_name": "Acme", "token_transport": "bearer",
        });
        self.post("/v1/auth/register", &request).await
    }

    /// The tokens of a new account, unless it was refused.
    pub(crate) async fn register(&self, email: &str) -> Option<Tokens> {
        let answer = self.try_register(email).await?;
        (answer.status == 201).then(|| tokens(email, &answer.body))
    }

    pub(crate) async fn login(&self, email: &str, password: Option<&str>) -> Option<Answer> {
        let request = json!({
            "email": email, "password": password.unwrap_or(PASSWORD), "token_transport": "bearer",
        });
        self.post("/v1/auth/login", &request).await
    }

    pub(crate) async fn try_refresh(&self, refresh: &str) -> Option<Answer> {
        self.post("/v1/auth/refresh", &json!({ "refresh_token": refresh })).await
    }

    /// The next tokens, or the status of the refusal.
    pub(crate) async fn refresh(&self, tokens: &Tokens) -> Result<Tokens, u16> {
        let answer = self.try_refresh(&tokens.refresh).await.expect("an answer");
        if answer.status == 200 { Ok(self::tokens(&tokens.email, &answer.body)) } else { Err(answer.status) }
    }

    pub(crate) async fn logout(&self, access: &str) {
        let request = self.http.post(format!("{}/v1/auth/logout", self.base)).bearer_auth(access);
        assert_eq!(self.send(request).await.expect("an answer").status, 204);
    }

    pub(crate) async fn try_session(&self, access: &str) -> Option<Answer> {
        self.send(self.http.get(format!("{}/v1/auth/session", self.base)).bearer_auth(access)).await
    }

    pub(crate) async fn session(&self, access: &str) -> u16 {
        self.try_session(access).await.expect("an answer").status
    }
}

/// The tokens in an answer.
pub(crate) fn tokens(email: &str, body: &Value) -> Tokens {
    let text = |member: &str| body[member].as_str().expect("a token").to_owned();
    Tokens { email: email.to_owned(), access: text("access_token"), refresh: text("refresh_token") }
}
