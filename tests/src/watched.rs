//! A store whose every call is counted, and which panics in the middle of one, or keeps one waiting, when told to.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use identsphere_accounts::{CodeChallenge, PasswordReset, ProofStore};
use identsphere_audit::AuditEntry;
use identsphere_core::{
    AccountRecord, DirectoryStore, HeldSession, OutboxEntry, OutboxStore, PasskeySignIn, Principal,
    PrincipalStore, ProfileRecord, ProfileStore, RateLimitStore, RefreshRotation, Schema, SchemaState,
    SignInRecord, Store, Take, Tx, UserOrganization,
};
use identsphere_factors::passkey::{BegunCeremony, CredentialId, Passkey, UserHandle};
use identsphere_factors::{Authenticator, FactorStore, PasskeyStore};
use identsphere_kernel::{EmailKey, MailId, SessionId, StoreError, Timestamp, TokenHash, UserId};
use identsphere_organizations::{Organization, Slug};
use identsphere_sessions::{
    PendingAttempt, PendingStore, RefreshState, Session, SessionStore, TrustStore, TrustedBrowser,
};
use identsphere_tokens::{KeyStore, SigningKey};
use tokio::sync::oneshot;

pub struct Watched {
    inner: Arc<dyn Store>,
    calls: AtomicU64,
    panics: AtomicBool,
    kept_waiting: Mutex<Option<Wait>>,
}

/// Somebody who is about to write, and has decided what.
struct Wait {
    arrival: oneshot::Sender<()>,
    leave: oneshot::Receiver<()>,
}

/// A moment between what somebody has read and what they write.
pub struct Meanwhile {
    arrival: oneshot::Receiver<()>,
    leave: oneshot::Sender<()>,
}

impl Meanwhile {
    /// Waits until they are about to write.
    pub async fn reached(&mut self) {
        (&mut self.arrival).await.expect("somebody begins a transaction");
    }

    /// Lets them write.
    pub fn over(self) {
        self.leave.send(()).expect("somebody waits");
    }
}

impl Watched {
    pub fn new(inner: Arc<dyn Store>) -> Self {
        let (calls, panics) = (AtomicU64::new(0), AtomicBool::new(false));
        Self { inner, calls, panics, kept_waiting: Mutex::new(None) }
    }

    /// Keeps the next transaction waiting before it begins.
    pub fn keep_waiting(&self) -> Meanwhile {
        let ((arrive, arrival), (leave, left)) = (oneshot::channel(), oneshot::channel());
        *self.kept_waiting.lock().unwrap() = Some(Wait { arrival: arrive, leave: left });
        Meanwhile { arrival, leave }
    }

    /// How many calls there have been.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::SeqCst)
    }

    /// The next call panics.
    pub fn panic_once(&self) {
        self.panics.store(true, Ordering::SeqCst);
    }

    fn asked(&self) -> &dyn Store {
        self.calls.fetch_add(1, Ordering::SeqCst);
        assert!(!self.panics.swap(false, Ordering::SeqCst), "a panic that a test asked for");
        &*self.inner
    }
}

#[async_trait]
impl Store for Watched {
    async fn begin(&self) -> Result<Box<dyn Tx>, StoreError> {
        let wait = self.kept_waiting.lock().unwrap().take();
        if let Some(Wait { arrival, leave }) = wait {
            arrival.send(()).expect("somebody waits for this moment");
            leave.await.expect("the moment passes");
        }
        self.asked().begin().await
    }
}

#[async_trait]
impl PendingStore for Watched {
    async fn count_pending_attempt(
        &self,
        hash: &TokenHash,
        now: Timestamp,
    ) -> Result<PendingAttempt, StoreError> {
        self.asked().count_pending_attempt(hash, now).await
    }

    async fn sweep_pending(&self, now: Timestamp, limit: u32) -> Result<u64, StoreError> {
        self.asked().sweep_pending(now, limit).await
    }
}

#[async_trait]
impl TrustStore for Watched {
    async fn find_trusted(
        &self,
        user: UserId,
        hash: &TokenHash,
        now: Timestamp,
    ) -> Result<Option<TrustedBrowser>, StoreError> {
        self.asked().find_trusted(user, hash, now).await
    }

    async fn list_trusted(&self, user: UserId, now: Timestamp) -> Result<Vec<TrustedBrowser>, StoreError> {
        self.asked().list_trusted(user, now).await
    }

    async fn sweep_trusted(&self, now: Timestamp, limit: u32) -> Result<u64, StoreError> {
        self.asked().sweep_trusted(now, limit).await
    }
}

#[async_trait]
impl FactorStore for Watched {
    async fn find_authenticator(&self, user: UserId) -> Result<Option<Authenticator>, StoreError> {
        self.asked().find_authenticator(user).await
    }

    async fn count_recovery_codes(&self, user: UserId) -> Result<u32, StoreError> {
        self.asked().count_recovery_codes(user).await
    }
}

#[async_trait]
impl PasskeyStore for Watched {
    async fn list_passkeys(&self, user: UserId) -> Result<Vec<Passkey>, StoreError> {
        self.asked().list_passkeys(user).await
    }

    async fn claim_handle(
        &self,
        user: UserId,
        candidate: &UserHandle,
    ) -> Result<Option<UserHandle>, StoreError> {
        self.asked().claim_handle(user, candidate).await
    }

    async fn begin_ceremony(&self, ceremony: &BegunCeremony) -> Result<(), StoreError> {
        self.asked().begin_ceremony(ceremony).await
    }

    async fn end_ceremony(
        &self,
        challenge: &TokenHash,
        now: Timestamp,
    ) -> Result<Option<BegunCeremony>, StoreError> {
        self.asked().end_ceremony(challenge, now).await
    }

