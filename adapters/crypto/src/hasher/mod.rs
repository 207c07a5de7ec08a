//! Password hashing: what is configured ([`HashScheme`]), what was stored (`stored`), what comes from Firebase
//! ([`FirebaseProject`]), and the threads and the memory that the work may take ([`PasswordPool`]).

mod cost;
mod firebase;
mod line;
mod pool;
mod scheme;
mod stored;

pub use firebase::{FirebaseError, FirebaseProject};
pub use pool::{PasswordPool, PoolConfig, PoolError};
pub use scheme::{HashScheme, SchemeError};
