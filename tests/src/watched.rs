//! The ports of a node, watched: every call is counted and named, one of them can be made to fail or to panic, and a
//! transaction can be kept waiting before it begins.
//!
//! To add a port: a line in `forward!` (or `forward_tx!`) for each of its methods. The compiler asks for them.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use identsphere_accounts::{
    AvatarName, CodeChallenge, EmailVerification, MailboxProof, Password, PasswordHash, PasswordReset,
    ProfileChange, ProofRepo, ProofStore, ReplacedAvatar, Standing, User, UserRepo,
};
use identsphere_audit::{AuditEntry, AuditEvent, AuditRepo};
use identsphere_core::{
    AccountRecord, BlobError, BlobStore, DirectoryStore, HashError, HashPlace, HeldSession, OutboxEntry,
    OutboxRepo, OutboxStore, PasskeySignIn, PasswordHasher, Picture, PictureError, PictureMaker, Principal,
    PrincipalStore, ProfileRecord, ProfileStore, RateLimitRepo, RateLimitStore, RefreshRotation,
    RefreshStore, Schema, SchemaState, SignInRecord, SignInRepo, Store, Take, Tx, UnusableHash,
    UserOrganization, Verification,
};
use identsphere_factors::passkey::{BegunCeremony, CredentialId, Passkey, UserHandle};
use identsphere_factors::totp::TimeStep;
use identsphere_factors::{
    Authenticator, FactorRepo, FactorStore, PasskeyInsertion, PasskeyRepo, PasskeyStore,
};
use identsphere_kernel::{
    Email, EmailKey, Label, MailId, PasskeyId, SessionId, StoreError, Timestamp, TokenHash, TrustedBrowserId,
    UserId,
};
use identsphere_organizations::{Departure, Membership, Organization, OrganizationRepo, Slug};
use identsphere_sessions::{
    PendingAttempt, PendingRepo, PendingSignIn, PendingStore, RefreshState, RemovedFactor, RevocationReason,
    SecondFactor, Session, SessionRepo, SessionStore, TrustRepo, TrustRotation, TrustStore, TrustedBrowser,
};
use identsphere_tokens::{
    GeneratedKey, KeyError, KeyId, KeyRepo, KeyStore, KeyVault, PublicKey, SigningKey, TokenSigner,
    TokenVerifier,
};
use tokio::sync::oneshot;

/// What stands in every failure that is made on purpose, and may stand in no answer.
pub const FAULT: &str = "a fault that a test asked for";

/// How a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is not made: what it asks cannot be reached.
    Unreachable,
    /// It is made, and its answer is lost.
    AnswerLost,
}

/// What happens to calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Plan {
    /// Nothing.
    Pass,
    /// The call of this number, counted from the first one, fails.
    One(usize, Fault),
    /// Every call fails.
    Every,
    /// Every limit is reached.
    Exhausted,
}

/// Counts the calls of a node's ports and makes them fail. Clones are one.
#[derive(Clone, Default)]
pub struct Watch(Arc<Watching>);

#[derive(Default)]
struct Watching {
    state: Mutex<State>,
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

struct State {
    plan: Plan,
    calls: Vec<&'static str>,
}

impl Default for State {
    fn default() -> Self {
        Self { plan: Plan::Pass, calls: vec![] }
    }
}

impl Watch {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, plan: Plan) {
        *self.state() = State { plan, calls: vec![] };
    }

    /// Counts from zero; no call fails.
    pub fn pass(&self) {
        self.begin(Plan::Pass);
    }

    /// Counts from zero; the call of this number, of which zero is the first, fails.
    pub fn fail(&self, call: usize, fault: Fault) {
        self.begin(Plan::One(call, fault));
    }

    /// From now on every call fails.
    pub fn fail_all(&self) {
        self.begin(Plan::Every);
    }

    /// From now on every limit is reached.
    pub fn exhaust(&self) {
        self.begin(Plan::Exhausted);
    }

    /// The next call panics.
    pub fn panic_once(&self) {
        self.0.panics.store(true, Ordering::SeqCst);
    }

    /// Keeps the next transaction waiting before it begins.
    pub fn keep_waiting(&self) -> Meanwhile {
        let ((arrive, arrival), (leave, left)) = (oneshot::channel(), oneshot::channel());
        *self.kept_waiting() = Some(Wait { arrival: arrive, leave: left });
        Meanwhile { arrival, leave }
    }

