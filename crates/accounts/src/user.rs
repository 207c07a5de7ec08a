//! The user record.

use std::fmt;

use identsphere_kernel::{Email, OrganizationId, Timestamp, UserId};
use unicode_normalization::UnicodeNormalization;

/// Whether an account may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UserStatus {
    /// May sign in.
    Active,
    /// Invited, has not accepted yet.
    Invited,
    /// Blocked by an administrator.
    Disabled,
    /// Gone; the row remains so that audit rows keep their meaning.
    Deleted,
}

impl UserStatus {
    /// Every status.
    pub const ALL: [Self; 4] = [Self::Active, Self::Invited, Self::Disabled, Self::Deleted];

    /// The stable name, as stored.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Invited => "invited",
            Self::Disabled => "disabled",
            Self::Deleted => "deleted",
        }
    }

    /// The status with this stable name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }
}

/// What is wrong with a field of text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FieldError {
    /// Empty where something is due.
    #[error("must not be empty")]
    Empty,
    /// Longer than allowed.
    #[error("must be at most {limit} characters")]
    TooLong {
        /// The most characters allowed.
        limit: usize,
    },
    /// Control characters, line breaks among them.
    #[error("must not contain control characters")]
    ControlCharacter,
}

/// A name to show to people: trimmed, NFC, at most 200 characters, no control characters.
#[derive(Clone, PartialEq, Eq)]
pub struct DisplayName(String);

impl DisplayName {
    /// The most characters a name may have.
    pub const MAX_CHARS: usize = 200;

    /// Reads a name.
    ///
    /// # Errors
    /// [`FieldError`] says which rule the text breaks.
    pub fn parse(text: &str) -> Result<Self, FieldError> {
        let name: String = text.trim().nfc().collect();
        match name.chars().count() {
            0 => Err(FieldError::Empty),
            n if n > Self::MAX_CHARS => Err(FieldError::TooLong { limit: Self::MAX_CHARS }),
            _ if name.contains(char::is_control) => Err(FieldError::ControlCharacter),
            _ => Ok(Self(name)),
        }
    }

    /// Restores a name from a store. For adapters.
    pub fn from_stored(name: String) -> Self {
        Self(name)
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for DisplayName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DisplayName({:?})", self.0)
    }
}

/// A person with an account. The password hash is not part of it: it travels alone, to the few places that
/// need it. Timestamps are set by the use case; adapters store them as they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The user's id.
    pub id: UserId,
    /// The address, as typed and as compared.
    pub email: Email,
    /// Whether the owner of the mailbox has confirmed it.
    pub email_verified: bool,
    /// When the password was last set.
    pub last_password_change: Option<Timestamp>,
    /// The organisation that a new session starts in.
    pub home_organization: OrganizationId,
    /// Whether the account may be used.
    pub status: UserStatus,
    /// The name to show to people.
    pub display_name: Option<DisplayName>,
    /// Whether a sign-in takes a second factor: codes of an authenticator, set up and confirmed.
    pub mfa_enabled: bool,
    /// Whether they have a passkey.
    pub passkey_enabled: bool,
    /// When the account was made.
    pub created_at: Timestamp,
    /// When the row last changed.
    pub updated_at: Timestamp,
}
