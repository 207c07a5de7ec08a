//! Users.

use async_trait::async_trait;
use diesel::prelude::*;
use identsphere_accounts::{
    AvatarName, MailboxProof, PasswordHash, Preferences, ProfileChange, ReplacedAvatar, User, UserRepo,
    UserStatus, tombstone,
};
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
                    users::mfa_enabled.eq(user.mfa_enabled),
                    users::passkey_enabled.eq(user.passkey_enabled),
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

    async fn update_profile(
        &mut self,
        user: UserId,
        change: &ProfileChange,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let update = diesel::update(users::table)
            .filter(users::id.eq(AsBytes(user)))
            .filter(users::status.eq(AsText(UserStatus::Active)))
            .set(ProfileChangeset::new(change, at));
        self.ask(move |connection| update.execute(connection).map(|count| count == 1)).await
    }

    async fn set_password_hash(
        &mut self,
        user: UserId,
        old: &PasswordHash,
        new: &PasswordHash,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let update = diesel::update(users::table)
            .filter(users::id.eq(AsBytes(user)))
            .filter(users::status.eq(AsText(UserStatus::Active)))
            .filter(users::password_hash.eq(old.as_str().to_owned()))
            .set((
                users::password_hash.eq(new.as_str().to_owned()),
                users::last_password_change.eq(Some(AsText(at))),
                users::updated_at.eq(AsText(at)),
            ));
        self.ask(move |connection| update.execute(connection).map(|count| count == 1)).await
    }

    async fn replace_avatar(
        &mut self,
        user: UserId,
        avatar: Option<&AvatarName>,
        at: Timestamp,
    ) -> Result<Option<ReplacedAvatar>, StoreError> {
        let avatar = avatar.cloned();
        self.ask(move |connection| {
            let Some(replaced) = avatar_of(connection, user)? else { return Ok(None) };
            diesel::update(users::table.find(AsBytes(user)))
                .set((users::avatar_url.eq(avatar.map(AsText)), users::updated_at.eq(AsText(at))))
                .execute(connection)?;
            Ok(Some(replaced))
        })
        .await
    }

    async fn erase(&mut self, user: UserId, at: Timestamp) -> Result<Option<ReplacedAvatar>, StoreError> {
        self.ask(move |connection| {
            let Some(replaced) = avatar_of(connection, user)? else { return Ok(None) };
            let email = tombstone(user);
            diesel::update(users::table.find(AsBytes(user)))
                .set((
                    users::email.eq(email.as_str()),
                    users::email_key.eq(email.key().as_str()),
                    users::email_verified.eq(false),
                    users::password_hash.eq(None::<String>),
                    users::last_password_change.eq(None::<String>),
                    users::status.eq(AsText(UserStatus::Deleted)),
                    users::display_name.eq(None::<String>),
                    (
                        users::job_title.eq(None::<String>),
                        users::phone_number.eq(None::<String>),
                        users::avatar_url.eq(None::<String>),
                        users::bio.eq(None::<String>),
                        users::preferences.eq(AsText(Preferences::default())),
                    ),
                    (
                        users::mfa_enabled.eq(false),
                        users::mfa_secret.eq(None::<Vec<u8>>),
                        users::mfa_last_step.eq(None::<i64>),
                        users::passkey_enabled.eq(false),
                        users::passkey_handle.eq(None::<Vec<u8>>),
                    ),
                    users::updated_at.eq(AsText(at)),
                    users::deleted_at.eq(Some(AsText(at))),
                ))
                .execute(connection)?;
            Ok(Some(replaced))
        })
        .await
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

    async fn change_email(
        &mut self,
        user: UserId,
        email: &Email,
        at: Timestamp,
    ) -> Result<Option<Email>, StoreError> {
        let email = email.clone();
        self.ask(move |connection| {
            let active = users::table
                .filter(users::id.eq(AsBytes(user)))
                .filter(users::status.eq(AsText(UserStatus::Active)));
            let before = active
                .select((users::email, users::email_key))
                .get_result::<(String, String)>(connection)
                .optional()?;
            diesel::update(active)
                .set((
                    users::email.eq(email.as_str()),
                    users::email_key.eq(email.key().as_str()),
                    users::email_verified.eq(true),
                    users::updated_at.eq(AsText(at)),
                ))
                .execute(connection)?;
            Ok(before.map(|(typed, key)| Email::from_stored(typed, key)))
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

/// The columns that a change of a profile sets; `None` leaves one as it is.
#[derive(AsChangeset)]
#[diesel(table_name = users)]
struct ProfileChangeset {
    display_name: Option<Option<String>>,
    job_title: Option<Option<String>>,
    phone_number: Option<Option<String>>,
    bio: Option<Option<String>>,
    preferences: Option<AsText<Preferences>>,
    updated_at: AsText<Timestamp>,
}

impl ProfileChangeset {
    fn new(change: &ProfileChange, at: Timestamp) -> Self {
        Self {
            display_name: change
                .display_name
                .as_option()
                .map(|name| name.map(|name| name.as_str().to_owned())),
            job_title: change.job_title.as_option().map(|text| text.map(|text| text.as_str().to_owned())),
            phone_number: change
                .phone_number
                .as_option()
                .map(|text| text.map(|text| text.as_str().to_owned())),
            bio: change.bio.as_option().map(|text| text.map(|text| text.as_str().to_owned())),
            preferences: change.preferences.clone().map(AsText),
            updated_at: AsText(at),
        }
    }
}

/// The picture of an active user. It stays what it is until the write: the caller holds the write lock.
fn avatar_of(connection: &mut SqliteConnection, user: UserId) -> QueryResult<Option<ReplacedAvatar>> {
    let avatar = users::table
        .filter(users::id.eq(AsBytes(user)))
        .filter(users::status.eq(AsText(UserStatus::Active)))
        .select(users::avatar_url)
        .get_result::<Option<AsText<AvatarName>>>(connection)
        .optional()?;
    Ok(avatar.map(|avatar| ReplacedAvatar(avatar.map(|name| name.0))))
}