    fn kept_waiting(&self) -> MutexGuard<'_, Option<Wait>> {
        self.0.kept_waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The calls since the count began, as `Port::method`; a commit that the store refused is one of its own.
    pub fn calls(&self) -> Vec<&'static str> {
        self.state().calls.clone()
    }

    /// Notes a call: how it is to fail, if it is.
    fn note(&self, call: &'static str) -> Option<Fault> {
        assert!(!self.0.panics.swap(false, Ordering::SeqCst), "{FAULT}: a panic");
        let mut state = self.state();
        state.calls.push(call);
        match state.plan {
            Plan::One(number, fault) if number + 1 == state.calls.len() => Some(fault),
            Plan::Every => Some(Fault::Unreachable),
            Plan::One(..) | Plan::Pass | Plan::Exhausted => None,
        }
    }

    fn rename_last(&self, call: &'static str) {
        if let Some(last) = self.state().calls.last_mut() {
            *last = call;
        }
    }

    fn is_exhausted(&self) -> bool {
        self.state().plan == Plan::Exhausted
    }

    async fn through<T, E>(
        &self,
        name: &'static str,
        call: impl Future<Output = Result<T, E>>,
        error: impl FnOnce() -> E,
    ) -> Result<T, E> {
        match self.note(name) {
            None => call.await,
            Some(Fault::Unreachable) => Err(error()),
            Some(Fault::AnswerLost) => {
                // Whatever it was.
                let _ = call.await;
                Err(error())
            }
        }
    }

    async fn stored<T>(
        &self,
        name: &'static str,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        self.through(name, call, || StoreError::unavailable(FAULT)).await
    }
}

/// A port behind a watch.
pub struct Watched<P> {
    inner: P,
    watch: Watch,
}

impl<P> Watched<P> {
    /// This port, its calls noted by this watch.
    pub fn new(inner: P, watch: Watch) -> Self {
        Self { inner, watch }
    }
}

type WatchedStore = Watched<Arc<dyn Store>>;

macro_rules! forward {
    ($($port:ident {$(fn $name:ident($($argument:ident: $kind:ty),*) -> $found:ty;)+})+) => {$(
        #[async_trait]
        impl $port for WatchedStore {$(
            async fn $name(&self, $($argument: $kind),*) -> Result<$found, StoreError> {
                let call = self.inner.$name($($argument),*);
                self.watch.stored(concat!(stringify!($port), "::", stringify!($name)), call).await
            }
        )+}
    )+};
}

