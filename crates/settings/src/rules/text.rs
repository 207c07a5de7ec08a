//! Names, paths, keys and locations.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use identsphere_kernel::SecretBytes;

use super::{Describe, Rejection, Rule};
use crate::store_location::StoreLocation;

/// Readable text.
pub(crate) struct Text {
    pub(crate) max: usize,
}

impl Describe for Text {
    fn describe(&self) -> String {
        format!("text of at most {} characters", self.max)
    }
}

impl Rule for Text {
    type Value = String;

    fn read(&self, text: &str) -> Result<String, Rejection> {
        let cut: String = text.chars().filter(|char| !char.is_control()).take(self.max).collect();
        if cut == text { Ok(cut) } else { Err(Rejection::near(cut)) }
    }
}

/// Text without spaces.
pub(crate) struct Word;

impl Describe for Word {
    fn describe(&self) -> String {
        "text without spaces, at most 255 characters".to_owned()
    }
}

impl Rule for Word {
    type Value = String;

    fn read(&self, text: &str) -> Result<String, Rejection> {
        let wrong = |char: char| char.is_whitespace() || char.is_control();
        if text.len() <= 255 && !text.contains(wrong) {
            return Ok(text.to_owned());
        }
        Err(Rejection::near(text.chars().filter(|char| !wrong(*char)).take(255).collect::<String>()))
    }
}

/// A path of the file system.
pub(crate) struct PathRule;

impl Describe for PathRule {
    fn describe(&self) -> String {
        "a path".to_owned()
    }
}

impl Rule for PathRule {
    type Value = PathBuf;

    fn read(&self, text: &str) -> Result<PathBuf, Rejection> {
        Ok(PathBuf::from(text))
    }
}

/// The location of the store.
pub(crate) struct Store;

impl Describe for Store {
    fn describe(&self) -> String {
        "`sqlite://PATH`, `postgres://USER:PASSWORD@HOST/DATABASE` or `memory:`".to_owned()
    }
}

impl Rule for Store {
    type Value = StoreLocation;

    fn read(&self, text: &str) -> Result<StoreLocation, Rejection> {
        StoreLocation::parse(text).map_err(|nearest| Rejection { reason: None, nearest })
    }
}

/// A PostgreSQL schema that needs no quotes and is not the system's.
pub(crate) struct Schema;

impl Describe for Schema {
    fn describe(&self) -> String {
        "a lower-case letter, then lower-case letters, digits and `_`, at most 63, not beginning with `pg_`"
            .to_owned()
    }
}

impl Rule for Schema {
    type Value = String;

    fn read(&self, text: &str) -> Result<String, Rejection> {
        let mended: String = text
            .trim_start_matches("pg_")
            .chars()
            .map(|char| if char.is_ascii_alphanumeric() { char.to_ascii_lowercase() } else { '_' })
            .skip_while(|char| !char.is_ascii_lowercase())
            .take(63)
            .collect();
        if mended == text { Ok(mended) } else { Err(Rejection { reason: None, nearest: some_text(mended) }) }
    }
}

/// The beginning of the names of cookies (RFC 6265 §4.1.1).
///
/// `__Host-` is refused: it obliges every cookie to the path `/` (RFC 6265bis §4.1.3.2), and the refresh token's is narrower.
pub(crate) struct CookiePrefix;

impl Describe for CookiePrefix {
    fn describe(&self) -> String {
        "letters, digits, `_` and `-`, at most 32, not beginning with `__Host-`".to_owned()
    }
}

impl Rule for CookiePrefix {
    type Value = String;

    fn read(&self, text: &str) -> Result<String, Rejection> {
        let host = text.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("__Host-"));
        let rest = if host { text.get(7..).unwrap_or_default() } else { text };
        let wanted = |char: &char| char.is_ascii_alphanumeric() || matches!(char, '_' | '-');
        let mended: String = rest.chars().filter(wanted).take(32).collect();
        if mended == text { Ok(mended) } else { Err(Rejection { reason: None, nearest: some_text(mended) }) }
    }
}

/// The domain of cookies.
pub(crate) struct CookieDomain;

impl Describe for CookieDomain {
    fn describe(&self) -> String {
        "the host of the base URL or a domain above it, lower case".to_owned()
    }
}

impl Rule for CookieDomain {
    type Value = String;

    fn read(&self, text: &str) -> Result<String, Rejection> {
        let mended = text.trim_matches('.').to_ascii_lowercase();
        let label = |label: &str| {
            !label.is_empty() && label.chars().all(|char| char.is_ascii_alphanumeric() || char == '-')
        };
        match (mended.split('.').all(label), mended == text) {
            (true, true) => Ok(mended),
            (true, false) => Err(Rejection::near(mended)),
            (false, _) => Err(Rejection::default()),
        }
    }
}

