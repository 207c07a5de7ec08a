//! Roles and permissions as plain data.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// A role within an organisation. Hosts may add roles of their own; the five built-in ones are constants.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Role(Cow<'static, str>);

impl Role {
    /// Everything, including the end of the organisation.
    pub const OWNER: Self = Self(Cow::Borrowed("owner"));
    /// Everything but ownership.
    pub const ADMIN: Self = Self(Cow::Borrowed("admin"));
    /// Reads members, manages billing.
    pub const BILLING: Self = Self(Cow::Borrowed("billing"));
    /// Works here.
    pub const MEMBER: Self = Self(Cow::Borrowed("member"));
    /// Looks only.
    pub const VIEWER: Self = Self(Cow::Borrowed("viewer"));

    /// The role with this name.
    pub fn new(name: impl Into<Cow<'static, str>>) -> Self {
        Self(name.into())
    }

    /// The stable name.
    pub fn name(&self) -> &str {
        &self.0
    }
}

/// Something a role may do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Permission(Cow<'static, str>);

macro_rules! permissions {
    ($($(#[$doc:meta])* $constant:ident = $name:literal;)+) => {
        impl Permission {
            $($(#[$doc])* pub const $constant: Self = Self(Cow::Borrowed($name));)+
        }
    };
}

permissions! {
    /// See the organisation.
    ORG_READ = "org.read";
    /// Change its name, slug and settings.
    ORG_UPDATE = "org.update";
    /// Delete it.
    ORG_DELETE = "org.delete";
    /// Give it to another member.
    ORG_TRANSFER_OWNERSHIP = "org.transfer_ownership";
    /// See its members.
    MEMBERS_LIST = "members.list";
    /// Invite people.
    MEMBERS_INVITE = "members.invite";
    /// Remove members.
    MEMBERS_REMOVE = "members.remove";
    /// Change members' roles.
    MEMBERS_CHANGE_ROLE = "members.change_role";
    /// See API keys.
    API_KEYS_LIST = "api_keys.list";
    /// Make API keys.
    API_KEYS_CREATE = "api_keys.create";
    /// Revoke API keys.
    API_KEYS_REVOKE = "api_keys.revoke";
    /// Read the audit log.
    AUDIT_READ = "audit.read";
    /// See billing.
    BILLING_READ = "billing.read";
    /// Change billing.
    BILLING_UPDATE = "billing.update";
}

impl Permission {
    /// The permission with this name.
    pub fn new(name: impl Into<Cow<'static, str>>) -> Self {
        Self(name.into())
    }

    /// The stable name.
    pub fn name(&self) -> &str {
        &self.0
    }
}

/// Which role holds which permissions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RbacConfig {
    grants: BTreeMap<Role, BTreeSet<Permission>>,
}

impl RbacConfig {
    /// No roles at all: a start for hosts that bring their own.
    pub fn empty() -> Self {
        Self { grants: BTreeMap::new() }
    }

    /// The published matrix of the five built-in roles.
    pub fn default_matrix() -> Self {
        use Permission as P;
        let management = [
            P::ORG_UPDATE,
            P::MEMBERS_INVITE,
            P::MEMBERS_REMOVE,
            P::MEMBERS_CHANGE_ROLE,
            P::API_KEYS_LIST,
            P::API_KEYS_CREATE,
            P::API_KEYS_REVOKE,
            P::AUDIT_READ,
        ];
        let billing = [P::BILLING_READ, P::BILLING_UPDATE];
        let mut config = Self::empty();
        for role in [Role::OWNER, Role::ADMIN, Role::BILLING, Role::MEMBER, Role::VIEWER] {
            config = config.with_role(role.clone()).grant(&role, P::ORG_READ);
        }
        for role in [Role::OWNER, Role::ADMIN, Role::BILLING, Role::MEMBER] {
            config = config.grant(&role, P::MEMBERS_LIST);
        }
        for role in [Role::OWNER, Role::ADMIN, Role::BILLING] {
            config =
                billing.iter().fold(config, |config, permission| config.grant(&role, permission.clone()));
        }
        for role in [Role::OWNER, Role::ADMIN] {
            config =
                management.iter().fold(config, |config, permission| config.grant(&role, permission.clone()));
        }
        config.grant(&Role::OWNER, P::ORG_DELETE).grant(&Role::OWNER, P::ORG_TRANSFER_OWNERSHIP)
    }

    /// Adds a role without permissions; keeps those of a role that exists.
    #[must_use]
    pub fn with_role(mut self, role: Role) -> Self {
        self.grants.entry(role).or_default();
        self
    }

    /// Whether there is such a role.
    pub fn knows(&self, role: &Role) -> bool {
        self.grants.contains_key(role)
    }

    /// Gives a permission to a role, adding the role if need be.
    #[must_use]
    pub fn grant(mut self, role: &Role, permission: Permission) -> Self {
        self.grants.entry(role.clone()).or_default().insert(permission);
        self
    }

    /// Takes a permission from a role.
    #[must_use]
    pub fn revoke(mut self, role: &Role, permission: &Permission) -> Self {
        if let Some(granted) = self.grants.get_mut(role) {
            granted.remove(permission);
        }
        self
    }

    /// Whether the role holds the permission. An unknown role holds none.
    pub fn allows(&self, role: &Role, permission: &Permission) -> bool {
        self.grants.get(role).is_some_and(|granted| granted.contains(permission))
    }

    /// What the role holds, in alphabetical order.
    pub fn permissions(&self, role: &Role) -> impl Iterator<Item = &Permission> {
        self.grants.get(role).into_iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(role: &Role) -> usize {
        RbacConfig::default_matrix().permissions(role).count()
    }

    #[test]
    fn the_default_matrix_is_the_published_one() {
        assert_eq!(
            [
                count(&Role::OWNER),
                count(&Role::ADMIN),
                count(&Role::BILLING),
                count(&Role::MEMBER),
                count(&Role::VIEWER)
            ],
            [14, 12, 4, 2, 1]
        );
        let matrix = RbacConfig::default_matrix();
        assert!(!matrix.allows(&Role::ADMIN, &Permission::ORG_DELETE));
        assert!(!matrix.allows(&Role::VIEWER, &Permission::MEMBERS_LIST));
        assert!(matrix.allows(&Role::BILLING, &Permission::BILLING_UPDATE));
    }

    #[test]
    fn hosts_add_roles_and_permissions_of_their_own() {
        let editor = Role::new("editor");
        let publish = Permission::new("articles.publish");
        let config = RbacConfig::default_matrix().grant(&editor, publish.clone());
        assert!(config.allows(&editor, &publish));
        assert!(!config.clone().revoke(&editor, &publish).allows(&editor, &publish));
        assert!(!config.allows(&Role::new("nobody"), &Permission::ORG_READ));
    }
}
