//! Connections and the threads they work on.
//!
//! SQLite blocks, so a piece of work runs on one of tokio's blocking threads, and the connection moves there with it.
//! A caller that stops waiting loses nothing: the work comes to its end, and the connection goes home by itself.
//!
//! 1. A connection that goes home has no open transaction ([`Home::take_in`]).
//! 2. A connection whose state is in doubt is closed, and the next lease opens another.

use std::sync::{Arc, Mutex, PoisonError};

use diesel::connection::{AnsiTransactionManager, SimpleConnection, TransactionManager};
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Text;
use identsphere_kernel::{Duration, StoreError};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::errors::store_error;

/// What connections are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Looking only.
    Read,
    /// Changes that survive a power failure once they are acknowledged.
    Write,
    /// Changes that survive the end of the process, and of which a power failure may take the newest.
    Count,
}

impl Purpose {
    /// In a write-ahead log, `FULL` waits for the disk at every commit and `NORMAL` at checkpoints only
    /// (<https://sqlite.org/pragma.html#pragma_synchronous>).
    const fn pragmas(self) -> &'static str {
        match self {
            Self::Read => "PRAGMA query_only = ON",
            Self::Write => "PRAGMA synchronous = FULL",
            Self::Count => "PRAGMA synchronous = NORMAL",
        }
    }
}

/// Which file, and how long to wait for those who hold it.
#[derive(Debug, Clone)]
pub(crate) struct Database {
    /// An absolute path: the driver would take a text such as `file:x` for a URI.
    pub(crate) path: String,
    /// Longest wait for another connection of this process, and then for another process.
    pub(crate) patience: Duration,
}

/// Connections of one purpose, opened when first needed.
pub(crate) struct Lane {
    home: Arc<Home>,
    permits: Arc<Semaphore>,
}

/// Where the connections of a lane are while nobody uses them.
struct Home {
    database: Database,
    purpose: Purpose,
    idle: Mutex<Vec<SqliteConnection>>,
}

/// The right to one connection of a lane. Dropped, it undoes what was not committed and gives the connection back.
pub(crate) struct Lease {
    home: Arc<Home>,
    connection: Option<SqliteConnection>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Lane {
    /// A lane with as many connections as there are permits. Lanes may share permits: then they take turns.
    pub(crate) fn new(database: Database, purpose: Purpose, permits: Arc<Semaphore>) -> Self {
        Self { home: Arc::new(Home { database, purpose, idle: Mutex::default() }), permits }
    }

    /// Waits for a connection.
    pub(crate) async fn lease(&self) -> Result<Lease, StoreError> {
        let turn = timeout(self.home.database.patience, Arc::clone(&self.permits).acquire_owned());
        let permit = match turn.await {
            Ok(permit) => permit.map_err(StoreError::unavailable)?,
            Err(_) => return Err(StoreError::unavailable("no connection came free in time")),
        };
        Ok(Lease { home: Arc::clone(&self.home), connection: None, permit: Some(permit) })
    }

    /// Runs a piece of work on a connection.
    pub(crate) async fn run<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut SqliteConnection) -> QueryResult<T> + Send + 'static,
    {
        self.lease().await?.finish(work).await
    }

    /// Runs a piece of work in a transaction that excludes every other writer, of this process or another.
    pub(crate) async fn run_exclusively<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut SqliteConnection) -> QueryResult<T> + Send + 'static,
    {
        self.run(|connection| connection.immediate_transaction(work)).await
    }

    /// Opens a connection now, to learn whether that is possible, and makes sure that the file has a write-ahead log.
    pub(crate) fn open_first(&self) -> Result<(), StoreError> {
        let mut connection = self.home.open()?;
        switch_to_wal(&mut connection, self.home.database.patience)?;
        self.home.take_in(connection);
        Ok(())
    }
}

impl Lease {
    /// Runs a piece of work and keeps the connection, together with the transaction that the work may leave open. A
    /// failure gives up both.
    pub(crate) async fn run<T, F>(mut self, work: F) -> Result<(T, Self), StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut SqliteConnection) -> QueryResult<T> + Send + 'static,
    {
        let blocking = move || self.work(work).map(|answer| (answer, self));
        spawn_blocking(blocking).await.map_err(StoreError::unavailable)?
    }

    /// Runs the last piece of work.
    pub(crate) async fn finish<T, F>(mut self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut SqliteConnection) -> QueryResult<T> + Send + 'static,
    {
        let blocking = move || self.work(work);
        spawn_blocking(blocking).await.map_err(StoreError::unavailable)?
    }

    fn work<T>(
        &mut self,
        work: impl FnOnce(&mut SqliteConnection) -> QueryResult<T>,
    ) -> Result<T, StoreError> {
        let connection = match self.connection.take().or_else(|| self.home.take_out()) {
            Some(connection) => connection,
            None => self.home.open()?,
        };
        let connection = self.connection.insert(connection);
        let outcome = work(connection);
        if outcome.is_err() {
            undo(connection);
        }
        outcome.map_err(store_error)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else { return };
        let (home, permit) = (Arc::clone(&self.home), self.permit.take());
        let go_home = move |connection| {
            home.take_in(connection);
            drop(permit);
        };
        match Handle::try_current() {
            Ok(runtime) if !is_idle(&mut connection) => {
                runtime.spawn_blocking(move || go_home(connection));
            }
            Ok(_) | Err(_) => go_home(connection),
        }
    }
}

impl Home {
    fn open(&self) -> Result<SqliteConnection, StoreError> {
        let mut connection =
            SqliteConnection::establish(&self.database.path).map_err(StoreError::unavailable)?;
        let pragmas = format!(
            "PRAGMA busy_timeout = {}; PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY; {}",
            self.database.patience.as_millis(),
            self.purpose.pragmas(),
        );
        connection.batch_execute(&pragmas).map_err(store_error)?;
        Ok(connection)
    }

