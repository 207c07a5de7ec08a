//! The HTTP contract, tested without a socket.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "only tests use this")]

mod development;
mod documents;
mod pages;
mod request;
mod sessions;
mod sign_in;
mod table;
mod world;
