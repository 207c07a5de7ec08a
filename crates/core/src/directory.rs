//! Reads over many accounts at once: for bringing users along and for taking them away.

use async_trait::async_trait;
use identsphere_accounts::{PasswordHash, User};
use identsphere_kernel::{EmailKey, StoreError, UserId};
use identsphere_organizations::{Organization, Role, Slug};

/// A user together with everything that an export tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountRecord {
    /// The user, whatever their status.
    pub user: User,
    /// The password, hashed; `None` for accounts that sign in otherwise.
    pub password_hash: Option<PasswordHash>,
    /// The home organisation.
    pub organization: Organization,
    /// Role in the home organisation; `None` when the user is no member of it.
    pub role: Option<Role>,
}

/// Reads over many accounts. Each is one statement, however many are asked for; callers ask for at most a few hundred.
#[async_trait]
pub trait DirectoryStore: Send + Sync + 'static {
    /// Which of these addresses belong to users, whatever their status. Each at most once, in any order. Keys are
    /// compared byte for byte.
    async fn known_emails(&self, emails: &[EmailKey]) -> Result<Vec<EmailKey>, StoreError>;

    /// Which of these ids belong to users, whatever their status. Each at most once, in any order.
    async fn known_users(&self, ids: &[UserId]) -> Result<Vec<UserId>, StoreError>;

    /// The organisations with these slugs. Each at most once, in any order.
    async fn organizations_by_slug(&self, slugs: &[Slug]) -> Result<Vec<Organization>, StoreError>;

    /// At most `limit` users with ids behind `after` (or from the first), in the order of their ids' bytes, whatever
    /// their status. Fewer than `limit` means that there are no more.
    async fn list_accounts(
        &self,
        after: Option<UserId>,
        limit: u32,
    ) -> Result<Vec<AccountRecord>, StoreError>;
}
