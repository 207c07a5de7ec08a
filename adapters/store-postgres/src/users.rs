//! Users.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Bool, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use futures::FutureExt;
use identsphere_accounts::{
    AvatarName, DisplayName, MailboxProof, PasswordHash, ProfileChange, ReplacedAvatar, User, UserRepo,
    UserStatus, tombstone,
};
use identsphere_kernel::{Email, EmailKey, OrganizationId, StoreError, Timestamp, UserId};
use identsphere_organizations::Role;
use serde_json::Value;
use uuid::Uuid;

use crate::prepared::Prepared;
use crate::tables::users;
use crate::tx::PgTx;

#[async_trait]
impl UserRepo for PgTx {
    async fn insert(&mut self, user: &User, password: Option<&PasswordHash>) -> Result<(), StoreError> {
        self.hold(diesel::insert_into(users::table).values((
            UserRow::from(user),
            users::password_hash.eq(password.map(|hash| hash.as_str().to_owned())),
            // The least there is, until `insert_membership` says what the role at home is.
            users::role.eq(Role::MEMBER.name().to_owned()),
        )));
        Ok(())
    }

    async fn upgrade_password_hash(
        &mut self,
        user: UserId,
        old: &PasswordHash,
        new: &PasswordHash,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let unchanged = users::table
            .filter(users::id.eq(user.as_uuid()))
            .filter(users::password_hash.eq(old.as_str().to_owned()));
        self.hold(
            diesel::update(unchanged).set((
                users::password_hash.eq(new.as_str().to_owned()),
                users::updated_at.eq(at.to_chrono()),
            )),
        );
        Ok(())
    }

    async fn update_profile(
        &mut self,
        user: UserId,
        change: &ProfileChange,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let active = users::table
            .filter(users::id.eq(user.as_uuid()))
            .filter(users::status.eq(UserStatus::Active.name()));
        let update = Prepared(diesel::update(active).set(ProfileChangeset::new(change, at)));
        Ok(self.ask(|mut connection| update.execute(&mut connection)).await? > 0)
    }

    async fn set_password_hash(
        &mut self,
        user: UserId,
        old: &PasswordHash,
        new: &PasswordHash,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let unchanged = users::table
            .filter(users::id.eq(user.as_uuid()))
            .filter(users::status.eq(UserStatus::Active.name()))
            .filter(users::password_hash.eq(old.as_str()));
        let update = Prepared(diesel::update(unchanged).set((
            users::password_hash.eq(new.as_str()),
            users::last_password_change.eq(at.to_chrono()),
            users::updated_at.eq(at.to_chrono()),
        )));
        Ok(self.ask(|mut connection| update.execute(&mut connection)).await? > 0)
    }

    async fn replace_avatar(
        &mut self,
        user: UserId,
        avatar: Option<&AvatarName>,
        at: Timestamp,
    ) -> Result<Option<ReplacedAvatar>, StoreError> {
        let replace = diesel::sql_query(
            "UPDATE users SET avatar_url = $1, updated_at = $2 FROM \
             (SELECT id, avatar_url FROM users WHERE id = $3 AND status = 'active' FOR UPDATE) AS before \
             WHERE users.id = before.id RETURNING before.avatar_url",
        );
        let replace = Prepared(
            replace
                .bind::<Nullable<Text>, _>(avatar.map(AvatarName::path))
                .bind::<Timestamptz, _>(at.to_chrono())
                .bind::<SqlUuid, _>(user.as_uuid()),
        );
        let replaced: Vec<AvatarRow> =
            self.ask(|mut connection| replace.load(&mut connection).boxed()).await?;
        replaced.into_iter().next().map(ReplacedAvatar::try_from).transpose()
    }

    async fn erase(&mut self, user: UserId, at: Timestamp) -> Result<Option<ReplacedAvatar>, StoreError> {
        let email = tombstone(user);
        let erase = diesel::sql_query(
            "UPDATE users SET email = $1, email_key = $2, email_verified = false, password_hash = NULL, \
             last_password_change = NULL, status = 'deleted', display_name = NULL, job_title = NULL, \
             phone_number = NULL, avatar_url = NULL, bio = NULL, preferences = '{}', mfa_enabled = false, \
             mfa_secret = NULL, mfa_last_step = NULL, passkey_enabled = false, passkey_handle = NULL, updated_at = $3, deleted_at = $3 FROM \
             (SELECT id, avatar_url FROM users WHERE id = $4 AND status = 'active' FOR UPDATE) AS before \
             WHERE users.id = before.id RETURNING before.avatar_url",
        );
        let erase = Prepared(
            erase
                .bind::<Text, _>(email.as_str().to_owned())
                .bind::<Text, _>(email.key().as_str().to_owned())
                .bind::<Timestamptz, _>(at.to_chrono())
                .bind::<SqlUuid, _>(user.as_uuid()),
        );
        let erased: Vec<AvatarRow> = self.ask(|mut connection| erase.load(&mut connection).boxed()).await?;
        erased.into_iter().next().map(ReplacedAvatar::try_from).transpose()
    }

    async fn prove_mailbox(
        &mut self,
        user: UserId,
        email: &EmailKey,
        at: Timestamp,
    ) -> Result<Option<MailboxProof>, StoreError> {
        // Whoever comes second waits for the row, and then reads what the first made of it.
        let prove = diesel::sql_query(
            "WITH theirs AS (SELECT id, email_verified FROM users \
             WHERE id = $1 AND email_key = $2 AND status = 'active' FOR UPDATE) \
             UPDATE users SET email_verified = true, \
             updated_at = CASE WHEN theirs.email_verified THEN users.updated_at ELSE $3 END \
             FROM theirs WHERE users.id = theirs.id RETURNING theirs.email_verified AS was_verified",
        );
        let prove = Prepared(
            prove
                .bind::<SqlUuid, _>(user.as_uuid())
                .bind::<Text, _>(email.as_str().to_owned())
                .bind::<Timestamptz, _>(at.to_chrono()),
        );
        let found: Vec<ProofRow> = self.ask(|mut connection| prove.load(&mut connection).boxed()).await?;
        let proof = |row: &ProofRow| if row.was_verified { MailboxProof::Again } else { MailboxProof::First };
        Ok(found.iter().map(proof).next())
    }

