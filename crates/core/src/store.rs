//! Storage as the use cases see it: one [`Store`], whose [`Tx`] makes several changes one atomic write.
//!
//! To add a port: its name among [`Statements`] or [`Repositories`]; the compiler then asks every store for it.

use async_trait::async_trait;
use identsphere_accounts::{PasswordHash, ProofRepo, ProofStore, Standing, User, UserRepo};
use identsphere_audit::AuditRepo;
use identsphere_factors::passkey::{CredentialId, Passkey, UserHandle};
use identsphere_factors::{FactorRepo, FactorStore, PasskeyRepo, PasskeyStore};
use identsphere_kernel::{EmailKey, SessionId, StoreError, Timestamp, TokenHash, UserId};
use identsphere_organizations::{OrganizationRepo, Role};
use identsphere_sessions::{
    ClientInfo, Leaf, PendingRepo, PendingSignIn, PendingStore, Session, SessionRepo, SessionStore,
    TrustRepo, TrustStore,
};
use identsphere_tokens::{KeyRepo, KeyStore};

use crate::directory::DirectoryStore;
use crate::limits::Take;
use crate::outbox::{OutboxRepo, OutboxStore};
use crate::profile_store::ProfileStore;

/// Everything that is kept, behind one object. Reads and single conditional statements are called on the store itself
/// and run on their own; everything that changes more than one row goes through a transaction.
///
/// An adapter never calls a clock or a random source: ids and times are passed in. Times are in microseconds and come
/// back exactly as they were given.
#[async_trait]
pub trait Store: Statements + RefreshStore {
    /// Begins a transaction. Writes may be held back until the first read or [`Tx::commit`], so beginning costs
    /// nothing by itself. Dropping the transaction undoes everything and never blocks the next writer.
    async fn begin(&self) -> Result<Box<dyn Tx>, StoreError>;
}

/// Reads, and the single statements that change nothing which a [`Principal`] shows. Whatever is all of them has this.
pub trait Statements:
    PrincipalStore
    + DirectoryStore
    + SessionStore
    + PendingStore
    + TrustStore
    + ProofStore
    + FactorStore
    + PasskeyStore
    + KeyStore
    + RateLimitStore
    + OutboxStore
    + Schema
    + ProfileStore
{
}

impl<T> Statements for T where
    T: PrincipalStore
        + DirectoryStore
        + SessionStore
        + PendingStore
        + TrustStore
        + ProofStore
        + FactorStore
        + PasskeyStore
        + KeyStore
        + RateLimitStore
        + OutboxStore
        + Schema
        + ProfileStore
{
}

/// One atomic write.
#[async_trait]
pub trait Tx: Repositories {
    /// Makes everything permanent, or reports why nothing was. When this returns `Ok`, the changes survive a crash
    /// (of stores that outlive their process).
    async fn commit(self: Box<Self>) -> Result<(), StoreError>;
}

/// The repositories of a transaction. Whatever is all of them has this, each under its name.
pub trait Repositories: Send {
    /// Users.
    fn users(&mut self) -> &mut dyn UserRepo;
    /// Organisations and memberships.
    fn organizations(&mut self) -> &mut dyn OrganizationRepo;
    /// How sign-ins end.
    fn sign_ins(&mut self) -> &mut dyn SignInRepo;
    /// Sessions.
    fn sessions(&mut self) -> &mut dyn SessionRepo;
    /// Sign-ins that wait for a second factor.
    fn pending(&mut self) -> &mut dyn PendingRepo;
    /// Trusted browsers.
    fn trust(&mut self) -> &mut dyn TrustRepo;
    /// Authenticators and recovery codes.
    fn factors(&mut self) -> &mut dyn FactorRepo;
    /// Passkeys.
    fn passkeys(&mut self) -> &mut dyn PasskeyRepo;
    /// What proves a mailbox.
    fn proofs(&mut self) -> &mut dyn ProofRepo;
    /// Signing keys.
    fn keys(&mut self) -> &mut dyn KeyRepo;
    /// Rate limits.
    fn limits(&mut self) -> &mut dyn RateLimitRepo;
    /// What has to be done outside of the store.
    fn outbox(&mut self) -> &mut dyn OutboxRepo;
    /// The audit log.
    fn audit(&mut self) -> &mut dyn AuditRepo;
}