/// 32 random bytes in base64 or hex. What a person made up is refused (AU-11): a key seals every private key there is.
pub(crate) struct MasterKey;

const BASE64: GeneralPurpose = base64_in(base64::alphabet::STANDARD);
const BASE64_URL: GeneralPurpose = base64_in(base64::alphabet::URL_SAFE);
const ADVICE: &str = "make one with `openssl rand -base64 32`";

impl Describe for MasterKey {
    fn describe(&self) -> String {
        "32 random bytes in base64 or hex".to_owned()
    }
}

impl Rule for MasterKey {
    type Value = SecretBytes<32>;

    fn read(&self, text: &str) -> Result<SecretBytes<32>, Rejection> {
        let decoded = hex(text).or_else(|| BASE64.decode(text).ok()).or_else(|| BASE64_URL.decode(text).ok());
        let Some(decoded) = decoded else {
            return Err(Rejection::because(format!("must be 32 random bytes in base64 or hex: {ADVICE}")));
        };
        let count = decoded.len();
        let Ok(key) = <[u8; 32]>::try_from(decoded) else {
            return Err(Rejection::because(format!("must be 32 bytes, not {count}: {ADVICE}")));
        };
        if is_made_up(&key) {
            return Err(Rejection::because(format!("is a placeholder, not a random key: {ADVICE}")));
        }
        Ok(SecretBytes::new(key))
    }
}

/// Whether a key was typed rather than drawn: few different bytes, a plain sequence, or readable text. A random key
/// looks like one of these less than once in 10^13.
fn is_made_up(key: &[u8; 32]) -> bool {
    let mut distinct = key.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    let steps = key.iter().zip(key.iter().skip(1)).map(|(a, b)| b.wrapping_sub(*a));
    let first = steps.clone().next();
    let sequence = steps.into_iter().all(|step| Some(step) == first);
    distinct.len() < 16 || sequence || key.iter().all(|byte| (b' '..=b'~').contains(byte))
}

fn hex(text: &str) -> Option<Vec<u8>> {
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok()).collect()
}

const fn base64_in(alphabet: base64::alphabet::Alphabet) -> GeneralPurpose {
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    GeneralPurpose::new(&alphabet, config)
}

fn some_text(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

    use super::*;

    const KEY: [u8; 32] = [
        0x9f, 0x1c, 0x42, 0xd7, 0x05, 0xe8, 0x6b, 0x31, 0xfa, 0x77, 0x2e, 0xc0, 0x13, 0x88, 0x5d, 0xb4, 0x60,
        0x29, 0xf3, 0x9a, 0x4c, 0xde, 0x01, 0x56, 0xab, 0x34, 0xef, 0x7c, 0x90, 0x1b, 0xc5, 0x68,
    ];

    #[test]
    fn a_key_is_read_in_every_usual_spelling() {
        let hex: String = KEY.iter().map(|byte| format!("{byte:02X}")).collect();
        for text in [hex.to_lowercase(), hex, STANDARD.encode(KEY), URL_SAFE_NO_PAD.encode(KEY)] {
            assert_eq!(MasterKey.read(&text).unwrap().expose(), &KEY, "{text}");
        }
    }

    #[test]
    fn placeholders_and_short_keys_are_refused_without_repeating_them() {
        let sequence: Vec<u8> = (0..32).collect();
        for bytes in [vec![0; 32], sequence, b"change-me-change-me-change-me-12".to_vec(), vec![7; 16]] {
            let rejection = MasterKey.read(&STANDARD.encode(bytes)).unwrap_err();
            assert!(rejection.reason.unwrap().contains("openssl rand"));
            assert_eq!(rejection.nearest, None);
        }
        assert!(MasterKey.read("changeme").is_err());
        assert!(MasterKey.read("change me!").is_err());
    }

    #[test]
    fn names_are_mended_to_the_nearest_that_passes() {
        assert_eq!(Schema.read("Auth-Data").unwrap_err().nearest.as_deref(), Some("auth_data"));
        assert_eq!(Schema.read("pg_auth").unwrap_err().nearest.as_deref(), Some("auth"));
        assert_eq!(CookiePrefix.read("my app;").unwrap_err().nearest.as_deref(), Some("myapp"));
        assert_eq!(CookiePrefix.read("__host-id").unwrap_err().nearest.as_deref(), Some("id"));
        assert_eq!(CookieDomain.read(".Example.com").unwrap_err().nearest.as_deref(), Some("example.com"));
        assert_eq!(Word.read("a b").unwrap_err().nearest.as_deref(), Some("ab"));
        assert_eq!(Schema.read("identsphere").as_deref(), Ok("identsphere"));
    }
}
