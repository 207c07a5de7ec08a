//! The store as the use cases see it: watched, so that [`RecentPrincipals`] forgets whoever changes.
//!
//! A use case cannot forget to tell, for it has no other store. To add a port whose changes show in a [`Principal`]:
//! tell so in its accessor, as [`Tx::users`] does here.

use std::sync::Arc;

use async_trait::async_trait;
use identsphere_accounts::{CodeChallenge, PasswordReset, ProofRepo, ProofStore, UserRepo};
use identsphere_audit::{AuditEntry, AuditRepo};
use identsphere_factors::passkey::{BegunCeremony, CredentialId, Passkey, UserHandle};
use identsphere_factors::{Authenticator, FactorRepo, FactorStore, PasskeyRepo, PasskeyStore};
use identsphere_kernel::{
    Duration, EmailKey, MailId, PasskeyId, SessionId, StoreError, Timestamp, TokenHash, UserId,
};
use identsphere_organizations::{Organization, OrganizationRepo, Slug};
use identsphere_sessions::{
    PendingAttempt, PendingRepo, PendingStore, RefreshState, RemovedFactor, RevocationReason, SecondFactor,
    Session, SessionRepo, SessionStore, TrustRepo, TrustStore, TrustedBrowser,
};
use identsphere_tokens::{KeyRepo, KeyStore, SigningKey};
use tokio::sync::Notify;

use crate::recent::RecentPrincipals;
use crate::{
    AccountRecord, DirectoryStore, HeldSession, OutboxEntry, OutboxRepo, OutboxStore, PasskeySignIn,
    Principal, PrincipalStore, ProfileRecord, ProfileStore, RateLimitRepo, RateLimitStore, RefreshRotation,
    Schema, SchemaState, SignInRecord, SignInRepo, Store, Take, Tx, UserOrganization,
};

/// A store whose changes are told.
pub(crate) struct WatchedStore {
    inner: Arc<dyn Store>,
    recent: Arc<RecentPrincipals>,
    mail: Arc<Notify>,
}

