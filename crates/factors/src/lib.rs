//! What proves a person besides a password: one-time codes ([`totp`]), recovery codes ([`recovery`]), passkeys
//! ([`passkey`]).
//!
//! Everything here is a decision about values. This crate must never read a clock, a store or a request, and it draws
//! no randomness of its own: the present and a source of randomness are parameters. Counting attempts, keeping the last
//! accepted time step and spending a code are conditional statements of the stores; what they are conditional on is
//! said here ([`totp::accepts`]).
//!
//! To add a factor, add a module of its own that says how it is enrolled and when it is proven.

pub mod passkey;
mod ports;
pub mod recovery;
pub mod totp;

pub use ports::{Authenticator, FactorRepo, FactorStore, PasskeyInsertion, PasskeyRepo, PasskeyStore};