    async fn change_email(
        &mut self,
        user: UserId,
        email: &Email,
        at: Timestamp,
    ) -> Result<Option<Email>, StoreError> {
        let change = diesel::sql_query(
            "WITH before AS (SELECT id, email, email_key FROM users \
             WHERE id = $1 AND status = 'active' FOR UPDATE) \
             UPDATE users SET email = $2, email_key = $3, email_verified = true, updated_at = $4 \
             FROM before WHERE users.id = before.id RETURNING before.email, before.email_key",
        );
        let change = Prepared(
            change
                .bind::<SqlUuid, _>(user.as_uuid())
                .bind::<Text, _>(email.as_str().to_owned())
                .bind::<Text, _>(email.key().as_str().to_owned())
                .bind::<Timestamptz, _>(at.to_chrono()),
        );
        let before: Vec<AddressRow> = self.ask(|mut connection| change.load(&mut connection).boxed()).await?;
        Ok(before.into_iter().map(|row| Email::from_stored(row.email, row.email_key)).next())
    }

    async fn replace_password(
        &mut self,
        user: UserId,
        password: Option<&PasswordHash>,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        self.hold(diesel::update(users::table.filter(users::id.eq(user.as_uuid()))).set((
            users::password_hash.eq(password.map(|hash| hash.as_str().to_owned())),
            users::last_password_change.eq(at.to_chrono()),
            users::updated_at.eq(at.to_chrono()),
        )));
        Ok(())
    }
}

impl PgTx {
    /// Locks the row of a user until the transaction ends. Whoever decides by several rows of one user does so first: then
    /// the decision is a statement of its own, which sees what everybody before has committed, and nobody who goes on to
    /// other rows of that user waits for another crosswise. Nobody is locked who does not exist.
    pub(crate) fn lock_user(&mut self, user: UserId) {
        self.hold(users::table.filter(users::id.eq(user.as_uuid())).select(users::id).for_no_key_update());
    }
}

/// A user as its row has it.
#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = users, treat_none_as_default_value = false)]
pub(crate) struct UserRow {
    id: Uuid,
    email: String,
    email_key: String,
    organization_id: Uuid,
    status: String,
    display_name: Option<String>,
    mfa_enabled: bool,
    passkey_enabled: bool,
    email_verified: bool,
    last_password_change: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl From<&User> for UserRow {
    fn from(user: &User) -> Self {
        Self {
            id: user.id.as_uuid(),
            email: user.email.as_str().to_owned(),
            email_key: user.email.key().as_str().to_owned(),
            organization_id: user.home_organization.as_uuid(),
            status: user.status.name().to_owned(),
            display_name: user.display_name.as_ref().map(|name| name.as_str().to_owned()),
            mfa_enabled: user.mfa_enabled,
            passkey_enabled: user.passkey_enabled,
            email_verified: user.email_verified,
            last_password_change: user.last_password_change.map(Timestamp::to_chrono),
            created_at: user.created_at.to_chrono(),
            updated_at: user.updated_at.to_chrono(),
        }
    }
}

impl TryFrom<UserRow> for User {
    type Error = StoreError;

    fn try_from(row: UserRow) -> Result<Self, StoreError> {
        let status = UserStatus::from_name(&row.status)
            .ok_or_else(|| StoreError::corrupt(format!("unknown user status `{}`", row.status)))?;
        Ok(Self {
            id: UserId::from_uuid(row.id),
            email: Email::from_stored(row.email, row.email_key),
            email_verified: row.email_verified,
            last_password_change: row.last_password_change.map(Timestamp::from_chrono),
            home_organization: OrganizationId::from_uuid(row.organization_id),
            status,
            display_name: row.display_name.map(DisplayName::from_stored),
            mfa_enabled: row.mfa_enabled,
            passkey_enabled: row.passkey_enabled,
            created_at: Timestamp::from_chrono(row.created_at),
            updated_at: Timestamp::from_chrono(row.updated_at),
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
    preferences: Option<Value>,
    updated_at: DateTime<Utc>,
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
            preferences: change.preferences.as_ref().map(|object| Value::Object(object.as_map().clone())),
            updated_at: at.to_chrono(),
        }
    }
}

/// The picture that a statement took away.
#[derive(QueryableByName)]
struct AvatarRow {
    #[diesel(sql_type = Nullable<Text>)]
    avatar_url: Option<String>,
}

impl TryFrom<AvatarRow> for ReplacedAvatar {
    type Error = StoreError;

    fn try_from(row: AvatarRow) -> Result<Self, StoreError> {
        row.avatar_url.map(avatar_name).transpose().map(Self)
    }
}

/// The picture that a column names.
pub(crate) fn avatar_name(path: String) -> Result<AvatarName, StoreError> {
    AvatarName::from_path(&path).ok_or_else(|| StoreError::corrupt(format!("no path of a picture: `{path}`")))
}

#[derive(QueryableByName)]
struct AddressRow {
    #[diesel(sql_type = Text)]
    email: String,
    #[diesel(sql_type = Text)]
    email_key: String,
}

#[derive(QueryableByName)]
struct ProofRow {
    #[diesel(sql_type = Bool)]
    was_verified: bool,
}
