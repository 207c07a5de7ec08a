//! Organisations and who belongs to them.

use async_trait::async_trait;
use identsphere_kernel::{OrganizationId, StoreError, UserId};
use identsphere_organizations::{Membership, Organization, OrganizationRepo, Role, Slug};
use rpds::HashTrieMapSync;

use crate::tx::{MemoryTx, State, conflict, dangling};

#[derive(Clone, Default)]
pub(crate) struct Organizations {
    by_id: HashTrieMapSync<OrganizationId, Organization>,
    by_slug: HashTrieMapSync<Slug, OrganizationId>,
    memberships: HashTrieMapSync<(UserId, OrganizationId), Membership>,
}

impl Organizations {
    pub(crate) fn contains(&self, id: OrganizationId) -> bool {
        self.by_id.contains_key(&id)
    }

    pub(crate) fn get(&self, id: OrganizationId) -> Option<&Organization> {
        self.by_id.get(&id)
    }

    pub(crate) fn find(&self, slug: &Slug) -> Option<&Organization> {
        self.get(*self.by_slug.get(slug)?)
    }

    /// The role of a user in an organisation, if they belong to it.
    pub(crate) fn role(&self, user: UserId, organization: OrganizationId) -> Option<&Role> {
        self.memberships.get(&(user, organization)).map(|membership| &membership.role)
    }

    fn insert(&mut self, organization: &Organization) -> Result<(), StoreError> {
        if self.by_id.contains_key(&organization.id) {
            return Err(conflict("organizations_pkey"));
        }
        if self.by_slug.contains_key(&organization.slug) {
            return Err(conflict("organizations_slug_key"));
        }
        self.by_slug.insert_mut(organization.slug.clone(), organization.id);
        self.by_id.insert_mut(organization.id, organization.clone());
        Ok(())
    }
}

impl State {
    fn insert_membership(&mut self, membership: &Membership) -> Result<(), StoreError> {
        let who_and_where = (membership.user, membership.organization);
        if self.users.get(membership.user).is_none() || !self.organizations.contains(membership.organization)
        {
            return Err(dangling("a membership of nobody or nowhere"));
        }
        if self.organizations.memberships.contains_key(&who_and_where) {
            return Err(conflict("organization_memberships_pkey"));
        }
        self.organizations.memberships.insert_mut(who_and_where, membership.clone());
        Ok(())
    }
}

#[async_trait]
impl OrganizationRepo for MemoryTx {
    async fn insert(&mut self, organization: &Organization) -> Result<(), StoreError> {
        let outcome = self.state.organizations.insert(organization);
        self.written(outcome)
    }

    async fn insert_membership(&mut self, membership: &Membership) -> Result<(), StoreError> {
        let outcome = self.state.insert_membership(membership);
        self.written(outcome)
    }
}
