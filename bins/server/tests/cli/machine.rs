//! A folder, an environment with nothing in it, and the program.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use identsphere_factors::totp::TimeStep;
use identsphere_kernel::{Clock as _, SystemClock};
use identsphere_testkit::CodeApp;
use serde_json::Value;
use tempfile::TempDir;

/// Far longer than anything here takes: a test that reaches it has failed.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Machine {
    folder: TempDir,
    environment: Vec<(String, String)>,
}

/// What a command left behind.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Machine {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), environment: Vec::new() }
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.retain(|(known, _)| known != name);
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        let output = self.command(arguments).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Ended { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// Starts a server on a port of its own and waits until it serves.
    pub(crate) fn serve(&self, arguments: &[&str]) -> Server {
        let fixed = ["serve", "--listen", "127.0.0.1:0", "--set", "log_format=json"];
        let mut command = self.command(&[&fixed, arguments].concat());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (sender, log) = channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        thread::spawn(move || stderr.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let mut server = Server { child, log, serving: Value::Null, seen: String::new() };
        server.serving = server.wait_for("serving");
        server
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_identsphere-server"));
        command.args(arguments).current_dir(self.folder.path()).env_clear().stdin(Stdio::null());
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }
}

/// A running server; killed when dropped.
pub(crate) struct Server {
    child: Child,
    log: Receiver<String>,
    serving: Value,
    /// Every line of log that was read.
    seen: String,
}

/// An answer, in full.
#[derive(Debug)]
pub(crate) struct Whole {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Server {
    /// What the line of log says that tells of the server's start.
    pub(crate) fn serving(&self, field: &str) -> &str {
        self.serving[field].as_str().unwrap()
    }

    /// The next line of log with this message.
    pub(crate) fn wait_for(&mut self, message: &str) -> Value {
        loop {
            let line =
                self.log.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("no `{message}` in the log"));
            self.seen.push_str(&line);
            self.seen.push('\n');
            match serde_json::from_str::<Value>(&line) {
                Ok(line) if line["message"].as_str().is_some_and(|text| text.contains(message)) => {
                    return line;
                }
                Ok(_) => {}
                Err(_) => eprintln!("{line}"),
            }
        }
    }

    /// Every line of log from here to the end of the server, which must be near.
    pub(crate) fn rest_of_log(&mut self) -> String {
        let mut lines = Vec::new();
        while let Ok(line) = self.log.recv_timeout(PATIENCE) {
            self.seen.push_str(&line);
            self.seen.push('\n');
            lines.push(line);
        }
        lines.join("\n")
    }

    /// Every line of log that was read so far.
    pub(crate) fn whole_log(&self) -> String {
        self.seen.clone()
    }

    /// The whole answer to a request: `line` is method and path, `fields` are header fields, each with its line break.
    pub(crate) fn whole(&self, line: &str, fields: &str, body: &str) -> Whole {
        whole_exchange(self.serving("address"), line, fields, body)
    }

    /// Status and body of a GET.
    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        self.get_with(path, "")
    }

    /// As [`get`](Self::get), with further header fields, each with its line break.
    pub(crate) fn get_with(&self, path: &str, fields: &str) -> (u16, String) {
        exchange(self.serving("address"), &format!("GET {path}"), fields, "")
    }

    /// Status and body of a POST of JSON.
    pub(crate) fn post(&self, path: &str, body: &Value) -> (u16, String) {
        self.post_with(path, "", body)
    }

    /// As [`post`](Self::post), with further header fields, each with its line break.
    pub(crate) fn post_with(&self, path: &str, fields: &str, body: &Value) -> (u16, String) {
        let body = body.to_string();
        let length = body.len();
        let fields = format!("{fields}Content-Type: application/json\r\nContent-Length: {length}\r\n");
        exchange(self.serving("address"), &format!("POST {path}"), &fields, &body)
    }

    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// The exit code and all of standard output.
    pub(crate) fn end(mut self) -> (i32, String) {
        let mut out = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
        (self.child.wait().unwrap().code().unwrap(), out)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Status and body of a GET.
pub(crate) fn get(address: &str, path: &str) -> (u16, String) {
    exchange(address, &format!("GET {path}"), "", "")
}

/// Status and body of the answer to a request with these further header fields.
fn exchange(address: &str, line: &str, fields: &str, body: &str) -> (u16, String) {
    let Whole { status, body, .. } = whole_exchange(address, line, fields, body);
    (status, body)
}

fn whole_exchange(address: &str, line: &str, fields: &str, body: &str) -> Whole {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "{line} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{fields}\r\n{body}").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Whole { status, head: head.to_owned(), body: body.to_owned() }
}

/// The permission bits of a file.
pub(crate) fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    path.metadata().unwrap().permissions().mode() & 0o777
}

pub(crate) fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// What an authenticator app shows now, into which this secret was typed.
pub(crate) fn code_now(secret: &str) -> String {
    CodeApp::with(secret).unwrap().code_of(TimeStep::at(SystemClock.now()).unwrap())
}
