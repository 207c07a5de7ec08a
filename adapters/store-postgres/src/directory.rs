//! Reads over many accounts at once.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use futures::FutureExt;
use identsphere_accounts::PasswordHash;
use identsphere_core::{AccountRecord, DirectoryStore};
use identsphere_kernel::{EmailKey, OrganizationId, StoreError, Timestamp, UserId};
use identsphere_organizations::{Organization, OrganizationName, Role, Slug};
use uuid::Uuid;

use crate::PgStore;
use crate::tables::{organization_memberships as memberships, organizations, users};
use crate::users::UserRow;

#[async_trait]
impl DirectoryStore for PgStore {
    async fn known_emails(&self, emails: &[EmailKey]) -> Result<Vec<EmailKey>, StoreError> {
        let keys: Vec<&str> = emails.iter().map(EmailKey::as_str).collect();
        let query = users::table.filter(users::email_key.eq_any(keys)).select(users::email_key);
        let known: Vec<String> = self.pool.ask(|mut connection| query.load(&mut connection).boxed()).await?;
        Ok(known.into_iter().map(EmailKey::from_stored).collect())
    }

    async fn known_users(&self, ids: &[UserId]) -> Result<Vec<UserId>, StoreError> {
        let ids: Vec<Uuid> = ids.iter().map(|id| id.as_uuid()).collect();
        let query = users::table.filter(users::id.eq_any(ids)).select(users::id);
        let known: Vec<Uuid> = self.pool.ask(|mut connection| query.load(&mut connection).boxed()).await?;
        Ok(known.into_iter().map(UserId::from_uuid).collect())
    }

    async fn organizations_by_slug(&self, slugs: &[Slug]) -> Result<Vec<Organization>, StoreError> {
        let slugs: Vec<&str> = slugs.iter().map(Slug::as_str).collect();
        let query = organizations::table
            .filter(organizations::slug.eq_any(slugs))
            .select(OrganizationRow::as_select());
        let found: Vec<OrganizationRow> =
            self.pool.ask(|mut connection| query.load(&mut connection).boxed()).await?;
        Ok(found.into_iter().map(Organization::from).collect())
    }

    async fn list_accounts(
        &self,
        after: Option<UserId>,
        limit: u32,
    ) -> Result<Vec<AccountRecord>, StoreError> {
        let at_home =
            memberships::user_id.eq(users::id).and(memberships::organization_id.eq(users::organization_id));
        let query = users::table
            .inner_join(organizations::table.on(organizations::id.eq(users::organization_id)))
            .left_join(memberships::table.on(at_home))
            .order(users::id)
            .limit(i64::from(limit))
            .select(AccountRow::as_select())
            .into_boxed();
        let query = match after {
            Some(after) => query.filter(users::id.gt(after.as_uuid())),
            None => query,
        };
        let rows: Vec<AccountRow> =
            self.pool.ask(|mut connection| query.load(&mut connection).boxed()).await?;
        rows.into_iter().map(AccountRecord::try_from).collect()
    }
}

#[derive(Queryable, Selectable)]
struct AccountRow {
    #[diesel(embed)]
    user: UserRow,
    #[diesel(select_expression = users::password_hash)]
    password_hash: Option<String>,
    #[diesel(embed)]
    organization: OrganizationRow,
    #[diesel(select_expression = memberships::role.nullable())]
    role: Option<String>,
}

impl TryFrom<AccountRow> for AccountRecord {
    type Error = StoreError;

    fn try_from(row: AccountRow) -> Result<Self, StoreError> {
        Ok(Self {
            user: row.user.try_into()?,
            password_hash: row.password_hash.map(PasswordHash::new),
            organization: row.organization.into(),
            role: row.role.map(Role::new),
        })
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = organizations)]
struct OrganizationRow {
    id: Uuid,
    name: String,
    slug: String,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl From<OrganizationRow> for Organization {
    fn from(row: OrganizationRow) -> Self {
        Self {
            id: OrganizationId::from_uuid(row.id),
            name: OrganizationName::from_stored(row.name),
            slug: Slug::from_stored(row.slug),
            created_at: Timestamp::from_chrono(row.created_at),
            updated_at: Timestamp::from_chrono(row.updated_at),
        }
    }
}
