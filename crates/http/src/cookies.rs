//! The cookies that carry a session in a browser (contract §3.2).

use bytes::Bytes;
use identsphere_core::TrustToken;
use identsphere_kernel::{
    Duration, OpaqueToken, SecretString, SecureRandom, Timestamp, TokenHash, TokenPurpose,
};

use crate::failure::Failure;
use crate::head::Head;
use crate::reply::Reply;

/// Path of the cookie that only refresh and logout need.
const REFRESH_PATH: &str = "/v1/auth";

/// Why settings of cookies are refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CookieError {
    /// The prefix cannot begin a cookie's name.
    #[error("cookie prefix `{0}` must be letters, digits, `-` or `_`")]
    Prefix(String),
    /// The domain is no host name.
    #[error("cookie domain `{0}` must be a host name")]
    Domain(String),
}

/// When browsers send the cookies along with requests from other sites.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SameSite {
    /// With links that lead to us, never with writes.
    Lax,
    /// Never.
    Strict,
    /// Always. Browsers take such cookies only when they are `Secure`, so they are.
    None,
}

/// How cookies are named and where browsers send them.
#[derive(Debug, Clone)]
pub struct CookieSettings {
    access: Cookie,
    refresh: Cookie,
    csrf: Cookie,
    device: Cookie,
    trust: Cookie,
}

/// Whether scripts can read a cookie.
#[derive(Debug, Clone, Copy)]
enum Visibility {
    HttpOnly,
    Scripts,
}

/// One cookie: its name, and its attributes but `Max-Age` as they follow the value.
#[derive(Debug, Clone)]
struct Cookie {
    name: String,
    attributes: String,
}

/// Whether cookies travel over plain connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// Encrypted connections only (`Secure`).
    Secure,
    /// Plain ones too: for development on the local machine.
    Plain,
}

impl CookieSettings {
    /// Cookies named `{prefix}_at`, `{prefix}_rt`, `{prefix}_csrf`, `{prefix}_device` and
    /// `{prefix}_trust`; sent to this host alone unless a `domain` is given.
    ///
    /// # Errors
    /// [`CookieError`] when prefix or domain could break out of their place in the header.
    pub fn new(
        prefix: &str,
        domain: Option<&str>,
        same_site: SameSite,
        transport: Transport,
    ) -> Result<Self, CookieError> {
        let in_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if prefix.is_empty() || !prefix.chars().all(in_name) {
            return Err(CookieError::Prefix(prefix.to_owned()));
        }
        let in_domain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
        if let Some(domain) = domain.filter(|domain| domain.is_empty() || !domain.chars().all(in_domain)) {
            return Err(CookieError::Domain(domain.to_owned()));
        }
        let cookie = |suffix: &str, path: &str, visibility: Visibility| {
            let http_only = match visibility {
                Visibility::HttpOnly => "; HttpOnly",
                Visibility::Scripts => "",
            };
            let (same_site, transport) = match same_site {
                SameSite::Lax => ("Lax", transport),
                SameSite::Strict => ("Strict", transport),
                SameSite::None => ("None", Transport::Secure),
            };
            let secure = if transport == Transport::Secure { "; Secure" } else { "" };
            let domain = domain.map(|domain| format!("; Domain={domain}")).unwrap_or_default();
            Cookie {
                name: format!("{prefix}_{suffix}"),
                attributes: format!("; Path={path}{domain}{http_only}{secure}; SameSite={same_site}"),
            }
        };
        Ok(Self {
            access: cookie("at", "/", Visibility::HttpOnly),
            refresh: cookie("rt", REFRESH_PATH, Visibility::HttpOnly),
            csrf: cookie("csrf", "/", Visibility::Scripts),
            device: cookie("device", REFRESH_PATH, Visibility::HttpOnly),
            trust: cookie("trust", REFRESH_PATH, Visibility::HttpOnly),
        })
    }

    /// The names, for the documentation: access, refresh, CSRF.
    pub(crate) fn names(&self) -> [&str; 3] {
        [&self.access.name, &self.refresh.name, &self.csrf.name]
    }

