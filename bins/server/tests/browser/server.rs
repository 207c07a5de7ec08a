//! The program in a folder of its own, started as `scripts/quickstart` starts it.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// A running server; killed when dropped.
pub(crate) struct Server {
    pub(crate) base: String,
    child: Child,
    _folder: TempDir,
}

impl Server {
    /// Starts it and waits until it serves.
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let base = format!("http://localhost:{port}");
        let mut command = Command::new(env!("CARGO_BIN_EXE_identsphere-server"));
        command.args(["serve", "--hello"]).current_dir(folder.path()).env_clear();
        command
            .env("IDENTSPHERE_LISTEN", format!("127.0.0.1:{port}"))
            .env("IDENTSPHERE_PUBLIC_BASE_URL", &base);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        // The greeting comes when the address is bound, and tells of the pages.
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        assert!(lines.any(|line| line.contains(&format!("{base}/account"))));
        Self { base, child, _folder: folder }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
