//! Users, found by id and by the key of their address.

use async_trait::async_trait;
use identsphere_accounts::{MailboxProof, PasswordHash, User, UserRepo, UserStatus};
use identsphere_kernel::{Email, EmailKey, StoreError, Timestamp, UserId};
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

    fn active(&mut self, id: UserId) -> Option<&mut UserRecord> {
        self.by_id.get_mut(&id).filter(|record| record.user.status == UserStatus::Active)
    }

    fn prove_mailbox(&mut self, id: UserId, email: &EmailKey, at: Timestamp) -> Option<MailboxProof> {
        let user = &mut self.active(id).filter(|record| record.user.email.key() == email)?.user;
        if user.email_verified {
            return Some(MailboxProof::Again);
        }
        user.email_verified = true;
        user.updated_at = at;
        Some(MailboxProof::First)
    }

    fn change_email(&mut self, id: UserId, email: &Email, at: Timestamp) -> Result<bool, StoreError> {
        let is_taken = self.by_email.get(email.key()).is_some_and(|owner| *owner != id);
        let Some(record) = self.active(id) else { return Ok(false) };
        if is_taken {
            return Err(conflict("users_email_key_key"));
        }
        let before = std::mem::replace(&mut record.user.email, email.clone());
        record.user.email_verified = true;
        record.user.updated_at = at;
        self.by_email.remove_mut(before.key());
        self.by_email.insert_mut(email.key().clone(), id);
        Ok(true)
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

    async fn prove_mailbox(
        &mut self,
        user: UserId,
        email: &EmailKey,
        at: Timestamp,
    ) -> Result<Option<MailboxProof>, StoreError> {
        Ok(self.state.users.prove_mailbox(user, email, at))
    }

    async fn change_email(&mut self, user: UserId, email: &Email, at: Timestamp) -> Result<bool, StoreError> {
        let outcome = self.state.users.change_email(user, email, at);
        self.written(outcome)
    }

    async fn replace_password(
        &mut self,
        user: UserId,
        password: Option<&PasswordHash>,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        if let Some(record) = self.state.users.by_id.get_mut(&user) {
            record.password_hash = password.cloned();
            record.user.last_password_change = Some(at);
            record.user.updated_at = at;
        }
        Ok(())
    }
}
