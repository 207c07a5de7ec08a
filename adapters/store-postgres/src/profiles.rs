//! Reads about one user, for that user.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use futures::FutureExt;
use identsphere_accounts::{Bio, JobTitle, PhoneNumber, Preferences, Profile, UserStatus};
use identsphere_audit::AuditEntry;
use identsphere_core::{HeldSession, ProfileRecord, ProfileStore, UserOrganization};
use identsphere_kernel::{AuditEventId, OrganizationId, StoreError, Timestamp, UserId};
use identsphere_organizations::{Organization, OrganizationName, Role, Slug};
use ipnet::IpNet;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::PgStore;
use crate::sessions::SessionRow;
use crate::tables::{
    audit_logs, organization_memberships as memberships, organizations, user_sessions as sessions, users,
};
use crate::users::{UserRow, avatar_name};

#[async_trait]
impl ProfileStore for PgStore {
    async fn find_profile(&self, user: UserId) -> Result<Option<ProfileRecord>, StoreError> {
        let query = users::table
            .filter(users::id.eq(user.as_uuid()))
            .filter(users::status.eq(UserStatus::Active.name()))
            .select((UserRow::as_select(), ProfileRow::as_select()));
        let found: Option<(UserRow, ProfileRow)> = self
            .pool
            .ask(|mut connection| query.get_result(&mut connection).map(OptionalExtension::optional).boxed())
            .await?;
        let Some((user, row)) = found else { return Ok(None) };
        Ok(Some(ProfileRecord { user: user.try_into()?, profile: row.try_into()? }))
    }

    async fn list_organizations(&self, user: UserId) -> Result<Vec<UserOrganization>, StoreError> {
        let query = memberships::table
            .inner_join(organizations::table.on(organizations::id.eq(memberships::organization_id)))
            .filter(memberships::user_id.eq(user.as_uuid()))
            .filter(organizations::deleted_at.is_null())
            .order((memberships::joined_at, organizations::id))
            .select((OrganizationRow::as_select(), memberships::role, memberships::joined_at));
        let found: Vec<(OrganizationRow, String, DateTime<Utc>)> =
            self.pool.ask(|mut connection| query.load(&mut connection).boxed()).await?;
        let found = found.into_iter().map(|(organization, role, joined_at)| UserOrganization {
            organization: organization.into(),
            role: Role::new(role),
            joined_at: Timestamp::from_chrono(joined_at),
        });
        Ok(found.collect())
    }

    async fn list_held_sessions(&self, user: UserId) -> Result<Vec<HeldSession>, StoreError> {
        let query = sessions::table
            .filter(sessions::user_id.eq(user.as_uuid()))
            .order((sessions::created_at.desc(), sessions::id.desc()))
            .select((SessionRow::as_select(), sessions::revoked_at));
        let held: Vec<(SessionRow, Option<DateTime<Utc>>)> =
            self.pool.ask(|mut connection| query.load(&mut connection).boxed()).await?;
        let held = held.into_iter().map(|(session, revoked_at)| {
            let revoked_at = revoked_at.map(Timestamp::from_chrono);
            Ok(HeldSession { session: session.try_into()?, revoked_at })
        });
        held.collect()
    }

    async fn list_events_by(&self, user: UserId, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
        let query = audit_logs::table
            .filter(audit_logs::actor_id.eq(user.as_uuid()))
            .filter(audit_logs::actor_type.eq("user"))
            .order((audit_logs::created_at.desc(), audit_logs::id.desc()))
            .limit(i64::from(limit))
            .select(AuditRow::as_select());
        let rows: Vec<AuditRow> = self.pool.ask(|mut connection| query.load(&mut connection).boxed()).await?;
        rows.into_iter().map(AuditEntry::try_from).collect()
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = users)]
struct ProfileRow {
    job_title: Option<String>,
    phone_number: Option<String>,
    avatar_url: Option<String>,
    bio: Option<String>,
    preferences: Value,
}

impl TryFrom<ProfileRow> for Profile {
    type Error = StoreError;

    fn try_from(row: ProfileRow) -> Result<Self, StoreError> {
        Ok(Self {
            job_title: row.job_title.map(JobTitle::from_stored),
            phone_number: row.phone_number.map(PhoneNumber::from_stored),
            bio: row.bio.map(Bio::from_stored),
            avatar: row.avatar_url.map(avatar_name).transpose()?,
            preferences: Preferences::from_stored(members(row.preferences)?),
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

#[derive(Queryable, Selectable)]
#[diesel(table_name = audit_logs)]
struct AuditRow {
    id: Uuid,
    organization_id: Option<Uuid>,
    action: String,
    resource_type: String,
    resource_id: Option<String>,
    status: String,
    user_agent: Option<String>,
    ip_address: Option<IpNet>,
    metadata: Value,
    created_at: DateTime<Utc>,
}

impl TryFrom<AuditRow> for AuditEntry {
    type Error = StoreError;

    fn try_from(row: AuditRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: AuditEventId::from_uuid(row.id),
            created_at: Timestamp::from_chrono(row.created_at),
            action: row.action,
            status: row.status,
            organization: row.organization_id.map(OrganizationId::from_uuid),
            resource_type: row.resource_type,
            resource_id: row.resource_id,
            ip_address: row.ip_address.map(|network| network.addr()),
            user_agent: row.user_agent,
            metadata: members(row.metadata)?,
        })
    }
}

/// The members of a column that holds an object.
fn members(value: Value) -> Result<Map<String, Value>, StoreError> {
    serde_json::from_value(value).map_err(StoreError::corrupt)
}
