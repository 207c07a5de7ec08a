//! Reads over many accounts at once.

use async_trait::async_trait;
use identsphere_core::{AccountRecord, DirectoryStore};
use identsphere_kernel::{EmailKey, StoreError, UserId};
use identsphere_organizations::{Organization, Slug};

use crate::MemoryStore;
use crate::tx::{State, dangling};

impl State {
    fn account(&self, id: UserId) -> Option<AccountRecord> {
        let record = self.users.get(id)?;
        Some(AccountRecord {
            user: record.user.clone(),
            password_hash: record.password_hash.clone(),
            organization: self.organizations.get(record.user.home_organization)?.clone(),
            role: self.organizations.role(id, record.user.home_organization).cloned(),
        })
    }
}

#[async_trait]
impl DirectoryStore for MemoryStore {
    async fn known_emails(&self, emails: &[EmailKey]) -> Result<Vec<EmailKey>, StoreError> {
        let state = self.snapshot();
        let mut known: Vec<_> =
            emails.iter().filter(|key| state.users.find(key).is_some()).cloned().collect();
        known.sort_unstable();
        known.dedup();
        Ok(known)
    }

    async fn known_users(&self, ids: &[UserId]) -> Result<Vec<UserId>, StoreError> {
        let state = self.snapshot();
        let mut known: Vec<_> = ids.iter().copied().filter(|id| state.users.get(*id).is_some()).collect();
        known.sort_unstable();
        known.dedup();
        Ok(known)
    }

    async fn organizations_by_slug(&self, slugs: &[Slug]) -> Result<Vec<Organization>, StoreError> {
        let state = self.snapshot();
        let mut found: Vec<_> =
            slugs.iter().filter_map(|slug| state.organizations.find(slug)).cloned().collect();
        found.sort_unstable_by_key(|organization| organization.id);
        found.dedup_by_key(|organization| organization.id);
        Ok(found)
    }

    /// Users are kept in no order, so each page looks at all of them.
    async fn list_accounts(
        &self,
        after: Option<UserId>,
        limit: u32,
    ) -> Result<Vec<AccountRecord>, StoreError> {
        let state = self.snapshot();
        let mut ids: Vec<UserId> =
            state.users.ids().filter(|id| after.is_none_or(|after| *id > after)).collect();
        ids.sort_unstable();
        let page = ids.into_iter().take(usize::try_from(limit).unwrap_or(usize::MAX));
        page.map(|id| state.account(id).ok_or_else(|| dangling("a user without a home"))).collect()
    }
}