impl<T> Repositories for T
where
    T: UserRepo
        + OrganizationRepo
        + SignInRepo
        + SessionRepo
        + PendingRepo
        + TrustRepo
        + FactorRepo
        + PasskeyRepo
        + ProofRepo
        + KeyRepo
        + RateLimitRepo
        + OutboxRepo
        + AuditRepo,
{
    fn users(&mut self) -> &mut dyn UserRepo {
        self
    }

    fn organizations(&mut self) -> &mut dyn OrganizationRepo {
        self
    }

    fn sign_ins(&mut self) -> &mut dyn SignInRepo {
        self
    }

    fn sessions(&mut self) -> &mut dyn SessionRepo {
        self
    }

    fn pending(&mut self) -> &mut dyn PendingRepo {
        self
    }

    fn trust(&mut self) -> &mut dyn TrustRepo {
        self
    }

    fn factors(&mut self) -> &mut dyn FactorRepo {
        self
    }

    fn passkeys(&mut self) -> &mut dyn PasskeyRepo {
        self
    }

    fn proofs(&mut self) -> &mut dyn ProofRepo {
        self
    }

    fn keys(&mut self) -> &mut dyn KeyRepo {
        self
    }

    fn limits(&mut self) -> &mut dyn RateLimitRepo {
        self
    }

    fn outbox(&mut self) -> &mut dyn OutboxRepo {
        self
    }

    fn audit(&mut self) -> &mut dyn AuditRepo {
        self
    }
}

/// A user together with what a sign-in needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignInRecord {
    /// The user, whatever their status.
    pub user: User,
    /// The password, hashed; `None` for accounts that sign in otherwise.
    pub password_hash: Option<PasswordHash>,
    /// Role in the home organisation; `None` when the user is no member of it, or it is deleted.
    pub role: Option<Role>,
}

/// A passkey together with what a sign-in by it needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasskeySignIn {
    /// Its owner, whatever their status.
    pub owner: SignInRecord,
    /// The passkey.
    pub passkey: Passkey,
    /// The handle that passkeys of its owner present.
    pub handle: UserHandle,
}

/// Who is behind a live session: active user, live session, present role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The user.
    pub user: User,
    /// The session.
    pub session: Session,
    /// The user's role in the session's organisation, read now.
    pub role: Role,
}

/// The exchange of a leaf for its successor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefreshRotation {
    /// The family.
    pub session: SessionId,
    /// Hash of the leaf that is presented.
    pub presented: TokenHash,
    /// The leaf that replaces it; `issued_at` is now.
    pub successor: Leaf,
    /// From where the request came.
    pub client: ClientInfo,
}

/// Reads and transitions that join users, sessions and memberships. Each is one statement.
#[async_trait]
pub trait PrincipalStore: Send + Sync + 'static {
    /// The user with this address, whatever their status, with their role in the home organisation. Keys are
    /// compared byte for byte.
    async fn find_sign_in(&self, email: &EmailKey) -> Result<Option<SignInRecord>, StoreError>;

    /// The user with this id, as [`find_sign_in`](Self::find_sign_in) finds them by their address.
    async fn find_sign_in_of(&self, user: UserId) -> Result<Option<SignInRecord>, StoreError>;

    /// The passkey with this credential id, with its owner. `None` when there is none, or its owner has no handle (any
    /// more).
    async fn find_passkey_sign_in(&self, id: &CredentialId) -> Result<Option<PasskeySignIn>, StoreError>;

    /// Who is behind this session at `now`: `None` unless the session is neither revoked nor past its end, the user is
    /// active, and the user is a member of the session's organisation, which is not deleted.
    async fn find_principal(
        &self,
        session: SessionId,
        now: Timestamp,
    ) -> Result<Option<Principal>, StoreError>;
}

/// The exchange of refresh tokens: one statement, as many times a second as there are people about.
#[async_trait]
pub trait RefreshStore: Send + Sync {
    /// Replaces the leaf of a family, once: `None`, changing nothing, unless the leaf's hash still is `presented` and
    /// [`find_principal`](PrincipalStore::find_principal) would find the family at the time of the successor. Sets
    /// `last_active_at` and the client. Of several callers at once with one leaf, one gets the principal (with the
    /// successor as leaf).
    async fn rotate_refresh(&self, rotation: &RefreshRotation) -> Result<Option<Principal>, StoreError>;
}

