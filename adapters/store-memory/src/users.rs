//! Users, found by id and by the key of their address.

use async_trait::async_trait;
use identsphere_accounts::{
    AvatarName, MailboxProof, PasswordHash, Profile, ProfileChange, ReplacedAvatar, User, UserRepo,
    UserStatus, tombstone,
};
use identsphere_factors::Authenticator;
use identsphere_factors::passkey::UserHandle;
use identsphere_kernel::{Email, EmailKey, StoreError, Timestamp, UserId};
use rpds::HashTrieMapSync;

use crate::tx::{MemoryTx, State, conflict, dangling};

/// A user and what is kept with them.
#[derive(Clone)]
pub(crate) struct UserRecord {
    pub(crate) user: User,
    pub(crate) password_hash: Option<PasswordHash>,
    pub(crate) profile: Profile,
    pub(crate) authenticator: Option<Authenticator>,
    /// What their passkeys present.
    pub(crate) handle: Option<UserHandle>,
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

    /// An active user.
    pub(crate) fn active(&self, id: UserId) -> Option<&UserRecord> {
        self.get(id).filter(|record| record.user.status == UserStatus::Active)
    }

    pub(crate) fn get_mut(&mut self, id: UserId) -> Option<&mut UserRecord> {
        self.by_id.get_mut(&id)
    }

    pub(crate) fn active_mut(&mut self, id: UserId) -> Option<&mut UserRecord> {
        self.by_id.get_mut(&id).filter(|record| record.user.status == UserStatus::Active)
    }

    fn erase(&mut self, id: UserId, at: Timestamp) -> Option<ReplacedAvatar> {
        let record = self.active_mut(id)?;
        let email = tombstone(id);
        let (key, avatar) = (email.key().clone(), record.profile.avatar.take());
        let freed = record.user.email.key().clone();
        *record = UserRecord {
            user: User {
                email,
                email_verified: false,
                last_password_change: None,
                status: UserStatus::Deleted,
                display_name: None,
                mfa_enabled: false,
                passkey_enabled: false,
                updated_at: at,
                ..record.user.clone()
            },
            password_hash: None,
            profile: Profile::default(),
            authenticator: None,
            handle: None,
        };
        self.by_email.remove_mut(&freed);
        self.by_email.insert_mut(key, id);
        Some(ReplacedAvatar(avatar))
    }

    fn prove_mailbox(&mut self, id: UserId, email: &EmailKey, at: Timestamp) -> Option<MailboxProof> {
        let user = &mut self.active_mut(id).filter(|record| record.user.email.key() == email)?.user;
        if user.email_verified {
            return Some(MailboxProof::Again);
        }
        user.email_verified = true;
        user.updated_at = at;
        Some(MailboxProof::First)
    }

    fn change_email(
        &mut self,
        id: UserId,
        email: &Email,
        at: Timestamp,
    ) -> Result<Option<Email>, StoreError> {
        let is_taken = self.by_email.get(email.key()).is_some_and(|owner| *owner != id);
        if self.active(id).is_none() {
            return Ok(None);
        }
        if is_taken {
            return Err(conflict("users_email_key_key"));
        }
        let Some(record) = self.active_mut(id) else { return Ok(None) };
        let before = std::mem::replace(&mut record.user.email, email.clone());
        record.user.email_verified = true;
        record.user.updated_at = at;
        self.by_email.remove_mut(before.key());
        self.by_email.insert_mut(email.key().clone(), id);
        Ok(Some(before))
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
        self.users.insert(UserRecord {
            user: user.clone(),
            password_hash: password.cloned(),
            profile: Profile::default(),
            authenticator: None,
            handle: None,
        })
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

    async fn update_profile(
        &mut self,
        user: UserId,
        change: &ProfileChange,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let Some(UserRecord { user, profile, .. }) = self.state.users.active_mut(user) else {
            return Ok(false);
        };
        change.apply(user, profile, at);
        Ok(true)
    }

    async fn set_password_hash(
        &mut self,
        user: UserId,
        old: &PasswordHash,
        new: &PasswordHash,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let record = self.state.users.active_mut(user);
        let Some(record) = record.filter(|record| record.password_hash.as_ref() == Some(old)) else {
            return Ok(false);
        };
        record.password_hash = Some(new.clone());
        record.user.last_password_change = Some(at);
        record.user.updated_at = at;
        Ok(true)
    }

    async fn replace_avatar(
        &mut self,
        user: UserId,
        avatar: Option<&AvatarName>,
        at: Timestamp,
    ) -> Result<Option<ReplacedAvatar>, StoreError> {
        let Some(record) = self.state.users.active_mut(user) else { return Ok(None) };
        record.user.updated_at = at;
        Ok(Some(ReplacedAvatar(std::mem::replace(&mut record.profile.avatar, avatar.cloned()))))
    }

    async fn erase(&mut self, user: UserId, at: Timestamp) -> Result<Option<ReplacedAvatar>, StoreError> {
        Ok(self.state.users.erase(user, at))
    }

    async fn prove_mailbox(
        &mut self,
        user: UserId,
        email: &EmailKey,
        at: Timestamp,
    ) -> Result<Option<MailboxProof>, StoreError> {
        Ok(self.state.users.prove_mailbox(user, email, at))
    }

    async fn change_email(
        &mut self,
        user: UserId,
        email: &Email,
        at: Timestamp,
    ) -> Result<Option<Email>, StoreError> {
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
