//! A proxy that breaks connections.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// What the proxy does to what passes through it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// Every packet takes longer, in both directions.
    Delay(Duration),
    /// Connections stay open and nothing passes, as between two halves of a network.
    Silence,
    /// Requests pass; at the first byte of an answer the connection is cut.
    CutAnswers,
}

/// Stands between a client and a server. Ends with the process.
#[derive(Debug)]
pub struct FaultProxy {
    address: SocketAddr,
    fault: Arc<Mutex<Fault>>,
}

impl FaultProxy {
    /// A proxy before `server`, which does no harm yet.
    ///
    /// # Errors
    /// When there is no free port.
    pub fn start(server: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let address = listener.local_addr()?;
        let fault = Arc::new(Mutex::new(Fault::None));
        let shared = fault.clone();
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                // A server that is away looks to the client as it would without us.
                let _ = join(client, server, &shared);
            }
        });
        Ok(Self { address, fault })
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on this happens to all connections.
    pub fn set(&self, fault: Fault) {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }
}

fn join(client: TcpStream, server: SocketAddr, fault: &Arc<Mutex<Fault>>) -> io::Result<()> {
    let server = TcpStream::connect(server)?;
    let (from_client, to_server) = (client.try_clone()?, server.try_clone()?);
    let (up, down) = (fault.clone(), fault.clone());
    thread::spawn(move || pump(from_client, to_server, &up, false));
    thread::spawn(move || pump(server, client, &down, true));
    Ok(())
}

fn pump(mut from: TcpStream, mut to: TcpStream, fault: &Mutex<Fault>, answers: bool) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        let now = *fault.lock().unwrap_or_else(PoisonError::into_inner);
        match now {
            Fault::Silence => continue,
            Fault::CutAnswers if answers => break,
            Fault::Delay(by) => thread::sleep(by),
            Fault::None | Fault::CutAnswers => {}
        }
        let Some(bytes) = buffer.get(..count) else { break };
        if to.write_all(bytes).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}
