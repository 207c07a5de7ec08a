//! What tests need everywhere: a clock that is set by hand, repeatable randomness, a PostgreSQL server to break.

mod clock;
mod postgres;
mod random;

pub use clock::ManualClock;
pub use postgres::{Durability, PostgresServer, fresh_schema_name};
pub use random::SeededRandom;
