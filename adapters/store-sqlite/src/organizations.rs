//! Organisations and memberships.

use async_trait::async_trait;
use diesel::prelude::*;
use identsphere_kernel::{OrganizationId, StoreError, Timestamp, UserId};
use identsphere_organizations::{Departure, Membership, Organization, OrganizationRepo, Role};

use crate::tables::{organization_memberships, organizations, users};
use crate::tx::SqliteTx;
use crate::values::{AsBytes, AsText};

#[async_trait]
impl OrganizationRepo for SqliteTx {
    async fn insert(&mut self, organization: &Organization) -> Result<(), StoreError> {
        let organization = organization.clone();
        self.hold(move |connection| {
            diesel::insert_into(organizations::table)
                .values((
                    organizations::id.eq(AsBytes(organization.id)),
                    organizations::name.eq(organization.name.as_str()),
                    organizations::slug.eq(organization.slug.as_str()),
                    organizations::created_at.eq(AsText(organization.created_at)),
                    organizations::updated_at.eq(AsText(organization.updated_at)),
                ))
                .execute(connection)
                .map(drop)
        })
    }

    async fn insert_membership(&mut self, membership: &Membership) -> Result<(), StoreError> {
        let Membership { user, organization, role, joined_at } = membership.clone();
        self.hold(move |connection| {
            diesel::insert_into(organization_memberships::table)
                .values((
                    organization_memberships::user_id.eq(AsBytes(user)),
                    organization_memberships::organization_id.eq(AsBytes(organization)),
                    organization_memberships::role.eq(role.name()),
                    organization_memberships::joined_at.eq(AsText(joined_at)),
                ))
                .execute(connection)?;
            // Host applications JOIN with the copy of the role in the home organisation.
            diesel::update(users::table)
                .filter(users::id.eq(AsBytes(user)))
                .filter(users::organization_id.eq(AsBytes(organization)))
                .set(users::role.eq(role.name()))
                .execute(connection)
                .map(drop)
        })
    }

    async fn depart(&mut self, user: UserId, at: Timestamp) -> Result<Departure, StoreError> {
        self.ask(move |connection| depart(connection, user, at)).await
    }
}

/// What is read first stays true until the write: the caller holds the write lock.
fn depart(connection: &mut SqliteConnection, user: UserId, at: Timestamp) -> QueryResult<Departure> {
    let theirs = organization_memberships::table
        .filter(organization_memberships::user_id.eq(AsBytes(user)))
        .order(organization_memberships::organization_id)
        .select((organization_memberships::organization_id, organization_memberships::role))
        .load::<(AsBytes<OrganizationId>, String)>(connection)?;
    let mut emptied = Vec::new();
    for (AsBytes(organization), role) in theirs {
        let others = organization_memberships::table
            .filter(organization_memberships::organization_id.eq(AsBytes(organization)))
            .filter(organization_memberships::user_id.ne(AsBytes(user)))
            .select(organization_memberships::role)
            .load::<String>(connection)?;
        let owner = Role::OWNER.name();
        if others.is_empty() {
            emptied.push(organization);
        } else if role == owner && !others.iter().any(|other| other == owner) {
            return Ok(Departure::SoleOwner(organization));
        }
    }
    diesel::delete(organization_memberships::table)
        .filter(organization_memberships::user_id.eq(AsBytes(user)))
        .execute(connection)?;
    let mut deleted = Vec::new();
    for organization in emptied {
        let marked = diesel::update(organizations::table.find(AsBytes(organization)))
            .filter(organizations::deleted_at.is_null())
            .set((organizations::deleted_at.eq(Some(AsText(at))), organizations::updated_at.eq(AsText(at))))
            .execute(connection)?;
        deleted.extend((marked == 1).then_some(organization));
    }
    Ok(Departure::Left(deleted))
}
