//! What tests need everywhere: a clock that is set by hand, repeatable randomness, valid records.

pub mod builders;
mod clock;
mod random;

pub use builders::{Account, World};
pub use clock::ManualClock;
pub use random::SeededRandom;