    async fn sweep_ceremonies(&self, now: Timestamp, limit: u32) -> Result<u64, StoreError> {
        self.asked().sweep_ceremonies(now, limit).await
    }
}

#[async_trait]
impl PrincipalStore for Watched {
    async fn find_sign_in(&self, email: &EmailKey) -> Result<Option<SignInRecord>, StoreError> {
        self.asked().find_sign_in(email).await
    }

    async fn find_sign_in_of(&self, user: UserId) -> Result<Option<SignInRecord>, StoreError> {
        self.asked().find_sign_in_of(user).await
    }

    async fn find_passkey_sign_in(&self, id: &CredentialId) -> Result<Option<PasskeySignIn>, StoreError> {
        self.asked().find_passkey_sign_in(id).await
    }

    async fn find_principal(&self, id: SessionId, now: Timestamp) -> Result<Option<Principal>, StoreError> {
        self.asked().find_principal(id, now).await
    }

    async fn rotate_refresh(&self, rotation: &RefreshRotation) -> Result<Option<Principal>, StoreError> {
        self.asked().rotate_refresh(rotation).await
    }
}

#[async_trait]
impl DirectoryStore for Watched {
    async fn known_emails(&self, emails: &[EmailKey]) -> Result<Vec<EmailKey>, StoreError> {
        self.asked().known_emails(emails).await
    }

    async fn known_users(&self, ids: &[UserId]) -> Result<Vec<UserId>, StoreError> {
        self.asked().known_users(ids).await
    }

    async fn organizations_by_slug(&self, slugs: &[Slug]) -> Result<Vec<Organization>, StoreError> {
        self.asked().organizations_by_slug(slugs).await
    }

    async fn list_accounts(
        &self,
        after: Option<UserId>,
        limit: u32,
    ) -> Result<Vec<AccountRecord>, StoreError> {
        self.asked().list_accounts(after, limit).await
    }
}

#[async_trait]
impl SessionStore for Watched {
    async fn find_refresh_state(&self, id: SessionId) -> Result<Option<RefreshState>, StoreError> {
        self.asked().find_refresh_state(id).await
    }

    async fn list_live_sessions(&self, user: UserId, now: Timestamp) -> Result<Vec<Session>, StoreError> {
        self.asked().list_live_sessions(user, now).await
    }

    async fn sweep_sessions(&self, ended_before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        self.asked().sweep_sessions(ended_before, limit).await
    }
}

#[async_trait]
impl ProofStore for Watched {
    async fn count_code_attempt(
        &self,
        user: UserId,
        now: Timestamp,
    ) -> Result<Option<CodeChallenge>, StoreError> {
        self.asked().count_code_attempt(user, now).await
    }

    async fn find_reset(
        &self,
        hash: &TokenHash,
        now: Timestamp,
    ) -> Result<Option<PasswordReset>, StoreError> {
        self.asked().find_reset(hash, now).await
    }

    async fn sweep_proofs(&self, now: Timestamp, limit: u32) -> Result<u64, StoreError> {
        self.asked().sweep_proofs(now, limit).await
    }
}

#[async_trait]
impl OutboxStore for Watched {
    async fn lease_outbox(
        &self,
        now: Timestamp,
        again_at: Timestamp,
        limit: u32,
    ) -> Result<Vec<OutboxEntry>, StoreError> {
        self.asked().lease_outbox(now, again_at, limit).await
    }

    async fn postpone_outbox(&self, id: MailId, attempts: u32, due_at: Timestamp) -> Result<(), StoreError> {
        self.asked().postpone_outbox(id, attempts, due_at).await
    }

    async fn count_outbox(&self) -> Result<u64, StoreError> {
        self.asked().count_outbox().await
    }

    async fn sweep_browsers(&self, seen_before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        self.asked().sweep_browsers(seen_before, limit).await
    }
}

#[async_trait]
impl ProfileStore for Watched {
    async fn find_profile(&self, user: UserId) -> Result<Option<ProfileRecord>, StoreError> {
        self.asked().find_profile(user).await
    }

    async fn list_organizations(&self, user: UserId) -> Result<Vec<UserOrganization>, StoreError> {
        self.asked().list_organizations(user).await
    }

    async fn list_held_sessions(&self, user: UserId) -> Result<Vec<HeldSession>, StoreError> {
        self.asked().list_held_sessions(user).await
    }

    async fn list_events_by(&self, user: UserId, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
        self.asked().list_events_by(user, limit).await
    }
}

#[async_trait]
impl KeyStore for Watched {
    async fn list_signing_keys(&self) -> Result<Vec<SigningKey>, StoreError> {
        self.asked().list_signing_keys().await
    }
}

#[async_trait]
impl RateLimitStore for Watched {
    async fn take(&self, takes: &[Take], now: Timestamp) -> Result<Vec<Option<Duration>>, StoreError> {
        self.asked().take(takes, now).await
    }

    async fn sweep_limits(&self, now: Timestamp, limit: u32) -> Result<u64, StoreError> {
        self.asked().sweep_limits(now, limit).await
    }
}

#[async_trait]
impl Schema for Watched {
    fn engine(&self) -> &'static str {
        self.asked().engine()
    }

    async fn ping(&self) -> Result<Option<Timestamp>, StoreError> {
        self.asked().ping().await
    }

    async fn schema_state(&self) -> Result<SchemaState, StoreError> {
        self.asked().schema_state().await
    }

    async fn migrate_up(&self) -> Result<Vec<String>, StoreError> {
        self.asked().migrate_up().await
    }

    async fn migrate_down(&self, steps: u32) -> Result<Vec<String>, StoreError> {
        self.asked().migrate_down(steps).await
    }
}
