//! The in-memory store: for development, for tests, and for hosts that can afford to lose every session at a restart.
//!
//! Records live in persistent maps, so the whole state is one value that costs nothing to copy. Readers take a snapshot
//! and never wait. A transaction owns the writers' lock and a copy of the state; its commit puts the copy in the place
//! of the original, and dropping it leaves nothing to undo. Rate limits are counters that may be forgotten, not
//! records: they live in a bounded cache beside the state (`limits.rs`).
//!
//! Everything is gone when the process ends, and nothing is shared between processes. The audit log keeps its newest
//! [`AUDIT_ROWS`] rows; users, organisations and keys are kept without bound, sessions until they are swept.
//!
//! One file a port, under the same names as in the other stores. To add a port: a file with the data it keeps and its
//! methods, a field in `State` (`tx.rs`), and the cases in the store contract, which this crate runs in `tests/contract.rs`.

mod audit;
mod directory;
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
mod trust;
mod tx;
mod users;

use std::sync::Arc;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use identsphere_audit::AuditEvent;
use identsphere_core::{Store, Tx};
use identsphere_kernel::StoreError;
use tokio::sync::{Mutex, OwnedMutexGuard};

pub use audit::AUDIT_ROWS;

use limits::Buckets;
use tx::{MemoryTx, State};

/// The in-memory store. Clones share their data.
#[derive(Clone, Default)]
pub struct MemoryStore {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// What has been committed.
    state: ArcSwap<State>,
    /// Held by the one who may replace the state.
    writer: Arc<Mutex<()>>,
    buckets: Buckets,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// The audit log, oldest row first.
    pub fn audit_log(&self) -> Vec<AuditEvent> {
        self.snapshot().audit.rows().cloned().collect()
    }

    /// What has been committed so far.
    fn snapshot(&self) -> arc_swap::Guard<Arc<State>> {
        self.shared.state.load()
    }

    /// Waits for the turn to write: the right to replace the state, and a copy of it.
    async fn turn(&self) -> (OwnedMutexGuard<()>, State) {
        let turn = Arc::clone(&self.shared.writer).lock_owned().await;
        let state = State::clone(&self.snapshot());
        (turn, state)
    }

    /// Makes a change that is a transaction of its own.
    async fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let (turn, mut state) = self.turn().await;
        let outcome = change(&mut state);
        self.publish(turn, state);
        outcome
    }

    /// Makes a state the committed one.
    fn publish(&self, turn: OwnedMutexGuard<()>, state: State) {
        self.shared.state.store(Arc::new(state));
        drop(turn);
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn begin(&self) -> Result<Box<dyn Tx>, StoreError> {
        let (turn, state) = self.turn().await;
        Ok(Box::new(MemoryTx::new(self.clone(), turn, state)))
    }
}
