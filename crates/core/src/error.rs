//! Why a use case was not carried out, by meaning. One enum for all, so that a status cannot drift between verbs.

use identsphere_kernel::{Duration, ErrorCode, StoreError};
use identsphere_tokens::KeyError;

use crate::HashError;

/// How long a client is asked to wait when the store or the hasher is at its limit and knows no better.
const BACK_OFF: Duration = Duration::from_secs(1);

/// What is wrong with one field of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldFault {
    /// The name of the field, as in the contract.
    pub field: &'static str,
    /// The rule it breaks.
    pub message: String,
}

impl FieldFault {
    /// A fault of this field.
    pub fn new(field: &'static str, message: impl ToString) -> Self {
        Self { field, message: message.to_string() }
    }
}

/// Why a use case was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Unknown address, wrong password, or an account that may not sign in.
    #[error("sign-in refused")]
    InvalidCredentials,
    /// No valid credential.
    #[error("no valid credential")]
    AuthenticationRequired,
    /// A second factor has to be shown in this session first (a step-up).
    #[error("a second factor is due")]
    MfaRequired,
    /// The caller may not do this.
    #[error("not permitted")]
    Forbidden,
    /// Absent, or not the caller's.
    #[error("not found")]
    NotFound,
    /// The change contradicts what is there.
    #[error("{field} {message}")]
    Conflict {
        /// The field that collides.
        field: &'static str,
        /// How.
        message: &'static str,
    },
    /// Fields break rules; all of them are named.
    #[error("the request breaks {} rules", .0.len())]
    InvalidInput(Vec<FieldFault>),
    /// Too many attempts.
    #[error("too many attempts")]
    RateLimited {
        /// When to come back.
        retry_after: Duration,
    },
    /// A bounded resource is exhausted or a dependency is away.
    #[error("overloaded")]
    Overloaded {
        /// When to come back.
        retry_after: Duration,
        /// What is exhausted.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A fault on our side.
    #[error("internal fault")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    /// The public code.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::InvalidCredentials => ErrorCode::InvalidCredentials,
            Self::AuthenticationRequired => ErrorCode::AuthenticationRequired,
            Self::MfaRequired => ErrorCode::MfaRequired,
            Self::Forbidden => ErrorCode::Forbidden,
            Self::NotFound => ErrorCode::NotFound,
            Self::Conflict { .. } => ErrorCode::Conflict,
            Self::InvalidInput(_) => ErrorCode::InvalidInput,
            Self::RateLimited { .. } => ErrorCode::RateLimited,
            Self::Overloaded { .. } => ErrorCode::Overloaded,
            Self::Internal(_) => ErrorCode::InternalError,
        }
    }

    /// A fault on our side.
    pub fn internal(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Internal(cause.into())
    }
}

/// A conflict that the use case did not expect is a fault; absence of the store is overload. Whoever is not any more who
/// they were when they were let in has shown nothing.
impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Retry(_) | StoreError::Unavailable(_) => {
                Self::Overloaded { retry_after: BACK_OFF, source: error.into() }
            }
            StoreError::Overtaken => Self::AuthenticationRequired,
            StoreError::Conflict { .. } | StoreError::Corrupt(_) => Self::Internal(error.into()),
        }
    }
}

impl From<HashError> for Error {
    fn from(error: HashError) -> Self {
        match error {
            HashError::Overloaded { retry_after } => Self::Overloaded { retry_after, source: error.into() },
            HashError::Failed(_) => Self::Internal(error.into()),
        }
    }
}

impl From<KeyError> for Error {
    fn from(error: KeyError) -> Self {
        Self::Internal(error.into())
    }
}
