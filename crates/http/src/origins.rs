//! Who may call from a browser: the origin check of writes, and CORS.

use bytes::Bytes;
use identsphere_kernel::ErrorCode;
use url::Url;

use crate::failure::Failure;
use crate::head::Head;
use crate::reply::Reply;

/// The text is not an origin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an origin such as https://app.example.com")]
pub struct OriginError(String);

/// A web origin: scheme, host and port, in the spelling that browsers send (RFC 6454 §6.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(String);

impl Origin {
    /// Reads an origin: `http` or `https`, one host (no wildcard), perhaps a port, and nothing more.
    ///
    /// # Errors
    /// [`OriginError`] with the text.
    pub fn parse(text: &str) -> Result<Self, OriginError> {
        let refuse = || OriginError(text.to_owned());
        let url = Url::parse(text).map_err(|_| refuse())?;
        let bare = url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none()
            && url.host_str().is_some_and(|host| !host.contains('*'));
        if bare && matches!(url.scheme(), "http" | "https") { Ok(Self::of(&url)) } else { Err(refuse()) }
    }

    /// The origin of an address.
    pub fn of(url: &Url) -> Self {
        Self(url.origin().ascii_serialization())
    }

    /// The origin as browsers send it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Which origins may call.
#[derive(Debug)]
pub(crate) struct Origins {
    own: Origin,
    listed: Vec<Origin>,
}

impl Origins {
    pub(crate) fn new(own: Origin, listed: Vec<Origin>) -> Self {
        Self { own, listed }
    }

    /// Refuses a write that another site makes in its visitor's name (CK-05). A request that says nothing about its
    /// origin comes from no browser, and passes. Origins are compared whole, never by prefix.
    pub(crate) fn check(&self, head: &Head<'_>) -> Result<(), Failure> {
        let cross_site = head.fetch_site.is_some_and(|site| site.eq_ignore_ascii_case("cross-site"));
        let passes = match head.origin {
            Some(origin) if self.is_listed(origin) => true,
            Some(origin) => origin == self.own.as_str() && !cross_site,
            None => !cross_site,
        };
        if passes {
            return Ok(());
        }
        Err(Failure::new(ErrorCode::Forbidden).because("requests from this origin are not accepted"))
    }

    /// The answer to a preflight request of a listed origin (Fetch §3.3.3); `None` for everybody else.
    pub(crate) fn preflight(&self, head: &Head<'_>, allow: &str) -> Option<Reply> {
        head.origin.filter(|origin| self.is_listed(origin)).and(head.requested_method)?;
        let reply = Reply::empty(204)
            .with_value("access-control-allow-methods", allow.to_owned())
            .with("access-control-allow-headers", "authorization, content-type, x-csrf-token, x-request-id")
            .with("access-control-max-age", "600");
        Some(reply)
    }

    /// Adds what lets the pages of a listed origin read the answer.
    pub(crate) fn admit(&self, head: &Head<'_>, reply: Reply) -> Reply {
        if self.listed.is_empty() {
            return reply;
        }
        let reply = reply.with("vary", "origin");
        let Some(origin) = head.origin.filter(|origin| self.is_listed(origin)) else { return reply };
        reply
            .with_value("access-control-allow-origin", Bytes::copy_from_slice(origin.as_bytes()))
            .with("access-control-allow-credentials", "true")
            .with("access-control-expose-headers", "etag, retry-after, x-request-id")
    }

    fn is_listed(&self, origin: &str) -> bool {
        self.listed.iter().any(|listed| listed.as_str() == origin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origins() -> Origins {
        let listed = vec![Origin::parse("https://app.example.org").unwrap()];
        Origins::new(Origin::parse("https://id.example.com").unwrap(), listed)
    }

    fn head(fields: &[(&str, &'static str)]) -> Head<'static> {
        let mut head = Head::new("POST", "/", None, None);
        fields.iter().for_each(|(name, value)| head.field(name, value.as_bytes()));
        head
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        let parse = |text| Origin::parse(text).map(|origin| origin.0);
        assert_eq!(parse("HTTPS://App.Example.com:443").as_deref(), Ok("https://app.example.com"));
        assert_eq!(parse("http://localhost:3000/").as_deref(), Ok("http://localhost:3000"));
        let refused = [
            "*",
            "https://*.example",
            "null",
            "",
            "app.example.com",
            "https://a.example/x",
            "https://u@a.example",
        ];
        for text in
            refused.into_iter().chain(["https://a.example?x", "https://a.example#x", "ftp://a.example"])
        {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn only_whole_origins_pass() {
        let foreign = [
            "null",
            "",
            "https://evil.example",
            "http://id.example.com",
            "https://id.example.com:8443",
            "https://id.example.com.evil.example",
            "https://evil-id.example.com",
            "https://id.example.com/",
            "https://ID.example.com",
            "https://app.example.org.evil.example",
            "https://app.example.org, https://evil.example",
        ];
        for origin in foreign {
            assert!(origins().check(&head(&[("origin", origin)])).is_err(), "{origin}");
        }
        assert!(origins().check(&head(&[])).is_ok());
        assert!(origins().check(&head(&[("origin", "https://id.example.com")])).is_ok());
        assert!(origins().check(&head(&[("origin", "https://app.example.org")])).is_ok());
    }

    #[test]
    fn a_cross_site_request_passes_from_a_listed_origin_only() {
        let cross_site = ("sec-fetch-site", "cross-site");
        assert!(origins().check(&head(&[cross_site])).is_err());
        assert!(origins().check(&head(&[cross_site, ("origin", "https://id.example.com")])).is_err());
        assert!(origins().check(&head(&[cross_site, ("origin", "https://app.example.org")])).is_ok());
        for site in ["same-origin", "same-site", "none"] {
            assert!(origins().check(&head(&[("sec-fetch-site", site)])).is_ok(), "{site}");
        }
    }

    #[test]
    fn answers_open_to_listed_origins_only() {
        let admit = |origin| origins().admit(&head(&[("origin", origin)]), Reply::empty(200));
        let listed = admit("https://app.example.org");
        assert_eq!(listed.header("access-control-allow-origin"), Some("https://app.example.org"));
        assert_eq!(listed.header("access-control-allow-credentials"), Some("true"));
        for origin in ["null", "https://evil.example", "https://id.example.com"] {
            let reply = admit(origin);
            assert_eq!(reply.header("access-control-allow-origin"), None, "{origin}");
            assert_eq!(reply.header("vary"), Some("origin"));
        }
    }

    #[test]
    fn preflights_are_answered_for_listed_origins_only() {
        let asks = ("access-control-request-method", "POST");
        let answer = |origin| origins().preflight(&head(&[asks, ("origin", origin)]), "POST");
        let reply = answer("https://app.example.org").unwrap();
        assert_eq!((reply.status, reply.header("access-control-allow-methods")), (204, Some("POST")));
        assert!(answer("https://evil.example").is_none());
        assert!(origins().preflight(&head(&[("origin", "https://app.example.org")]), "POST").is_none());
    }
}
