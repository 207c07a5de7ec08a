//! Users.

use async_trait::async_trait;
use diesel::prelude::*;
use identsphere_accounts::{MailboxProof, PasswordHash, User, UserRepo, UserStatus};
use identsphere_kernel::{Email, EmailKey, StoreError, Timestamp, UserId};
use identsphere_organizations::Role;

use crate::tables::users;
use crate::tx::SqliteTx;
use crate::values::{AsBytes, AsText};

#[async_trait]
impl UserRepo for SqliteTx {
    async fn insert(&mut self, user: &User, password: Option<&PasswordHash>) -> Result<(), StoreError> {
        let (user, password) = (user.clone(), password.cloned());
        self.hold(move |connection| {
            diesel::insert_into(users::table)
                .values((
                    users::id.eq(AsBytes(user.id)),
                    users::email.eq(user.email.as_str()),
                    users::email_key.eq(user.email.key().as_str()),
                    users::password_hash.eq(password.as_ref().map(PasswordHash::as_str)),
                    users::organization_id.eq(AsBytes(user.home_organization)),
                    // A copy that the insertion of the membership sets right.
                    users::role.eq(Role::MEMBER.name()),
                    users::status.eq(AsText(user.status)),
                    users::display_name.eq(user.display_name.as_ref().map(|name| name.as_str())),
                    users::email_verified.eq(user.email_verified),
                    users::last_password_change.eq(user.last_password_change.map(AsText)),
                    users::created_at.eq(AsText(user.created_at)),
                    users::updated_at.eq(AsText(user.updated_at)),
                ))
                .execute(connection)
                .map(drop)
        })
    }

    async fn upgrade_password_hash(
        &mut self,
        user: UserId,
        old: &PasswordHash,
        new: &PasswordHash,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let (old, new) = (old.clone(), new.clone());
        self.hold(move |connection| {
            diesel::update(users::table)
                .filter(users::id.eq(AsBytes(user)))
                .filter(users::password_hash.eq(old.as_str()))
                .set((users::password_hash.eq(new.as_str()), users::updated_at.eq(AsText(at))))
                .execute(connection)
                .map(drop)
        })
    }

    async fn prove_mailbox(
        &mut self,
        user: UserId,
        email: &EmailKey,
        at: Timestamp,
    ) -> Result<Option<MailboxProof>, StoreError> {
        let email = email.clone();
        self.ask(move |connection| {
            let theirs = users::table
                .filter(users::id.eq(AsBytes(user)))
                .filter(users::email_key.eq(email.as_str()))
                .filter(users::status.eq(AsText(UserStatus::Active)));
            let verified = theirs.select(users::email_verified).get_result::<bool>(connection).optional()?;
            if verified == Some(false) {
                diesel::update(theirs)
                    .set((users::email_verified.eq(true), users::updated_at.eq(AsText(at))))
                    .execute(connection)?;
            }
            Ok(verified.map(|verified| if verified { MailboxProof::Again } else { MailboxProof::First }))
        })
        .await
    }

    async fn change_email(&mut self, user: UserId, email: &Email, at: Timestamp) -> Result<bool, StoreError> {
        let email = email.clone();
        self.ask(move |connection| {
            let active = users::table
                .filter(users::id.eq(AsBytes(user)))
                .filter(users::status.eq(AsText(UserStatus::Active)));
            let changed = diesel::update(active)
                .set((
                    users::email.eq(email.as_str()),
                    users::email_key.eq(email.key().as_str()),
                    users::email_verified.eq(true),
                    users::updated_at.eq(AsText(at)),
                ))
                .execute(connection)?;
            Ok(changed == 1)
        })
        .await
    }

    async fn replace_password(
        &mut self,
        user: UserId,
        password: Option<&PasswordHash>,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let password = password.cloned();
        self.hold(move |connection| {
            diesel::update(users::table.find(AsBytes(user)))
                .set((
                    users::password_hash.eq(password.as_ref().map(PasswordHash::as_str)),
                    users::last_password_change.eq(Some(AsText(at))),
                    users::updated_at.eq(AsText(at)),
                ))
                .execute(connection)
                .map(drop)
        })
    }
}
