//! Taking users away: page by page, in the format in which they are brought along.

use identsphere_accounts::{DisplayName, PasswordHash, UserStatus};
use identsphere_kernel::UserId;

use crate::import_format::{Column, ImportRecord};
use crate::{AccountRecord, Error, IdentSphere};

/// How many users are read at once.
const PAGE: u32 = 500;

/// What of a password is taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportedPasswords {
    /// Nothing.
    Left,
    /// The hash, with which somebody can guess the password at leisure.
    Hashed,
}

/// A page of users.
pub struct ExportPage {
    /// The users.
    pub records: Vec<ImportRecord>,
    /// How many more there were who are neither active nor disabled, and are left out.
    pub left_out: u64,
    /// Behind whom the next page begins; `None` when this is the last.
    pub next: Option<UserId>,
}

impl IdentSphere {
    /// The page of users that begins behind this one, or the first.
    ///
    /// # Errors
    /// [`Error::Overloaded`] when the store is away.
    pub async fn export_users(
        &self,
        after: Option<UserId>,
        passwords: ExportedPasswords,
    ) -> Result<ExportPage, Error> {
        let accounts = self.store().list_accounts(after, PAGE).await?;
        let is_last = accounts.len() < usize::try_from(PAGE).unwrap_or(usize::MAX);
        let next = accounts.last().map(|account| account.user.id).filter(|_| !is_last);
        let read = accounts.len();
        let is_exported = |account: &AccountRecord| {
            matches!(account.user.status, UserStatus::Active | UserStatus::Disabled)
        };
        let records: Vec<_> =
            accounts.into_iter().filter(is_exported).map(|account| record(&account, passwords)).collect();
        let left_out = u64::try_from(read - records.len()).unwrap_or(u64::MAX);
        Ok(ExportPage { records, left_out, next })
    }
}

fn record(account: &AccountRecord, passwords: ExportedPasswords) -> ImportRecord {
    let AccountRecord { user, password_hash, organization, role } = account;
    let mut record = ImportRecord::default();
    record.set(Column::Id, user.id.to_string());
    record.set(Column::Email, user.email.as_str());
    record.set(Column::EmailVerified, user.email_verified.to_string());
    record.set(Column::DisplayName, user.display_name.as_ref().map_or("", DisplayName::as_str));
    record.set(Column::Status, user.status.name());
    record.set(Column::CreatedAt, user.created_at.to_rfc3339());
    // Somebody who is no member any more must not become one again.
    if let Some(role) = role {
        record.set(Column::OrganizationSlug, organization.slug.as_str());
        record.set(Column::OrganizationName, organization.name.as_str());
        record.set(Column::Role, role.name());
    }
    if passwords == ExportedPasswords::Hashed {
        record.set(Column::PasswordHash, password_hash.as_ref().map_or("", PasswordHash::as_str));
    }
    record
}
