//! The small values of the ceremonies.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use identsphere_kernel::SecureRandom;
use serde::{Serialize, Serializer};

use super::PasskeyError;

/// What an authenticator must sign in one ceremony: 32 random bytes (WebAuthn §13.4.3). Public, but used once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Challenge([u8; 32]);

impl Challenge {
    /// A new challenge.
    pub fn generate(random: &dyn SecureRandom) -> Self {
        Self(random.bytes())
    }

    /// The challenge with these bytes. For adapters.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes. For adapters.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// As it stands in options and in client data.
    pub fn to_base64url(self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }
}

/// Whom a passkey belongs to, as authenticators know it: 64 random bytes, because a handle may be read without
/// proving anything (WebAuthn §14.6.1). The same for all passkeys of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct UserHandle([u8; 64]);

impl UserHandle {
    /// A new handle.
    pub fn generate(random: &dyn SecureRandom) -> Self {
        Self(random.bytes())
    }

    /// The handle with these bytes. For adapters.
    pub const fn from_bytes(bytes: [u8; 64]) -> Self {
        Self(bytes)
    }

    /// The handle that was presented; `None` if it cannot be one of ours.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The bytes. For adapters.
    pub const fn as_bytes(&self) -> &[u8; 64] {
        &self.0
    }
}

/// The id of a credential: chosen by its authenticator, 16 to 1023 bytes (WebAuthn §4 "credential ID", §7.1 step 25).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CredentialId(Vec<u8>);

impl CredentialId {
    /// The fewest bytes: an id has at least 100 bits of entropy.
    pub const LEAST_BYTES: usize = 16;
    /// The most bytes.
    pub const MOST_BYTES: usize = 1_023;

    /// Takes an id.
    ///
    /// # Errors
    /// [`PasskeyError::CredentialId`] when it is too short or too long.
    pub fn parse(bytes: &[u8]) -> Result<Self, PasskeyError> {
        if (Self::LEAST_BYTES..=Self::MOST_BYTES).contains(&bytes.len()) {
            Ok(Self(bytes.to_vec()))
        } else {
            Err(PasskeyError::CredentialId)
        }
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// As it stands in options and answers.
    pub fn to_base64url(&self) -> String {
        URL_SAFE_NO_PAD.encode(&self.0)
    }
}

macro_rules! serialized_as_base64url {
    ($($name:ty),+) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&URL_SAFE_NO_PAD.encode(&self.0))
            }
        }
    )+};
}

serialized_as_base64url!(Challenge, UserHandle, CredentialId);

/// How a credential can be reached, as the browser said: hints for the next ceremony, kept even when they are new to us
/// (WebAuthn §5.2.1.1). At most eight, each of at most 32 of `a-z`, `0-9` and `-`; others are dropped.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Transports(Vec<String>);

impl Transports {
    const MOST: usize = 8;
    const LONGEST: usize = 32;

    /// Keeps what is usable of a list.
    pub fn keep<T: AsRef<str>>(said: impl IntoIterator<Item = T>) -> Self {
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let mut kept: Vec<String> = Vec::new();
        for transport in said {
            let transport = transport.as_ref();
            let usable = (1..=Self::LONGEST).contains(&transport.len()) && transport.bytes().all(fits);
            if usable && kept.len() < Self::MOST && !kept.iter().any(|known| known == transport) {
                kept.push(transport.to_owned());
            }
        }
        Self(kept)
    }

    /// The hints.
    pub fn as_slice(&self) -> &[String] {
        &self.0
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use identsphere_kernel::OsRandom;

    use super::*;

    #[test]
    fn challenges_and_handles_are_random_and_written_without_padding() {
        assert_ne!(Challenge::generate(&OsRandom), Challenge::generate(&OsRandom));
        assert_ne!(UserHandle::generate(&OsRandom), UserHandle::generate(&OsRandom));
        assert_eq!(Challenge::from_bytes([0xff; 32]).to_base64url(), format!("{}8", "_".repeat(42)));
        assert_eq!(
            serde_json::to_string(&UserHandle::from_bytes([0; 64])).unwrap(),
            format!("\"{}\"", "A".repeat(86))
        );
    }

    #[test]
    fn a_handle_has_sixty_four_bytes() {
        assert_eq!(UserHandle::parse(&[7; 64]), Some(UserHandle::from_bytes([7; 64])));
        assert!(UserHandle::parse(&[7; 63]).is_none() && UserHandle::parse(&[]).is_none());
    }

    #[test]
    fn transports_are_kept_as_far_as_they_make_sense() {
        let kept = Transports::keep([
            "usb",
            "smart-card",
            "usb",
            "",
            "Internal",
            "a\nb",
            &"x".repeat(33),
            "ümlaut",
            "new",
        ]);
        assert_eq!(kept.as_slice(), ["usb", "smart-card", "new"]);
        assert_eq!(Transports::keep((0..100).map(|at| format!("t{at}"))).as_slice().len(), 8);
    }
}
