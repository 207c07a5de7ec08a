//! Reads about one user, for that user.

use async_trait::async_trait;
use identsphere_accounts::{Profile, User};
use identsphere_audit::AuditEntry;
use identsphere_kernel::{StoreError, Timestamp, UserId};
use identsphere_organizations::{Organization, Role};
use identsphere_sessions::Session;

/// A user and what they say about themselves.
#[derive(Debug, Clone, PartialEq)]
pub struct ProfileRecord {
    /// The user.
    pub user: User,
    /// What they say about themselves.
    pub profile: Profile,
}

/// An organisation that a user belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserOrganization {
    /// The organisation.
    pub organization: Organization,
    /// The user's role in it.
    pub role: Role,
    /// Since when.
    pub joined_at: Timestamp,
}

/// A session as long as anything of it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldSession {
    /// The session.
    pub session: Session,
    /// When it was ended before its time, if it was.
    pub revoked_at: Option<Timestamp>,
}

/// Reads about one user that join domains. Each is one statement.
#[async_trait]
pub trait ProfileStore: Send + Sync {
    /// An active user and what they say about themselves.
    async fn find_profile(&self, user: UserId) -> Result<Option<ProfileRecord>, StoreError>;

    /// The organisations that a user belongs to, without deleted ones, in the order of joining, then of their ids.
    async fn list_organizations(&self, user: UserId) -> Result<Vec<UserOrganization>, StoreError>;

    /// Every session of a user that is kept, live and ended, newest first, then newest id first.
    async fn list_held_sessions(&self, user: UserId) -> Result<Vec<HeldSession>, StoreError>;

    /// The newest rows of the audit log whose actor is this user, at most `limit`, newest first, then newest id first.
    async fn list_events_by(&self, user: UserId, limit: u32) -> Result<Vec<AuditEntry>, StoreError>;
}
