//! A throw-away PostgreSQL server: real binaries, a directory of its own, gone with the test process.

use std::fs::{self, Permissions};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{self, Child, Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use tempfile::TempDir;

use crate::ServerIdentity;

/// Waits until the test process closes its end of the pipe, in whatever way it ends; then stops the server and
/// removes its directory. `$@` is the command line of `pg_ctl`, `$DIRECTORY` what to remove.
const SUPERVISOR: &str = r#"trap '' INT HUP TERM
cat >/dev/null
"$@" stop -m immediate >/dev/null 2>&1
rm -rf "$DIRECTORY""#;

/// Kills a server so that no process of it can finish anything: the parent is stopped before its children die, or it
/// would begin to recover. `$1` is the parent.
const KILL: &str = r#"kill -STOP "$1" && pkill -KILL -P "$1"; kill -KILL "$1""#;

/// Stops a server and its children, the parent first, or it would miss them. `$1` is the parent.
const FREEZE: &str = r#"kill -STOP "$1" && pkill -STOP -P "$1""#;

/// Lets them go on.
const THAW: &str = r#"pkill -CONT -P "$1"; kill -CONT "$1""#;

/// Whether what the server has confirmed is on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// The server never waits for the disk (`fsync=off`). Survives the death of the server, not of the machine.
    Relaxed,
    /// As in production.
    Full,
}

/// A PostgreSQL server of one's own on a free port of 127.0.0.1.
#[derive(Debug)]
pub struct PostgresServer {
    binaries: PathBuf,
    directory: PathBuf,
    port: u16,
    durability: Durability,
    /// More of the server's command line.
    options: String,
    /// Ends the server when its standard input closes: when this value is dropped, or with this process.
    supervisor: Child,
}

