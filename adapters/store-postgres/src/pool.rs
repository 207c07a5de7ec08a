//! Connections: made on demand, reused while they are sound, never handed on with a transaction open.
//!
//! What reads and writes the socket of a connection is a task of some runtime. Where that is the thread which asks, no other
//! thread has to be woken by a question, nor this one by its answer. So a web worker has connections of its own, and beside
//! them are some for everybody ([`PgConfig::workers`], ADR 0013).

use std::mem;
use std::ops::Deref;
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use diesel::result::{ConnectionError, ConnectionResult, QueryResult};
use diesel_async::AsyncPgConnection;
use diesel_async::pooled_connection::deadpool::{self, Object, PoolError};
use diesel_async::pooled_connection::{AsyncDieselConnectionManager, ManagerConfig, RecyclingMethod};
use futures::FutureExt;
use futures::future::{self, BoxFuture};
use identsphere_kernel::StoreError;
use tokio::runtime::{self, Handle, RuntimeFlavor};
use tokio::time::timeout;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::config::{OpenError, PgConfig, UPKEEP_TIMEOUT};
use crate::errors;

/// How much longer an answer is waited for than the server may take, for one that died without a word.
const GRACE: Duration = Duration::from_secs(1);

const NO_ANSWER: &str = "the server did not answer in time";

/// So many connections.
type Connections = deadpool::Pool<AsyncPgConnection>;

/// The connections of a store, and what it takes to make more.
#[derive(Clone)]
pub(crate) struct Pool {
    /// Those that everybody uses.
    common: Connections,
    /// The one connection for upkeep: its statements may take long, and take nothing from requests.
    upkeep: Connections,
    shared: Arc<Shared>,
}

struct Shared {
    config: PgConfig,
    connector: Connector,
    /// Those of each web worker, from its first question on.
    workers: Box<[OnceLock<Worker>]>,
    share: Share,
}

/// A web worker, and the connections that live on its runtime: they end with it, and nobody else uses them.
struct Worker {
    runtime: runtime::Id,
    connections: Connections,
}

/// How many connections are whose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Share {
    of_each_worker: usize,
    of_everybody: usize,
}

impl Share {
    /// A few for everybody: for mail, and for a worker whose own are all in use.
    const COMMON: usize = 2;

    fn of(pool_size: usize, workers: usize) -> Self {
        let of_each_worker = pool_size.saturating_sub(Self::COMMON).checked_div(workers).unwrap_or(0);
        Self { of_each_worker, of_everybody: pool_size - workers * of_each_worker }
    }
}

impl Pool {
    pub(crate) fn new(config: &PgConfig) -> Result<Self, OpenError> {
        let runtime = Handle::try_current().map_err(OpenError::NoRuntime)?;
        let connector = Connector { runtime, tls: config.tls()?.connector()? };
        let share = Share::of(config.pool_size, config.workers);
        let common = connector.connections(config.for_requests()?, share.of_everybody)?;
        let upkeep = connector.connections(config.for_upkeep()?, 1)?;
        let workers = (0..config.workers).map(|_| OnceLock::new()).collect();
        let shared = Arc::new(Shared { config: config.clone(), connector, workers, share });
        Ok(Self { common, upkeep, shared })
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
        answer(self.get().await?, self.answer_within(), question).await
    }

