//! Transactions: a copy of the state that takes the place of the original, or does not.

use async_trait::async_trait;
use identsphere_core::{Take, Tx};
use identsphere_kernel::StoreError;
use tokio::sync::OwnedMutexGuard;

use crate::MemoryStore;
use crate::audit::AuditLog;
use crate::factors::RecoveryCodes;
use crate::keys::Keys;
use crate::organizations::Organizations;
use crate::outbox::Outbox;
use crate::passkeys::Passkeys;
use crate::proofs::Proofs;
use crate::sessions::Sessions;
use crate::trust::Trust;
use crate::users::Users;

/// Every record. A clone shares all of its parts until one of the two is changed.
#[derive(Clone, Default)]
pub(crate) struct State {
    pub(crate) users: Users,
    pub(crate) organizations: Organizations,
    pub(crate) sessions: Sessions,
    pub(crate) trust: Trust,
    pub(crate) recovery_codes: RecoveryCodes,
    pub(crate) passkeys: Passkeys,
    pub(crate) proofs: Proofs,
    pub(crate) keys: Keys,
    pub(crate) outbox: Outbox,
    pub(crate) audit: AuditLog,
}

/// A transaction. The ports are implemented on it one by one, each in its own file.
pub(crate) struct MemoryTx {
    pub(crate) state: State,
    /// Tokens that go back to their buckets with the commit.
    pub(crate) given_back: Vec<Take>,
    /// Whether a write was refused. What remains is not the whole, so it is not committed.
    broken: bool,
    store: MemoryStore,
    turn: OwnedMutexGuard<()>,
}

impl MemoryTx {
    /// A transaction that starts from `state`, with the right to replace it.
    pub(crate) fn new(store: MemoryStore, turn: OwnedMutexGuard<()>, state: State) -> Self {
        Self { state, given_back: Vec::new(), broken: false, store, turn }
    }

    /// Answers a write, and remembers whether one was refused.
    pub(crate) fn written<T>(&mut self, outcome: Result<T, StoreError>) -> Result<T, StoreError> {
        self.broken |= outcome.is_err();
        outcome
    }
}

#[async_trait]
impl Tx for MemoryTx {
    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        let Self { state, given_back, broken, store, turn } = *self;
        if broken {
            return Err(StoreError::corrupt("the commit of a transaction in which a write was refused"));
        }
        for take in &given_back {
            store.shared.buckets.give_back(take);
        }
        store.publish(turn, state);
        Ok(())
    }
}

/// That a write breaks a rule.
pub(crate) fn conflict(constraint: &'static str) -> StoreError {
    StoreError::Conflict { constraint }
}

/// That a write speaks of something that is not there.
pub(crate) fn dangling(what: &'static str) -> StoreError {
    StoreError::corrupt(what)
}
