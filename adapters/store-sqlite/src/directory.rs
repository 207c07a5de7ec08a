//! Reads over many accounts at once.

use async_trait::async_trait;
use diesel::prelude::*;
use identsphere_accounts::PasswordHash;
use identsphere_core::{AccountRecord, DirectoryStore};
use identsphere_kernel::{EmailKey, OrganizationId, StoreError, Timestamp, UserId};
use identsphere_organizations::{Organization, OrganizationName, Role, Slug};

use crate::SqliteStore;
use crate::principals::UserRow;
use crate::tables::{organization_memberships, organizations, users};
use crate::values::{AsBytes, AsText};

#[async_trait]
impl DirectoryStore for SqliteStore {
    async fn known_emails(&self, emails: &[EmailKey]) -> Result<Vec<EmailKey>, StoreError> {
        let keys: Vec<String> = emails.iter().map(|key| key.as_str().to_owned()).collect();
        let known: Vec<String> = self
            .readers
            .run(move |connection| {
                users::table.filter(users::email_key.eq_any(keys)).select(users::email_key).load(connection)
            })
            .await?;
        Ok(known.into_iter().map(EmailKey::from_stored).collect())
    }

    async fn known_users(&self, ids: &[UserId]) -> Result<Vec<UserId>, StoreError> {
        let ids: Vec<_> = ids.iter().copied().map(AsBytes).collect();
        let known: Vec<AsBytes<UserId>> = self
            .readers
            .run(move |connection| {
                users::table.filter(users::id.eq_any(ids)).select(users::id).load(connection)
            })
            .await?;
        Ok(known.into_iter().map(|id| id.0).collect())
    }

    async fn organizations_by_slug(&self, slugs: &[Slug]) -> Result<Vec<Organization>, StoreError> {
        let slugs: Vec<String> = slugs.iter().map(|slug| slug.as_str().to_owned()).collect();
        let found: Vec<OrganizationRow> = self
            .readers
            .run(move |connection| {
                organizations::table
                    .filter(organizations::slug.eq_any(slugs))
                    .select(OrganizationRow::as_select())
                    .load(connection)
            })
            .await?;
        Ok(found.into_iter().map(Organization::from).collect())
    }

    async fn list_accounts(
        &self,
        after: Option<UserId>,
        limit: u32,
    ) -> Result<Vec<AccountRecord>, StoreError> {
        // No id is shorter than the empty one.
        let after = after.map(|id| id.as_uuid().into_bytes().to_vec()).unwrap_or_default();
        self.readers.run(move |connection| accounts(connection, after, limit)).await
    }
}

type AccountRow = (UserRow, Option<String>, OrganizationRow, Option<String>);

fn accounts(
    connection: &mut SqliteConnection,
    after: Vec<u8>,
    limit: u32,
) -> QueryResult<Vec<AccountRecord>> {
    let at_home = organization_memberships::user_id
        .eq(users::id)
        .and(organization_memberships::organization_id.eq(users::organization_id));
    let rows = users::table
        .inner_join(organizations::table.on(organizations::id.eq(users::organization_id)))
        .left_join(organization_memberships::table.on(at_home))
        .filter(users::id.gt(after))
        .order(users::id)
        .limit(i64::from(limit))
        .select((
            UserRow::as_select(),
            users::password_hash,
            OrganizationRow::as_select(),
            organization_memberships::role.nullable(),
        ))
        .load::<AccountRow>(connection)?;
    let record = |(user, password, organization, role): AccountRow| AccountRecord {
        user: user.into(),
        password_hash: password.map(PasswordHash::new),
        organization: organization.into(),
        role: role.map(Role::new),
    };
    Ok(rows.into_iter().map(record).collect())
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = organizations)]
struct OrganizationRow {
    id: AsBytes<OrganizationId>,
    name: String,
    slug: String,
    created_at: AsText<Timestamp>,
    updated_at: AsText<Timestamp>,
}

impl From<OrganizationRow> for Organization {
    fn from(row: OrganizationRow) -> Self {
        Self {
            id: row.id.0,
            name: OrganizationName::from_stored(row.name),
            slug: Slug::from_stored(row.slug),
            created_at: row.created_at.0,
            updated_at: row.updated_at.0,
        }
    }
}
