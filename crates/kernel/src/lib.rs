//! The vocabulary that every other crate speaks: typed ids, e-mail addresses, secrets, time, randomness, and
//! the catalogue of public errors.
//!
//! This crate must never know a database, a web framework, or a use case. It holds values whose rules are the
//! same everywhere; a type that only one domain needs belongs to that domain.
//!
//! To add an id, add one line to the registry in [`ids`]. To add a public error, add one variant to
//! [`ErrorCode`]; the compiler then names every place that must say something about it.

pub mod clock;
pub mod email;
pub mod error;
pub mod ids;
pub mod label;
pub mod opaque;
pub mod random;
pub mod secret;
pub mod store_error;

pub use clock::{Clock, Duration, SystemClock, Timestamp};
pub use email::{Email, EmailError, EmailKey};
pub use error::{ErrorCode, ErrorType};
pub use ids::*;
pub use label::{Label, LabelError};
pub use opaque::{OpaqueToken, TokenPurpose};
pub use random::{OsRandom, SecureRandom};
pub use secret::{SecretBytes, SecretString, TokenHash};
pub use store_error::StoreError;
