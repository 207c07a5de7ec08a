//! Organisations and memberships.

use async_trait::async_trait;
use diesel::prelude::*;
use diesel::sql_types::{Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use futures::FutureExt;
use identsphere_kernel::{OrganizationId, StoreError, Timestamp, UserId};
use identsphere_organizations::{Departure, Membership, Organization, OrganizationRepo};
use uuid::Uuid;

use crate::prepared::Prepared;
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

    async fn depart(&mut self, user: UserId, at: Timestamp) -> Result<Departure, StoreError> {
        // In one order, so that two who leave do not wait for each other crosswise. A membership that is added, whose
        // foreign key locks the organisation, waits too. What is asked afterwards sees what those before us have done.
        self.ids_of(
            user,
            "SELECT o.id FROM organizations o JOIN organization_memberships m ON m.organization_id = o.id \
             WHERE m.user_id = $1 ORDER BY o.id FOR UPDATE OF o",
        )
        .await?;
        let needs_them = self
            .ids_of(
                user,
                "SELECT m.organization_id AS id FROM organization_memberships m \
                 WHERE m.user_id = $1 AND m.role = 'owner' AND EXISTS (SELECT 1 FROM organization_memberships o \
                 WHERE o.organization_id = m.organization_id AND o.user_id <> $1) AND NOT EXISTS (SELECT 1 \
                 FROM organization_memberships o WHERE o.organization_id = m.organization_id AND o.user_id <> $1 \
                 AND o.role = 'owner') ORDER BY 1 LIMIT 1",
            )
            .await?;
        if let Some(organization) = needs_them.into_iter().next() {
            return Ok(Departure::SoleOwner(organization));
        }
        let leave = diesel::sql_query(
            "WITH gone AS (DELETE FROM organization_memberships WHERE user_id = $1 RETURNING organization_id) \
             UPDATE organizations SET deleted_at = $2, updated_at = $2 WHERE deleted_at IS NULL \
             AND id IN (SELECT organization_id FROM gone) AND NOT EXISTS (SELECT 1 FROM organization_memberships o \
             WHERE o.organization_id = organizations.id AND o.user_id <> $1) RETURNING id",
        );
        let leave = Prepared(leave.bind::<SqlUuid, _>(user.as_uuid()).bind::<Timestamptz, _>(at.to_chrono()));
        let deleted: Vec<IdRow> = self.ask(|mut connection| leave.load(&mut connection).boxed()).await?;
        let mut deleted: Vec<OrganizationId> = deleted.into_iter().map(OrganizationId::from).collect();
        deleted.sort_unstable();
        Ok(Departure::Left(deleted))
    }
}

impl PgTx {
    /// The organisations that a query about one user (`$1`) answers.
    async fn ids_of(&mut self, user: UserId, query: &'static str) -> Result<Vec<OrganizationId>, StoreError> {
        let query = Prepared(diesel::sql_query(query).bind::<SqlUuid, _>(user.as_uuid()));
        let rows: Vec<IdRow> = self.ask(|mut connection| query.load(&mut connection).boxed()).await?;
        Ok(rows.into_iter().map(OrganizationId::from).collect())
    }
}

#[derive(QueryableByName)]
struct IdRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
}

impl From<IdRow> for OrganizationId {
    fn from(row: IdRow) -> Self {
        Self::from_uuid(row.id)
    }
}
