//! Organisations, memberships, and what each role may do.
//!
//! Roles and permissions are plain data ([`RbacConfig`]): a host application adds its own as strings. This crate
//! must never know how a request was authenticated; it answers what a role may do.
//!
//! To add a permission of our own: one constant in [`Permission`], one row in [`RbacConfig::default_matrix`].

mod organization;
mod ports;
mod rbac;

pub use organization::{Membership, NameError, Organization, OrganizationName, Slug, SlugError};
pub use ports::{Departure, OrganizationRepo};
pub use rbac::{Permission, RbacConfig, Role};
