//! Names, paths, keys and locations.

use std::path::PathBuf;

use identsphere_kernel::SecretString;

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

/// The location of uploaded files.
pub(crate) struct Blobs;

impl Describe for Blobs {
    fn describe(&self) -> String {
        "`file://PATH`, `s3://BUCKET/PREFIX` or `memory:`".to_owned()
    }
}

impl Rule for Blobs {
    type Value = String;

    fn read(&self, text: &str) -> Result<String, Rejection> {
        let has = |scheme: &str| text.strip_prefix(scheme).is_some_and(|rest| !rest.is_empty());
        let is_taken = text == "memory:" || has("file://") || has("s3://");
        if is_taken && !text.contains(char::is_control) {
            return Ok(text.to_owned());
        }
        let path = !text.is_empty() && !text.contains(':') && !text.contains(char::is_control);
        Err(Rejection { reason: None, nearest: path.then(|| format!("file://{text}")) })
    }
}

/// A PostgreSQL schema that needs no quotes and is not the system's.
pub(crate) struct Schema;

impl Describe for Schema {
    fn describe(&self) -> String {
        "lower-case letters, digits and `_`, at most 63, not beginning with a digit or `pg_`".to_owned()
    }
}

impl Rule for Schema {
    type Value = String;

    fn read(&self, text: &str) -> Result<String, Rejection> {
        let mended: String = text
            .trim_start_matches("pg_")
            .chars()
            .map(|char| if char.is_ascii_alphanumeric() { char.to_ascii_lowercase() } else { '_' })
            .skip_while(char::is_ascii_digit)
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

/// The master key. Whether a text is one is decided where it is used, which hands in a [`Check`](crate::Check).
pub(crate) struct MasterKey;

impl Describe for MasterKey {
    fn describe(&self) -> String {
        "32 random bytes in base64 or hex: make one with `openssl rand -base64 32`".to_owned()
    }
}

impl Rule for MasterKey {
    type Value = SecretString;

    fn read(&self, text: &str) -> Result<SecretString, Rejection> {
        Ok(SecretString::new(text))
    }
}

fn some_text(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {

    use super::*;

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