    /// Our cookies among those of the request.
    ///
    /// # Errors
    /// Two cookies of one name: which of them is meant cannot be known (CK-03).
    pub(crate) fn read<'a>(&self, head: &Head<'a>) -> Result<Cookies<'a>, Failure> {
        let mut cookies = Cookies::default();
        for pair in head.cookies.iter().flat_map(|value| value.split(|byte| *byte == b';')) {
            let pair = pair.trim_ascii_start();
            let Some(at) = pair.iter().position(|byte| *byte == b'=') else { continue };
            let (name, value) = pair.split_at(at);
            let slot = if name == self.access.name.as_bytes() {
                &mut cookies.access
            } else if name == self.refresh.name.as_bytes() {
                &mut cookies.refresh
            } else if name == self.csrf.name.as_bytes() {
                &mut cookies.csrf
            } else if name == self.device.name.as_bytes() {
                &mut cookies.device
            } else if name == self.trust.name.as_bytes() {
                &mut cookies.trust
            } else {
                continue;
            };
            let value = value.strip_prefix(b"=").unwrap_or(value).trim_ascii_end();
            if slot.replace(std::str::from_utf8(value).unwrap_or_default()).is_some() {
                return Err(Failure::invalid_field("Cookie", "must not hold two cookies of one name"));
            }
        }
        Ok(cookies)
    }

    /// The answer with the cookies of a session.
    pub(crate) fn set(&self, reply: Reply, session: &CookieValues<'_>) -> Reply {
        let CookieValues { access, access_ttl, refresh, refresh_ttl, csrf } = session;
        reply
            .with_value("set-cookie", self.access.to_header(access.expose(), *access_ttl))
            .with_value("set-cookie", self.refresh.to_header(refresh.expose(), *refresh_ttl))
            .with_value("set-cookie", self.csrf.to_header(csrf, *access_ttl))
    }

    /// The answer with the cookie by which this browser is known at its next sign-in.
    pub(crate) fn set_device(&self, reply: Reply, device: &Device) -> Reply {
        reply.with_value("set-cookie", self.device.to_header(device.0.expose(), Device::LIFETIME))
    }

    /// The answer with the cookie by which this browser stands for a second factor.
    pub(crate) fn set_trust(&self, reply: Reply, trust: &TrustToken, now: Timestamp) -> Reply {
        // To the nearest second: the moments since it was made are not to be seen in it.
        let left = trust.expires_at.since(now) + Duration::from_millis(500);
        let header = self.trust.to_header(trust.token.expose(), left);
        reply.with_value("set-cookie", header)
    }

    /// The answer with cookies that delete those of a session: all attributes alike, so that browsers match them.
    pub(crate) fn clear(&self, reply: Reply) -> Reply {
        [&self.access, &self.refresh, &self.csrf]
            .into_iter()
            .fold(reply, |reply, cookie| reply.with_value("set-cookie", cookie.to_header("", Duration::ZERO)))
    }
}

impl Cookie {
    fn to_header(&self, value: &str, max_age: Duration) -> Bytes {
        format!("{}={value}; Max-Age={}{}", self.name, max_age.as_secs(), self.attributes).into()
    }
}

/// Our cookies in a request.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cookies<'a> {
    pub(crate) access: Option<&'a str>,
    pub(crate) refresh: Option<&'a str>,
    pub(crate) csrf: Option<&'a str>,
    pub(crate) device: Option<&'a str>,
    pub(crate) trust: Option<&'a str>,
}

/// What a browser is known by from one sign-in to the next, so that its user can be told of others. It opens nothing.
#[derive(Debug)]
pub(crate) struct Device(OpaqueToken);

impl Device {
    /// As long as browsers keep a cookie (RFC 6265bis §5.5).
    const LIFETIME: Duration = Duration::from_secs(400 * 86_400);

    /// The browser that holds this cookie; a new one if it holds none.
    pub(crate) fn of(cookie: Option<&str>, random: &dyn SecureRandom) -> Self {
        Self::returning(cookie).unwrap_or_else(|| Self(OpaqueToken::new(random)))
    }

    /// The browser that holds this cookie.
    pub(crate) fn returning(cookie: Option<&str>) -> Option<Self> {
        cookie.and_then(OpaqueToken::read).map(Self)
    }

    /// What a store keeps of it.
    pub(crate) fn hash(&self) -> TokenHash {
        self.0.hash(TokenPurpose::KnownBrowser)
    }
}

