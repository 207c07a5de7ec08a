//! Connections: made on demand, reused while they are sound, never handed on with a transaction open.

use std::mem;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use diesel::result::{ConnectionError, ConnectionResult, QueryResult};
use diesel_async::AsyncPgConnection;
use diesel_async::pooled_connection::deadpool::{self, Object};
use diesel_async::pooled_connection::{AsyncDieselConnectionManager, ManagerConfig, RecyclingMethod};
use futures::FutureExt;
use futures::future::BoxFuture;
use identsphere_kernel::StoreError;
use tokio::runtime::Handle;
use tokio::time::timeout;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::config::{OpenError, PgConfig, UPKEEP_TIMEOUT};
use crate::errors;

/// How much longer an answer is waited for than the server may take, for one that died without a word.
const GRACE: Duration = Duration::from_secs(1);

const NO_ANSWER: &str = "the server did not answer in time";

/// The connections of a store, and what it takes to make more.
#[derive(Clone)]
pub(crate) struct Pool {
    connections: deadpool::Pool<AsyncPgConnection>,
    /// The one connection for upkeep: its statements may take long, and take nothing from requests.
    upkeep: deadpool::Pool<AsyncPgConnection>,
    shared: Arc<Shared>,
}

struct Shared {
    config: PgConfig,
    connector: Connector,
}

impl Pool {
    pub(crate) fn new(config: &PgConfig) -> Result<Self, OpenError> {
        let runtime = Handle::try_current().map_err(OpenError::NoRuntime)?;
        let connector = Connector { runtime, tls: config.tls()?.connector()? };
        let connections = connections_of(&connector, config.for_requests()?, config.pool_size)?;
        let upkeep = connections_of(&connector, config.for_upkeep()?, 1)?;
        Ok(Self { connections, upkeep, shared: Arc::new(Shared { config: config.clone(), connector }) })
    }

    pub(crate) fn config(&self) -> &PgConfig {
        &self.shared.config
    }

    pub(crate) fn runtime(&self) -> &Handle {
        &self.shared.connector.runtime
    }

    /// Runs a statement that stands for itself, on any connection.
    pub(crate) async fn ask<T, Q>(&self, question: Q) -> Result<T, StoreError>
    where
        Q: for<'c> FnOnce(&'c AsyncPgConnection) -> BoxFuture<'c, QueryResult<T>> + Send,
    {
        answer(self.get(&self.connections).await?, self.answer_within(), question).await
    }

    /// Runs a statement of the upkeep, which may take its time.
    pub(crate) async fn ask_patiently<T, Q>(&self, question: Q) -> Result<T, StoreError>
    where
        Q: for<'c> FnOnce(&'c AsyncPgConnection) -> BoxFuture<'c, QueryResult<T>> + Send,
    {
        answer(self.get(&self.upkeep).await?, UPKEEP_TIMEOUT.saturating_add(GRACE), question).await
    }

    /// A connection to open a transaction on.
    pub(crate) async fn lease(&self) -> Result<Lease, StoreError> {
        let connection = self.get(&self.connections).await?;
        Ok(Lease { connection: Some(connection), answer_within: self.answer_within() })
    }

    /// A connection beside the pool, without a limit to the length of statements.
    pub(crate) async fn connect_to_migrate(&self) -> Result<AsyncPgConnection, StoreError> {
        let driver = self.config().for_migrations().map_err(StoreError::unavailable)?;
        self.shared.connector.connect(driver).await.map_err(StoreError::unavailable)
    }

    fn answer_within(&self) -> Duration {
        self.config().statement_timeout.saturating_add(GRACE)
    }

    async fn get(
        &self,
        connections: &deadpool::Pool<AsyncPgConnection>,
    ) -> Result<Object<AsyncPgConnection>, StoreError> {
        let waited = timeout(self.config().acquire_timeout, connections.get()).await;
        let found = waited.map_err(|_| StoreError::unavailable("no connection became free in time"))?;
        found.map_err(StoreError::unavailable)
    }
}

/// A connection with a transaction on it. Unless it is [released](Self::release) it never sees the pool again, and the
/// server, losing it, undoes the transaction: that covers failures, early returns, panics and dropped futures.
pub(crate) struct Lease {
    connection: Option<Object<AsyncPgConnection>>,
    answer_within: Duration,
}

impl Lease {
    /// Gives the connection back. The transaction must be over.
    pub(crate) fn release(mut self) {
        drop(self.connection.take());
    }

    /// Waits for answers, but not for ever.
    pub(crate) async fn within<T>(&self, answers: impl Future<Output = T> + Send) -> Result<T, StoreError> {
        timeout(self.answer_within, answers).await.map_err(|_| StoreError::unavailable(NO_ANSWER))
    }
}

impl Deref for Lease {
    type Target = AsyncPgConnection;

    #[expect(
        clippy::expect_used,
        reason = "emptied by `release` and `drop` alone, and nobody sees it after them"
    )]
    fn deref(&self) -> &AsyncPgConnection {
        self.connection.as_deref().expect("a lease holds its connection")
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(connection) = mem::take(&mut self.connection) {
            drop(Object::take(connection));
        }
    }
}

/// So many connections, made when they are needed.
fn connections_of(
    connector: &Connector,
    driver: tokio_postgres::Config,
    count: usize,
) -> Result<deadpool::Pool<AsyncPgConnection>, OpenError> {
    let connector = connector.clone();
    let mut manager = ManagerConfig::default();
    // Whether a connection has ended is known without asking the server.
    manager.recycling_method = RecyclingMethod::Fast;
    manager.custom_setup = Box::new(move |_| connector.connect(driver.clone()));
    let manager = AsyncDieselConnectionManager::new_with_config(String::new(), manager);
    let pool = deadpool::Pool::builder(manager).max_size(count).build();
    pool.map_err(|e| OpenError::Pool(e.into()))
}

/// What connections are made with.
#[derive(Clone)]
struct Connector {
    /// The store's own runtime: what reads and writes the socket lives there, and a runtime that ends (that of a web
    /// worker) must not take connections along.
    runtime: Handle,
    tls: MakeRustlsConnect,
}

impl Connector {
    fn connect(
        &self,
        driver: tokio_postgres::Config,
    ) -> BoxFuture<'static, ConnectionResult<AsyncPgConnection>> {
        let tls = self.tls.clone();
        let connecting = self.runtime.spawn(async move {
            let (client, connection) = driver.connect(tls).await.map_err(bad_connection)?;
            AsyncPgConnection::try_from_client_and_connection(client, connection).await
        });
        async { connecting.await.map_err(bad_connection)? }.boxed()
    }
}

/// The answer to a question. A connection on which none came in time is given up.
async fn answer<T, Q>(
    connection: Object<AsyncPgConnection>,
    within: Duration,
    question: Q,
) -> Result<T, StoreError>
where
    Q: for<'c> FnOnce(&'c AsyncPgConnection) -> BoxFuture<'c, QueryResult<T>> + Send,
{
    match timeout(within, question(&connection)).await {
        Ok(answer) => answer.map_err(errors::by_meaning),
        Err(_) => {
            drop(Object::take(connection));
            Err(StoreError::unavailable(NO_ANSWER))
        }
    }
}

fn bad_connection(cause: impl std::error::Error) -> ConnectionError {
    let mut message = cause.to_string();
    let mut source = cause.source();
    while let Some(cause) = source {
        message = format!("{message}: {cause}");
        source = cause.source();
    }
    ConnectionError::BadConnection(message)
}
