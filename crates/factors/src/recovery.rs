//! Recovery codes: what lets somebody in whose authenticator is gone.
//!
//! A code is 80 random bits, written as sixteen characters in groups of four. Letters that look like digits do not occur
//! in it and are read as the digits they look like (Crockford's base 32), so that a code can be copied from paper. Each
//! code has one canonical form, whatever was typed, and that form is what is hashed.

use std::fmt;

use identsphere_kernel::{SecretBytes, SecretString, SecureRandom, TokenHash, UserId};
use zeroize::Zeroizing;

/// How many codes a user gets.
pub const RECOVERY_CODES: usize = 10;

const BYTES: usize = 10;
const CHARACTERS: usize = BYTES * 8 / 5;
const GROUP: usize = 4;
/// No honest spelling is longer: every character with a separator on each side.
const LONGEST_TEXT: usize = 3 * CHARACTERS;

/// Crockford's base 32: no `I`, `L`, `O` (like digits) and no `U`.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// The text is not a recovery code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a recovery code")]
pub struct MalformedRecoveryCode;

/// One recovery code.
#[derive(Clone)]
pub struct RecoveryCode(SecretBytes<BYTES>);

impl RecoveryCode {
    /// A new code.
    pub fn generate(random: &dyn SecureRandom) -> Self {
        Self(SecretBytes::new(random.bytes()))
    }

    /// A new set of codes, as a user gets them.
    pub fn generate_set(random: &dyn SecureRandom) -> [Self; RECOVERY_CODES] {
        std::array::from_fn(|_| Self::generate(random))
    }

    /// Reads a code: case does not matter, hyphens and spaces between the characters do not count, `O` is `0`, `I` and
    /// `L` are `1`. Everything else that is not in the alphabet is refused.
    ///
    /// # Errors
    /// [`MalformedRecoveryCode`].
    pub fn parse(text: &str) -> Result<Self, MalformedRecoveryCode> {
        if text.len() > LONGEST_TEXT {
            return Err(MalformedRecoveryCode);
        }
        let (mut bits, mut count) = (Zeroizing::new(0u128), 0);
        for byte in text.bytes().filter(|byte| !matches!(byte, b'-' | b' ')) {
            *bits = *bits << 5 | value(byte).ok_or(MalformedRecoveryCode)?;
            count += 1;
            if count > CHARACTERS {
                return Err(MalformedRecoveryCode);
            }
        }
        let all = Zeroizing::new(bits.to_be_bytes());
        match all.last_chunk() {
            Some(bytes) if count == CHARACTERS => Ok(Self(SecretBytes::new(*bytes))),
            _ => Err(MalformedRecoveryCode),
        }
    }

    /// The code as its owner keeps it: `XXXX-XXXX-XXXX-XXXX`, the canonical form.
    pub fn text(&self) -> SecretString {
        let bits =
            Zeroizing::new(self.0.expose().iter().fold(0u128, |bits, byte| bits << 8 | u128::from(*byte)));
        let mut text = Zeroizing::new(String::with_capacity(CHARACTERS + CHARACTERS / GROUP));
        for place in (0..CHARACTERS).rev() {
            let value = usize::try_from(*bits >> (place * 5) & 31).unwrap_or(0);
            text.push(ALPHABET.get(value).copied().map_or('0', char::from));
            if place % GROUP == 0 && place != 0 {
                text.push('-');
            }
        }
        SecretString::new(text.as_str())
    }

    /// What a store keeps of a user's code. The user is part of it: a stolen table has to be searched user by user, and
    /// another user's code is not found.
    pub fn hash(&self, user: UserId) -> TokenHash {
        let text = self.text();
        let mut input = Zeroizing::new(Vec::with_capacity(16 + text.expose().len()));
        input.extend_from_slice(user.as_uuid().as_bytes());
        input.extend_from_slice(text.expose().as_bytes());
        TokenHash::of(&input)
    }
}

impl fmt::Debug for RecoveryCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecoveryCode(redacted)")
    }
}

