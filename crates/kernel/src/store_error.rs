//! What a store may answer instead of data, by meaning. Absence is not an error: look-ups return `Option`.

/// The source of a store failure, for the log.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why a store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A uniqueness rule forbids the write; `constraint` is one of the names in the ports' documentation.
    #[error("the write conflicts with `{constraint}`")]
    Conflict {
        /// The violated rule, for example `users_email_key`.
        constraint: &'static str,
    },
    /// What the write rested on has changed since it was read. Whoever wrote has to look again.
    #[error("what the write rested on has changed meanwhile")]
    Overtaken,
    /// Another writer was faster; the same call may succeed when repeated.
    #[error("another writer was faster")]
    Retry(#[source] Cause),
    /// The store cannot be reached or is overloaded.
    #[error("the store is unavailable")]
    Unavailable(#[source] Cause),
    /// The store answered with something that must not exist.
    #[error("the store holds unexpected data")]
    Corrupt(#[source] Cause),
}

impl StoreError {
    /// The store cannot be reached or is overloaded.
    pub fn unavailable(cause: impl Into<Cause>) -> Self {
        Self::Unavailable(cause.into())
    }

    /// The store answered with something that must not exist.
    pub fn corrupt(cause: impl Into<Cause>) -> Self {
        Self::Corrupt(cause.into())
    }

    /// Another writer was faster.
    pub fn retry(cause: impl Into<Cause>) -> Self {
        Self::Retry(cause.into())
    }

    /// Whether this is a conflict with `constraint`.
    pub fn is_conflict(&self, name: &str) -> bool {
        matches!(self, Self::Conflict { constraint } if *constraint == name)
    }
}
