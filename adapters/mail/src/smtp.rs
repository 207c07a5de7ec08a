//! Mail over SMTP (RFC 5321).

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use async_trait::async_trait;
use identsphere_core::{Mail, MailError, Mailer};
use identsphere_kernel::{Duration, Email};
use lettre::Message;
use lettre::address::Address;
use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, TlsParameters};
use lettre::transport::smtp::extension::ClientId;

use crate::message::{address, message};
use crate::render::Renderer;
use crate::smtp_url::{Security, SmtpUrl};

/// How long a mail may take from the connection to the server's last word.
const SEND_TIMEOUT: Duration = Duration::from_secs(15);
/// Most connections that are kept for the next mail.
const MOST_IDLE: usize = 4;
/// How long they are kept. Servers hang up after minutes (RFC 5321 §4.5.3.2.7).
const IDLE_TIME: Duration = Duration::from_secs(30);

/// Replies that speak of us and not of the mail: they end when an operator has mended the settings (RFC 4954 §6).
const OURS: [u16; 4] = [530, 534, 535, 538];

/// Hands mail to a mail server.
///
/// A connection is used again when its last mail went through, and dropped in every other case: what a server still has
/// to say about one mail must never be taken for its word about the next.
pub struct SmtpMailer {
    server: SmtpUrl,
    tls: Option<TlsParameters>,
    hello: ClientId,
    credentials: Option<Credentials>,
    from: Address,
    renderer: Renderer,
    timeout: Duration,
    idle: Mutex<Vec<Idle>>,
}

struct Idle {
    connection: AsyncSmtpConnection,
    since: Instant,
}

/// Why there can be no such mailer.
#[derive(Debug, thiserror::Error)]
pub enum SmtpMailerError {
    /// Mail cannot come from this address.
    #[error("mail cannot be sent from this address")]
    From,
    /// Certificates cannot be checked on this machine.
    #[error("certificates cannot be checked: are the system's root certificates installed?")]
    Tls(#[source] SmtpError),
}

/// The server did not get to its last word in time.
#[derive(Debug, thiserror::Error)]
#[error("the mail server took longer than {} ms", .0.as_millis())]
struct TooSlow(Duration);

impl SmtpMailer {
    /// Sends by this server, from this address.
    ///
    /// # Errors
    /// [`SmtpMailerError`] when the address or the machine's certificates are of no use.
    pub fn new(server: SmtpUrl, from: &Email, renderer: Renderer) -> Result<Self, SmtpMailerError> {
        let from = address(from.as_str()).map_err(|_| SmtpMailerError::From)?;
        let tls = match server.security {
            Security::None => None,
            Security::StartTls | Security::Tls => {
                Some(TlsParameters::new_rustls(server.host.clone()).map_err(SmtpMailerError::Tls)?)
            }
        };
        let hello = ClientId::Domain(server.hello.clone().unwrap_or_else(|| from.domain().to_owned()));
        let credentials = server
            .credentials
            .as_ref()
            .map(|(user, password)| Credentials::new(user.clone(), password.expose().to_owned()));
        let (timeout, idle) = (SEND_TIMEOUT, Mutex::default());
        Ok(Self { server, tls, hello, credentials, from, renderer, timeout, idle })
    }

    /// The same with another bound on the time of a mail.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// The server, whose text never shows user or password.
    pub fn server(&self) -> &SmtpUrl {
        &self.server
    }

    /// Greets the server, encrypted and signed in as for a mail, and takes leave.
    ///
    /// # Errors
    /// [`MailError::Later`] when it does not come that far.
    pub async fn greet(&self) -> Result<(), MailError> {
        self.in_time(async {
            let mut connection = self.connect().await.map_err(later)?;
            connection.quit().await.map_err(later)?;
            Ok(())
        })
        .await
    }

    async fn deliver(&self, message: &Message) -> Result<(), MailError> {
        let bytes = message.formatted();
        let mut connection = match self.idle_connection().await {
            Some(connection) => connection,
            None => self.connect().await.map_err(later)?,
        };
        connection.send(message.envelope(), &bytes).await.map_err(judge)?;
        self.keep(connection);
        Ok(())
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, SmtpError> {
        let server = (self.server.host.as_str(), self.server.port);
        let wrapped = self.tls.clone().filter(|_| self.server.security == Security::Tls);
        let mut connection =
            AsyncSmtpConnection::connect_tokio1(server, Some(self.timeout), &self.hello, wrapped, None)
                .await?;
        if let Some(tls) = self.tls.clone().filter(|_| self.server.security == Security::StartTls) {
            connection.starttls(tls, &self.hello).await?;
        }
        if let Some(credentials) = &self.credentials {
            connection.auth(DEFAULT_MECHANISMS, credentials).await?;
        }
        Ok(connection)
    }

    /// A connection that is still good.
    async fn idle_connection(&self) -> Option<AsyncSmtpConnection> {
        loop {
            let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()?;
            let mut connection = idle.connection;
            if idle.since.elapsed() < IDLE_TIME && connection.test_connected().await {
                return Some(connection);
            }
        }
    }

    fn keep(&self, connection: AsyncSmtpConnection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MOST_IDLE && !connection.has_broken() {
            idle.push(Idle { connection, since: Instant::now() });
        }
    }

    async fn in_time(&self, work: impl Future<Output = Result<(), MailError>>) -> Result<(), MailError> {
        match tokio::time::timeout(self.timeout, work).await {
            Ok(done) => done,
            Err(_) => Err(later(TooSlow(self.timeout))),
        }
    }
}

#[async_trait]
impl Mailer for SmtpMailer {
    async fn send(&self, mail: &Mail) -> Result<(), MailError> {
        let words = self.renderer.render(mail).map_err(|error| MailError::Never(error.into()))?;
        let message = message(mail, words, &self.from, self.renderer.app_name())
            .map_err(|error| MailError::Never(error.into()))?;
        self.in_time(self.deliver(&message)).await
    }
}

impl fmt::Debug for SmtpMailer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SmtpMailer({})", self.server)
    }
}

fn later(error: impl std::error::Error + Send + Sync + 'static) -> MailError {
    MailError::Later(Box::new(error))
}

/// What the server's refusal of a mail means. Whatever happens before the mail is named is [`later`].
fn judge(error: SmtpError) -> MailError {
    let speaks_of_us = error.status().is_some_and(|code| OURS.contains(&u16::from(code)));
    if error.is_permanent() && !speaks_of_us { MailError::Never(Box::new(error)) } else { later(error) }
}
