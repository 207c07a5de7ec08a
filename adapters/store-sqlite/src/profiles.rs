//! Reads about one user, for that user.

use std::net::IpAddr;

use async_trait::async_trait;
use diesel::prelude::*;
use identsphere_accounts::{AvatarName, Bio, JobTitle, PhoneNumber, Preferences, Profile, UserStatus};
use identsphere_audit::AuditEntry;
use identsphere_core::{HeldSession, ProfileRecord, ProfileStore, UserOrganization};
use identsphere_kernel::{AuditEventId, OrganizationId, StoreError, Timestamp, UserId};
use identsphere_organizations::{Organization, OrganizationName, Role, Slug};

use crate::SqliteStore;
use crate::principals::{SessionRow, UserRow};
use crate::tables::{
    audit_logs, organization_memberships as memberships, organizations, user_sessions, users,
};
use crate::values::{AsBytes, AsText};

#[async_trait]
impl ProfileStore for SqliteStore {
    async fn find_profile(&self, user: UserId) -> Result<Option<ProfileRecord>, StoreError> {
        let query = users::table
            .filter(users::id.eq(AsBytes(user)))
            .filter(users::status.eq(AsText(UserStatus::Active)))
            .select((UserRow::as_select(), ProfileRow::as_select()));
        let find = move |connection: &mut SqliteConnection| {
            query.get_result::<(UserRow, ProfileRow)>(connection).optional()
        };
        let found = self.readers.run(find).await?;
        Ok(found.map(|(user, row)| ProfileRecord { user: user.into(), profile: row.into() }))
    }

    async fn list_organizations(&self, user: UserId) -> Result<Vec<UserOrganization>, StoreError> {
        let query = memberships::table
            .inner_join(organizations::table.on(organizations::id.eq(memberships::organization_id)))
            .filter(memberships::user_id.eq(AsBytes(user)))
            .filter(organizations::deleted_at.is_null())
            .order((memberships::joined_at, organizations::id))
            .select((OrganizationRow::as_select(), memberships::role, memberships::joined_at));
        let load = move |connection: &mut SqliteConnection| {
            query.load::<(OrganizationRow, String, AsText<Timestamp>)>(connection)
        };
        let found = self.readers.run(load).await?.into_iter();
        let found = found.map(|(organization, role, joined_at)| UserOrganization {
            organization: organization.into(),
            role: Role::new(role),
            joined_at: joined_at.0,
        });
        Ok(found.collect())
    }

    async fn list_held_sessions(&self, user: UserId) -> Result<Vec<HeldSession>, StoreError> {
        let query = user_sessions::table
            .filter(user_sessions::user_id.eq(AsBytes(user)))
            .order((user_sessions::created_at.desc(), user_sessions::id.desc()))
            .select((SessionRow::as_select(), user_sessions::revoked_at));
        let load = move |connection: &mut SqliteConnection| {
            query.load::<(SessionRow, Option<AsText<Timestamp>>)>(connection)
        };
        let held = self.readers.run(load).await?.into_iter().map(|(session, revoked_at)| HeldSession {
            session: session.into(),
            revoked_at: revoked_at.map(|at| at.0),
        });
        Ok(held.collect())
    }

    async fn list_events_by(&self, user: UserId, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
        let query = audit_logs::table
            .filter(audit_logs::actor_id.eq(AsBytes(user)))
            .filter(audit_logs::actor_type.eq("user"))
            .order((audit_logs::created_at.desc(), audit_logs::id.desc()))
            .limit(i64::from(limit))
            .select(AuditRow::as_select());
        let load = move |connection: &mut SqliteConnection| query.load::<AuditRow>(connection);
        self.readers.run(load).await?.into_iter().map(AuditEntry::try_from).collect()
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = users)]
struct ProfileRow {
    job_title: Option<String>,
    phone_number: Option<String>,
    avatar_url: Option<AsText<AvatarName>>,
    bio: Option<String>,
    preferences: AsText<Preferences>,
}

impl From<ProfileRow> for Profile {
    fn from(row: ProfileRow) -> Self {
        Self {
            job_title: row.job_title.map(JobTitle::from_stored),
            phone_number: row.phone_number.map(PhoneNumber::from_stored),
            bio: row.bio.map(Bio::from_stored),
            avatar: row.avatar_url.map(|name| name.0),
            preferences: row.preferences.0,
        }
    }
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

#[derive(Queryable, Selectable)]
#[diesel(table_name = audit_logs)]
struct AuditRow {
    id: AsBytes<AuditEventId>,
    organization_id: Option<AsBytes<OrganizationId>>,
    action: String,
    resource_type: String,
    resource_id: Option<String>,
    status: String,
    user_agent: Option<String>,
    ip_address: Option<AsText<IpAddr>>,
    metadata: String,
    created_at: AsText<Timestamp>,
}

impl TryFrom<AuditRow> for AuditEntry {
    type Error = StoreError;

    fn try_from(row: AuditRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.id.0,
            created_at: row.created_at.0,
            action: row.action,
            status: row.status,
            organization: row.organization_id.map(|id| id.0),
            resource_type: row.resource_type,
            resource_id: row.resource_id,
            ip_address: row.ip_address.map(|address| address.0),
            user_agent: row.user_agent,
            metadata: serde_json::from_str(&row.metadata).map_err(StoreError::corrupt)?,
        })
    }
}
