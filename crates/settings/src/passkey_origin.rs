//! Where ceremonies of passkeys may come from.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::origin::Origin;

const ANDROID: &str = "android:apk-key-hash:";
const IOS: &str = "ios:bundle-id:";

/// An origin of passkeys: what browsers and systems write into the data that is signed (WebAuthn §5.8.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PasskeyOrigin {
    /// Pages.
    Web(Origin),
    /// A native app, as its system names it.
    App(String),
}

impl PasskeyOrigin {
    /// Reads a web origin, `android:apk-key-hash:` with the SHA-256 of the app's signing certificate in base64url, or
    /// `ios:bundle-id:` with the id. Browsers have passkeys on hosts with a name only (WebAuthn §5.1.3, step 7).
    ///
    /// # Errors
    /// The nearest origin that would be taken.
    pub fn parse(text: &str) -> Result<Self, Option<String>> {
        if let Some(hash) = text.strip_prefix(ANDROID) {
            return android(hash);
        }
        if let Some(id) = text.strip_prefix(IOS) {
            let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
            // As long as the App Store allows.
            let is_id = (1..=155).contains(&id.len()) && id.bytes().all(fits);
            return if is_id { Ok(Self::App(text.to_owned())) } else { Err(None) };
        }
        match Origin::parse(text)? {
            origin if origin.is_address() => Err(named(&origin)),
            origin => Ok(Self::Web(origin)),
        }
    }

    /// The web origin, if it is one.
    pub fn web(&self) -> Option<&Origin> {
        match self {
            Self::Web(origin) => Some(origin),
            Self::App(_) => None,
        }
    }
}

/// As browsers and systems write it.
impl fmt::Display for PasskeyOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Web(origin) => origin.fmt(f),
            Self::App(name) => f.write_str(name),
        }
    }
}

/// Consoles and `keytool` show the hash in hex with colons, other tools in padded base64: both can be mended.
fn android(hash: &str) -> Result<PasskeyOrigin, Option<String>> {
    let is_hash = |text: &str| URL_SAFE_NO_PAD.decode(text).is_ok_and(|bytes| bytes.len() == 32);
    if is_hash(hash) {
        return Ok(PasskeyOrigin::App(format!("{ANDROID}{hash}")));
    }
    let plain = hash.trim_end_matches('=').replace('+', "-").replace('/', "_");
    let mended = from_hex(hash).map(|bytes| URL_SAFE_NO_PAD.encode(bytes)).unwrap_or(plain);
    Err(is_hash(&mended).then(|| format!("{ANDROID}{mended}")))
}

/// The bytes of `AB:CD:…`.
fn from_hex(text: &str) -> Option<Vec<u8>> {
    let byte = |pair: &str| (pair.len() == 2).then(|| u8::from_str_radix(pair, 16).ok()).flatten();
    text.split(':').map(byte).collect()
}

/// The same place by name, where an address has one.
fn named(address: &Origin) -> Option<String> {
    let scheme = address.as_url().scheme();
    address.is_loopback().then(|| match address.as_url().port() {
        Some(port) => format!("{scheme}://localhost:{port}"),
        None => format!("{scheme}://localhost"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "pNiP5iKyQ8JwgGOaKA1zGPUPJIS-0H1xKCQcfIoGLck";

    #[test]
    fn pages_and_apps_are_written_as_browsers_and_systems_write_them() {
        for (text, written) in [
            ("https://Auth.Example.com/", "https://auth.example.com"),
            ("https://exämple.com", "https://xn--exmple-cua.com"),
            ("http://localhost:4000", "http://localhost:4000"),
            ("ios:bundle-id:com.example.app-1", "ios:bundle-id:com.example.app-1"),
            (&format!("{ANDROID}{HASH}"), &format!("{ANDROID}{HASH}")),
        ] {
            assert_eq!(PasskeyOrigin::parse(text).unwrap().to_string(), written);
        }
    }

    #[test]
    fn what_is_nearly_an_origin_is_refused_with_the_origin_it_is_near() {
        let hex =
            "A4:D8:8F:E6:22:B2:43:C2:70:80:63:9A:28:0D:73:18:F5:0F:24:84:BE:D0:7D:71:28:24:1C:7C:8A:06:2D:C9";
        let right = format!("{ANDROID}{HASH}");
        for (text, nearest) in [
            ("https://example.com/login", Some("https://example.com")),
            ("example.com", Some("https://example.com")),
            ("http://127.0.0.1:4000", Some("http://localhost:4000")),
            ("https://[::1]", Some("https://localhost")),
            ("https://192.0.2.1", None),
            ("https://*.example.com", None),
            ("localhost:4000", Some("https://localhost:4000")),
            ("ios:bundle-id:", None),
            ("ios:bundle-id:com/example", None),
            ("android:com.example", None),
            (&format!("{ANDROID}{hex}"), Some(&right)),
            (&format!("{ANDROID}{}", hex.to_lowercase()), Some(&right)),
            (&format!("{ANDROID}{}=", HASH.replace('-', "+")), Some(&right)),
            (&format!("{ANDROID}{}", &hex[..59]), None),
            (ANDROID, None),
        ] {
            assert_eq!(PasskeyOrigin::parse(text), Err(nearest.map(str::to_owned)), "{text}");
        }
    }
}
