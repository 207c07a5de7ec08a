//! What passkeys need: a host name to bind them to, and origins.

use url::{Host, Url};

use super::network::each;
use super::{Describe, Rejection, Rule};
use crate::passkey_origin::PasskeyOrigin;

/// A relying party id (WebAuthn §5.4.2): a host name.
pub(crate) struct RpId;

impl Describe for RpId {
    fn describe(&self) -> String {
        "a host name in lower case, without scheme and port".to_owned()
    }
}

impl Rule for RpId {
    type Value = String;

    fn read(&self, text: &str) -> Result<String, Rejection> {
        if is_host_name(text) {
            return Ok(text.to_owned());
        }
        Err(Rejection { reason: None, nearest: host_in(text).filter(|host| is_host_name(host)) })
    }
}

/// Whether it is a host name in lower case, of labels (RFC 1123 §2.1), and no address: those end in a number (WHATWG URL
/// §3.5).
pub(crate) fn is_host_name(text: &str) -> bool {
    let is_label = |label: &str| {
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        (1..=63).contains(&label.len())
            && label.bytes().all(fits)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let ends_in_number =
        text.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
    text.len() <= 253 && text.split('.').all(is_label) && !ends_in_number
}

/// The host inside a URL, an origin, a pattern or a list.
fn host_in(text: &str) -> Option<String> {
    let first = text.split(',').next().unwrap_or_default().trim();
    let bare = first.split_once("://").map_or(first, |(_, rest)| rest);
    let url = Url::parse(&format!("https://{}", bare.trim_start_matches(['*', '.']))).ok()?;
    Some(match url.host()? {
        Host::Domain(name) => name.trim_end_matches('.').to_owned(),
        Host::Ipv4(address) => address.is_loopback().then(|| "localhost".to_owned())?,
        Host::Ipv6(address) => address.is_loopback().then(|| "localhost".to_owned())?,
    })
}

/// Origins of passkeys, separated by commas.
pub(crate) struct PasskeyOrigins;

impl Describe for PasskeyOrigins {
    fn describe(&self) -> String {
        "origins such as `https://example.com`, `android:apk-key-hash:HASH` or `ios:bundle-id:ID`, separated by commas, \
         no wildcards and no addresses"
            .to_owned()
    }
}

impl Rule for PasskeyOrigins {
    type Value = Vec<PasskeyOrigin>;

    fn read(&self, text: &str) -> Result<Vec<PasskeyOrigin>, Rejection> {
        let origins = each(text, |part| {
            PasskeyOrigin::parse(part)
                .map_err(|nearest| (format!("`{part}` is no origin of passkeys"), nearest))
        })?;
        if origins.is_empty() { Err(Rejection::default()) } else { Ok(origins) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_host_name() {
        for id in ["example.com", "auth.example.com", "localhost", "a-1.xn--exmple-cua.com", "1.example"] {
            assert_eq!(RpId.read(id).as_deref(), Ok(id));
        }
        for (text, nearest) in [
            ("https://auth.example.com/", Some("auth.example.com")),
            ("example.com:8443", Some("example.com")),
            ("Example.com", Some("example.com")),
            (".example.com", Some("example.com")),
            ("*.example.com", Some("example.com")),
            ("example.com.", Some("example.com")),
            ("exämple.com", Some("xn--exmple-cua.com")),
            ("example.com, example.org", Some("example.com")),
            ("127.0.0.1", Some("localhost")),
            ("http://[::1]:4000", Some("localhost")),
            ("192.0.2.1", None),
            ("my_host", None),
            ("-a.example", None),
            ("a..example", None),
            (",", None),
        ] {
            let expected = Rejection { reason: None, nearest: nearest.map(str::to_owned) };
            assert_eq!(RpId.read(text), Err(expected), "{text}");
        }
        assert!(RpId.read(&"a".repeat(64)).is_err());
        assert!(RpId.read(&vec!["a".repeat(50); 5].join(".")).is_err());
    }

    #[test]
    fn a_list_without_origins_is_none() {
        assert_eq!(PasskeyOrigins.read(" , "), Err(Rejection::default()));
        let rejection = PasskeyOrigins.read("https://a.example/x,ios:bundle-id:a,b.example").unwrap_err();
        assert_eq!(rejection.nearest.as_deref(), Some("https://a.example,ios:bundle-id:a,https://b.example"));
    }
}
