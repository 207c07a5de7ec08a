//! What a principal may do.

use identsphere_organizations::{Permission, RbacConfig, Role};

use crate::{Error, Principal};

/// Answers what a principal may do.
#[derive(Debug, Clone)]
pub struct Authorizer {
    rbac: RbacConfig,
}

impl Authorizer {
    /// An authorizer over this matrix.
    pub fn new(rbac: RbacConfig) -> Self {
        Self { rbac }
    }

    /// Refuses unless the principal's present role holds the permission.
    ///
    /// # Errors
    /// [`Error::Forbidden`].
    pub fn authorize(&self, principal: &Principal, permission: &Permission) -> Result<(), Error> {
        if self.rbac.allows(&principal.role, permission) { Ok(()) } else { Err(Error::Forbidden) }
    }

    /// As [`authorize`](Self::authorize), with the permission's name.
    ///
    /// # Errors
    /// [`Error::Forbidden`].
    pub fn authorize_str(&self, principal: &Principal, permission: &str) -> Result<(), Error> {
        self.authorize(principal, &Permission::new(permission.to_owned()))
    }

    /// The names of what a role may do, in alphabetical order.
    pub fn permissions(&self, role: &Role) -> Vec<&str> {
        self.rbac.permissions(role).map(Permission::name).collect()
    }
}