/// What a character stands for.
fn value(character: u8) -> Option<u128> {
    let canonical = match character.to_ascii_uppercase() {
        b'O' => b'0',
        b'I' | b'L' => b'1',
        other => other,
    };
    ALPHABET.iter().position(|known| *known == canonical).and_then(|value| u128::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use identsphere_kernel::{OsRandom, SystemClock};
    use proptest::prelude::*;

    use super::*;

    fn code(bytes: [u8; BYTES]) -> RecoveryCode {
        RecoveryCode(SecretBytes::new(bytes))
    }

    #[test]
    fn a_code_is_four_readable_groups() {
        assert_eq!(code([0; BYTES]).text().expose(), "0000-0000-0000-0000");
        assert_eq!(code([0xff; BYTES]).text().expose(), "ZZZZ-ZZZZ-ZZZZ-ZZZZ");
        let ordered = [0x00, 0x44, 0x32, 0x14, 0xc7, 0x42, 0x54, 0xb6, 0x35, 0xcf];
        assert_eq!(code(ordered).text().expose(), "0123-4567-89AB-CDEF");
    }

    #[test]
    fn ten_codes_differ() {
        let texts = RecoveryCode::generate_set(&OsRandom).map(|code| code.text().expose().to_owned());
        assert_eq!(std::collections::HashSet::from(texts).len(), RECOVERY_CODES);
    }

    #[test]
    fn what_people_type_is_read_as_the_code_they_mean() {
        let user = UserId::new(&SystemClock, &OsRandom);
        let canonical = RecoveryCode::parse("0123-4567-89AB-CDEF").unwrap();
        for text in
            ["0123456789ABCDEF", "oi23-4567-89ab-cdef", "OL23 4567 89aB cDeF", " 0123-4567-89ab--cdef "]
        {
            let read = RecoveryCode::parse(text).unwrap();
            assert_eq!(read.text().expose(), "0123-4567-89AB-CDEF");
            assert!(read.hash(user) == canonical.hash(user));
        }
    }

    #[test]
    fn what_is_not_a_code_is_refused() {
        for text in [
            "",
            "-",
            "0123-4567-89AB-CDE",
            "0123-4567-89AB-CDEFG",
            "0123-4567-89AB-CDEU",
            "0123-4567-89AB-CDE_",
            "0123\u{2011}4567\u{2011}89AB\u{2011}CDEF",
            "０123-4567-89AB-CDEF",
            "0123\n4567\n89AB\nCDEF",
            "0123-4567-89AB-CDEK\u{301}",
            "0123-4567-89AB-CDE\u{212a}",
            "0123-4567-89AB-CDEF\0",
        ] {
            assert!(RecoveryCode::parse(text).is_err(), "{text:?}");
        }
        let separated = |count| RecoveryCode::parse(&format!("0123456789ABCDEF{}", "-".repeat(count)));
        assert!(separated(2 * CHARACTERS).is_ok());
        assert!(separated(2 * CHARACTERS + 1).is_err());
    }

    #[test]
    fn the_same_code_of_two_users_has_two_hashes() {
        let (a, b) = (UserId::new(&SystemClock, &OsRandom), UserId::new(&SystemClock, &OsRandom));
        let code = RecoveryCode::generate(&OsRandom);
        assert!(code.hash(a) == code.hash(a));
        assert!(code.hash(a) != code.hash(b));
    }

    #[test]
    fn a_code_does_not_print_itself() {
        assert_eq!(format!("{:?}", code([1; BYTES])), "RecoveryCode(redacted)");
    }

    proptest! {
        #[test]
        fn every_code_reads_back_as_itself(bytes: [u8; BYTES]) {
            let text = code(bytes).text().expose().to_owned();
            for spelling in [text.to_lowercase(), text.replace('-', " "), text] {
                let read = RecoveryCode::parse(&spelling).unwrap();
                prop_assert_eq!(read.0.expose(), &bytes);
            }
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in prop_oneof![any::<String>(), "[0-9a-zA-Z -]{10,50}"]) {
            if let Ok(code) = RecoveryCode::parse(&text) {
                let canonical = code.text();
                let again = RecoveryCode::parse(canonical.expose()).unwrap().text();
                prop_assert_eq!(again.expose(), canonical.expose());
            }
        }
    }
}
