//! Where factors are kept. Look-ups that join them with users are `identsphere-core`'s.

use async_trait::async_trait;
use identsphere_kernel::{Label, PasskeyId, StoreError, Timestamp, TokenHash, UserId};

use crate::passkey::{BegunCeremony, Passkey, UserHandle};
use crate::totp::TimeStep;

/// The authenticator of a user, set up or confirmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authenticator {
    /// Its secret, sealed for its user.
    pub sealed: Vec<u8>,
    /// Whether a code has confirmed it. Until then it is inert (MF-12).
    pub is_confirmed: bool,
    /// The time step of the last code that was accepted.
    pub last_step: Option<TimeStep>,
}

/// Changes to authenticators and recovery codes, inside a transaction. A time that is passed becomes the user's
/// `updated_at`, if the answer is true.
#[async_trait]
pub trait FactorRepo: Send {
    /// Sets up an authenticator in place of one that was not confirmed. False, changing nothing, unless the user is active
    /// and has no confirmed one.
    async fn set_up_authenticator(
        &mut self,
        user: UserId,
        sealed: &[u8],
        at: Timestamp,
    ) -> Result<bool, StoreError>;

    /// Confirms the authenticator with this sealed secret by a code of this time step, once: false, changing nothing,
    /// unless the user is active and has exactly that one, not confirmed. Sets `mfa_enabled`.
    async fn confirm_authenticator(
        &mut self,
        user: UserId,
        sealed: &[u8],
        step: TimeStep,
        at: Timestamp,
    ) -> Result<bool, StoreError>;

    /// Accepts a code of this time step, once: false, changing nothing, unless the user is active and has exactly this
    /// sealed secret, confirmed, and its last step is older ([`accepts`](crate::totp::accepts)). Of several at once with one step, one
    /// gets true (MF-02).
    async fn advance_step(&mut self, user: UserId, sealed: &[u8], step: TimeStep)
    -> Result<bool, StoreError>;

    /// Removes the authenticator, confirmed or not, and every recovery code. Whether there was a confirmed one; of several
    /// at once, one gets true. Clears `mfa_enabled`.
    async fn remove_authenticator(&mut self, user: UserId, at: Timestamp) -> Result<bool, StoreError>;

    /// Keeps these recovery codes in place of all others. False, changing nothing, unless the user is active and
    /// `mfa_enabled`. Of several at once, the codes of one remain.
    async fn replace_recovery_codes(
        &mut self,
        user: UserId,
        hashes: &[TokenHash],
        at: Timestamp,
    ) -> Result<bool, StoreError>;

    /// Spends a recovery code, once: how many are left, or `None` when the user has no such code (any more). Of several at
    /// once with one code, one gets it; of several at once with several codes, each is told another number.
    async fn take_recovery_code(&mut self, user: UserId, hash: &TokenHash)
    -> Result<Option<u32>, StoreError>;
}

/// Look-ups of authenticators and recovery codes. Each is one statement.
#[async_trait]
pub trait FactorStore: Send + Sync {
    /// The authenticator of a user, whatever their status.
    async fn find_authenticator(&self, user: UserId) -> Result<Option<Authenticator>, StoreError>;

    /// How many recovery codes a user has left.
    async fn count_recovery_codes(&self, user: UserId) -> Result<u32, StoreError>;
}

/// How the adding of a passkey ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PasskeyInsertion {
    /// It is kept.
    Added,
    /// The user has [`MOST_PASSKEYS`](crate::passkey::MOST_PASSKEYS) already.
    TooMany,
    /// There is no such active user.
    NoUser,
}

/// Changes to passkeys, inside a transaction. Whenever one is added or removed, that time becomes the user's
/// `updated_at`: of an added one, its `created_at`.
#[async_trait]
pub trait PasskeyRepo: Send {
    /// Adds a passkey, unless its user has as many as there may be; of many at once no more are added. Sets
    /// `passkey_enabled`. Conflicts: `user_passkeys_pkey`, `user_passkeys_credential_id_key` (some user has this
    /// credential).
    async fn insert_passkey(&mut self, passkey: &Passkey) -> Result<PasskeyInsertion, StoreError>;

    /// Renames a passkey of this user; as it is now, or `None` when there is none.
    async fn rename_passkey(
        &mut self,
        id: PasskeyId,
        owner: UserId,
        label: &Label,
    ) -> Result<Option<Passkey>, StoreError>;

    /// Notes a use, once for each value of the counter: false, changing nothing, unless the passkey is there and the counter
    /// rises, or is and stays zero (WebAuthn §7.2 step 22). Sets `sign_count`, `backed_up`, `last_used_at`.
    async fn use_passkey(
        &mut self,
        id: PasskeyId,
        sign_count: u32,
        backed_up: bool,
        at: Timestamp,
    ) -> Result<bool, StoreError>;

    /// Removes a passkey of this user, once; whether it was there. Sets `passkey_enabled` to whether others remain.
    async fn remove_passkey(
        &mut self,
        id: PasskeyId,
        owner: UserId,
        at: Timestamp,
    ) -> Result<bool, StoreError>;

    /// Removes every passkey of the user, the handle that they present, and every ceremony that has begun for them. May be held back until
    /// commit.
    async fn remove_all_passkeys(&mut self, owner: UserId, at: Timestamp) -> Result<(), StoreError>;
}

/// Look-ups and transitions of passkeys that need no transaction. Each is one statement.
#[async_trait]
pub trait PasskeyStore: Send + Sync {
    /// The passkeys of a user, newest first, then newest id first.
    async fn list_passkeys(&self, user: UserId) -> Result<Vec<Passkey>, StoreError>;

    /// The handle that the passkeys of an active user present; `candidate` from now on if they have none. `None` when there
    /// is no such user. Of several at once, all get the same.
    async fn claim_handle(
        &self,
        user: UserId,
        candidate: &UserHandle,
    ) -> Result<Option<UserHandle>, StoreError>;

    /// Keeps a ceremony that begins. Conflict: `passkey_challenges_pkey`.
    async fn begin_ceremony(&self, ceremony: &BegunCeremony) -> Result<(), StoreError>;

    /// Ends the ceremony with this challenge, whatever its answer is worth: `None` when there is none (any more), or its
    /// time is over. Of several at once, one gets it.
    async fn end_ceremony(
        &self,
        challenge: &TokenHash,
        now: Timestamp,
    ) -> Result<Option<BegunCeremony>, StoreError>;

    /// Deletes at most `limit` ceremonies that were over before `now`; how many there were.
    async fn sweep_ceremonies(&self, now: Timestamp, limit: u32) -> Result<u64, StoreError>;
}
