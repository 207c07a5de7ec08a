//! Users, found by id and by the key of their address.

use async_trait::async_trait;
use identsphere_accounts::{PasswordHash, User, UserRepo};
use identsphere_kernel::{EmailKey, StoreError, Timestamp, UserId};
use rpds::HashTrieMapSync;

use crate::tx::{MemoryTx, State, conflict, dangling};

/// A user and what is kept of their password.
#[derive(Clone)]
pub(crate) struct UserRecord {
    pub(crate) user: User,
    pub(crate) password_hash: Option<PasswordHash>,
}

#[derive(Clone, Default)]
pub(crate) struct Users {
    by_id: HashTrieMapSync<UserId, UserRecord>,
    by_email: HashTrieMapSync<EmailKey, UserId>,
}

impl Users {
    pub(crate) fn get(&self, id: UserId) -> Option<&UserRecord> {
        self.by_id.get(&id)
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = UserId> {
        self.by_id.keys().copied()
    }

    pub(crate) fn find(&self, email: &EmailKey) -> Option<&UserRecord> {
        self.get(*self.by_email.get(email)?)
    }

    fn insert(&mut self, record: UserRecord) -> Result<(), StoreError> {
        let (id, email) = (record.user.id, record.user.email.key());
        if self.by_id.contains_key(&id) {
            return Err(conflict("users_pkey"));
        }
        if self.by_email.contains_key(email) {
            return Err(conflict("users_email_key_key"));
        }
        self.by_email.insert_mut(email.clone(), id);
        self.by_id.insert_mut(id, record);
        Ok(())
    }
}

impl State {
    fn insert_user(&mut self, user: &User, password: Option<&PasswordHash>) -> Result<(), StoreError> {
        if !self.organizations.contains(user.home_organization) {
            return Err(dangling("a user whose home organisation does not exist"));
        }
        self.users.insert(UserRecord { user: user.clone(), password_hash: password.cloned() })
    }
}

#[async_trait]
impl UserRepo for MemoryTx {
    async fn insert(&mut self, user: &User, password: Option<&PasswordHash>) -> Result<(), StoreError> {
        let outcome = self.state.insert_user(user, password);
        self.written(outcome)
    }

    async fn upgrade_password_hash(
        &mut self,
        user: UserId,
        old: &PasswordHash,
        new: &PasswordHash,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let record = self.state.users.by_id.get_mut(&user);
        if let Some(record) = record.filter(|record| record.password_hash.as_ref() == Some(old)) {
            record.password_hash = Some(new.clone());
            record.user.updated_at = at;
        }
        Ok(())
    }
}
