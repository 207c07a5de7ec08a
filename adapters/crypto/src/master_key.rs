//! The one secret of a deployment, and the keys that are derived from it.

use std::sync::Arc;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::engine::{DecodePaddingMode, general_purpose};
use hmac::{Hmac, KeyInit, Mac};
use identsphere_accounts::CodeKey;
use identsphere_core::Secrets;
use identsphere_factors::passkey::DecoyKey;
use identsphere_kernel::{SecretBytes, SecretString, SecureRandom};
use identsphere_sessions::{DisownKey, RefreshKey};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::Sealer;

/// What keys are derived for. Two purposes never share a key; changing a text here changes the key.
pub mod purpose {
    /// The key that chains refresh tokens.
    pub const REFRESH_TOKENS: &str = "identsphere refresh tokens";
    /// The key that signs CSRF tokens.
    pub const CSRF: &str = "identsphere csrf";
    /// The key that seals the private halves of signing keys.
    pub const SIGNING_KEYS: &str = "identsphere signing keys";
    /// The key that hashes sign-in codes.
    pub const SIGN_IN_CODES: &str = "identsphere sign-in codes";
    /// The key of the tokens that end a session from a mail.
    pub const DISOWNED_SESSIONS: &str = "identsphere disowned sessions";
    /// The key that seals what waits in the outbox.
    pub const OUTBOX: &str = "identsphere outbox";
    /// The key that seals the secrets of authenticators.
    pub const AUTHENTICATORS: &str = "identsphere authenticators";
    /// The key of the passkeys of accounts that do not exist.
    pub const DECOY_PASSKEYS: &str = "identsphere decoy passkeys";
    /// What names a master key without telling anything about it.
    pub(crate) const KEY_ID: &str = "identsphere master key id";
}

/// Why a text is not taken as a master key. No variant repeats any of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MasterKeyError {
    /// Neither base64 nor hex.
    #[error("the master key is neither base64 nor hex; {HOW}")]
    Encoding,
    /// Not 32 bytes.
    #[error("the master key has {bytes} bytes instead of 32; {HOW}")]
    Length {
        /// How many it has.
        bytes: usize,
    },
    /// Text, a pattern or a sequence instead of random bytes.
    #[error("the master key is a placeholder, not random bytes; {HOW}")]
    Placeholder,
}

const HOW: &str = "make one with `openssl rand -base64 32`";

/// The 32 secret bytes from which every other key of a deployment is derived.
#[derive(Debug, Clone)]
pub struct MasterKey(SecretBytes<32>);

impl MasterKey {
    /// Reads a key as an operator writes it: base64 (either alphabet, padded or not) or hex; white space around it
    /// does not count.
    ///
    /// # Errors
    /// [`MasterKeyError`].
    pub fn parse(text: &str) -> Result<Self, MasterKeyError> {
        let decoded = Zeroizing::new(decode(text.trim()).ok_or(MasterKeyError::Encoding)?);
        let bytes: Zeroizing<[u8; 32]> = match decoded.as_slice().try_into() {
            Ok(bytes) => Zeroizing::new(bytes),
            Err(_) => return Err(MasterKeyError::Length { bytes: decoded.len() }),
        };
        if is_placeholder(&bytes) {
            return Err(MasterKeyError::Placeholder);
        }
        Ok(Self(SecretBytes::new(*bytes)))
    }

    /// A new key.
    pub fn generate(random: &dyn SecureRandom) -> Self {
        Self(SecretBytes::new(random.bytes()))
    }

    /// The key as text that [`MasterKey::parse`] reads; for writing the key file.
    pub fn to_base64(&self) -> SecretString {
        SecretString::new(general_purpose::STANDARD.encode(self.0.expose()))
    }

    /// The key for one of the [`purpose`]s: HKDF-SHA256 (RFC 5869 §2) with the purpose as `info`.
    pub fn derive(&self, purpose: &str) -> SecretBytes<32> {
        hkdf(self.0.expose(), purpose.as_bytes())
    }

    /// Every key that the use cases need.
    pub fn secrets(&self) -> Secrets {
        Secrets {
            refresh: RefreshKey::new(self.derive(purpose::REFRESH_TOKENS)),
            codes: CodeKey::new(self.derive(purpose::SIGN_IN_CODES)),
            disown: DisownKey::new(self.derive(purpose::DISOWNED_SESSIONS)),
            outbox: Arc::new(Sealer::new(self, purpose::OUTBOX)),
            authenticators: Arc::new(Sealer::new(self, purpose::AUTHENTICATORS)),
            decoys: DecoyKey::new(self.derive(purpose::DECOY_PASSKEYS)),
        }
    }

    /// Four bytes that tell this key from another one; they are not secret.
    pub(crate) fn id(&self) -> [u8; 4] {
        let [a, b, c, d, ..] = *self.derive(purpose::KEY_ID).expose();
        [a, b, c, d]
    }
}

const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

/// A text of hex digits alone is never base64: random bytes do not look like that.
fn decode(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u32>> = text.chars().map(|c| c.to_digit(16)).collect();
    match digits {
        Some(digits) if digits.is_empty() || digits.len() % 2 != 0 => None,
        Some(digits) => {
            let digits = Zeroizing::new(digits);
            digits
                .chunks(2)
                .map(|pair| u8::try_from(pair.iter().fold(0, |sum, d| sum * 16 + d)).ok())
                .collect()
        }
        None => STANDARD.decode(text).or_else(|_| URL_SAFE.decode(text)).ok(),
    }
}

