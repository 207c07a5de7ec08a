//! A mail server that takes everything, keeps it, and behaves as badly as it is told to.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use crate::ServerIdentity;

/// A mail as it came over the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedMail {
    /// The sender of the envelope.
    pub from: String,
    /// The recipients of the envelope.
    pub to: Vec<String>,
    /// The message, without the dots that were stuffed.
    pub data: String,
}

/// How far a conversation has come (RFC 5321 §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The client has connected and waits for the greeting.
    Greeting,
    /// `EHLO`.
    Hello,
    /// `AUTH`.
    Auth,
    /// `MAIL FROM`.
    Sender,
    /// `RCPT TO`.
    Recipient,
    /// `DATA`.
    Data,
    /// The message has arrived and is not kept yet.
    Message,
    /// The message has arrived and is kept.
    Kept,
}

/// What the server does at a stage instead of agreeing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Behaviour {
    /// Agrees always.
    Accept,
    /// Says nothing any more.
    Stall(Stage),
    /// Replies with this line.
    Reply(Stage, &'static str),
    /// Hangs up.
    HangUp(Stage),
}

/// When the server encrypts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encryption {
    /// From the first byte (RFC 8314 §3.3).
    Implicit,
    /// After `STARTTLS` (RFC 3207), without which it takes no mail.
    StartTls,
}

/// A connection, encrypted or not.
trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

type Stream = BufReader<Box<dyn Wire>>;

/// The server. It stops when this is dropped.
pub struct SmtpSink {
    address: SocketAddr,
    shared: Arc<Shared>,
    server: tokio::task::JoinHandle<()>,
}

struct Shared {
    tls: Option<(Encryption, TlsAcceptor)>,
    behaviour: Mutex<Behaviour>,
    mails: watch::Sender<Vec<ReceivedMail>>,
    connections: watch::Sender<usize>,
    /// Every line that clients sent outside of messages.
    commands: Mutex<Vec<String>>,
}

/// What became of a stage.
enum Turn {
    Continue,
    Replied,
    Over,
}

impl SmtpSink {
    /// A server on a free port of this machine.
    pub async fn start() -> Self {
        Self::start_with(None).await
    }

    /// The same, with TLS.
    pub async fn start_with_tls(encryption: Encryption, identity: &ServerIdentity) -> Self {
        Self::start_with(Some((encryption, TlsAcceptor::from(identity.server_config())))).await
    }

    #[expect(clippy::unwrap_used, reason = "a test without its network cannot go on")]
    async fn start_with(tls: Option<(Encryption, TlsAcceptor)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            tls,
            behaviour: Mutex::new(Behaviour::Accept),
            mails: watch::Sender::default(),
            connections: watch::Sender::default(),
            commands: Mutex::default(),
        });
        let serving = shared.clone();
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = serving.clone();
                shared.connections.send_modify(|count| *count += 1);
                tokio::spawn(async move { drop(shared.serve(stream).await) });
            }
        });
        Self { address, shared, server }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL to send mail by.
    pub fn url(&self) -> String {
        format!("smtp://{}", self.address)
    }

    /// From now on it behaves like this, on connections that exist as on new ones.
    #[expect(clippy::unwrap_used, reason = "nobody panics while holding it")]
    pub fn behave(&self, behaviour: Behaviour) {
        *self.shared.behaviour.lock().unwrap() = behaviour;
    }

    /// What has arrived, in order.
    pub fn received(&self) -> Vec<ReceivedMail> {
        self.shared.mails.borrow().clone()
    }

    /// Waits until this many mails have arrived.
    #[expect(clippy::unwrap_used, reason = "the sender lives as long as this")]
    pub async fn wait_for(&self, count: usize) -> Vec<ReceivedMail> {
        let mut mails = self.shared.mails.subscribe();
        mails.wait_for(|mails| mails.len() >= count).await.unwrap().clone()
    }

    /// How often somebody has connected.
    pub fn connections(&self) -> usize {
        *self.shared.connections.borrow()
    }

    /// Every line that clients sent outside of messages.
    #[expect(clippy::unwrap_used, reason = "nobody panics while holding it")]
    pub fn commands(&self) -> Vec<String> {
        self.shared.commands.lock().unwrap().clone()
    }
}

impl Drop for SmtpSink {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Shared {
    async fn serve(&self, stream: TcpStream) -> std::io::Result<()> {
        let (wire, mut upgrade): (Box<dyn Wire>, _) = match &self.tls {
            Some((Encryption::Implicit, tls)) => (Box::new(tls.accept(stream).await?), None),
            Some((Encryption::StartTls, tls)) => (Box::new(stream), Some(tls)),
            None => (Box::new(stream), None),
        };
        let mut stream = BufReader::new(wire);
        match self.turn(Stage::Greeting, &mut stream).await? {
            Turn::Continue => say(&mut stream, "220 sink ESMTP").await?,
            Turn::Replied | Turn::Over => return Ok(()),
        }
        while self.converse(&mut stream, upgrade.is_some()).await?
            && let Some(tls) = upgrade.take()
        {
            stream = BufReader::new(Box::new(tls.accept(stream.into_inner()).await?));
        }
        Ok(())
    }

