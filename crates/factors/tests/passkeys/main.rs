//! The relying party against the vectors of the specification, against an authenticator of other people's making, and
//! against changes of every part of a genuine answer.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test whose preparations fail has failed"
)]

mod ceremonies;
mod flags;
mod mutations;
mod scene;
mod vectors;
