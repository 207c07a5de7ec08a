//! Passwords as people choose them and as they are kept.

use std::collections::HashSet;
use std::fmt;
use std::sync::LazyLock;

use identsphere_kernel::{EmailKey, SecretString};
use unicode_normalization::UnicodeNormalization;

/// Why a password is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Fewer than 12 characters.
    #[error("must be at least {} characters", Password::MIN_CHARS)]
    TooShort,
    /// More than 256 characters or 1,024 bytes.
    #[error("must be at most {} characters and {} bytes", Password::MAX_CHARS, Password::MAX_BYTES)]
    TooLong,
    /// One of the passwords that are guessed first.
    #[error("is among the passwords that are guessed first; choose another one")]
    Common,
    /// The e-mail address, or little more than its name part.
    #[error("must not be made from the e-mail address")]
    FromEmail,
}

/// A password presented by somebody: NFC-normalised, otherwise byte for byte as given (never trimmed, folded or cut).
#[derive(Clone)]
pub struct Password(SecretString);

impl Password {
    /// Fewest characters of a new password.
    pub const MIN_CHARS: usize = 12;
    /// Most characters of a password.
    pub const MAX_CHARS: usize = 256;
    /// Most bytes of a password; more are refused before any look-up or hash (PW-02).
    pub const MAX_BYTES: usize = 1_024;

    /// A password that is to be set for the account with this address: every rule holds. Without an address (it was
    /// none) the rule about it is left out, so that the other faults of the password are reported all the same.
    ///
    /// # Errors
    /// [`PasswordError`] says which rule the text breaks.
    pub fn choose(text: &str, email: Option<&EmailKey>) -> Result<Self, PasswordError> {
        let password = Self::present(text)?;
        let chosen = password.0.expose();
        if chosen.chars().count() < Self::MIN_CHARS {
            return Err(PasswordError::TooShort);
        }
        let folded = chosen.to_lowercase();
        if COMMON.contains(reduce(&folded)) || COMMON.contains(folded.as_str()) || is_repetition(&folded) {
            return Err(PasswordError::Common);
        }
        if email.is_some_and(|email| folded == email.as_str() || reduce(&folded) == email.local_part()) {
            return Err(PasswordError::FromEmail);
        }
        Ok(password)
    }

    /// A password that is to be checked: only the limits hold that bound the work.
    ///
    /// # Errors
    /// [`PasswordError::TooLong`].
    pub fn present(text: &str) -> Result<Self, PasswordError> {
        if text.len() > Self::MAX_BYTES {
            return Err(PasswordError::TooLong);
        }
        let normal: String = text.nfc().collect();
        if normal.len() > Self::MAX_BYTES || normal.chars().count() > Self::MAX_CHARS {
            return Err(PasswordError::TooLong);
        }
        Ok(Self(SecretString::new(normal)))
    }

    /// The bytes to hash.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.expose().as_bytes()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(redacted)")
    }
}

/// A password hash as a self-describing string (PHC, or a form of another system that was imported).
#[derive(Clone)]
pub struct PasswordHash(SecretString);

impl PasswordHash {
    /// Takes a hash string. Whether it can be verified is the hasher's to say.
    pub fn new(hash: impl Into<String>) -> Self {
        Self(SecretString::new(hash))
    }

    /// The hash string. For the hasher and for adapters.
    pub fn as_str(&self) -> &str {
        self.0.expose()
    }
}

impl PartialEq for PasswordHash {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for PasswordHash {}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(redacted)")
    }
}

/// What is guessed first (PW-05): whole passwords of twelve characters and more, and shorter words that people
/// lengthen with digits and punctuation.
static COMMON: LazyLock<HashSet<&'static str>> =
    LazyLock::new(|| include_str!("common_passwords.txt").lines().filter(|line| !line.is_empty()).collect());

/// The password without the digits and punctuation that people put around a word.
fn reduce(folded: &str) -> &str {
    folded.trim_matches(|c: char| c.is_ascii_digit() || c.is_ascii_punctuation() || c == ' ')
}

/// One short piece over and over: `aaaaaaaaaaaa`, `abcabcabcabc`.
fn is_repetition(text: &str) -> bool {
    let chars: Vec<char> = text.chars().collect();
    (1..=4).any(|period| chars.iter().zip(chars.iter().skip(period)).all(|(a, b)| a == b))
}

#[cfg(test)]
mod tests {
    use identsphere_kernel::Email;
    use proptest::prelude::*;

    use super::*;

    fn choose(text: &str) -> Result<(), PasswordError> {
        let email = Email::parse("grace.hopper@example.com").unwrap();
        Password::choose(text, Some(email.key())).map(drop)
    }

    #[test]
    fn length_is_counted_in_characters_and_capped_in_bytes() {
        assert_eq!(choose("elevenchars"), Err(PasswordError::TooShort));
        assert_eq!(choose("twelve chars"), Ok(()));
        assert_eq!(choose(&"🦀🐍🦫🐘🐪🐹🦊🐧".repeat(8)), Ok(()), "64 four-byte characters");
        assert_eq!(choose(&"aé€".repeat(85)), Err(PasswordError::Common), "255 characters are not too many");
        assert_eq!(choose(&"x1".repeat(129)), Err(PasswordError::TooLong));
        assert_eq!(choose(&"x".repeat(1025)), Err(PasswordError::TooLong));
    }

    #[test]
    fn passwords_that_are_guessed_first_are_refused() {
        for text in [
            "password1234",
            "Password123!",
            "qwertyuiop123",
            "123456789012",
            "iloveyou2024!",
            "aaaaaaaaaaaa",
            "abcabcabcabc",
            "identsphere1",
            "!!!dragon!!!!",
        ] {
            assert_eq!(choose(text), Err(PasswordError::Common), "{text}");
        }
        for text in ["grace.hopper@example.com", "Grace.Hopper1", "grace.hopper2026!"] {
            assert_eq!(choose(text), Err(PasswordError::FromEmail), "{text}");
        }
    }

    #[test]
    fn odd_passwords_are_taken_as_they_are() {
        for text in [
            "correct horse battery staple",
            " leading and trailing ",
            "tab\tand\nnewline",
            "null\0byte inside",
            "пароль на русском",
            "密码密码很长很长的密码吧好",
            "zwölf Boxkämpfer",
        ] {
            assert_eq!(choose(text), Ok(()), "{text}");
        }
        assert_eq!(Password::present(" x ").unwrap().as_bytes(), b" x ");
    }

    #[test]
    fn composed_and_decomposed_forms_are_one_password() {
        assert_eq!(
            Password::present("caf\u{e9}").unwrap().as_bytes(),
            Password::present("cafe\u{301}").unwrap().as_bytes()
        );
    }

    proptest! {
        /// PW-03: what differs anywhere differs.
        #[test]
        fn nothing_is_cut_off(prefix in "[a-z]{0,200}", a in "[a-z]{1,20}", b in "[a-z]{1,20}") {
            prop_assume!(a != b);
            let (a, b) = (Password::present(&format!("{prefix}{a}")).unwrap(), Password::present(&format!("{prefix}{b}")).unwrap());
            prop_assert_ne!(a.as_bytes(), b.as_bytes());
        }
    }
}
