//! Tokens that mean nothing by themselves: random text that is looked up by its hash.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::{SecretBytes, SecretString, SecureRandom, TokenHash};

/// What a token is good for. The purpose is part of the hash, so a token made for one purpose is nothing for another
/// (RC-02).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenPurpose {
    /// To confirm an address.
    VerifyEmail,
    /// To choose another password.
    ResetPassword,
    /// To present a second factor.
    SecondFactor,
    /// To be asked for no second factor.
    TrustedBrowser,
    /// To be told from other browsers.
    KnownBrowser,
}

impl TokenPurpose {
    const fn name(self) -> &'static str {
        match self {
            Self::VerifyEmail => "verify-email",
            Self::ResetPassword => "reset-password",
            Self::SecondFactor => "second-factor",
            Self::TrustedBrowser => "trusted-browser",
            Self::KnownBrowser => "known-browser",
        }
    }
}

/// A token: 32 random bytes in base64url.
#[derive(Debug, Clone)]
pub struct OpaqueToken(SecretString);

impl OpaqueToken {
    /// How many random bytes it has.
    const BYTES: usize = 32;

    /// A new one.
    pub fn new(random: &dyn SecureRandom) -> Self {
        let bytes: SecretBytes<{ Self::BYTES }> = SecretBytes::new(random.bytes());
        Self(SecretString::new(URL_SAFE_NO_PAD.encode(bytes.expose())))
    }

    /// Reads a presented one; `None` for what was never a token.
    pub fn read(text: &str) -> Option<Self> {
        let length = (Self::BYTES * 8).div_ceil(6);
        let alphabet = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        (text.len() == length && text.bytes().all(alphabet)).then(|| Self(SecretString::new(text)))
    }

    /// The token as it travels.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// What a store keeps of it.
    pub fn hash(&self, purpose: TokenPurpose) -> TokenHash {
        TokenHash::of([purpose.name().as_bytes(), b"\0", self.expose().as_bytes()].concat().as_slice())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::OsRandom;

    #[test]
    fn a_token_is_read_back_and_means_something_else_for_each_purpose() {
        let token = OpaqueToken::new(&OsRandom);
        let read = OpaqueToken::read(token.expose()).unwrap();
        assert_eq!(read.hash(TokenPurpose::VerifyEmail), token.hash(TokenPurpose::VerifyEmail));
        assert_ne!(token.hash(TokenPurpose::ResetPassword), token.hash(TokenPurpose::VerifyEmail));
        assert!(!format!("{token:?}").contains(token.expose()));
    }

    proptest! {
        #[test]
        fn reading_never_panics(text in "\\PC*") {
            let _ = OpaqueToken::read(&text);
        }
    }
}