impl PostgresServer {
    /// The server that all tests of this process share; started by the first who asks.
    pub fn shared() -> &'static Self {
        static SHARED: LazyLock<PostgresServer> =
            LazyLock::new(|| PostgresServer::start(Durability::Relaxed));
        &SHARED
    }

    /// Starts a server for one test, which may stop and kill it.
    ///
    /// # Panics
    /// When there is no PostgreSQL on this machine, or it does not start.
    pub fn start(durability: Durability) -> Self {
        Self::start_with(durability, "")
    }

    /// The same with options of the server's command line, which win over ours: `-c max_connections=20`.
    ///
    /// # Panics
    /// When there is no PostgreSQL on this machine, or it does not start.
    pub fn start_with(durability: Durability, options: &str) -> Self {
        let binaries = find_binaries();
        let directory = new_directory();
        let supervisor = supervise(&binaries, &directory);
        let options = options.to_owned();
        let mut server = Self { binaries, directory, port: 0, durability, options, supervisor };
        run(server
            .command("initdb")
            .args(["--username=identsphere", "--auth=trust", "--no-sync"])
            .args(["--encoding=UTF8", "--locale=C", "--pgdata"])
            .arg(server.data()));
        server.port = free_port();
        server.start_again();
        server
    }

    /// How to connect, as the superuser.
    pub fn url(&self) -> String {
        format!("postgres://identsphere@127.0.0.1:{}/postgres", self.port)
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Belongs to the user who runs the server; gone with it.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Stops the server in good order, cutting its connections. What was committed is kept.
    pub fn stop(&self) {
        run(self.pg_ctl().args(["stop", "-w", "-m", "fast"]));
    }

    /// Stops every process of the server where it stands (`SIGSTOP`): connections stay, answers do not come.
    pub fn freeze(&self) {
        run(as_server_user("sh").args(["-c", FREEZE, "sh", &self.parent()]));
    }

    /// Lets the server go on after [`freeze`](Self::freeze).
    pub fn thaw(&self) {
        run(as_server_user("sh").args(["-c", THAW, "sh", &self.parent()]));
    }

    /// Runs statements, each in a transaction of its own.
    pub fn run_sql(&self, statements: &[&str]) {
        run(&mut self.psql(statements));
    }

    /// Lets the server speak TLS with this certificate from now on. Whoever does not ask for it is
    /// served in the clear as before. Cuts its connections.
    ///
    /// # Panics
    /// When the server does not take them.
    pub fn speak_tls(&self, identity: &ServerIdentity) {
        for (name, content) in [("server.crt", &identity.certificate), ("server.key", &identity.key)] {
            let path = self.data().join(name);
            fs::write(&path, content).unwrap_or_else(|e| fail(&format!("{name} is not written: {e}")));
            fs::set_permissions(&path, Permissions::from_mode(0o600))
                .unwrap_or_else(|e| fail(&format!("{name} stays readable: {e}")));
            if is_root() {
                run(Command::new("chown").arg("postgres:").arg(&path));
            }
        }
        self.run_sql(&["ALTER SYSTEM SET ssl = on"]);
        self.stop();
        self.start_again();
    }

    /// Everything that a schema holds, as SQL.
    pub fn dump(&self, schema: &str) -> Vec<u8> {
        let mut command = self.command("pg_dump");
        command.args(["--data-only", "--inserts", "--schema", schema, "--dbname"]).arg(self.url());
        match command.output() {
            Ok(output) if output.status.success() => output.stdout,
            Ok(output) => fail(&String::from_utf8_lossy(&output.stderr)),
            Err(error) => fail(&format!("pg_dump does not start: {error}")),
        }
    }

    /// Starts a client that runs statements on one connection; it ends with them, or when it is killed.
    pub fn spawn_sql(&self, statements: &[&str]) -> Child {
        let client = self.psql(statements).stdin(Stdio::null()).stdout(Stdio::null()).spawn();
        client.unwrap_or_else(|e| fail(&format!("psql does not start: {e}")))
    }

    /// Kills every process of the server at once (`SIGKILL`).
    pub fn kill(&self) {
        let lock = self.data().join("postmaster.pid");
        run(as_server_user("sh").args(["-c", KILL, "sh", &self.parent()]));
        // A killed process takes its time to die; until then the kernel takes connections on its behalf.
        while TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
            thread::yield_now();
        }
        // A dead server leaves its lock behind, and a dead process that nobody has waited for looks alive to it.
        fs::remove_file(&lock).unwrap_or_else(|e| fail(&format!("the lock file stays: {e}")));
    }

    /// Starts the server again after [`stop`](Self::stop) or [`kill`](Self::kill), on the same port, and waits until
    /// it answers.
    pub fn start_again(&self) {
        let sync = match self.durability {
            Durability::Relaxed => "-c fsync=off -c full_page_writes=off",
            Durability::Full => "-c fsync=on",
        };
        let options = format!(
            "-p {} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c max_connections=300 \
             -c shared_buffers=32MB -c synchronous_commit=on {sync} {}",
            self.port, self.options
        );
        let log = self.directory.join("log");
        let mut start = self.pg_ctl();
        start.args(["start", "-w", "-t", "60", "-o", &options, "-l"]).arg(&log);
        // Right after a kill the kernel may still be taking the old server's memory apart.
        let started = (0..20).any(|_| start.output().is_ok_and(|output| output.status.success()));
        if !started {
            fail(&fs::read_to_string(&log).unwrap_or_default());
        }
    }

    fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    /// The process that all others of the server are children of.
    fn parent(&self) -> String {
        let lock = fs::read_to_string(self.data().join("postmaster.pid"));
        let lock = lock.unwrap_or_else(|e| fail(&format!("the server is not running: {e}")));
        lock.lines().next().unwrap_or_default().to_owned()
    }

    fn psql(&self, statements: &[&str]) -> Command {
        let mut command = self.command("psql");
        command.args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--dbname"]).arg(self.url());
        command.args(statements.iter().flat_map(|statement| ["--command", statement]));
        command
    }

    fn command(&self, binary: &str) -> Command {
        as_server_user(self.binaries.join(binary))
    }

    fn pg_ctl(&self) -> Command {
        let mut command = self.command("pg_ctl");
        command.arg("--pgdata").arg(self.data());
        command
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        drop(self.supervisor.stdin.take());
        let _ = self.supervisor.wait();
    }
}

