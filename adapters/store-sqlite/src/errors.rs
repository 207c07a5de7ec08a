//! What SQLite's failures mean.

use diesel::result::{DatabaseErrorKind, Error};
use identsphere_kernel::StoreError;
use identsphere_kernel::store_error::Cause;

/// SQLite names the columns of a violated rule, not the rule: here is which rule has which columns.
const RULES: [(&str, &str); 16] = [
    ("users.email_key", "users_email_key_key"),
    ("users.id", "users_pkey"),
    ("organizations.slug", "organizations_slug_key"),
    ("organizations.id", "organizations_pkey"),
    (
        "organization_memberships.user_id, organization_memberships.organization_id",
        "organization_memberships_pkey",
    ),
    ("user_sessions.id", "user_sessions_pkey"),
    ("mfa_challenges.token_hash", "mfa_challenges_pkey"),
    ("trusted_browsers.id", "trusted_browsers_pkey"),
    ("trusted_browsers.token_hash", "trusted_browsers_token_hash_key"),
    ("user_passkeys.id", "user_passkeys_pkey"),
    ("user_passkeys.credential_id", "user_passkeys_credential_id_key"),
    ("passkey_challenges.challenge_hash", "passkey_challenges_pkey"),
    ("signing_keys.kid", "signing_keys_pkey"),
    ("signing_keys.predecessor", "signing_keys_predecessor_key"),
    ("audit_logs.id", "audit_logs_pkey"),
    ("outbox.id", "outbox_pkey"),
];

/// Sorts a failure of a statement by its meaning.
pub(crate) fn store_error(error: Error) -> StoreError {
    if let Some(constraint) = violated_rule(&error) {
        return StoreError::Conflict { constraint };
    }
    if is_overtaken(&error) {
        return StoreError::Overtaken;
    }
    if is_busy(&error) {
        return StoreError::retry(error);
    }
    if is_nonsense(&error) { StoreError::corrupt(error) } else { StoreError::unavailable(error) }
}

/// A failure of the migration harness, as the failure of a statement that it mostly is.
pub(crate) fn migration_error(error: Cause) -> Error {
    match error.downcast::<Error>() {
        Ok(error) => *error,
        Err(other) => Error::QueryBuilderError(other),
    }
}

/// The name of the uniqueness rule that forbids the write.
fn violated_rule(error: &Error) -> Option<&'static str> {
    let Error::DatabaseError(DatabaseErrorKind::UniqueViolation, information) = error else { return None };
    let columns = information.message().strip_prefix("UNIQUE constraint failed: ")?;
    RULES.iter().find(|(of, _)| *of == columns).map(|(_, rule)| *rule)
}

/// Whether the owner of a row, who was to be in a standing ([`sign_ins`](crate::sign_ins)), is not.
fn is_overtaken(error: &Error) -> bool {
    const COLUMNS: [&str; 2] = ["user_sessions.user_id", "mfa_challenges.user_id"];
    let Error::DatabaseError(DatabaseErrorKind::NotNullViolation, information) = error else { return false };
    let column = information.message().strip_prefix("NOT NULL constraint failed: ");
    column.is_some_and(|column| COLUMNS.contains(&column))
}

/// Whether another connection, of this process or another, holds the file. The driver knows no kind for it: what
/// remains is SQLite's own text for `SQLITE_BUSY`, `SQLITE_LOCKED` and `SQLITE_SCHEMA`.
fn is_busy(error: &Error) -> bool {
    const TEXTS: [&str; 3] =
        ["database is locked", "database table is locked", "database schema has changed"];
    matches!(error, Error::DatabaseError(DatabaseErrorKind::Unknown, information)
        if TEXTS.iter().any(|text| information.message().starts_with(text)))
}

/// Whether what was read, or was about to be written, must not exist.
fn is_nonsense(error: &Error) -> bool {
    const TEXTS: [&str; 2] = ["database disk image is malformed", "file is not a database"];
    if let Error::DatabaseError(kind, information) = error {
        return !matches!(kind, DatabaseErrorKind::Unknown)
            || TEXTS.iter().any(|text| information.message().starts_with(text));
    }
    matches!(error, Error::DeserializationError(_) | Error::SerializationError(_))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(kind: DatabaseErrorKind, text: &str) -> StoreError {
        store_error(Error::DatabaseError(kind, Box::new(text.to_owned())))
    }

    #[test]
    fn columns_become_the_names_of_rules() {
        for (columns, rule) in RULES {
            let text = format!("UNIQUE constraint failed: {columns}");
            assert!(failure(DatabaseErrorKind::UniqueViolation, &text).is_conflict(rule));
        }
    }

    #[test]
    fn an_owner_who_changed_meanwhile_is_no_corruption() {
        for (column, is_overtaken) in
            [("user_sessions.user_id", true), ("mfa_challenges.user_id", true), ("user_sessions.aal", false)]
        {
            let text = format!("NOT NULL constraint failed: {column}");
            let error = failure(DatabaseErrorKind::NotNullViolation, &text);
            assert_eq!(matches!(error, StoreError::Overtaken), is_overtaken, "{error:?}");
        }
    }

    #[test]
    fn a_locked_file_is_worth_another_try() {
        let error = failure(DatabaseErrorKind::Unknown, "database is locked");
        assert!(matches!(error, StoreError::Retry(_)), "{error:?}");
    }

    #[test]
    fn a_full_disk_and_a_missing_file_make_the_store_unavailable() {
        for text in ["database or disk is full", "disk I/O error", "unable to open database file"] {
            let error = failure(DatabaseErrorKind::Unknown, text);
            assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
        }
    }

    #[test]
    fn a_broken_file_and_a_broken_rule_are_corruption() {
        let errors = [
            failure(DatabaseErrorKind::Unknown, "database disk image is malformed"),
            failure(DatabaseErrorKind::CheckViolation, "CHECK constraint failed: status"),
            failure(DatabaseErrorKind::ForeignKeyViolation, "FOREIGN KEY constraint failed"),
        ];
        for error in errors {
            assert!(matches!(error, StoreError::Corrupt(_)), "{error:?}");
        }
    }
}
