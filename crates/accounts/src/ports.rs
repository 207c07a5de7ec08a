//! Where users are kept. Look-ups that join users with other domains are `identsphere-core`'s.

use async_trait::async_trait;
use identsphere_kernel::{Email, EmailKey, StoreError, Timestamp, TokenHash, UserId};

use crate::{
    AvatarName, CodeChallenge, EmailVerification, PasswordHash, PasswordReset, ProfileChange, ReplacedAvatar,
    User,
};

/// Whether a mailbox had been proven before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailboxProof {
    /// For the first time: whatever is on the account may be somebody else's.
    First,
    /// It had been.
    Again,
}

/// Changes to users, inside a transaction.
///
/// An adapter may run a write when it is called or hold it back until commit; a conflict is reported by
/// whichever of the two runs it.
#[async_trait]
pub trait UserRepo: Send {
    /// Adds a user, with a password or without. The home organisation must have been inserted before, in this
    /// transaction or an earlier one. Conflicts: `users_email_key_key` (the address is taken), `users_pkey`.
    async fn insert(&mut self, user: &User, password: Option<&PasswordHash>) -> Result<(), StoreError>;

    /// Replaces a password hash by one of the same password under newer parameters, only while the stored
    /// hash still is `old`: a password changed meanwhile wins. Does not touch `last_password_change`.
    async fn upgrade_password_hash(
        &mut self,
        user: UserId,
        old: &PasswordHash,
        new: &PasswordHash,
        at: Timestamp,
    ) -> Result<(), StoreError>;

    /// Changes what a user says about themselves, in one statement; whether there is such an active user. Sets
    /// `updated_at`.
    async fn update_profile(
        &mut self,
        user: UserId,
        change: &ProfileChange,
        at: Timestamp,
    ) -> Result<bool, StoreError>;

    /// Sets a new password, once: false, changing nothing, unless the user is active and the stored hash still is
    /// `old`. Of several callers at once with one `old`, one gets true. Sets `last_password_change` and `updated_at`.
    async fn set_password_hash(
        &mut self,
        user: UserId,
        old: &PasswordHash,
        new: &PasswordHash,
        at: Timestamp,
    ) -> Result<bool, StoreError>;

    /// Replaces the picture of an active user; `None` takes it away. Answers which picture this very call replaced, so
    /// that of several callers at once each has another one to delete; `None` when there is no such active user. Sets
    /// `updated_at`.
    async fn replace_avatar(
        &mut self,
        user: UserId,
        avatar: Option<&AvatarName>,
        at: Timestamp,
    ) -> Result<Option<ReplacedAvatar>, StoreError>;

    /// Makes an active user a deleted one, once: `None`, changing nothing, when there is none (any more). Nothing
    /// personal remains: the address becomes the [`tombstone`](crate::tombstone), which frees it; password, name, profile
    /// and factors are cleared. The id, `created_at` and the home organisation stay. Sets `updated_at` and `deleted_at`.
    /// Answers which picture is to be deleted.
    async fn erase(&mut self, user: UserId, at: Timestamp) -> Result<Option<ReplacedAvatar>, StoreError>;
    /// Notes that whoever acts reads the mailbox of this address: it counts as verified. `None`, changing nothing,
    /// unless the user is active and the address is still theirs. Of several at once, one is the first.
    async fn prove_mailbox(
        &mut self,
        user: UserId,
        email: &EmailKey,
        at: Timestamp,
    ) -> Result<Option<MailboxProof>, StoreError>;

    /// Gives an active user another address, which counts as verified; the one before. `None`, changing nothing, unless the user is
    /// active, whosever address it is. Conflict: `users_email_key_key` (the address is taken).
    async fn change_email(
        &mut self,
        user: UserId,
        email: &Email,
        at: Timestamp,
    ) -> Result<Option<Email>, StoreError>;

    /// Sets the password of a user, whatever it was; with `None` the account has none from now on. Sets
    /// `last_password_change`. May be held back until commit.
    async fn replace_password(
        &mut self,
        user: UserId,
        password: Option<&PasswordHash>,
        at: Timestamp,
    ) -> Result<(), StoreError>;
}

/// Changes to what proves a mailbox, inside a transaction. Users must have been inserted before.
///
/// What is taken is gone: of several who take one at once, one gets it. What has expired is not there.
#[async_trait]
pub trait ProofRepo: Send {
    /// Keeps a confirmation in place of the user's one of the same kind. May be held back until commit.
    async fn put_verification(&mut self, verification: &EmailVerification) -> Result<(), StoreError>;

    /// Takes the confirmation with this hash.
    async fn take_verification(
        &mut self,
        hash: &TokenHash,
        now: Timestamp,
    ) -> Result<Option<EmailVerification>, StoreError>;

    /// Keeps a password reset in place of the user's. May be held back until commit.
    async fn put_reset(&mut self, reset: &PasswordReset) -> Result<(), StoreError>;

    /// Takes the password reset with this hash.
    async fn take_reset(
        &mut self,
        hash: &TokenHash,
        now: Timestamp,
    ) -> Result<Option<PasswordReset>, StoreError>;

    /// Keeps a code in place of the user's, with no attempt counted. May be held back until commit.
    async fn put_code(&mut self, challenge: &CodeChallenge) -> Result<(), StoreError>;

    /// Takes the user's code if it has this hash; whether it was there. Looks at no count of attempts.
    async fn take_code(&mut self, user: UserId, hash: &TokenHash, now: Timestamp)
    -> Result<bool, StoreError>;

    /// Deletes everything that is pending for a user. May be held back until commit.
    async fn void_proofs(&mut self, user: UserId) -> Result<(), StoreError>;
}

/// Transitions and upkeep that need no transaction. Each is one statement.
#[async_trait]
pub trait ProofStore: Send + Sync {
    /// Counts an attempt on a user's code, before it is looked at: the challenge, or `None` when there is none, it has
    /// expired, or [`CodeChallenge::ATTEMPTS`] were counted. Of many at once no more than that get it.
    async fn count_code_attempt(
        &self,
        user: UserId,
        now: Timestamp,
    ) -> Result<Option<CodeChallenge>, StoreError>;

    /// The password reset with this hash, which stays.
    async fn find_reset(&self, hash: &TokenHash, now: Timestamp)
    -> Result<Option<PasswordReset>, StoreError>;

    /// Deletes at most `limit` of each kind that ended before `now`; how many there were.
    async fn sweep_proofs(&self, now: Timestamp, limit: u32) -> Result<u64, StoreError>;
}
