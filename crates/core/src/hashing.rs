//! The port to password hashing.

use std::fmt;

use async_trait::async_trait;
use identsphere_accounts::{Password, PasswordHash};
use identsphere_kernel::Duration;

/// What a check of a password found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verification {
    /// The right password, hashed as new ones are.
    Match,
    /// The right password under older parameters or another scheme: hash it again.
    MatchOutdated,
    /// Not the password.
    Mismatch,
}

/// Why a password was neither hashed nor checked.
#[derive(Debug, thiserror::Error)]
pub enum HashError {
    /// All memory for hashing was taken for longer than a request may wait.
    #[error("password hashing is at its limit")]
    Overloaded {
        /// When to come back.
        retry_after: Duration,
    },
    /// The hasher broke.
    #[error("password hashing failed")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Why a stored hash would never be verified.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UnusableHash(pub String);

/// A place in the queue for hashing, given back when it is dropped.
#[must_use = "a place that is not held is free for others at once"]
pub struct HashPlace(Option<Box<dyn Send + Sync>>);

impl HashPlace {
    /// A place that is given back by dropping `guard`.
    pub fn new(guard: impl Send + Sync + 'static) -> Self {
        Self(Some(Box::new(guard)))
    }

    /// A place in a queue without an end.
    pub const fn unbounded() -> Self {
        Self(None)
    }
}

impl fmt::Debug for HashPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HashPlace").field("is_counted", &self.0.is_some()).finish()
    }
}

/// Hashes and checks passwords, off the asynchronous threads and within a bound of memory.
#[async_trait]
pub trait PasswordHasher: Send + Sync + 'static {
    /// Takes a place in the queue for one hash, or refuses at once when whoever takes it now would wait too long.
    ///
    /// A use case that hashes asks for it first of all and holds it until the hash is there: who is going to be turned
    /// away has then cost neither a connection of the store nor time in a queue, and those who wait are so few that
    /// they leave the store to others (DS-13).
    fn place(&self) -> Result<HashPlace, HashError> {
        Ok(HashPlace::unbounded())
    }

    /// Hashes a new password with the configured scheme.
    async fn hash(&self, password: Password) -> Result<PasswordHash, HashError>;

    /// Checks a password. Without a hash to check against it does the same work and finds a mismatch, so that an
    /// unknown address costs what a known one costs (AU-02). A malformed or too costly stored hash is a mismatch after
    /// the same work.
    async fn verify(&self, password: Password, hash: Option<PasswordHash>)
    -> Result<Verification, HashError>;

    /// Whether a hash of another system could be verified: its scheme is known, its form is right, and its cost is
    /// bearable. Computes nothing.
    fn judge(&self, hash: &PasswordHash) -> Result<(), UnusableHash>;
}
