//! Where organisations are kept.

use async_trait::async_trait;
use identsphere_kernel::StoreError;

use crate::{Membership, Organization};

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
}
