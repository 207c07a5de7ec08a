//! Who we are to browsers and authenticators.

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// Why a relying party cannot be as configured.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RelyingPartyError {
    /// The id is not a host name in lower case.
    #[error("the id of the relying party must be a host name in lower case, without scheme and port: {0}")]
    Id(String),
    /// An origin that no browser would send.
    #[error("not an origin as browsers write it, such as https://example.com: {0}")]
    Origin(String),
    /// No origin at all.
    #[error("a relying party needs at least one origin")]
    NoOrigin,
}

/// The relying party: its id, its name, and the origins whose pages (or apps) may run ceremonies for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelyingParty {
    id: String,
    id_hash: [u8; 32],
    name: String,
    origins: Vec<String>,
}

impl RelyingParty {
    /// A relying party. `origins` are compared byte by byte with what browsers send: `https://example.com`, or for an
    /// Android app `android:apk-key-hash:…`. Origins of other hosts are fine where browsers support related origins
    /// (WebAuthn §5.11).
    ///
    /// # Errors
    /// [`RelyingPartyError`].
    pub fn new(id: &str, name: &str, origins: Vec<String>) -> Result<Self, RelyingPartyError> {
        let fits =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-');
        if !(1..=253).contains(&id.len()) || !id.bytes().all(fits) {
            return Err(RelyingPartyError::Id(id.to_owned()));
        }
        if let Some(origin) = origins.iter().find(|origin| !is_origin(origin)) {
            return Err(RelyingPartyError::Origin(origin.clone()));
        }
        if origins.is_empty() {
            return Err(RelyingPartyError::NoOrigin);
        }
        let id_hash = Sha256::digest(id).into();
        Ok(Self { id: id.to_owned(), id_hash, name: name.to_owned(), origins })
    }

    /// The id: the host name that credentials are bound to.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The name, for people.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether a ceremony may come from this origin: exactly one of the list (WebAuthn §13.4.9).
    pub(super) fn expects(&self, origin: &str) -> bool {
        self.origins.iter().any(|expected| expected == origin)
    }

    /// Whether authenticator data was made for us.
    pub(super) fn is_named_by(&self, hash: &[u8; 32]) -> bool {
        self.id_hash.ct_eq(hash).into()
    }
}

/// As browsers write origins (HTML "serialization of an origin"), or the name of a native app.
fn is_origin(text: &str) -> bool {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic()) && text.len() <= 512;
    match text.split_once(':') {
        Some(("http" | "https", rest)) => {
            let host = rest.strip_prefix("//").unwrap_or_default();
            let unexpected =
                |c: char| matches!(c, '/' | '?' | '#' | '@' | '\\' | '*') || c.is_ascii_uppercase();
            is_plain && !host.is_empty() && !host.contains(unexpected)
        }
        Some((scheme, rest)) => is_plain && !scheme.is_empty() && !rest.is_empty(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn party(id: &str, origin: &str) -> Result<RelyingParty, RelyingPartyError> {
        RelyingParty::new(id, "Example", vec![origin.to_owned()])
    }

    #[test]
    fn ids_and_origins_are_as_browsers_write_them() {
        for origin in [
            "https://example.org",
            "https://login.example.org:8443",
            "http://localhost:4000",
            "http://[::1]:4000",
            "android:apk-key-hash:pNiP5iKyQ8JwgGOaKA1zGPUPJIS-0H1xKCQcfIoGLck",
            "ios:bundle-id:org.example",
        ] {
            assert!(party("example.org", origin).is_ok(), "{origin}");
        }
        for origin in [
            "",
            "null",
            "example.org",
            "https://",
            "https://example.org/",
            "https://Example.org",
            "https:example.org",
            "https://*.example.org",
            "https://u@example.org",
            "https://example.org?x",
            "https://exämple.org",
            "https://a b",
            "ios:a b",
            "ios:",
            ":bundle-id",
        ] {
            assert_eq!(party("example.org", origin), Err(RelyingPartyError::Origin(origin.to_owned())));
        }
        for id in ["", "Example.org", "https://example.org", "example.org:443", "exämple.org"] {
            assert_eq!(party(id, "https://example.org"), Err(RelyingPartyError::Id(id.to_owned())));
        }
        assert_eq!(RelyingParty::new("example.org", "x", vec![]), Err(RelyingPartyError::NoOrigin));
    }
}
