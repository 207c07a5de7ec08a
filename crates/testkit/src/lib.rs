//! What tests need everywhere: a clock that is set by hand, repeatable randomness.

mod clock;
mod random;

pub use clock::ManualClock;
pub use random::SeededRandom;
