//! What an operator chooses, and what becomes of it when a connection is made.

use std::fmt;
use std::time::Duration;

use identsphere_kernel::SecretString;

use crate::tls::{Parameters, Protection, Tls};

/// Longest time that the server works on one statement of the upkeep.
pub(crate) const UPKEEP_TIMEOUT: Duration = Duration::from_secs(30);

/// Longest wait of a migration for a table that others use: whoever comes for that table meanwhile waits behind it. A
/// migration that fails by this has changed nothing.
pub(crate) const MIGRATION_LOCK_TIMEOUT: Duration = Duration::from_secs(1);

/// How to reach a database and how long to wait for it.
#[derive(Debug, Clone)]
pub struct PgConfig {
    /// `postgres://user:password@host:port/database`, with the parameters of libpq that `tokio-postgres` knows, and
    /// `sslmode` and `sslrootcert` ([`Protection`]).
    /// A pooler in between must pass on the `options` parameter (PgBouncer: `ignore_startup_parameters` must not name
    /// it) and must work by session.
    pub url: SecretString,
    /// Where the tables are.
    pub schema: SchemaName,
    /// The most connections for requests at once. Upkeep has one of its own beside them.
    pub pool_size: usize,
    /// How many web workers ask questions, each on a single-threaded runtime that runs for as long as the worker does, as
    /// with actix-web. Of the connections for requests, two are for everybody and live where the store was opened; the
    /// rest is divided among the workers, and answers sooner, as no other thread has a hand in it. 0, or fewer connections
    /// than that: all are for everybody.
    pub workers: usize,
    /// Longest wait for a free connection, making one included.
    pub acquire_timeout: Duration,
    /// Longest wait for the server to take a connection, for each of its addresses.
    pub connect_timeout: Duration,
    /// Longest time that the server works on one statement of a request, waiting for locks included. Sweeps may take
    /// longer, and migrations take as long as they take.
    pub statement_timeout: Duration,
}

impl PgConfig {
    /// The database at `url` with the published defaults: schema `identsphere`, ten connections, all for everybody, 2 s
    /// to get one, 2 s to make one, 2 s a statement.
    pub fn new(url: SecretString) -> Self {
        Self {
            url,
            schema: SchemaName::standard(),
            pool_size: 10,
            workers: 0,
            acquire_timeout: Duration::from_secs(2),
            connect_timeout: Duration::from_secs(2),
            statement_timeout: Duration::from_secs(2),
        }
    }

    /// What protects the connections to this database.
    ///
    /// # Errors
    /// [`OpenError`] when the URL does not read.
    pub fn protection(&self) -> Result<Protection, OpenError> {
        Ok(self.tls()?.protection())
    }

    /// How connections are protected.
    pub(crate) fn tls(&self) -> Result<Tls, OpenError> {
        Ok(self.read_url()?.1)
    }

    /// What the driver needs for a connection that serves requests.
    pub(crate) fn for_requests(&self) -> Result<tokio_postgres::Config, OpenError> {
        self.connection(self.statement_timeout, self.statement_timeout)
    }

    /// What the driver needs for the connection that sweeps.
    pub(crate) fn for_upkeep(&self) -> Result<tokio_postgres::Config, OpenError> {
        self.connection(UPKEEP_TIMEOUT, self.statement_timeout)
    }

    /// What the driver needs for a connection that migrates: statements take as long as they take. Nodes that start
    /// together wait for each other; whoever has its turn waits for tables for [`MIGRATION_LOCK_TIMEOUT`] alone.
    pub(crate) fn for_migrations(&self) -> Result<tokio_postgres::Config, OpenError> {
        const TURN_TIMEOUT: Duration = Duration::from_secs(60);
        self.connection(Duration::ZERO, TURN_TIMEOUT)
    }

    /// The settings travel in the start-up message (`options`), so they cost no round trip.
    fn connection(&self, statement: Duration, lock: Duration) -> Result<tokio_postgres::Config, OpenError> {
        /// Longest silence of a dead peer that the kernel puts up with.
        const PEER_TIMEOUT: Duration = Duration::from_secs(15);
        /// Longest pause inside a transaction: a node that vanished must not hold its locks for ever.
        const IDLE_IN_TRANSACTION: Duration = Duration::from_secs(30);

        let (mut config, tls) = self.read_url()?;
        let given = config.get_options().map(|options| format!("{options} ")).unwrap_or_default();
        let options = format!(
            "{given}-c search_path={} -c statement_timeout={} -c lock_timeout={} \
             -c idle_in_transaction_session_timeout={} -c default_transaction_isolation=read\\ committed",
            self.schema,
            statement.as_millis(),
            lock.as_millis(),
            IDLE_IN_TRANSACTION.as_millis(),
        );
        config
            .options(options)
            .ssl_mode(tls.driver_mode())
            .connect_timeout(self.connect_timeout)
            .keepalives_idle(PEER_TIMEOUT)
            .keepalives_interval(Duration::from_secs(5))
            .keepalives_retries(3)
            .tcp_user_timeout(PEER_TIMEOUT);
        if config.get_application_name().is_none() {
            config.application_name("identsphere");
        }
        Ok(config)
    }