forward! {
    PendingStore {
        fn count_pending_attempt(hash: &TokenHash, now: Timestamp) -> PendingAttempt;
        fn sweep_pending(now: Timestamp, limit: u32) -> u64;
    }
    TrustStore {
        fn find_trusted(user: UserId, hash: &TokenHash, now: Timestamp) -> Option<TrustedBrowser>;
        fn list_trusted(user: UserId, now: Timestamp) -> Vec<TrustedBrowser>;
        fn sweep_trusted(now: Timestamp, limit: u32) -> u64;
    }
    FactorStore {
        fn find_authenticator(user: UserId) -> Option<Authenticator>;
        fn count_recovery_codes(user: UserId) -> u32;
    }
    PasskeyStore {
        fn list_passkeys(user: UserId) -> Vec<Passkey>;
        fn claim_handle(user: UserId, candidate: &UserHandle) -> Option<UserHandle>;
        fn begin_ceremony(ceremony: &BegunCeremony) -> ();
        fn end_ceremony(challenge: &TokenHash, now: Timestamp) -> Option<BegunCeremony>;
        fn sweep_ceremonies(now: Timestamp, limit: u32) -> u64;
    }
    PrincipalStore {
        fn find_sign_in(email: &EmailKey) -> Option<SignInRecord>;
        fn find_sign_in_of(user: UserId) -> Option<SignInRecord>;
        fn find_passkey_sign_in(id: &CredentialId) -> Option<PasskeySignIn>;
        fn find_principal(id: SessionId, now: Timestamp) -> Option<Principal>;
    }
    RefreshStore {
        fn rotate_refresh(rotation: &RefreshRotation) -> Option<Principal>;
    }
    DirectoryStore {
        fn known_emails(emails: &[EmailKey]) -> Vec<EmailKey>;
        fn known_users(ids: &[UserId]) -> Vec<UserId>;
        fn organizations_by_slug(slugs: &[Slug]) -> Vec<Organization>;
        fn list_accounts(after: Option<UserId>, limit: u32) -> Vec<AccountRecord>;
    }
    SessionStore {
        fn find_refresh_state(id: SessionId) -> Option<RefreshState>;
        fn list_live_sessions(user: UserId, now: Timestamp) -> Vec<Session>;
        fn sweep_sessions(ended_before: Timestamp, limit: u32) -> u64;
    }
    ProofStore {
        fn count_code_attempt(user: UserId, now: Timestamp) -> Option<CodeChallenge>;
        fn find_reset(hash: &TokenHash, now: Timestamp) -> Option<PasswordReset>;
        fn sweep_proofs(now: Timestamp, limit: u32) -> u64;
    }
    OutboxStore {
        fn lease_outbox(now: Timestamp, again_at: Timestamp, limit: u32) -> Vec<OutboxEntry>;
        fn postpone_outbox(id: MailId, attempts: u32, due_at: Timestamp) -> ();
        fn count_outbox() -> u64;
        fn sweep_browsers(seen_before: Timestamp, limit: u32) -> u64;
    }
    ProfileStore {
        fn find_profile(user: UserId) -> Option<ProfileRecord>;
        fn list_organizations(user: UserId) -> Vec<UserOrganization>;
        fn list_held_sessions(user: UserId) -> Vec<HeldSession>;
        fn list_events_by(user: UserId, limit: u32) -> Vec<AuditEntry>;
    }
    KeyStore {
        fn list_signing_keys() -> Vec<SigningKey>;
    }
}

#[async_trait]
impl RateLimitStore for WatchedStore {
    async fn take(&self, takes: &[Take], now: Timestamp) -> Result<Vec<Option<Duration>>, StoreError> {
        if self.watch.is_exhausted() {
            return Ok(vec![Some(Duration::from_secs(60)); takes.len()]);
        }
        self.watch.stored("RateLimitStore::take", self.inner.take(takes, now)).await
    }

    async fn sweep_limits(&self, now: Timestamp, limit: u32) -> Result<u64, StoreError> {
        self.watch.stored("RateLimitStore::sweep_limits", self.inner.sweep_limits(now, limit)).await
    }
}

#[async_trait]
impl Schema for WatchedStore {
    fn engine(&self) -> &'static str {
        self.inner.engine()
    }

    async fn ping(&self) -> Result<Option<Timestamp>, StoreError> {
        self.watch.stored("Schema::ping", self.inner.ping()).await
    }

    async fn schema_state(&self) -> Result<SchemaState, StoreError> {
        self.watch.stored("Schema::schema_state", self.inner.schema_state()).await
    }

    async fn migrate_up(&self) -> Result<Vec<String>, StoreError> {
        self.watch.stored("Schema::migrate_up", self.inner.migrate_up()).await
    }

    async fn migrate_down(&self, steps: u32) -> Result<Vec<String>, StoreError> {
        self.watch.stored("Schema::migrate_down", self.inner.migrate_down(steps)).await
    }
}

#[async_trait]
impl Store for WatchedStore {
    async fn begin(&self) -> Result<Box<dyn Tx>, StoreError> {
        let wait = self.watch.kept_waiting().take();
        if let Some(Wait { arrival, leave }) = wait {
            arrival.send(()).expect("somebody waits for this moment");
            leave.await.expect("the moment passes");
        }
        let inner = self.watch.stored("Store::begin", self.inner.begin()).await?;
        Ok(Box::new(Watched::new(inner, self.watch.clone())))
    }
}

type WatchedTx = Watched<Box<dyn Tx>>;

