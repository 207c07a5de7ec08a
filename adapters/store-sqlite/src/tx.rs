//! Transactions. Writes are held back and run together: at commit, or before the first question whose answer the
//! caller needs. A transaction that asks nothing takes the writer's turn only for its commit, and one that is dropped
//! before that never took it.
//!
//! A failure, or a question whose asker stopped waiting, ends the transaction: nothing can be committed afterwards.

use std::mem;
use std::sync::Arc;

use async_trait::async_trait;
use diesel::connection::{AnsiTransactionManager, TransactionManager};
use diesel::prelude::*;
use identsphere_core::Tx;
use identsphere_kernel::StoreError;

use crate::connection::{Lane, Lease};

type Write = Box<dyn FnOnce(&mut SqliteConnection) -> QueryResult<()> + Send>;

/// One atomic write.
pub(crate) struct SqliteTx {
    writer: Arc<Lane>,
    held: Vec<Write>,
    stage: Stage,
}

enum Stage {
    /// Nothing has reached the database.
    Waiting,
    /// `BEGIN` has run on this connection, which is ours until the end.
    Open(Lease),
    /// Failed, or about to be decided by somebody who may stop waiting.
    Over,
}

impl SqliteTx {
    pub(crate) fn new(writer: Arc<Lane>) -> Self {
        Self { writer, held: Vec::new(), stage: Stage::Waiting }
    }

    /// Holds a write back.
    pub(crate) fn hold<F>(&mut self, write: F) -> Result<(), StoreError>
    where
        F: FnOnce(&mut SqliteConnection) -> QueryResult<()> + Send + 'static,
    {
        if matches!(self.stage, Stage::Over) {
            return Err(ended());
        }
        self.held.push(Box::new(write));
        Ok(())
    }

    /// Runs what was held back, then a question.
    pub(crate) async fn ask<T, F>(&mut self, question: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut SqliteConnection) -> QueryResult<T> + Send + 'static,
    {
        let lease = self.take_lease().await?;
        let held = mem::take(&mut self.held);
        let work = move |connection: &mut SqliteConnection| {
            run_held(connection, held)?;
            question(connection)
        };
        let (answer, lease) = lease.run(work).await?;
        self.stage = Stage::Open(lease);
        Ok(answer)
    }

    /// The connection. The transaction counts as over until it is put back.
    async fn take_lease(&mut self) -> Result<Lease, StoreError> {
        match mem::replace(&mut self.stage, Stage::Over) {
            Stage::Waiting => self.writer.lease().await,
            Stage::Open(lease) => Ok(lease),
            Stage::Over => Err(ended()),
        }
    }
}

#[async_trait]
impl Tx for SqliteTx {
    async fn commit(mut self: Box<Self>) -> Result<(), StoreError> {
        if matches!(self.stage, Stage::Waiting) && self.held.is_empty() {
            return Ok(());
        }
        let lease = self.take_lease().await?;
        let held = mem::take(&mut self.held);
        let work = move |connection: &mut SqliteConnection| {
            run_held(connection, held)?;
            AnsiTransactionManager::commit_transaction(connection)
        };
        lease.finish(work).await
    }
}

/// Begins, unless an earlier question did, and runs what was held back.
fn run_held(connection: &mut SqliteConnection, held: Vec<Write>) -> QueryResult<()> {
    let status = AnsiTransactionManager::transaction_manager_status_mut(connection);
    if status.transaction_depth()?.is_none() {
        AnsiTransactionManager::begin_transaction_sql(connection, "BEGIN IMMEDIATE")?;
    }
    held.into_iter().try_for_each(|write| write(connection))
}

fn ended() -> StoreError {
    StoreError::unavailable("the transaction ended with an earlier failure")
}
