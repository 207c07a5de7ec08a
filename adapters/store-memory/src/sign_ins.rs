//! How sign-ins end. Whoever writes does so alone, so a user who is in a standing stays in it.

use async_trait::async_trait;
use identsphere_accounts::Standing;
use identsphere_core::SignInRepo;
use identsphere_kernel::{StoreError, UserId};
use identsphere_sessions::{PendingSignIn, Session};

use crate::tx::{MemoryTx, State};

impl State {
    fn demand(&self, user: UserId, standing: &Standing) -> Result<(), StoreError> {
        let record = self.users.get(user);
        let holds =
            record.is_some_and(|record| standing.holds_for(&record.user, record.password_hash.as_ref()));
        if holds { Ok(()) } else { Err(StoreError::Overtaken) }
    }
}

#[async_trait]
impl SignInRepo for MemoryTx {
    async fn begin_session(&mut self, session: &Session, standing: &Standing) -> Result<(), StoreError> {
        let demanded = self.state.demand(session.user, standing);
        let outcome = demanded.and_then(|()| self.state.insert_session(session));
        self.written(outcome)
    }

    async fn put_pending(&mut self, pending: &PendingSignIn, standing: &Standing) -> Result<(), StoreError> {
        let demanded = self.state.demand(pending.user, standing);
        let outcome = demanded.and_then(|()| self.state.trust.put_pending(pending));
        self.written(outcome)
    }
}
