//! Being told to stop.

use std::io;

/// How to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Orderly: a balancer is given time to notice (SIGTERM).
    Drain,
    /// Soon: a person waits (SIGINT).
    Soon,
}

/// The signals to stop. From its making on, they no longer end the process by themselves.
pub(crate) struct Signals {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    /// Listens for the signals.
    pub(crate) fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// The next signal.
    pub(crate) async fn next(&mut self) -> Stop {
        tokio::select! {
            _ = self.terminate.recv() => Stop::Drain,
            _ = self.interrupt.recv() => Stop::Soon,
        }
    }
}

#[cfg(not(unix))]
impl Signals {
    /// Listens for the signals.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {})
    }

    /// The next signal.
    pub(crate) async fn next(&mut self) -> Stop {
        // Without a way to listen for Ctrl-C the process ends by it anyway.
        let _ = tokio::signal::ctrl_c().await;
        Stop::Soon
    }
}