/// What the cookies of a session say, and for how long.
pub(crate) struct CookieValues<'a> {
    pub(crate) access: &'a SecretString,
    pub(crate) access_ttl: Duration,
    pub(crate) refresh: &'a SecretString,
    pub(crate) refresh_ttl: Duration,
    pub(crate) csrf: &'a str,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(domain: Option<&str>, same_site: SameSite, transport: Transport) -> CookieSettings {
        CookieSettings::new("identsphere", domain, same_site, transport).unwrap()
    }

    fn set_cookies(reply: &Reply) -> Vec<String> {
        let values = reply.headers.iter().filter(|(name, _)| *name == "set-cookie");
        values.map(|(_, value)| String::from_utf8(value.to_vec()).unwrap()).collect()
    }

    fn session_cookies(settings: &CookieSettings) -> Vec<String> {
        let (access, refresh) = (SecretString::new("a.b.c"), SecretString::new("isr_x"));
        let values = CookieValues {
            access: &access,
            access_ttl: Duration::from_secs(900),
            refresh: &refresh,
            refresh_ttl: Duration::from_secs(2_592_000),
            csrf: "r.t",
        };
        set_cookies(&settings.set(Reply::empty(200), &values))
    }

    #[test]
    fn session_cookies_have_the_published_attributes() {
        assert_eq!(
            session_cookies(&settings(None, SameSite::Lax, Transport::Secure)),
            [
                "identsphere_at=a.b.c; Max-Age=900; Path=/; HttpOnly; Secure; SameSite=Lax",
                "identsphere_rt=isr_x; Max-Age=2592000; Path=/v1/auth; HttpOnly; Secure; SameSite=Lax",
                "identsphere_csrf=r.t; Max-Age=900; Path=/; Secure; SameSite=Lax",
            ]
        );
        let cookies = session_cookies(&settings(Some("example.com"), SameSite::None, Transport::Plain));
        assert_eq!(
            cookies[0],
            "identsphere_at=a.b.c; Max-Age=900; Path=/; Domain=example.com; HttpOnly; Secure; SameSite=None"
        );
    }

    #[test]
    fn cookies_are_cleared_under_the_attributes_they_were_set_with() {
        for same_site in [SameSite::Lax, SameSite::Strict, SameSite::None] {
            let settings = settings(Some("example.com"), same_site, Transport::Plain);
            let cleared = set_cookies(&settings.clear(Reply::empty(204)));
            let shape = |cookie: &String| {
                let (name, rest) = cookie.split_once('=').unwrap();
                let attributes = rest.split("; ").skip(2).map(str::to_owned).collect::<Vec<_>>();
                (name.to_owned(), attributes)
            };
            let set = session_cookies(&settings);
            assert_eq!(
                set.iter().map(shape).collect::<Vec<_>>(),
                cleared.iter().map(shape).collect::<Vec<_>>()
            );
            assert!(cleared.iter().all(|cookie| cookie.contains("=; Max-Age=0;")));
        }
    }

    #[test]
    fn settings_cannot_break_out_of_the_header() {
        let new = |prefix, domain| CookieSettings::new(prefix, domain, SameSite::Lax, Transport::Plain);
        assert!(matches!(new("a=b", None), Err(CookieError::Prefix(_))));
        assert!(matches!(new("", None), Err(CookieError::Prefix(_))));
        assert!(matches!(new("a", Some("example.com; Path=/")), Err(CookieError::Domain(_))));
    }

    #[test]
    fn our_cookies_are_found_among_others() {
        let settings = settings(None, SameSite::Lax, Transport::Plain);
        let mut head = Head::new("GET", "/", None, None);
        head.field("cookie", b"theme=dark; identsphere_at=a.b.c;x;identsphere_rt=r=1 ; theme=light");
        head.field("cookie", b"caf\xe9=1; identsphere_csrf=c");
        let cookies = settings.read(&head).unwrap();
        assert_eq!((cookies.access, cookies.refresh, cookies.csrf), (Some("a.b.c"), Some("r=1"), Some("c")));
    }

    #[test]
    fn two_cookies_of_one_name_are_refused() {
        let settings = settings(None, SameSite::Lax, Transport::Plain);
        let mut head = Head::new("GET", "/", None, None);
        head.field("cookie", b"identsphere_at=a; identsphere_at=a");
        assert!(settings.read(&head).is_err());
        let mut head = Head::new("GET", "/", None, None);
        head.field("cookie", b"identsphere_rt=a");
        head.field("cookie", b"identsphere_rt=b");
        assert!(settings.read(&head).is_err());
    }
}
