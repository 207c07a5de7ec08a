//! Use cases: the only place where domains meet.
//!
//! [`IdentSphere`] holds the ports and the policy; each verb of the service is a file of its own with one method on
//! it. A use case reads, decides, and writes once: [`Store::begin`], inserts, an audit row, [`Tx::commit`]. Slow work
//! (hashing, signing) never happens inside a transaction. This crate must never know a database, a framework, or
//! the machine it runs on.
//!
//! To add a verb: a file named after it, its method, its audit action, and the port methods it needs with their cases
//! in the store contract.

mod access_tokens;
mod authenticate;
mod authorize;
mod clock_watch;
mod end_sessions;
mod error;
mod events;
mod hashing;
mod issue;
mod key_ring;
mod limits;
mod list_sessions;
mod login;
mod logout;
mod mail;
mod policy;
mod recent;
mod refresh;
mod register;
mod service;
mod store;
mod upkeep;
mod watched;

pub use authorize::Authorizer;
pub use clock_watch::CLOCK_INTERVAL;
pub use end_sessions::EndScope;
pub use error::{Error, FieldFault};
pub use hashing::{HashError, HashPlace, PasswordHasher, Verification};
pub use issue::SignedIn;
pub use key_ring::PublishedKeys;
pub use limits::{BucketKey, Quota, RateLimits, Take};
pub use login::Login;
pub use mail::{Language, Mail, MailContent, MailError, MailSecret, Mailer};
pub use policy::Policy;
pub use register::Register;
pub use service::{IdentSphere, Ports};
pub use store::{
    Principal, PrincipalStore, RateLimitRepo, RateLimitStore, RefreshRotation, Schema, SchemaState,
    SignInRecord, Store, Tx,
};
pub use upkeep::{KEY_INTERVAL, SWEEP_INTERVAL};
