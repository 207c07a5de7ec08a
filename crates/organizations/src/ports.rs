//! Where organisations are kept.

use async_trait::async_trait;
use identsphere_kernel::{OrganizationId, StoreError, Timestamp, UserId};

use crate::{Membership, Organization};

/// What became of somebody's memberships.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Departure {
    /// They belong nowhere any more. These organisations had nobody else and are deleted too, in the order of their ids.
    Left(Vec<OrganizationId>),
    /// They stay: this organisation has other members and no other owner.
    SoleOwner(OrganizationId),
}

/// Changes to organisations, inside a transaction.
///
/// An adapter may run a write when it is called or hold it back until commit; a conflict is reported by
/// whichever of the two runs it.
#[async_trait]
pub trait OrganizationRepo: Send {
    /// Adds an organisation. Conflicts: `organizations_slug_key` (the slug is taken), `organizations_pkey`.
    async fn insert(&mut self, organization: &Organization) -> Result<(), StoreError>;

    /// Adds a member. Conflict: `organization_memberships_pkey` (already a member). The user and the
    /// organisation must have been inserted before, in this transaction or an earlier one.
    async fn insert_membership(&mut self, membership: &Membership) -> Result<(), StoreError>;

    /// Takes a user out of every organisation, or out of none when one of them would be left with members and without an
    /// owner. An organisation that is left without members is marked as deleted (`deleted_at`, `updated_at`). Whoever
    /// changes memberships or owners of these organisations at the same time waits, so that of the last two owners who
    /// leave at once one is refused.
    async fn depart(&mut self, user: UserId, at: Timestamp) -> Result<Departure, StoreError>;
}
