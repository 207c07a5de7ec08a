//! The store as the use cases see it: watched, so that [`RecentPrincipals`] forgets whoever changes.
//!
//! A use case cannot forget to tell, for it has no other store. To add a port whose changes show in a [`Principal`]:
//! tell so in its accessor, as [`Repositories::users`] does here.

use std::ops::Deref;
use std::sync::Arc;

use async_trait::async_trait;
use identsphere_accounts::{ProofRepo, UserRepo};
use identsphere_audit::AuditRepo;
use identsphere_factors::{FactorRepo, PasskeyRepo};
use identsphere_kernel::{PasskeyId, SessionId, StoreError, Timestamp, UserId};
use identsphere_organizations::OrganizationRepo;
use identsphere_sessions::{
    PendingRepo, RemovedFactor, RevocationReason, SecondFactor, SessionRepo, TrustRepo,
};
use identsphere_tokens::KeyRepo;
use tokio::sync::Notify;

use crate::recent::RecentPrincipals;
use crate::{
    OutboxRepo, Principal, RateLimitRepo, RefreshRotation, Repositories, SignInRepo, Statements, Store, Tx,
};

/// A store whose changes are told: the only one that a use case has.
pub struct WatchedStore {
    inner: Arc<dyn Store>,
    recent: Arc<RecentPrincipals>,
    mail: Arc<Notify>,
}

impl WatchedStore {
    /// `mail` is notified of every commit that may have posted something.
    pub(crate) fn new(inner: Arc<dyn Store>, recent: Arc<RecentPrincipals>, mail: Arc<Notify>) -> Self {
        Self { inner, recent, mail }
    }

    /// As [`Store::begin`].
    ///
    /// # Errors
    /// As there.
    pub async fn begin(&self) -> Result<Box<dyn Tx>, StoreError> {
        let inner = self.inner.begin().await?;
        Ok(Box::new(WatchedTx { inner, change: self.change(vec![]), posts: false, mail: self.mail.clone() }))
    }

    /// As [`RefreshStore::rotate_refresh`](crate::RefreshStore::rotate_refresh).
    ///
    /// # Errors
    /// As there.
    pub async fn rotate_refresh(&self, rotation: &RefreshRotation) -> Result<Option<Principal>, StoreError> {
        let _change = self.change(vec![rotation.session]);
        self.inner.rotate_refresh(rotation).await
    }

    fn change(&self, sessions: Vec<SessionId>) -> Change {
        Change { recent: self.recent.clone(), sessions, all: false }
    }
}

/// Principals that are about to change. They are forgotten when this is dropped: once the change is made or refused, or
/// when whoever made it does not wait for the outcome.
struct Change {
    recent: Arc<RecentPrincipals>,
    sessions: Vec<SessionId>,
    all: bool,
}

impl Drop for Change {
    fn drop(&mut self) {
        if self.all {
            self.recent.forget_all();
        } else {
            self.sessions.iter().for_each(|session| self.recent.forget(*session));
        }
    }
}

/// What changes nobody who could be remembered is asked of the store itself.
impl Deref for WatchedStore {
    type Target = dyn Statements;

    fn deref(&self) -> &Self::Target {
        &*self.inner
    }
}

/// A transaction whose changes are told when it is over.
struct WatchedTx {
    inner: Box<dyn Tx>,
    change: Change,
    posts: bool,
    mail: Arc<Notify>,
}

impl Repositories for WatchedTx {
    fn users(&mut self) -> &mut dyn UserRepo {
        self.change.all = true;
        self.inner.users()
    }

    fn organizations(&mut self) -> &mut dyn OrganizationRepo {
        self.change.all = true;
        self.inner.organizations()
    }

    /// Changes nobody that could be remembered.
    fn sign_ins(&mut self) -> &mut dyn SignInRepo {
        self.inner.sign_ins()
    }

    fn sessions(&mut self) -> &mut dyn SessionRepo {
        self
    }

    fn pending(&mut self) -> &mut dyn PendingRepo {
        self.inner.pending()
    }

    fn trust(&mut self) -> &mut dyn TrustRepo {
        self.inner.trust()
    }

    fn factors(&mut self) -> &mut dyn FactorRepo {
        self.change.all = true;
        self.inner.factors()
    }

    fn passkeys(&mut self) -> &mut dyn PasskeyRepo {
        self.change.all = true;
        self.inner.passkeys()
    }

    fn proofs(&mut self) -> &mut dyn ProofRepo {
        self.inner.proofs()
    }

    fn keys(&mut self) -> &mut dyn KeyRepo {
        self.inner.keys()
    }

    fn limits(&mut self) -> &mut dyn RateLimitRepo {
        self.inner.limits()
    }

    fn outbox(&mut self) -> &mut dyn OutboxRepo {
        self.posts = true;
        self.inner.outbox()
    }

    fn audit(&mut self) -> &mut dyn AuditRepo {
        self.inner.audit()
    }
}

#[async_trait]
impl Tx for WatchedTx {
    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        let Self { inner, change, posts, mail } = *self;
        let outcome = inner.commit().await;
        drop(change);
        if posts && outcome.is_ok() {
            mail.notify_one();
        }
        outcome
    }
}

#[async_trait]
impl SessionRepo for WatchedTx {
    async fn revoke(
        &mut self,
        session: SessionId,
        owner: UserId,
        reason: RevocationReason,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        self.change.sessions.push(session);
        self.inner.sessions().revoke(session, owner, reason, at).await
    }

    async fn revoke_all(
        &mut self,
        owner: UserId,
        except: Option<SessionId>,
        reason: RevocationReason,
        at: Timestamp,
    ) -> Result<Vec<SessionId>, StoreError> {
        let revoked = self.inner.sessions().revoke_all(owner, except, reason, at).await?;
        self.change.sessions.extend(&revoked);
        Ok(revoked)
    }

    async fn step_up(
        &mut self,
        session: SessionId,
        owner: UserId,
        factor: SecondFactor,
        passkey: Option<PasskeyId>,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        self.change.sessions.push(session);
        self.inner.sessions().step_up(session, owner, factor, passkey, at).await
    }

    async fn drop_factor(
        &mut self,
        owner: UserId,
        factor: RemovedFactor,
        spare: Option<SessionId>,
        at: Timestamp,
    ) -> Result<Vec<SessionId>, StoreError> {
        let revoked = self.inner.sessions().drop_factor(owner, factor, spare, at).await?;
        self.change.sessions.extend(revoked.iter().chain(&spare));
        Ok(revoked)
    }

    async fn delete_all(&mut self, owner: UserId) -> Result<(), StoreError> {
        self.change.all = true;
        self.inner.sessions().delete_all(owner).await
    }
}