macro_rules! forward_tx {
    ($($port:ident of $of:ident {$(fn $name:ident($($argument:ident: $kind:ty),*) -> $found:ty;)+})+) => {
        $(
            #[async_trait]
            impl $port for WatchedTx {$(
                async fn $name(&mut self, $($argument: $kind),*) -> Result<$found, StoreError> {
                    let call = self.inner.$of().$name($($argument),*);
                    self.watch.stored(concat!(stringify!($port), "::", stringify!($name)), call).await
                }
            )+}
        )+

        #[async_trait]
        impl Tx for WatchedTx {
            async fn commit(self: Box<Self>) -> Result<(), StoreError> {
                let Self { inner, watch } = *self;
                let commit = async {
                    let outcome = inner.commit().await;
                    if outcome.is_err() {
                        watch.rename_last("Tx::commit, refused");
                    }
                    outcome
                };
                watch.stored("Tx::commit", commit).await
            }
        }
    };
}

forward_tx! {
    UserRepo of users {
        fn insert(user: &User, password: Option<&PasswordHash>) -> ();
        fn upgrade_password_hash(user: UserId, old: &PasswordHash, new: &PasswordHash, at: Timestamp) -> ();
        fn update_profile(user: UserId, change: &ProfileChange, at: Timestamp) -> bool;
        fn set_password_hash(user: UserId, old: &PasswordHash, new: &PasswordHash, at: Timestamp) -> bool;
        fn replace_avatar(user: UserId, avatar: Option<&AvatarName>, at: Timestamp) -> Option<ReplacedAvatar>;
        fn erase(user: UserId, at: Timestamp) -> Option<ReplacedAvatar>;
        fn prove_mailbox(user: UserId, email: &EmailKey, at: Timestamp) -> Option<MailboxProof>;
        fn change_email(user: UserId, email: &Email, at: Timestamp) -> Option<Email>;
        fn replace_password(user: UserId, password: Option<&PasswordHash>, at: Timestamp) -> ();
    }
    OrganizationRepo of organizations {
        fn insert(organization: &Organization) -> ();
        fn insert_membership(membership: &Membership) -> ();
        fn depart(user: UserId, at: Timestamp) -> Departure;
    }
    SignInRepo of sign_ins {
        fn begin_session(session: &Session, standing: &Standing) -> ();
        fn put_pending(pending: &PendingSignIn, standing: &Standing) -> ();
    }
    SessionRepo of sessions {
        fn revoke(session: SessionId, owner: UserId, reason: RevocationReason, at: Timestamp) -> bool;
        fn revoke_all(owner: UserId, except: Option<SessionId>, reason: RevocationReason, at: Timestamp)
            -> Vec<SessionId>;
        fn delete_all(owner: UserId) -> ();
        fn step_up(
            session: SessionId, owner: UserId, factor: SecondFactor, passkey: Option<PasskeyId>, at: Timestamp
        ) -> bool;
        fn drop_factor(owner: UserId, factor: RemovedFactor, spare: Option<SessionId>, at: Timestamp)
            -> Vec<SessionId>;
    }
    PendingRepo of pending {
        fn take_pending(hash: &TokenHash, now: Timestamp) -> bool;
        fn void_pending(user: UserId) -> ();
    }
    TrustRepo of trust {
        fn insert_trusted(browser: &TrustedBrowser) -> ();
        fn rotate_trusted(rotation: &TrustRotation) -> Option<TrustedBrowser>;
        fn remove_trusted(id: TrustedBrowserId, owner: UserId) -> bool;
        fn remove_all_trusted(owner: UserId) -> ();
    }
    FactorRepo of factors {
        fn set_up_authenticator(user: UserId, sealed: &[u8], at: Timestamp) -> bool;
        fn confirm_authenticator(user: UserId, sealed: &[u8], step: TimeStep, at: Timestamp) -> bool;
        fn advance_step(user: UserId, sealed: &[u8], step: TimeStep) -> bool;
        fn remove_authenticator(user: UserId, at: Timestamp) -> bool;
        fn replace_recovery_codes(user: UserId, hashes: &[TokenHash], at: Timestamp) -> bool;
        fn take_recovery_code(user: UserId, hash: &TokenHash) -> Option<u32>;
    }
    PasskeyRepo of passkeys {
        fn insert_passkey(passkey: &Passkey) -> PasskeyInsertion;
        fn rename_passkey(id: PasskeyId, owner: UserId, label: &Label) -> Option<Passkey>;
        fn use_passkey(id: PasskeyId, sign_count: u32, backed_up: bool, at: Timestamp) -> bool;
        fn remove_passkey(id: PasskeyId, owner: UserId, at: Timestamp) -> bool;
        fn remove_all_passkeys(owner: UserId, at: Timestamp) -> ();
    }
    ProofRepo of proofs {
        fn put_verification(verification: &EmailVerification) -> ();
        fn take_verification(hash: &TokenHash, now: Timestamp) -> Option<EmailVerification>;
        fn put_reset(reset: &PasswordReset) -> ();
        fn take_reset(hash: &TokenHash, now: Timestamp) -> Option<PasswordReset>;
        fn put_code(challenge: &CodeChallenge) -> ();
        fn take_code(user: UserId, hash: &TokenHash, now: Timestamp) -> bool;
        fn void_proofs(user: UserId) -> ();
    }
    KeyRepo of keys {
        fn insert(key: &SigningKey) -> ();
        fn delete(kid: &KeyId) -> bool;
    }
    RateLimitRepo of limits {
        fn give_back(take: &Take) -> ();
    }
    OutboxRepo of outbox {
        fn post(entry: &OutboxEntry) -> ();
        fn greet_browser(user: UserId, browser: &TokenHash, at: Timestamp, notice: Option<&OutboxEntry>) -> ();
        fn forget_browsers(user: UserId) -> ();
        fn settle(id: MailId) -> bool;
    }
    AuditRepo of audit {
        fn append(event: &AuditEvent) -> ();
    }
}

