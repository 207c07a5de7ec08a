//! A proxy in front of PostgreSQL that watches and disturbs what goes over the network.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use crate::PostgresServer;

/// Stands between a store and the shared server and counts how often the store spoke after it had listened.
pub struct Proxy {
    port: u16,
    wire: Arc<Wire>,
}

#[derive(Default)]
struct Wire {
    round_trips: AtomicUsize,
    /// The server spoke last.
    answered: AtomicBool,
    /// Answers are swallowed.
    mute: AtomicBool,
}

impl Proxy {
    /// A proxy in front of [`PostgresServer::shared`].
    #[expect(clippy::unwrap_used, reason = "a test without its network cannot go on")]
    pub fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let wire = Arc::new(Wire::default());
        let server = ("127.0.0.1", PostgresServer::shared().port());
        thread::spawn({
            let wire = Arc::clone(&wire);
            move || {
                for client in listener.incoming().map_while(Result::ok) {
                    let server = TcpStream::connect(server).unwrap();
                    let (from_client, to_server) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                    let (up, down) = (Arc::clone(&wire), Arc::clone(&wire));
                    thread::spawn(move || pump(from_client, to_server, || up.asked()));
                    thread::spawn(move || pump(server, client, || down.answered()));
                }
            }
        });
        Self { port, wire }
    }

    /// Where the server seems to be.
    pub fn url(&self) -> String {
        format!("postgres://identsphere@127.0.0.1:{}/postgres", self.port)
    }

    /// Round trips since the last call of this. Exact when store and test share one thread, so that the connection sends
    /// when the store waits and not earlier.
    pub fn round_trips(&self) -> usize {
        self.wire.round_trips.swap(0, Ordering::SeqCst)
    }

    /// Swallows what the server answers, or no longer.
    pub fn mute(&self, mute: bool) {
        self.wire.mute.store(mute, Ordering::SeqCst);
    }
}

impl Wire {
    fn asked(&self) -> bool {
        if self.answered.swap(false, Ordering::SeqCst) {
            self.round_trips.fetch_add(1, Ordering::SeqCst);
        }
        true
    }

    fn answered(&self) -> bool {
        self.answered.store(true, Ordering::SeqCst);
        !self.mute.load(Ordering::SeqCst)
    }
}

/// Hands on what comes in while `pass` allows it.
fn pump(mut from: TcpStream, mut to: TcpStream, pass: impl Fn() -> bool) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        let read = buffer.get(..count).unwrap_or_default();
        if pass() && to.write_all(read).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}
