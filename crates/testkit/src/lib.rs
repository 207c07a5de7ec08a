//! What tests need everywhere: a clock that is set by hand, repeatable randomness, valid records, a PostgreSQL server to
//! break.

pub mod builders;
mod clock;
mod postgres;
mod proxy;
mod random;

pub use builders::{Account, World};
pub use clock::ManualClock;
pub use postgres::{Durability, PostgresServer, fresh_schema_name};
pub use proxy::Proxy;
pub use random::SeededRandom;
