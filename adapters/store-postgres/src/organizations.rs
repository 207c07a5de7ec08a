//! Organisations and memberships.

use async_trait::async_trait;
use diesel::prelude::*;
use identsphere_kernel::StoreError;
use identsphere_organizations::{Membership, Organization, OrganizationRepo};

use crate::tables::{organization_memberships as memberships, organizations, users};
use crate::tx::PgTx;

#[async_trait]
impl OrganizationRepo for PgTx {
    async fn insert(&mut self, organization: &Organization) -> Result<(), StoreError> {
        self.hold(diesel::insert_into(organizations::table).values((
            organizations::id.eq(organization.id.as_uuid()),
            organizations::name.eq(organization.name.as_str().to_owned()),
            organizations::slug.eq(organization.slug.as_str().to_owned()),
            organizations::created_at.eq(organization.created_at.to_chrono()),
            organizations::updated_at.eq(organization.updated_at.to_chrono()),
        )));
        Ok(())
    }

    async fn insert_membership(&mut self, membership: &Membership) -> Result<(), StoreError> {
        let role = membership.role.name().to_owned();
        self.hold(diesel::insert_into(memberships::table).values((
            memberships::user_id.eq(membership.user.as_uuid()),
            memberships::organization_id.eq(membership.organization.as_uuid()),
            memberships::role.eq(role.clone()),
            memberships::joined_at.eq(membership.joined_at.to_chrono()),
        )));
        let at_home = users::table
            .filter(users::id.eq(membership.user.as_uuid()))
            .filter(users::organization_id.eq(membership.organization.as_uuid()));
        self.hold(diesel::update(at_home).set(users::role.eq(role)));
        Ok(())
    }
}
