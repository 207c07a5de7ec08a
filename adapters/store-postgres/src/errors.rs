//! From what the driver says to what it means.

use diesel::result::{DatabaseErrorInformation, DatabaseErrorKind, Error};
use identsphere_kernel::StoreError;

/// The uniqueness rules that a caller may run into, as the ports name them.
const CONSTRAINTS: [&str; 15] = [
    "users_email_key_key",
    "users_pkey",
    "organizations_slug_key",
    "organizations_pkey",
    "organization_memberships_pkey",
    "user_sessions_pkey",
    "mfa_challenges_pkey",
    "trusted_browsers_pkey",
    "trusted_browsers_token_hash_key",
    "user_passkeys_pkey",
    "user_passkeys_credential_id_key",
    "passkey_challenges_pkey",
    "signing_keys_pkey",
    "signing_keys_predecessor_key",
    "outbox_pkey",
];

/// The columns whose value is an owner in a standing ([`sign_ins`](crate::sign_ins)), and NULL without one.
const OWNERS: [(&str, &str); 2] = [("user_sessions", "user_id"), ("mfa_challenges", "user_id")];

/// What an error of the driver means to a caller.
///
/// The driver does not hand on the SQLSTATE of errors without a kind of their own (a deadlock, a timeout, a server that
/// is shutting down or full), so those are told apart by their English message. A server that speaks another language
/// makes a deadlock `Unavailable` instead of `Retry`, which asks the caller to wait instead of repeating at once.
pub(crate) fn by_meaning(error: Error) -> StoreError {
    match error {
        Error::DatabaseError(kind, information) => database(kind, information),
        error @ (Error::DeserializationError(_)
        | Error::SerializationError(_)
        | Error::QueryBuilderError(_)
        | Error::IntegerConversion(_)
        | Error::InvalidCString(_)
        | Error::NotFound) => StoreError::corrupt(error),
        error @ (Error::RollbackErrorOnCommit { .. }
        | Error::RollbackTransaction
        | Error::AlreadyInTransaction
        | Error::NotInTransaction
        | Error::BrokenTransactionManager
        | _) => StoreError::unavailable(error),
    }
}

fn database(
    kind: DatabaseErrorKind,
    information: Box<dyn DatabaseErrorInformation + Send + Sync>,
) -> StoreError {
    let conflict = information.constraint_name().and_then(known);
    let is_overtaken = OWNERS.map(Some).contains(&information.table_name().zip(information.column_name()));
    let is_deadlock = information.message() == "deadlock detected";
    let error = Error::DatabaseError(kind, information);
    match kind {
        DatabaseErrorKind::UniqueViolation => match conflict {
            Some(constraint) => StoreError::Conflict { constraint },
            None => StoreError::corrupt(error),
        },
        DatabaseErrorKind::NotNullViolation if is_overtaken => StoreError::Overtaken,
        DatabaseErrorKind::SerializationFailure => StoreError::retry(error),
        DatabaseErrorKind::Unknown if is_deadlock => StoreError::retry(error),
        DatabaseErrorKind::ForeignKeyViolation
        | DatabaseErrorKind::NotNullViolation
        | DatabaseErrorKind::CheckViolation
        | DatabaseErrorKind::RestrictViolation
        | DatabaseErrorKind::ExclusionViolation => StoreError::corrupt(error),
        DatabaseErrorKind::UnableToSendCommand
        | DatabaseErrorKind::ClosedConnection
        | DatabaseErrorKind::ReadOnlyTransaction
        | DatabaseErrorKind::Unknown
        | _ => StoreError::unavailable(error),
    }
}

fn known(name: &str) -> Option<&'static str> {
    CONSTRAINTS.into_iter().find(|constraint| *constraint == name)
}
