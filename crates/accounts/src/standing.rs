//! What a sign-in rests on.

use crate::{PasswordHash, User, UserStatus};

/// What of a user a sign-in was decided by. It is kept only while all of it still holds: whoever changes any of it ends what
/// rests on it, and what they end must not come after them.
///
/// What else a sign-in rests on (a code, a passkey, a trusted browser) is taken or moved on in the same transaction. Who
/// is a member of what is no part of it: every use of a session reads it anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    status: UserStatus,
    mfa_enabled: bool,
    password_hash: Option<PasswordHash>,
}

impl Standing {
    /// The standing of a user as they were read, who showed something else than their password.
    pub fn of(user: &User) -> Self {
        Self { status: user.status, mfa_enabled: user.mfa_enabled, password_hash: None }
    }

    /// The same of a user whose password was shown: their stored hash is still to be this one.
    pub fn with_password(self, hash: PasswordHash) -> Self {
        Self { password_hash: Some(hash), ..self }
    }

    /// Whether the account may be used.
    pub fn status(&self) -> UserStatus {
        self.status
    }

    /// Whether a sign-in takes a second factor.
    pub fn mfa_enabled(&self) -> bool {
        self.mfa_enabled
    }

    /// The hash of the password that was shown, if one was.
    pub fn password_hash(&self) -> Option<&PasswordHash> {
        self.password_hash.as_ref()
    }

    /// Whether all of it holds for a user as they are now, with their stored hash. For adapters that look for themselves.
    pub fn holds_for(&self, user: &User, stored: Option<&PasswordHash>) -> bool {
        self.status == user.status
            && self.mfa_enabled == user.mfa_enabled
            && (self.password_hash.is_none() || self.password_hash.as_ref() == stored)
    }
}

#[cfg(test)]
mod tests {
    use identsphere_kernel::{Email, OrganizationId, Timestamp, UserId};

    use super::*;

    fn user() -> User {
        let now = Timestamp::from_unix_micros(0);
        User {
            id: UserId::from_bytes([1; 16]),
            email: Email::parse("ada@example.com").unwrap(),
            email_verified: true,
            last_password_change: None,
            home_organization: OrganizationId::from_bytes([2; 16]),
            status: UserStatus::Active,
            display_name: None,
            mfa_enabled: false,
            passkey_enabled: false,
            created_at: now,
            updated_at: now,
        }
    }

    #[test]
    fn a_standing_holds_until_a_fact_that_it_has_changes() {
        let (hash, other) = (PasswordHash::new("one"), PasswordHash::new("other"));
        let (plain, by_password) = (Standing::of(&user()), Standing::of(&user()).with_password(hash.clone()));
        for stored in [None, Some(&hash), Some(&other)] {
            assert!(plain.holds_for(&user(), stored));
            assert_eq!(by_password.holds_for(&user(), stored), stored == Some(&hash));
        }
        for status in UserStatus::ALL {
            let changed = User { status, ..user() };
            assert_eq!(by_password.holds_for(&changed, Some(&hash)), status == UserStatus::Active);
        }
        let protected = User { mfa_enabled: true, ..user() };
        assert!(!plain.holds_for(&protected, None));
        assert!(Standing::of(&protected).holds_for(&protected, None));
        assert!(!Standing::of(&protected).holds_for(&user(), None));
    }
}
