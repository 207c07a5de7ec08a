//! Where a browser meets the service.

use std::fmt;

use url::{Host, Url};

/// A web origin (RFC 6454 §6.2): `http` or `https`, a host, a port when it is not the scheme's own. Never ends in a slash.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin(Url);

impl Origin {
    /// Reads an origin; a trailing slash is taken for none.
    ///
    /// # Errors
    /// The origin inside a longer URL, if there is one.
    pub fn parse(text: &str) -> Result<Self, Option<String>> {
        let guess = || {
            let guess = Url::parse(&format!("https://{text}")).ok().filter(names_one_host);
            Err(guess.map(|url| Self(url).to_string()))
        };
        let Ok(url) = Url::parse(text) else { return guess() };
        // The host of `localhost:4000` reads like a scheme.
        if url.cannot_be_a_base() {
            return guess();
        }
        if !matches!(url.scheme(), "http" | "https") || !names_one_host(&url) {
            return Err(None);
        }
        let bare = url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none();
        let origin = Self(url);
        if bare { Ok(origin) } else { Err(Some(origin.to_string())) }
    }

    /// The origin as a URL, whose path is `/`.
    pub fn as_url(&self) -> &Url {
        &self.0
    }

    /// Whether traffic to it is encrypted.
    pub fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// The host, without port; an IPv6 address in brackets.
    pub fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    /// Whether the host is an address rather than a name.
    pub fn is_address(&self) -> bool {
        !matches!(self.0.host(), Some(Host::Domain(_)))
    }

    /// Whether it names this very machine: `localhost`, names under it (RFC 6761 §6.3), loopback addresses.
    pub fn is_loopback(&self) -> bool {
        match self.0.host() {
            Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        }
    }

    /// Its port, the scheme's own where none is written.
    pub fn port(&self) -> u16 {
        self.0.port_or_known_default().unwrap_or_default()
    }
}

/// Whether the host is one, and no wildcard, which is a valid name (WHATWG URL §3.5) that would silently match nothing.
/// Names are as long as DNS allows (RFC 1035 §2.3.4).
fn names_one_host(url: &Url) -> bool {
    url.host_str().is_some_and(|host| host.len() <= 253 && !host.contains('*'))
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.0.scheme(), self.host())?;
        match self.0.port() {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_has_one_spelling() {
        for (text, origin) in [
            ("http://localhost:4000/", "http://localhost:4000"),
            ("https://Auth.Example.com:443", "https://auth.example.com"),
            ("http://[::1]:4000", "http://[::1]:4000"),
        ] {
            assert_eq!(Origin::parse(text).unwrap().to_string(), origin);
        }
    }

    #[test]
    fn what_is_more_than_an_origin_is_refused_with_the_origin_in_it() {
        for (text, nearest) in [
            ("https://example.com/auth", Some("https://example.com")),
            ("https://user:pw@example.com", Some("https://example.com")),
            ("example.com", Some("https://example.com")),
            ("localhost:4000", Some("https://localhost:4000")),
            ("ftp://example.com", None),
            ("https://*.example.com", None),
            ("*", None),
            ("", None),
        ] {
            assert_eq!(Origin::parse(text), Err(nearest.map(str::to_owned)), "{text}");
        }
        assert!(Origin::parse(&format!("https://{}", "a".repeat(253))).is_ok());
        assert!(Origin::parse(&format!("https://{}", "a".repeat(254))).is_err());
    }

    #[test]
    fn loopback_is_known_by_name_and_address() {
        let loopback = |text: &str| Origin::parse(text).unwrap().is_loopback();
        for text in ["http://localhost", "http://app.localhost:1", "http://127.9.9.9", "http://[::1]"] {
            assert!(loopback(text), "{text}");
        }
        for text in ["http://localhost.example.com", "http://10.0.0.1", "http://notlocalhost"] {
            assert!(!loopback(text), "{text}");
        }
    }
}