    fn take_out(&self) -> Option<SqliteConnection> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn take_in(&self, mut connection: SqliteConnection) {
        undo(&mut connection);
        if is_idle(&mut connection) {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        }
    }
}

/// Rolls back what is open. Whether nothing is open then shows in [`is_idle`]: some failures, that of a full disk
/// among them, end the transaction by themselves, and the rollback finds none.
fn undo(connection: &mut SqliteConnection) {
    if !is_idle(connection)
        && let Err(error) = AnsiTransactionManager::rollback_transaction(connection)
        && !is_idle(connection)
    {
        tracing::warn!(%error, "a transaction could not be rolled back: its connection is closed");
    }
}

fn is_idle(connection: &mut SqliteConnection) -> bool {
    let status = AnsiTransactionManager::transaction_manager_status_mut(connection);
    matches!(status.transaction_depth(), Ok(None))
}

/// The mode is a property of the file. Of two processes that change it at once SQLite refuses one without waiting,
/// so the waiting is done here.
fn switch_to_wal(connection: &mut SqliteConnection, patience: Duration) -> Result<(), StoreError> {
    const PAUSE: Duration = Duration::from_millis(10);
    let mut waited = Duration::ZERO;
    loop {
        let answer = sql::<Text>("PRAGMA journal_mode = WAL").get_result::<String>(connection);
        match answer.map_err(store_error) {
            Ok(mode) if mode == "wal" => return Ok(()),
            Ok(mode) => {
                let text = format!("the file system allows no write-ahead log, only the mode {mode}");
                return Err(StoreError::unavailable(text));
            }
            Err(StoreError::Retry(_)) if waited < patience => {
                std::thread::sleep(PAUSE);
                waited += PAUSE;
            }
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use diesel::sql_types::BigInt;
    use tempfile::TempDir;

    use super::*;

    /// A lane of one connection that writes, and the folder of its file.
    fn lane(purpose: Purpose) -> (Lane, TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lane.db").into_os_string().into_string().unwrap();
        let database = Database { path, patience: Duration::from_secs(5) };
        (Lane::new(database, purpose, Arc::new(Semaphore::new(1))), folder)
    }

    fn execute(statement: &'static str) -> impl FnOnce(&mut SqliteConnection) -> QueryResult<()> {
        move |connection| connection.batch_execute(statement)
    }

    fn number(query: &'static str) -> impl FnOnce(&mut SqliteConnection) -> QueryResult<i64> {
        move |connection| sql::<BigInt>(query).get_result(connection)
    }

    #[tokio::test]
    async fn only_counters_are_written_without_waiting_for_the_disk() {
        for (purpose, level) in [(Purpose::Write, 2), (Purpose::Count, 1)] {
            let (lane, _folder) = lane(purpose);
            assert_eq!(lane.run(number("PRAGMA synchronous")).await.unwrap(), level, "{purpose:?}");
            assert_eq!(lane.run(number("PRAGMA foreign_keys")).await.unwrap(), 1, "{purpose:?}");
        }
    }

    #[tokio::test]
    async fn a_reader_cannot_write() {
        let (lane, _folder) = lane(Purpose::Read);
        assert!(lane.run(execute("CREATE TABLE t (n INTEGER)")).await.is_err());
    }

    #[tokio::test]
    async fn a_transaction_left_open_is_undone_before_the_next_turn() {
        let (lane, _folder) = lane(Purpose::Write);
        lane.run(execute("CREATE TABLE t (n INTEGER)")).await.unwrap();
        let begin = |connection: &mut SqliteConnection| {
            AnsiTransactionManager::begin_transaction_sql(connection, "BEGIN IMMEDIATE")?;
            connection.batch_execute("INSERT INTO t VALUES (1)")
        };
        let ((), lease) = lane.lease().await.unwrap().run(begin).await.unwrap();
        drop(lease);
        assert_eq!(lane.run(number("SELECT count(*) FROM t")).await.unwrap(), 0);
        lane.run(begin).await.unwrap();
        assert_eq!(lane.run(number("SELECT count(*) FROM t")).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn work_that_panics_costs_nobody_else_their_turn() {
        let (lane, _folder) = lane(Purpose::Write);
        let outcome: Result<(), StoreError> = lane
            .run(|connection| {
                AnsiTransactionManager::begin_transaction_sql(connection, "BEGIN IMMEDIATE")?;
                panic!("as a fault in this program would")
            })
            .await;
        assert!(matches!(outcome, Err(StoreError::Unavailable(_))));
        lane.run(execute("CREATE TABLE t (n INTEGER)")).await.unwrap();
    }

    #[tokio::test]
    async fn a_full_disk_refuses_writes_and_serves_again_when_there_is_room() {
        let (lane, _folder) = lane(Purpose::Write);
        lane.run(execute("CREATE TABLE t (b BLOB); PRAGMA max_page_count = 2")).await.unwrap();
        let fill = execute("INSERT INTO t VALUES (zeroblob(1000000))");
        let outcome = lane.run_exclusively(fill).await;
        assert!(matches!(outcome, Err(StoreError::Unavailable(_))), "{outcome:?}");
        assert_eq!(lane.run(number("SELECT count(*) FROM t")).await.unwrap(), 0);
        lane.run(execute("PRAGMA max_page_count = 1000")).await.unwrap();
        lane.run_exclusively(execute("INSERT INTO t VALUES (zeroblob(1000000))")).await.unwrap();
    }
}
