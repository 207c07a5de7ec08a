//! Organisations and who belongs to them.

use async_trait::async_trait;
use identsphere_core::UserOrganization;
use identsphere_kernel::{OrganizationId, StoreError, Timestamp, UserId};
use identsphere_organizations::{Departure, Membership, Organization, OrganizationRepo, Role, Slug};
use rpds::{HashTrieMapSync, HashTrieSetSync};

use crate::tx::{MemoryTx, State, conflict, dangling};

#[derive(Clone, Default)]
pub(crate) struct Organizations {
    by_id: HashTrieMapSync<OrganizationId, Organization>,
    by_slug: HashTrieMapSync<Slug, OrganizationId>,
    memberships: HashTrieMapSync<(UserId, OrganizationId), Membership>,
    /// Where each user belongs.
    by_user: HashTrieMapSync<UserId, HashTrieSetSync<OrganizationId>>,
    deleted: HashTrieSetSync<OrganizationId>,
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

    /// The same, unless the organisation is deleted: nobody signs in to it any more.
    pub(crate) fn live_role(&self, user: UserId, organization: OrganizationId) -> Option<&Role> {
        self.role(user, organization).filter(|_| !self.deleted.contains(&organization))
    }

    /// The organisations that a user belongs to, in the order of joining.
    pub(crate) fn of_user(&self, user: UserId) -> Vec<UserOrganization> {
        let theirs = self.by_user.get(&user).into_iter().flatten();
        let mut found: Vec<UserOrganization> = theirs
            .filter(|id| !self.deleted.contains(*id))
            .filter_map(|id| {
                let membership = self.memberships.get(&(user, *id))?;
                Some(UserOrganization {
                    organization: self.by_id.get(id)?.clone(),
                    role: membership.role.clone(),
                    joined_at: membership.joined_at,
                })
            })
            .collect();
        found.sort_by_key(|found| (found.joined_at, found.organization.id));
        found
    }

    fn depart(&mut self, user: UserId, at: Timestamp) -> Departure {
        let mut theirs: Vec<OrganizationId> =
            self.by_user.get(&user).into_iter().flatten().copied().collect();
        theirs.sort_unstable();
        let others = |id: OrganizationId| {
            let elsewhere =
                move |membership: &&Membership| membership.organization == id && membership.user != user;
            self.memberships.values().filter(elsewhere)
        };
        let needs_them = |id: &OrganizationId| {
            self.role(user, *id) == Some(&Role::OWNER)
                && others(*id).next().is_some()
                && others(*id).all(|membership| membership.role != Role::OWNER)
        };
        if let Some(id) = theirs.iter().copied().find(needs_them) {
            return Departure::SoleOwner(id);
        }
        let is_left_empty = |id: &OrganizationId| others(*id).next().is_none() && !self.deleted.contains(id);
        let emptied: Vec<OrganizationId> = theirs.iter().copied().filter(is_left_empty).collect();
        for id in theirs {
            self.memberships.remove_mut(&(user, id));
        }
        self.by_user.remove_mut(&user);
        for id in &emptied {
            self.deleted.insert_mut(*id);
            if let Some(organization) = self.by_id.get_mut(id) {
                organization.updated_at = at;
            }
        }
        Departure::Left(emptied)
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
        let theirs = self.organizations.by_user.get(&membership.user).cloned().unwrap_or_default();
        self.organizations.by_user.insert_mut(membership.user, theirs.insert(membership.organization));
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

    async fn depart(&mut self, user: UserId, at: Timestamp) -> Result<Departure, StoreError> {
        Ok(self.state.organizations.depart(user, at))
    }
}