impl WatchedStore {
    /// `mail` is notified of every commit that may have posted something.
    pub(crate) fn new(inner: Arc<dyn Store>, recent: Arc<RecentPrincipals>, mail: Arc<Notify>) -> Self {
        Self { inner, recent, mail }
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

#[async_trait]
impl Store for WatchedStore {
    async fn begin(&self) -> Result<Box<dyn Tx>, StoreError> {
        let inner = self.inner.begin().await?;
        Ok(Box::new(WatchedTx { inner, change: self.change(vec![]), posts: false, mail: self.mail.clone() }))
    }
}

#[async_trait]
impl PrincipalStore for WatchedStore {
    async fn find_sign_in(&self, email: &EmailKey) -> Result<Option<SignInRecord>, StoreError> {
        self.inner.find_sign_in(email).await
    }

    async fn find_sign_in_of(&self, user: UserId) -> Result<Option<SignInRecord>, StoreError> {
        self.inner.find_sign_in_of(user).await
    }

    async fn find_passkey_sign_in(&self, id: &CredentialId) -> Result<Option<PasskeySignIn>, StoreError> {
        self.inner.find_passkey_sign_in(id).await
    }

    async fn find_principal(
        &self,
        session: SessionId,
        now: Timestamp,
    ) -> Result<Option<Principal>, StoreError> {
        self.inner.find_principal(session, now).await
    }

    async fn rotate_refresh(&self, rotation: &RefreshRotation) -> Result<Option<Principal>, StoreError> {
        let _change = self.change(vec![rotation.session]);
        self.inner.rotate_refresh(rotation).await
    }
}

#[async_trait]
impl DirectoryStore for WatchedStore {
    async fn known_emails(&self, emails: &[EmailKey]) -> Result<Vec<EmailKey>, StoreError> {
        self.inner.known_emails(emails).await
    }

    async fn known_users(&self, ids: &[UserId]) -> Result<Vec<UserId>, StoreError> {
        self.inner.known_users(ids).await
    }

    async fn organizations_by_slug(&self, slugs: &[Slug]) -> Result<Vec<Organization>, StoreError> {
        self.inner.organizations_by_slug(slugs).await
    }

    async fn list_accounts(
        &self,
        after: Option<UserId>,
        limit: u32,
    ) -> Result<Vec<AccountRecord>, StoreError> {
        self.inner.list_accounts(after, limit).await
    }
}

#[async_trait]
impl SessionStore for WatchedStore {
    async fn find_refresh_state(&self, session: SessionId) -> Result<Option<RefreshState>, StoreError> {
        self.inner.find_refresh_state(session).await
    }

    async fn list_live_sessions(&self, user: UserId, now: Timestamp) -> Result<Vec<Session>, StoreError> {
        self.inner.list_live_sessions(user, now).await
    }

    async fn sweep_sessions(&self, ended_before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        self.inner.sweep_sessions(ended_before, limit).await
    }
}

#[async_trait]
impl PendingStore for WatchedStore {
    async fn count_pending_attempt(
        &self,
        hash: &TokenHash,
        now: Timestamp,
    ) -> Result<PendingAttempt, StoreError> {
        self.inner.count_pending_attempt(hash, now).await
    }

    async fn sweep_pending(&self, now: Timestamp, limit: u32) -> Result<u64, StoreError> {
        self.inner.sweep_pending(now, limit).await
    }
}

#[async_trait]
impl TrustStore for WatchedStore {
    async fn find_trusted(
        &self,
        user: UserId,
        hash: &TokenHash,
        now: Timestamp,
    ) -> Result<Option<TrustedBrowser>, StoreError> {
        self.inner.find_trusted(user, hash, now).await
    }

    async fn list_trusted(&self, user: UserId, now: Timestamp) -> Result<Vec<TrustedBrowser>, StoreError> {
        self.inner.list_trusted(user, now).await
    }

    async fn sweep_trusted(&self, now: Timestamp, limit: u32) -> Result<u64, StoreError> {
        self.inner.sweep_trusted(now, limit).await
    }
}

#[async_trait]
impl FactorStore for WatchedStore {
    async fn find_authenticator(&self, user: UserId) -> Result<Option<Authenticator>, StoreError> {
        self.inner.find_authenticator(user).await
    }

    async fn count_recovery_codes(&self, user: UserId) -> Result<u32, StoreError> {
        self.inner.count_recovery_codes(user).await
    }
}

#[async_trait]
impl PasskeyStore for WatchedStore {
    async fn list_passkeys(&self, user: UserId) -> Result<Vec<Passkey>, StoreError> {
        self.inner.list_passkeys(user).await
    }

    async fn claim_handle(
        &self,
        user: UserId,
        candidate: &UserHandle,
    ) -> Result<Option<UserHandle>, StoreError> {
        self.inner.claim_handle(user, candidate).await
    }

    async fn begin_ceremony(&self, ceremony: &BegunCeremony) -> Result<(), StoreError> {
        self.inner.begin_ceremony(ceremony).await
    }

    async fn end_ceremony(
        &self,
        challenge: &TokenHash,
        now: Timestamp,
    ) -> Result<Option<BegunCeremony>, StoreError> {
        self.inner.end_ceremony(challenge, now).await
    }

    async fn sweep_ceremonies(&self, now: Timestamp, limit: u32) -> Result<u64, StoreError> {
        self.inner.sweep_ceremonies(now, limit).await
    }
}

#[async_trait]
impl ProofStore for WatchedStore {
    async fn count_code_attempt(
        &self,
        user: UserId,
        now: Timestamp,
    ) -> Result<Option<CodeChallenge>, StoreError> {
        self.inner.count_code_attempt(user, now).await
    }

    async fn find_reset(
        &self,
        hash: &TokenHash,
        now: Timestamp,
    ) -> Result<Option<PasswordReset>, StoreError> {
        self.inner.find_reset(hash, now).await
    }

    async fn sweep_proofs(&self, now: Timestamp, limit: u32) -> Result<u64, StoreError> {
        self.inner.sweep_proofs(now, limit).await
    }
}

#[async_trait]
impl OutboxStore for WatchedStore {
    async fn lease_outbox(
        &self,
        now: Timestamp,
        again_at: Timestamp,
        limit: u32,
    ) -> Result<Vec<OutboxEntry>, StoreError> {
        self.inner.lease_outbox(now, again_at, limit).await
    }

    async fn postpone_outbox(&self, id: MailId, attempts: u32, due_at: Timestamp) -> Result<(), StoreError> {
        self.inner.postpone_outbox(id, attempts, due_at).await
    }

    async fn count_outbox(&self) -> Result<u64, StoreError> {
        self.inner.count_outbox().await
    }

    async fn sweep_browsers(&self, seen_before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        self.inner.sweep_browsers(seen_before, limit).await
    }
}

#[async_trait]
impl KeyStore for WatchedStore {
    async fn list_signing_keys(&self) -> Result<Vec<SigningKey>, StoreError> {
        self.inner.list_signing_keys().await
    }
}

#[async_trait]
impl RateLimitStore for WatchedStore {
    async fn take(&self, takes: &[Take], now: Timestamp) -> Result<Vec<Option<Duration>>, StoreError> {
        self.inner.take(takes, now).await
    }

    async fn sweep_limits(&self, now: Timestamp, limit: u32) -> Result<u64, StoreError> {
        self.inner.sweep_limits(now, limit).await
    }
}

#[async_trait]
impl Schema for WatchedStore {
    fn engine(&self) -> &'static str {
        self.inner.engine()
    }

    async fn ping(&self) -> Result<Option<Timestamp>, StoreError> {
        self.inner.ping().await
    }

    async fn schema_state(&self) -> Result<SchemaState, StoreError> {
        self.inner.schema_state().await
    }

    async fn migrate_up(&self) -> Result<Vec<String>, StoreError> {
        self.inner.migrate_up().await
    }

    async fn migrate_down(&self, steps: u32) -> Result<Vec<String>, StoreError> {
        self.inner.migrate_down(steps).await
    }
}

#[async_trait]
impl ProfileStore for WatchedStore {
    async fn find_profile(&self, user: UserId) -> Result<Option<ProfileRecord>, StoreError> {
        self.inner.find_profile(user).await
    }

    async fn list_organizations(&self, user: UserId) -> Result<Vec<UserOrganization>, StoreError> {
        self.inner.list_organizations(user).await
    }

    async fn list_held_sessions(&self, user: UserId) -> Result<Vec<HeldSession>, StoreError> {
        self.inner.list_held_sessions(user).await
    }

    async fn list_events_by(&self, user: UserId, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
        self.inner.list_events_by(user, limit).await
    }
}

/// A transaction whose changes are told when it is over.
struct WatchedTx {
    inner: Box<dyn Tx>,
    change: Change,
    posts: bool,
    mail: Arc<Notify>,
}

#[async_trait]
impl Tx for WatchedTx {
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