/// What 32 random bytes are with a probability below 2⁻⁴⁰: printable text, a repeated pattern, an arithmetic
/// sequence, or a handful of different bytes.
fn is_placeholder(bytes: &[u8; 32]) -> bool {
    let printable = bytes.iter().all(|byte| (b' '..=b'~').contains(byte));
    let repeats = |period: usize| bytes.iter().zip(bytes.iter().skip(period)).all(|(a, b)| a == b);
    let step = |by: u8| bytes.iter().zip(bytes.iter().skip(1)).all(|(a, b)| a.wrapping_add(by) == *b);
    let distinct = bytes.iter().collect::<std::collections::HashSet<_>>().len();
    printable || distinct < 12 || (1..=16).any(repeats) || (0..=u8::MAX).any(step)
}

/// HKDF-SHA256 (RFC 5869 §2.2, §2.3) without a salt and for one block of output.
fn hkdf(key_material: &[u8], info: &[u8]) -> SecretBytes<32> {
    let pseudorandom_key = SecretBytes::new(hmac(&[0; 32], &[key_material]));
    SecretBytes::new(hmac(pseudorandom_key.expose(), &[info, &[1]]))
}

fn hmac(key: &[u8; 32], message: &[&[u8]]) -> [u8; 32] {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length (RFC 2104 §2)")]
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of 32 bytes is valid");
    message.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use identsphere_testkit::SeededRandom;
    use proptest::prelude::*;

    use super::*;

    fn base64(bytes: &[u8]) -> String {
        general_purpose::STANDARD.encode(bytes)
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn every_spelling_of_a_key_is_read() {
        let key = MasterKey::generate(&SeededRandom::new(7));
        let bytes = key.0.expose();
        let standard = base64(bytes);
        let spellings = [
            standard.clone(),
            standard.trim_end_matches('=').to_owned(),
            general_purpose::URL_SAFE.encode(bytes),
            general_purpose::URL_SAFE_NO_PAD.encode(bytes),
            hex(bytes),
            hex(bytes).to_uppercase(),
            format!(" {standard}\r\n"),
        ];
        for text in spellings {
            assert_eq!(MasterKey::parse(&text).unwrap().0.expose(), bytes, "{text}");
        }
        assert_eq!(key.to_base64().expose(), standard);
    }

    #[test]
    fn wrong_lengths_are_named() {
        let bytes = MasterKey::generate(&SeededRandom::new(7)).0;
        let bytes = bytes.expose();
        for (text, length) in
            [(base64(&bytes[..31]), 31), (hex(&bytes[..16]), 16), (hex(&[*bytes; 2].concat()), 64)]
        {
            assert_eq!(MasterKey::parse(&text).unwrap_err(), MasterKeyError::Length { bytes: length });
        }
        for text in ["", "\n", "correct horse", "äöü", &hex(bytes)[..63], "abc=def"] {
            assert_eq!(MasterKey::parse(text).unwrap_err(), MasterKeyError::Encoding, "{text}");
        }
    }

    #[test]
    fn placeholders_are_no_keys() {
        let counting: Vec<u8> = (0..32).collect();
        let pattern: Vec<u8> = [0xde, 0xad, 0xbe, 0xef].repeat(8);
        let halves: Vec<u8> = MasterKey::generate(&SeededRandom::new(7)).0.expose()[..16].repeat(2);
        let few: Vec<u8> = (0u32..32).map(|i| (i * i % 11) as u8 ^ 0x80).collect();
        let texts = [
            &[0; 32],
            &[0xff; 32],
            &counting[..],
            &pattern,
            &halves,
            &few,
            b"change-me-change-me-please-32-by",
        ];
        for bytes in texts {
            assert_eq!(
                MasterKey::parse(&base64(bytes)).unwrap_err(),
                MasterKeyError::Placeholder,
                "{bytes:?}"
            );
            assert_eq!(MasterKey::parse(&hex(bytes)).unwrap_err(), MasterKeyError::Placeholder, "{bytes:?}");
        }
    }

    /// RFC 5869 appendix A.3, of whose 42 bytes of output we take the first block.
    #[test]
    fn derivation_is_that_of_the_specification() {
        let derived = hkdf(&[0x0b; 22], b"");
        assert_eq!(hex(derived.expose()), "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d");
    }

    #[test]
    fn each_purpose_and_each_master_key_has_a_key_of_its_own() {
        let (one, other) =
            (MasterKey::generate(&SeededRandom::new(1)), MasterKey::generate(&SeededRandom::new(2)));
        let purposes = [purpose::REFRESH_TOKENS, purpose::CSRF, purpose::SIGNING_KEYS, purpose::KEY_ID];
        let keys: std::collections::HashSet<[u8; 32]> = purposes
            .iter()
            .flat_map(|purpose| [&one, &other].map(|key| *key.derive(purpose).expose()))
            .collect();
        assert_eq!(keys.len(), 8);
        assert_ne!(one.id(), other.id());
        assert_eq!(one.derive(purpose::CSRF).expose(), one.clone().derive(purpose::CSRF).expose());
    }

    #[test]
    fn neither_debug_output_nor_errors_show_the_key() {
        let key = MasterKey::generate(&SeededRandom::new(7));
        assert_eq!(format!("{key:?}"), "MasterKey(SecretBytes<32>(redacted))");
        assert!(!MasterKey::parse("s3cret!").unwrap_err().to_string().contains("s3cret"));
    }

    proptest! {
        #[test]
        fn random_bytes_are_never_taken_for_a_placeholder(bytes in any::<[u8; 32]>()) {
            // Generators favour small values at times; only what spreads like random bytes is a fair sample.
            prop_assume!(bytes.iter().collect::<std::collections::HashSet<_>>().len() > 20);
            prop_assert!(MasterKey::parse(&base64(&bytes)).is_ok());
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in any::<String>()) {
            let _ = MasterKey::parse(&text);
        }
    }
}
