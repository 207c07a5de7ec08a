//! Organisations and memberships.

use async_trait::async_trait;
use diesel::prelude::*;
use identsphere_kernel::StoreError;
use identsphere_organizations::{Membership, Organization, OrganizationRepo};

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
}