    fn read_url(&self) -> Result<(tokio_postgres::Config, Tls), OpenError> {
        let parameters = Parameters::take(self.url.expose())?;
        let config: tokio_postgres::Config =
            parameters.rest.parse().map_err(|_: tokio_postgres::Error| OpenError::Url)?;
        let tls = parameters.for_hosts(config.get_hosts());
        Ok((config, tls))
    }
}

/// Why a store could not be prepared.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The URL does not read. What it says is not repeated: it holds a password.
    #[error("the database URL is not of the form postgres://user:password@host:port/database")]
    Url,
    /// The URL has an `sslmode` that is not understood.
    #[error(
        "sslmode in the database URL must be disable, prefer, require, verify-ca or verify-full, not `{0}`"
    )]
    TlsMode(String),
    /// The URL has a parameter of TLS that is not understood.
    #[error(
        "the database URL has `{0}`; the parameters of TLS that are understood are sslmode, sslrootcert, sslnegotiation \
         and channel_binding"
    )]
    TlsParameter(String),
    /// There is no authority that the server's certificate could be checked with.
    #[error("no certificate authority (sslrootcert in the database URL) could be read from {place}")]
    Authorities {
        /// Where it was looked for.
        place: String,
        /// What was wrong there.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// TLS could not be set up.
    #[error("TLS could not be set up")]
    Tls(#[source] rustls::Error),
    /// The pool could not be made.
    #[error("the connection pool could not be made")]
    Pool(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Called outside of a Tokio runtime.
    #[error("a store is opened within a Tokio runtime")]
    NoRuntime(#[source] tokio::runtime::TryCurrentError),
}

/// Why a text is not a schema's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be 1 to {} characters out of a-z, 0-9 and _, not start with a digit or `pg_`",
    SchemaName::MAX_BYTES
)]
pub struct SchemaNameError;

/// The name of a schema: an identifier that needs no quotes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SchemaName(String);

impl SchemaName {
    /// Longest identifier of PostgreSQL in bytes (`NAMEDATALEN` - 1).
    pub const MAX_BYTES: usize = 63;

    /// Reads a name.
    ///
    /// # Errors
    /// [`SchemaNameError`] when the text breaks the rule.
    pub fn parse(text: &str) -> Result<Self, SchemaNameError> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        let fits = (1..=Self::MAX_BYTES).contains(&text.len()) && text.bytes().all(allowed);
        let reserved = text.starts_with(|c: char| c.is_ascii_digit()) || text.starts_with("pg_");
        if fits && !reserved { Ok(Self(text.to_owned())) } else { Err(SchemaNameError) }
    }

    /// `identsphere`.
    pub fn standard() -> Self {
        Self("identsphere".to_owned())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SchemaName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_name_needs_no_quotes() {
        for good in ["identsphere", "public", "_a", "tenant_7", &"a".repeat(63)] {
            assert!(SchemaName::parse(good).is_ok(), "{good}");
        }
        let hostile =
            ["", "7a", "pg_catalog", "Public", "a b", "a;b", "a\"b", "a,b", "a-b", "ä", &"a".repeat(64)];
        for bad in hostile {
            assert_eq!(SchemaName::parse(bad), Err(SchemaNameError), "{bad}");
        }
    }

    #[test]
    fn a_url_of_another_kind_is_refused() {
        let config = |url: &str| PgConfig::new(SecretString::new(url)).for_requests();
        assert!(matches!(config("mysql://a@localhost/b"), Err(OpenError::Url)));
        assert!(config("postgres://a@localhost/b").is_ok());
    }

    #[test]
    fn options_of_the_url_are_kept() {
        let url = SecretString::new("postgres://a@localhost/b?options=-c%20work_mem%3D8MB");
        let config = PgConfig::new(url).for_requests().unwrap();
        let options = config.get_options().unwrap();
        assert!(options.starts_with("-c work_mem=8MB -c search_path=identsphere "), "{options}");
    }
}
