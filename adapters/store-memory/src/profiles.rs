//! Reads about one user, for that user.

use std::cmp::Reverse;

use async_trait::async_trait;
use identsphere_audit::{Actor, AuditEntry, AuditEvent};
use identsphere_core::{HeldSession, ProfileRecord, ProfileStore, UserOrganization};
use identsphere_kernel::{StoreError, UserId};

use crate::MemoryStore;
use crate::users::UserRecord;

#[async_trait]
impl ProfileStore for MemoryStore {
    async fn find_profile(&self, user: UserId) -> Result<Option<ProfileRecord>, StoreError> {
        let state = self.snapshot();
        Ok(state.users.active(user).map(|UserRecord { user, profile, .. }| ProfileRecord {
            user: user.clone(),
            profile: profile.clone(),
        }))
    }

    async fn list_organizations(&self, user: UserId) -> Result<Vec<UserOrganization>, StoreError> {
        Ok(self.snapshot().organizations.of_user(user))
    }

    async fn list_held_sessions(&self, user: UserId) -> Result<Vec<HeldSession>, StoreError> {
        Ok(self.snapshot().sessions.held_of(user))
    }

    async fn list_events_by(&self, user: UserId, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
        let state = self.snapshot();
        let mut theirs: Vec<&AuditEvent> =
            state.audit.rows().filter(|event| event.actor == Actor::User(user)).collect();
        theirs.sort_by_key(|event| Reverse((event.created_at, event.id)));
        theirs.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(theirs.into_iter().map(AuditEntry::from).collect())
    }
}
