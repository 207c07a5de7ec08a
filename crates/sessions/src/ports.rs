//! Where sessions are kept. Reads that join sessions with other domains are `identsphere-core`'s.

use async_trait::async_trait;
use identsphere_kernel::{PasskeyId, SessionId, StoreError, Timestamp, TokenHash, TrustedBrowserId, UserId};

use crate::{
    PendingAttempt, RefreshState, RemovedFactor, RevocationReason, SecondFactor, Session, TrustRotation,
    TrustedBrowser,
};

/// Look-ups and upkeep that need no transaction. Each is one statement.
#[async_trait]
pub trait SessionStore: Send + Sync {
    /// What is known about the refresh tokens of a family, revoked and expired ones included.
    async fn find_refresh_state(&self, session: SessionId) -> Result<Option<RefreshState>, StoreError>;

    /// The user's sessions that are neither revoked nor past their end at `now`, newest activity first,
    /// then newest id first.
    async fn list_live_sessions(&self, user: UserId, now: Timestamp) -> Result<Vec<Session>, StoreError>;

    /// Deletes at most `limit` sessions whose absolute end lies before `ended_before`; how many there were.
    async fn sweep_sessions(&self, ended_before: Timestamp, limit: u32) -> Result<u64, StoreError>;
}

/// Changes to sessions, inside a transaction. How one begins is `identsphere-core`'s, for it rests on its user.
#[async_trait]
pub trait SessionRepo: Send {
    /// Revokes a session of this user, once: false when there is none, it is another user's, it has ended, or it
    /// is revoked already. Of several callers at once, one gets true.
    async fn revoke(
        &mut self,
        session: SessionId,
        owner: UserId,
        reason: RevocationReason,
        at: Timestamp,
    ) -> Result<bool, StoreError>;

    /// Revokes every live session of the user but `except`; the ids of those that this call ended.
    async fn revoke_all(
        &mut self,
        owner: UserId,
        except: Option<SessionId>,
        reason: RevocationReason,
        at: Timestamp,
    ) -> Result<Vec<SessionId>, StoreError>;

    /// Deletes every session of the user, live and ended: nothing of where they were remains. May be held back until
    /// commit.
    async fn delete_all(&mut self, owner: UserId) -> Result<(), StoreError>;

    /// Notes that the user of a live session has shown a second factor: the level becomes `aal2`, the factor, the passkey
    /// (which an absent one leaves as it was) and the time are kept. False, changing nothing, unless the session is live
    /// and the owner's.
    async fn step_up(
        &mut self,
        session: SessionId,
        owner: UserId,
        factor: SecondFactor,
        passkey: Option<PasskeyId>,
        at: Timestamp,
    ) -> Result<bool, StoreError>;

    /// Takes away what sessions have from a factor that is removed (MF-15): every live session of the user whose
    /// `second_factor` is one of [`RemovedFactor::CODES`], or whose passkey is the removed one, is revoked; of `spare`, if
    /// it is among them, only the level goes down to `aal1`, and second factor, passkey and `mfa_verified_at` are cleared.
    /// The ids of those that this call ended.
    async fn drop_factor(
        &mut self,
        owner: UserId,
        factor: RemovedFactor,
        spare: Option<SessionId>,
        at: Timestamp,
    ) -> Result<Vec<SessionId>, StoreError>;
}

/// Changes to sign-ins that wait for a second factor, inside a transaction. How one begins is `identsphere-core`'s.
#[async_trait]
pub trait PendingRepo: Send {
    /// Ends the one with this hash, once: false when there is none (any more), or its time is over. Looks at no count of
    /// attempts.
    async fn take_pending(&mut self, hash: &TokenHash, now: Timestamp) -> Result<bool, StoreError>;

    /// Deletes every one of the user. May be held back until commit.
    async fn void_pending(&mut self, user: UserId) -> Result<(), StoreError>;
}

/// Transitions and upkeep of sign-ins that wait for a second factor. Each is one statement.
#[async_trait]
pub trait PendingStore: Send + Sync {
    /// Counts an attempt, before the second factor is looked at. Of many at once, no more than
    /// [`PendingSignIn::ATTEMPTS`](crate::PendingSignIn::ATTEMPTS) are [`Counted`](PendingAttempt::Counted).
    async fn count_pending_attempt(
        &self,
        hash: &TokenHash,
        now: Timestamp,
    ) -> Result<PendingAttempt, StoreError>;

    /// Deletes at most `limit` that were over before `now`; how many there were.
    async fn sweep_pending(&self, now: Timestamp, limit: u32) -> Result<u64, StoreError>;
}

/// Changes to trusted browsers, inside a transaction.
#[async_trait]
pub trait TrustRepo: Send {
    /// Adds a browser. The user must have been inserted before. May be held back until commit. Conflicts:
    /// `trusted_browsers_pkey`, `trusted_browsers_token_hash_key`.
    async fn insert_trusted(&mut self, browser: &TrustedBrowser) -> Result<(), StoreError>;

    /// Replaces the token of a browser, once: `None`, changing nothing, unless this user trusts a browser with the
    /// presented token at that time. Sets `last_seen_at` and the client. Of several at once with one token, one gets it.
    async fn rotate_trusted(
        &mut self,
        rotation: &TrustRotation,
    ) -> Result<Option<TrustedBrowser>, StoreError>;

    /// Removes a browser of this user, once; whether it was there.
    async fn remove_trusted(&mut self, id: TrustedBrowserId, owner: UserId) -> Result<bool, StoreError>;

    /// Removes every browser of the user. May be held back until commit.
    async fn remove_all_trusted(&mut self, owner: UserId) -> Result<(), StoreError>;
}

/// Look-ups and upkeep of trusted browsers. Each is one statement.
#[async_trait]
pub trait TrustStore: Send + Sync {
    /// The browser with this token that the user trusts at `now`.
    async fn find_trusted(
        &self,
        user: UserId,
        hash: &TokenHash,
        now: Timestamp,
    ) -> Result<Option<TrustedBrowser>, StoreError>;

    /// The browsers that the user trusts at `now`, newest first, then newest id first.
    async fn list_trusted(&self, user: UserId, now: Timestamp) -> Result<Vec<TrustedBrowser>, StoreError>;

    /// Deletes at most `limit` whose time was over before `now`; how many there were.
    async fn sweep_trusted(&self, now: Timestamp, limit: u32) -> Result<u64, StoreError>;
}
