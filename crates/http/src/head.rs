//! What a request says before its body, as far as this service listens.

use std::net::IpAddr;

/// Longest request target (path and query) in bytes.
pub(crate) const MAX_TARGET_BYTES: usize = 4 * 1_024;
/// Most header fields.
pub(crate) const MAX_FIELDS: usize = 64;
/// Most bytes of header fields, names and values together.
pub(crate) const MAX_FIELD_BYTES: usize = 16 * 1_024;

/// Stands in for a value that is no text: present, and equal to nothing.
const UNREADABLE: &str = "\u{fffd}";

/// The head of a request. An adapter makes one, then hands over every header field with [`Head::field`]; what is not
/// of interest is only counted.
#[derive(Debug, Default)]
pub struct Head<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) query: &'a str,
    pub(crate) peer: Option<IpAddr>,
    pub(crate) accept_language: Option<&'a str>,
    pub(crate) authorization: Option<&'a str>,
    pub(crate) content_encoding: Option<&'a str>,
    pub(crate) content_length: Option<u64>,
    pub(crate) content_type: Option<&'a str>,
    pub(crate) cookies: Vec<&'a [u8]>,
    pub(crate) csrf_token: Option<&'a str>,
    pub(crate) fetch_site: Option<&'a str>,
    pub(crate) forwarded_for: Vec<&'a [u8]>,
    /// With several of them, one that is equal to nothing.
    pub(crate) host: Option<&'a str>,
    pub(crate) if_none_match: Option<&'a str>,
    /// Whether somebody on the way passed the request on, and says so.
    pub(crate) is_forwarded: bool,
    pub(crate) origin: Option<&'a str>,
    pub(crate) request_id: Option<&'a str>,
    pub(crate) requested_method: Option<&'a str>,
    pub(crate) user_agent: Option<&'a str>,
    pub(crate) repeated: Option<&'static str>,
    fields: usize,
    field_bytes: usize,
}

impl<'a> Head<'a> {
    /// A head without header fields: method, raw path (not decoded, not normalised), raw query without its `?`, and
    /// the address of the other end of the connection.
    pub fn new(method: &'a str, path: &'a str, query: Option<&'a str>, peer: Option<IpAddr>) -> Self {
        Self { method, path, query: query.unwrap_or_default(), peer, ..Self::default() }
    }

    /// Takes in one header field; `name` is in lower case.
    pub fn field(&mut self, name: &str, value: &'a [u8]) {
        self.fields += 1;
        self.field_bytes += name.len() + value.len();
        match name {
            "accept-language" => self.accept_language = Some(text(value)),
            "authorization" => once(&mut self.authorization, value, "Authorization", &mut self.repeated),
            "content-encoding" => {
                once(&mut self.content_encoding, value, "Content-Encoding", &mut self.repeated);
            }
            "content-length" => self.content_length = text(value).parse().ok(),
            "content-type" => once(&mut self.content_type, value, "Content-Type", &mut self.repeated),
            "cookie" => self.cookies.push(value),
            "x-csrf-token" => once(&mut self.csrf_token, value, "X-CSRF-Token", &mut self.repeated),
            "sec-fetch-site" => once(&mut self.fetch_site, value, "Sec-Fetch-Site", &mut self.repeated),
            "x-forwarded-for" => {
                self.is_forwarded = true;
                self.forwarded_for.push(value);
            }
            "forwarded" | "via" | "x-real-ip" | "true-client-ip" => self.is_forwarded = true,
            "host" => self.host = Some(if self.host.is_none() { text(value) } else { UNREADABLE }),
            "if-none-match" => self.if_none_match = Some(text(value)),
            "origin" => once(&mut self.origin, value, "Origin", &mut self.repeated),
            "x-request-id" => self.request_id = Some(text(value)),
            "access-control-request-method" => self.requested_method = Some(text(value)),
            "user-agent" => self.user_agent = Some(text(value)),
            _ if name.starts_with("x-forwarded-") => self.is_forwarded = true,
            _ => {}
        }
    }

    /// Which limit on the size of a head is broken, if one is.
    pub(crate) fn broken_limit(&self) -> Option<(&'static str, &'static str)> {
        if self.path.len() + 1 + self.query.len() > MAX_TARGET_BYTES {
            return Some(("url", "must be at most 4096 bytes"));
        }
        if self.fields > MAX_FIELDS || self.field_bytes > MAX_FIELD_BYTES {
            return Some(("headers", "must be at most 64 fields and 16384 bytes"));
        }
        self.repeated.map(|name| (name, "must be sent once"))
    }
}

/// Keeps the only value of a field whose meaning must not depend on which of several is read.
fn once<'a>(
    slot: &mut Option<&'a str>,
    value: &'a [u8],
    name: &'static str,
    repeated: &mut Option<&'static str>,
) {
    if slot.replace(text(value)).is_some() {
        *repeated = Some(name);
    }
}

fn text(value: &[u8]) -> &str {
    std::str::from_utf8(value).unwrap_or(UNREADABLE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_may_be_as_large_as_the_limits_and_no_larger() {
        let path = "/".repeat(MAX_TARGET_BYTES - 1);
        assert_eq!(Head::new("GET", &path, None, None).broken_limit(), None);
        assert_eq!(
            Head::new("GET", &path, Some("a"), None).broken_limit().map(|(field, _)| field),
            Some("url")
        );

        let value = vec![b'a'; MAX_FIELD_BYTES - 1];
        let mut head = Head::new("GET", "/", None, None);
        head.field("b", &value);
        assert_eq!(head.broken_limit(), None);
        head.field("c", b"");
        assert_eq!(head.broken_limit().map(|(field, _)| field), Some("headers"));

        let mut head = Head::new("GET", "/", None, None);
        (0..MAX_FIELDS).for_each(|_| head.field("a", b""));
        assert_eq!(head.broken_limit(), None);
        head.field("a", b"");
        assert_eq!(head.broken_limit().map(|(field, _)| field), Some("headers"));
    }

    #[test]
    fn a_credential_is_sent_once_and_an_unreadable_one_is_not_absent() {
        let mut head = Head::new("GET", "/", None, None);
        head.field("authorization", b"\xff");
        assert!(head.authorization.is_some());
        assert_eq!(head.broken_limit(), None);
        head.field("authorization", b"Bearer x");
        assert_eq!(head.broken_limit().map(|(field, _)| field), Some("Authorization"));
    }
}
