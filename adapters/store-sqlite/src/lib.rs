//! The SQLite store: one file, one process or several on one machine.
//!
//! [`SqliteStore`] implements every port of [`Store`]. This crate must never decide anything that another store would
//! have to decide as well: it reads no clock, makes no ids, and knows no rule but those of its tables.
//!
//! Each port has a file of its own, with the same name in every store. To add a method: its statement in the file of
//! its port, as typed Diesel (whose statements are prepared once a connection), run on the lane it needs: reads on
//! `readers`, lone conditional writes on `writer`, and the writes of a transaction through `SqliteTx`, which holds them
//! back so that a transaction costs one visit to a blocking thread. To add a table: a migration with its way back, under
//! the same number and name for every engine, and its columns in `tables.rs`.
//!
//! A look-up by a unique key ends in `get_result`, not in `first`: that adds `LIMIT ?`, whose value SQLite's planner
//! looks at, so that it plans the statement anew at each call, which takes thrice as long as the call.
//!
//! A commit is acknowledged when it is on the disk (`synchronous = FULL`); what is acknowledged survives a power
//! failure. Rate limits alone do not wait for the disk: they survive the process, and that is all they are worth.

mod audit;
mod connection;
mod directory;
mod errors;
mod factors;
mod keys;
mod limits;
mod organizations;
mod outbox;
mod passkeys;
mod principals;
mod profiles;
mod proofs;
mod schema;
mod sessions;
mod sign_ins;
mod tables;
mod trust;
mod tx;
mod users;
mod values;

use std::fs::OpenOptions;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use identsphere_core::{Store, Tx};
use identsphere_kernel::{Duration, StoreError};
use tokio::sync::Semaphore;

use crate::connection::{Database, Lane, Purpose};
use crate::tx::SqliteTx;

/// How to use the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SqliteOptions {
    /// Connections that read. Writers take turns on one more.
    pub readers: NonZeroUsize,
    /// Longest wait for a turn, and then for another process that holds the file.
    pub busy_timeout: Duration,
}

impl SqliteOptions {
    /// Four readers, five seconds.
    pub const fn standard() -> Self {
        const READERS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(3);
        Self { readers: READERS, busy_timeout: Duration::from_secs(5) }
    }
}

/// Everything that is kept, in one SQLite file with a write-ahead log.
pub struct SqliteStore {
    readers: Lane,
    writer: Arc<Lane>,
    /// Shares the writer's turn.
    counter: Lane,
}

impl SqliteStore {
    /// Opens the file, making an empty one that only its owner may read when there is none. Tables are
    /// [`migrate_up`](identsphere_core::Schema::migrate_up)'s. Blocks for as long as the disk takes.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the file cannot be opened or has no write-ahead log, [`StoreError::Corrupt`]
    /// when it is no database, [`StoreError::Retry`] when another process holds it for too long.
    pub fn open(path: &Path, options: SqliteOptions) -> Result<Self, StoreError> {
        let path = std::path::absolute(path).map_err(StoreError::unavailable)?;
        create_private(&path).map_err(StoreError::unavailable)?;
        let path = path.into_os_string().into_string();
        let path = path.map_err(|path| StoreError::unavailable(format!("{path:?} is not UTF-8")))?;

        let database = Database { path, patience: options.busy_timeout };
        let turn = Arc::new(Semaphore::new(1));
        let store = Self {
            readers: Lane::new(
                database.clone(),
                Purpose::Read,
                Arc::new(Semaphore::new(options.readers.get())),
            ),
            writer: Arc::new(Lane::new(database.clone(), Purpose::Write, Arc::clone(&turn))),
            counter: Lane::new(database, Purpose::Count, turn),
        };
        store.writer.open_first()?;
        Ok(store)
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn begin(&self) -> Result<Box<dyn Tx>, StoreError> {
        Ok(Box::new(SqliteTx::new(Arc::clone(&self.writer))))
    }
}

/// Makes the file unless it exists. SQLite gives its companions (`-wal`, `-shm`) the same mode.
fn create_private(path: &Path) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}