#[async_trait]
impl BlobStore for Watched<Arc<dyn BlobStore>> {
    async fn put(&self, name: &str, bytes: bytes::Bytes) -> Result<(), BlobError> {
        self.watch.through("BlobStore::put", self.inner.put(name, bytes), || BlobError(FAULT.into())).await
    }

    async fn get(&self, name: &str) -> Result<Option<bytes::Bytes>, BlobError> {
        self.watch.through("BlobStore::get", self.inner.get(name), || BlobError(FAULT.into())).await
    }

    async fn delete(&self, name: &str) -> Result<(), BlobError> {
        self.watch.through("BlobStore::delete", self.inner.delete(name), || BlobError(FAULT.into())).await
    }
}

#[async_trait]
impl PictureMaker for Watched<Arc<dyn PictureMaker>> {
    async fn make(&self, upload: bytes::Bytes) -> Result<Picture, PictureError> {
        let failed = || PictureError::Failed(FAULT.into());
        self.watch.through("PictureMaker::make", self.inner.make(upload), failed).await
    }
}

#[async_trait]
impl PasswordHasher for Watched<Arc<dyn PasswordHasher>> {
    fn place(&self) -> Result<HashPlace, HashError> {
        match self.watch.note("PasswordHasher::place") {
            None => self.inner.place(),
            Some(_) => Err(HashError::Failed(FAULT.into())),
        }
    }

    async fn hash(&self, password: Password) -> Result<PasswordHash, HashError> {
        let failed = || HashError::Failed(FAULT.into());
        self.watch.through("PasswordHasher::hash", self.inner.hash(password), failed).await
    }

    async fn verify(
        &self,
        password: Password,
        hash: Option<PasswordHash>,
    ) -> Result<Verification, HashError> {
        let failed = || HashError::Failed(FAULT.into());
        self.watch.through("PasswordHasher::verify", self.inner.verify(password, hash), failed).await
    }

    fn judge(&self, hash: &PasswordHash) -> Result<(), UnusableHash> {
        self.inner.judge(hash)
    }
}

/// The signers of this vault are watched; making and opening keys is no part of a request.
impl KeyVault for Watched<Arc<dyn KeyVault>> {
    fn generate(&self) -> Result<GeneratedKey, KeyError> {
        self.inner.generate()
    }

    fn signer(&self, key: &SigningKey) -> Result<Arc<dyn TokenSigner>, KeyError> {
        Ok(Arc::new(Watched::new(self.inner.signer(key)?, self.watch.clone())))
    }

    fn verifier(&self, key: &PublicKey) -> Result<Arc<dyn TokenVerifier>, KeyError> {
        self.inner.verifier(key)
    }
}

impl TokenSigner for Watched<Arc<dyn TokenSigner>> {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        match self.watch.note("TokenSigner::sign") {
            None => self.inner.sign(message),
            Some(_) => Err(KeyError::Library(FAULT.into())),
        }
    }
}