/// A schema name that no other test of this process uses.
pub fn fresh_schema_name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("test_{}_{}", process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// The newest PostgreSQL where Debian puts it, else the one in the search path.
fn find_binaries() -> PathBuf {
    let version = |path: &Path| path.file_name()?.to_str()?.parse::<u32>().ok();
    let installed = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = installed
        .map(|entry| entry.path())
        .filter(|path| path.join("bin/initdb").exists())
        .max_by_key(|path| version(path));
    if let Some(newest) = newest {
        return newest.join("bin");
    }
    let found = Command::new("sh").args(["-c", "command -v initdb"]).output().ok();
    let initdb = found.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    match initdb.as_deref().map(Path::new).and_then(Path::parent) {
        Some(folder) if folder.is_absolute() => folder.to_owned(),
        Some(_) | None => fail("no PostgreSQL on this machine: install the Debian package `postgresql`"),
    }
}

/// A directory that belongs to the user who runs the server. The supervisor removes it.
fn new_directory() -> PathBuf {
    let made = TempDir::with_prefix("identsphere-postgres-").map(TempDir::keep);
    let directory = made.unwrap_or_else(|e| fail(&format!("no temporary directory: {e}")));
    if is_root() {
        run(Command::new("chown").arg("postgres:").arg(&directory));
    }
    directory
}

fn supervise(binaries: &Path, directory: &Path) -> Child {
    let mut command = as_server_user("sh");
    command
        .args(["-c", SUPERVISOR, "sh"])
        .arg(binaries.join("pg_ctl"))
        .arg("--pgdata")
        .arg(directory.join("data"));
    command.env("DIRECTORY", directory).current_dir("/");
    // A group of its own, so that what interrupts the tests does not end the supervisor first.
    command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap_or_else(|e| fail(&format!("the supervisor does not start: {e}")))
}

/// PostgreSQL refuses to run as root, so root runs it as the user that the Debian package made.
fn as_server_user(program: impl AsRef<Path>) -> Command {
    if !is_root() {
        return Command::new(program.as_ref());
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--init-groups", "--"]).arg(program.as_ref());
    command.current_dir("/");
    command
}

fn is_root() -> bool {
    static ROOT: LazyLock<bool> =
        LazyLock::new(|| Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n"));
    *ROOT
}

/// A port that is free now, below those that the kernel hands out for outgoing connections: nobody takes it while the
/// server is down.
fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let start = process::id().wrapping_mul(7);
    let candidates = (0..10_000).map(|_| {
        let step = start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        u16::try_from(20_000 + step % 10_000).unwrap_or(20_000)
    });
    let mut free = candidates.filter(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
    free.next().unwrap_or_else(|| fail("no free port"))
}

fn run(command: &mut Command) {
    match command.output() {
        Ok(output) if output.status.success() => {}
        Ok(output) => fail(&format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr))),
        Err(e) => fail(&format!("{command:?}: {e}")),
    }
}

#[expect(clippy::panic, reason = "a test without its server cannot go on")]
fn fail(message: &str) -> ! {
    panic!("{message}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_can_fall_and_rise_and_leaves_nothing_behind() {
        let server = PostgresServer::start(Durability::Relaxed);
        let (port, directory) = (server.port(), server.directory.clone());
        let answers = || TcpStream::connect(("127.0.0.1", port)).is_ok();
        assert!(answers());
        server.kill();
        assert!(!answers());
        server.start_again();
        assert!(answers());
        server.stop();
        assert!(!answers());
        server.start_again();
        drop(server);
        assert!(!answers());
        assert!(!directory.exists());
    }

    #[test]
    fn schema_names_differ() {
        assert_ne!(fresh_schema_name(), fresh_schema_name());
    }
}
