//! Where sessions are kept. Reads that join sessions with other domains are `identsphere-core`'s.

use async_trait::async_trait;
use identsphere_kernel::{SessionId, StoreError, Timestamp, UserId};

use crate::{RefreshState, RevocationReason, Session};

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

/// Changes to sessions, inside a transaction.
#[async_trait]
pub trait SessionRepo: Send {
    /// Adds a session. The user and the organisation must have been inserted before, in this transaction or an
    /// earlier one. May be held back until commit. Conflict: `user_sessions_pkey`.
    async fn insert(&mut self, session: &Session) -> Result<(), StoreError>;

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
}