    /// Runs a statement of the upkeep, which may take its time.
    pub(crate) async fn ask_patiently<T, Q>(&self, question: Q) -> Result<T, StoreError>
    where
        Q: for<'c> FnOnce(&'c AsyncPgConnection) -> BoxFuture<'c, QueryResult<T>> + Send,
    {
        let connection = self.in_time(self.upkeep.get()).await?;
        answer(connection, UPKEEP_TIMEOUT.saturating_add(GRACE), question).await
    }

    /// A connection to open a transaction on.
    pub(crate) async fn lease(&self) -> Result<Lease, StoreError> {
        let connection = self.get().await?;
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

    /// A connection for a request: one of this thread's own if one is free, else one of everybody's, else whichever becomes
    /// free first.
    async fn get(&self) -> Result<Object<AsyncPgConnection>, StoreError> {
        let own = self.shared.own_connections()?;
        self.in_time(async {
            let Some(own) = own else { return self.common.get().await };
            for connections in [own, &self.common] {
                match without_waiting(connections).await {
                    Err(PoolError::Timeout(_)) => {}
                    found => return found,
                }
            }
            let (own, common) = (pin!(own.get()), pin!(self.common.get()));
            future::select(own, common).await.factor_first().0
        })
        .await
    }

    async fn in_time(
        &self,
        found: impl Future<Output = Result<Object<AsyncPgConnection>, PoolError>> + Send,
    ) -> Result<Object<AsyncPgConnection>, StoreError> {
        let waited = timeout(self.config().acquire_timeout, found).await;
        let found = waited.map_err(|_| StoreError::unavailable("no connection became free in time"))?;
        found.map_err(StoreError::unavailable)
    }
}

impl Shared {
    /// The connections of this thread, if it is a web worker: it has a runtime of its own, and there is a place for it.
    fn own_connections(&self) -> Result<Option<&Connections>, StoreError> {
        let here = Handle::current();
        let is_worker =
            here.runtime_flavor() == RuntimeFlavor::CurrentThread && here.id() != self.connector.runtime.id();
        if self.share.of_each_worker == 0 || !is_worker {
            return Ok(None);
        }
        for place in &self.workers {
            let worker = match place.get() {
                Some(worker) => worker,
                None => {
                    let worker = self.worker(&here).map_err(StoreError::unavailable)?;
                    place.get_or_init(|| worker)
                }
            };
            if worker.runtime == here.id() {
                return Ok(Some(&worker.connections));
            }
        }
        Ok(None)
    }

    fn worker(&self, runtime: &Handle) -> Result<Worker, OpenError> {
        let connector = Connector { runtime: runtime.clone(), tls: self.connector.tls.clone() };
        let connections = connector.connections(self.config.for_requests()?, self.share.of_each_worker)?;
        Ok(Worker { runtime: runtime.id(), connections })
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

/// What connections are made with.
#[derive(Clone)]
struct Connector {
    /// Where what reads and writes the sockets lives. Whoever else uses the connections must end before it.
    runtime: Handle,
    tls: MakeRustlsConnect,
}

impl Connector {
    /// So many connections, made when they are needed.
    fn connections(&self, driver: tokio_postgres::Config, count: usize) -> Result<Connections, OpenError> {
        let connector = self.clone();
        let mut manager = ManagerConfig::default();
        // Whether a connection has ended is known without asking the server.
        manager.recycling_method = RecyclingMethod::Fast;
        manager.custom_setup = Box::new(move |_| connector.connect(driver.clone()));
        let manager = AsyncDieselConnectionManager::new_with_config(String::new(), manager);
        let pool = deadpool::Pool::builder(manager).max_size(count).build();
        pool.map_err(|e| OpenError::Pool(e.into()))
    }

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

/// A connection that is free, or that may still be made; [`PoolError::Timeout`] if all are in use.
async fn without_waiting(connections: &Connections) -> Result<Object<AsyncPgConnection>, PoolError> {
    let mut timeouts = connections.timeouts();
    timeouts.wait = Some(Duration::ZERO);
    connections.timeout_get(&timeouts).await
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_divided_among_workers_but_for_two() {
        let share = |pool_size, workers| {
            let share = Share::of(pool_size, workers);
            (share.of_each_worker, share.of_everybody)
        };
        assert_eq!(share(8, 2), (3, 2));
        assert_eq!(share(20, 8), (2, 4));
        assert_eq!(share(10, 0), (0, 10));
        assert_eq!(share(1, 2), (0, 1));
        assert_eq!(share(3, 2), (0, 3));
        assert_eq!(share(4, 2), (1, 2));
    }
}
