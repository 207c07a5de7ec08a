//! Use cases: the only place where domains meet.
//!
//! [`IdentSphere`] holds the ports and the policy; each verb of the service is a file of its own with one method on
//! it. A use case reads, decides, and writes once: [`Store::begin`], inserts, an audit row, [`Tx::commit`]. Slow work
//! (hashing, signing) never happens inside a transaction. This crate must never know a database, a framework, or
//! the machine it runs on.
//!
//! To add a verb: a file named after it, its method, its audit action, and the port methods it needs with their cases
//! in the store contract.

mod error;
mod hashing;
mod limits;
mod store;

pub use error::{Error, FieldFault};
pub use hashing::{HashError, PasswordHasher, Verification};
pub use limits::{BucketKey, Quota, RateLimits, Take};
pub use store::{
    Principal, PrincipalStore, RateLimitRepo, RateLimitStore, RefreshRotation, Schema, SchemaState,
    SignInRecord, Store, Tx,
};
