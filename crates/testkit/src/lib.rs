//! What tests need everywhere: a clock that is set by hand, repeatable randomness, valid records, a PostgreSQL server to
//! break, a balancer over several nodes, a proxy that breaks connections, and (feature `passkeys`) a browser with an
//! authenticator.

mod balancer;
pub mod builders;
mod clock;
mod fault_proxy;
mod mailbox;
mod postgres;
mod proxy;
mod random;
#[cfg(feature = "passkeys")]
mod soft_authenticator;

pub use balancer::Balancer;
pub use builders::{Account, World};
pub use clock::ManualClock;
pub use fault_proxy::{Fault, FaultProxy};
pub use mailbox::Mailbox;
pub use postgres::{Durability, PostgresServer, fresh_schema_name};
pub use proxy::Proxy;
pub use random::SeededRandom;
#[cfg(feature = "passkeys")]
pub use soft_authenticator::{SoftAuthenticator, SoftAuthenticatorError};
