//! Proofs that somebody reads a mailbox: links and codes that are sent there, valid once and for a while.
//!
//! A link carries an [`OpaqueToken`](identsphere_kernel::OpaqueToken). A code has too few digits to be hashed alone: what
//! is kept of it is a keyed hash.

use hmac::{Hmac, KeyInit, Mac};
use identsphere_kernel::{
    Duration, Email, EmailKey, SecretBytes, SecretString, SecureRandom, Timestamp, TokenHash, UserId,
};
use sha2::Sha256;

/// A code of six digits.
#[derive(Debug, Clone)]
pub struct SignInCode(SecretString);

impl SignInCode {
    /// How many digits it has.
    pub const DIGITS: usize = 6;

    /// A new one, every code as likely as any other.
    pub fn new(random: &dyn SecureRandom) -> Self {
        const CODES: u32 = 1_000_000;
        // Numbers from the last, incomplete run of codes are drawn again: they would favour small codes.
        const FAIR: u32 = u32::MAX - u32::MAX % CODES;
        loop {
            let drawn = u32::from_be_bytes(random.bytes());
            if drawn < FAIR {
                return Self(SecretString::new(format!("{:06}", drawn % CODES)));
            }
        }
    }

    /// Reads a code as somebody typed it: six ASCII digits and nothing else (MF-03).
    pub fn read(text: &str) -> Option<Self> {
        let fits = text.len() == Self::DIGITS && text.bytes().all(|byte| byte.is_ascii_digit());
        fits.then(|| Self(SecretString::new(text)))
    }

    /// The digits.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

/// The key under which codes are hashed; the same on every node.
#[derive(Debug, Clone)]
pub struct CodeKey(SecretBytes<32>);

impl CodeKey {
    /// The key with these bytes, derived from the master key.
    pub fn new(key: SecretBytes<32>) -> Self {
        Self(key)
    }

    /// What a store keeps of a user's code.
    pub fn hash(&self, user: UserId, code: &SignInCode) -> TokenHash {
        #[expect(clippy::expect_used, reason = "HMAC takes keys of any length (RFC 2104 §2)")]
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.expose()).expect("a key of 32 bytes is valid");
        mac.update(user.as_uuid().as_bytes());
        mac.update(code.expose().as_bytes());
        TokenHash::from_bytes(mac.finalize().into_bytes().into())
    }
}

/// What confirming an address does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum VerificationKind {
    /// The address of the account counts as confirmed.
    Confirm,
    /// The address becomes that of the account.
    Change,
}

/// A pending confirmation of an address. A user has one of each kind at most.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmailVerification {
    /// Of the link's token.
    pub hash: TokenHash,
    /// Whose.
    pub user: UserId,
    /// What it does.
    pub kind: VerificationKind,
    /// The address that it proves.
    pub email: Email,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
}

impl EmailVerification {
    /// How long one is valid (contract §10).
    pub const LIFETIME: Duration = Duration::from_secs(24 * 3_600);
}

/// A pending choice of another password. A user has one at most.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasswordReset {
    /// Of the link's token.
    pub hash: TokenHash,
    /// Whose.
    pub user: UserId,
    /// The address that it was sent to, and proves.
    pub email: EmailKey,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
}

impl PasswordReset {
    /// How long one is valid (contract §10).
    pub const LIFETIME: Duration = Duration::from_secs(3_600);
}

/// A pending sign-in by code. A user has one at most.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeChallenge {
    /// Whose.
    pub user: UserId,
    /// Of the code, under the [`CodeKey`].
    pub hash: TokenHash,
    /// The address that it was sent to, and proves.
    pub email: EmailKey,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
}

impl CodeChallenge {
    /// How long one is valid (contract §10).
    pub const LIFETIME: Duration = Duration::from_secs(600);
    /// How many codes may be tried on one.
    pub const ATTEMPTS: u32 = 5;
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    struct Fixed(std::sync::Mutex<Vec<u32>>);

    impl SecureRandom for Fixed {
        fn fill(&self, bytes: &mut [u8]) {
            let next = self.0.lock().unwrap().remove(0);
            bytes.copy_from_slice(&next.to_be_bytes());
        }
    }

    #[test]
    fn codes_are_drawn_evenly() {
        let random = Fixed(vec![u32::MAX, u32::MAX - 1, 4_294_000_000, 42].into());
        assert_eq!(SignInCode::new(&random).expose(), "000042");
        let random = Fixed(vec![4_293_999_999].into());
        assert_eq!(SignInCode::new(&random).expose(), "999999");
    }

    #[test]
    fn a_code_is_six_ascii_digits_and_nothing_else() {
        assert!(SignInCode::read("012345").is_some());
        for wrong in [
            "",
            "12345",
            "1234567",
            " 12345",
            "12345 ",
            "+12345",
            "１２３４５６",
            "12345\n",
            "12 345",
            "1234५6",
        ] {
            assert!(SignInCode::read(wrong).is_none(), "{wrong:?}");
        }
    }

    #[test]
    fn a_code_of_one_user_is_nothing_for_another() {
        let key = CodeKey::new(SecretBytes::new([7; 32]));
        let code = SignInCode::read("123456").unwrap();
        let (a, b) = (UserId::from_bytes([1; 16]), UserId::from_bytes([2; 16]));
        assert_eq!(key.hash(a, &code), key.hash(a, &code));
        assert_ne!(key.hash(a, &code), key.hash(b, &code));
        assert_ne!(key.hash(a, &code), CodeKey::new(SecretBytes::new([8; 32])).hash(a, &code));
    }

    proptest! {
        #[test]
        fn reading_never_panics(text in "\\PC*") {
            let _ = SignInCode::read(&text);
        }
    }
}