    /// Talks until the client leaves, or asks for the encryption that it must ask for; whether it did.
    #[expect(clippy::unwrap_used, reason = "nobody panics while holding it")]
    async fn converse(&self, stream: &mut Stream, is_in_the_clear: bool) -> std::io::Result<bool> {
        let (mut from, mut to) = (String::new(), Vec::new());
        let mut line = String::new();
        loop {
            line.clear();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(false);
            }
            let command = line.trim_end().to_owned();
            self.commands.lock().unwrap().push(command.clone());
            let verb = command.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
            let stage = match verb.as_str() {
                "EHLO" | "HELO" => Some(Stage::Hello),
                "AUTH" => Some(Stage::Auth),
                "MAIL" => Some(Stage::Sender),
                "RCPT" => Some(Stage::Recipient),
                "DATA" => Some(Stage::Data),
                _ => None,
            };
            if let Some(stage) = stage {
                match self.turn(stage, stream).await? {
                    Turn::Continue => {}
                    Turn::Replied => continue,
                    Turn::Over => return Ok(false),
                }
            }
            match verb.as_str() {
                "EHLO" if is_in_the_clear => say(stream, "250-sink\r\n250 STARTTLS").await?,
                "STARTTLS" if is_in_the_clear => {
                    say(stream, "220 2.0.0 go ahead").await?;
                    return Ok(true);
                }
                "AUTH" | "MAIL" | "RCPT" | "DATA" if is_in_the_clear => {
                    say(stream, "530 5.7.0 STARTTLS first").await?;
                }
                "EHLO" => say(stream, "250-sink\r\n250 AUTH PLAIN LOGIN").await?,
                "HELO" | "NOOP" => say(stream, "250 sink").await?,
                "AUTH" => say(stream, "235 2.7.0 welcome").await?,
                "MAIL" => {
                    (from, to) = (path(&command), Vec::new());
                    say(stream, "250 2.1.0 ok").await?;
                }
                "RCPT" => {
                    to.push(path(&command));
                    say(stream, "250 2.1.5 ok").await?;
                }
                "DATA" => {
                    say(stream, "354 go ahead").await?;
                    let data = read_message(stream).await?;
                    let mail = ReceivedMail { from: from.clone(), to: std::mem::take(&mut to), data };
                    match self.turn(Stage::Message, stream).await? {
                        Turn::Continue => {}
                        Turn::Replied => continue,
                        Turn::Over => return Ok(false),
                    }
                    self.mails.send_modify(|mails| mails.push(mail));
                    match self.turn(Stage::Kept, stream).await? {
                        Turn::Continue => say(stream, "250 2.0.0 kept").await?,
                        Turn::Replied => {}
                        Turn::Over => return Ok(false),
                    }
                }
                "RSET" => {
                    to.clear();
                    say(stream, "250 2.0.0 ok").await?;
                }
                "QUIT" => {
                    say(stream, "221 2.0.0 bye").await?;
                    return Ok(false);
                }
                _ => say(stream, "500 5.5.1 what?").await?,
            }
        }
    }

    #[expect(clippy::unwrap_used, reason = "nobody panics while holding it")]
    async fn turn(&self, stage: Stage, stream: &mut Stream) -> std::io::Result<Turn> {
        let behaviour = self.behaviour.lock().unwrap().clone();
        match behaviour {
            Behaviour::Stall(at) if at == stage => {
                // Until the client gives up.
                let mut rest = String::new();
                while stream.read_line(&mut rest).await? > 0 {}
                Ok(Turn::Over)
            }
            Behaviour::Reply(at, reply) if at == stage => {
                say(stream, reply).await?;
                Ok(Turn::Replied)
            }
            Behaviour::HangUp(at) if at == stage => Ok(Turn::Over),
            Behaviour::Accept | Behaviour::Stall(_) | Behaviour::Reply(..) | Behaviour::HangUp(_) => {
                Ok(Turn::Continue)
            }
        }
    }
}

async fn say(stream: &mut Stream, reply: &str) -> std::io::Result<()> {
    stream.write_all(format!("{reply}\r\n").as_bytes()).await?;
    stream.flush().await
}

/// What stands between `<` and `>`.
fn path(command: &str) -> String {
    let inner = command.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
    inner.map_or(command, |(path, _)| path).to_owned()
}

/// Up to the dot alone on its line (RFC 5321 §4.5.2).
async fn read_message(stream: &mut Stream) -> std::io::Result<String> {
    let mut data = String::new();
    loop {
        let start = data.len();
        if stream.read_line(&mut data).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let is_dot = data.get(start..).is_some_and(|line| line.trim_end_matches(['\r', '\n']) == ".");
        if is_dot {
            data.truncate(start);
            return Ok(data);
        }
        if data.get(start..).is_some_and(|line| line.starts_with('.')) {
            data.remove(start);
        }
    }
}
