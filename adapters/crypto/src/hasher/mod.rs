//! Password hashing: what is configured ([`HashScheme`]), what was stored (`stored`), and the threads and the memory
//! that the work may take ([`PasswordPool`]).

mod cost;
mod line;
mod pool;
mod scheme;
mod stored;

pub use pool::{PasswordPool, PoolConfig, PoolError};
pub use scheme::{HashScheme, SchemeError};