/// How sign-ins end, inside a transaction: writes that join users with what they begin.
///
/// Both are refused with [`StoreError::Overtaken`], by the call or by the commit, unless there is such a user and they are
/// in this [`Standing`], counting what this transaction itself has written before. An adapter must look at the user as
/// they are, not as they were when the transaction began, and keep them so until it ends: of a sign-in and a change of
/// the user at once, either the sign-in is refused, or the change waits for it, and finds what it has begun, to end it.
/// Sign-ins of one user must not exclude each other in a store whose writers do not exclude each other anyway.
///
/// Both may be held back until commit, and cost no round trip of their own.
#[async_trait]
pub trait SignInRepo: Send {
    /// Adds a session. The organisation must have been inserted before, in this transaction or an earlier one. Conflict:
    /// `user_sessions_pkey`.
    async fn begin_session(&mut self, session: &Session, standing: &Standing) -> Result<(), StoreError>;

    /// Keeps a sign-in that waits for a second factor, with no attempt counted. Conflict: `mfa_challenges_pkey`.
    async fn put_pending(&mut self, pending: &PendingSignIn, standing: &Standing) -> Result<(), StoreError>;
}

/// Counters of the rate limits. Nodes that share a store share the counters.
#[async_trait]
pub trait RateLimitStore: Send + Sync {
    /// Takes one token out of each bucket that has one, atomically for each bucket, as by
    /// [`Take::advance`](crate::limits::Take::advance). Answers, in the order given, how long until each bucket has a
    /// token: `None` where one was taken. One statement for all.
    async fn take(
        &self,
        takes: &[Take],
        now: Timestamp,
    ) -> Result<Vec<Option<std::time::Duration>>, StoreError>;

    /// Forgets at most `limit` buckets that have been full since before `now`; how many there were.
    async fn sweep_limits(&self, now: Timestamp, limit: u32) -> Result<u64, StoreError>;
}

/// Changes to the counters, inside a transaction.
#[async_trait]
pub trait RateLimitRepo: Send {
    /// Puts a token back that was taken for an attempt that turned out well. May be held back until commit. Never
    /// overfills: a bucket's arrival time moves back by one interval, and an absent bucket stays absent.
    async fn give_back(&mut self, take: &Take) -> Result<(), StoreError>;
}

/// The state of the schema.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SchemaState {
    /// Migrations that this program knows and the store has applied, oldest first.
    pub applied: Vec<String>,
    /// Migrations that this program knows and the store has not applied, oldest first.
    pub pending: Vec<String>,
    /// Versions of migrations that the store has applied and this program does not know, oldest first: a newer
    /// program's. They do not keep this one from serving, since migrations first only add.
    pub newer: Vec<String>,
}

impl SchemaState {
    /// Refuses to revert a migration beneath those of a newer program. For adapters.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] with the versions.
    pub fn check_revertible(&self) -> Result<(), StoreError> {
        if self.newer.is_empty() {
            return Ok(());
        }
        let versions = self.newer.join(", ");
        Err(StoreError::corrupt(format!("migrations of a newer program are applied: {versions}")))
    }
}

/// Operations on the store as a whole.
#[async_trait]
pub trait Schema: Send + Sync {
    /// What kind of store this is: `postgres`, `sqlite`, `memory`.
    fn engine(&self) -> &'static str;

    /// Asks the store for a sign of life that a write could succeed: a reachable, writable store. The time by its own
    /// clock, where that is not the clock of this process.
    async fn ping(&self) -> Result<Option<Timestamp>, StoreError>;

    /// Which migrations are applied.
    async fn schema_state(&self) -> Result<SchemaState, StoreError>;

    /// Applies every pending migration; their names. Several nodes may call this at once: they take turns.
    async fn migrate_up(&self) -> Result<Vec<String>, StoreError>;

    /// Reverts the newest `steps` migrations; their names. Corrupt, and nothing is reverted, when a newer program's
    /// migrations are applied: they build on those that would go.
    async fn migrate_down(&self, steps: u32) -> Result<Vec<String>, StoreError>;
}
