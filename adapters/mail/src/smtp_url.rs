//! Where mail leaves, as a URL.

use std::fmt;
use std::net::IpAddr;

use identsphere_kernel::SecretString;
use percent_encoding::percent_decode_str;
use url::Url;

/// A mail server and how to speak to it: `smtps://USER:PASSWORD@HOST:PORT/EHLO-NAME`.
///
/// | scheme | | port |
/// |---|---|---|
/// | `smtps://` | TLS from the first byte | 465 |
/// | `smtp://…?tls=required` | STARTTLS, or nothing is sent | 587 |
/// | `smtp://` | in the clear: for this machine or a private network | 25 |
///
/// User and password are percent-encoded. They are refused where they would cross a network in the clear.
#[derive(Debug, Clone)]
pub struct SmtpUrl {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) security: Security,
    pub(crate) credentials: Option<(String, SecretString)>,
    pub(crate) hello: Option<String>,
}

/// How a connection is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Security {
    None,
    StartTls,
    Tls,
}

/// Why a text is not the URL of a mail server. Never repeats it: it may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SmtpUrlError {
    /// It has another form.
    #[error(
        "must be `smtps://USER:PASSWORD@HOST`, `smtp://USER:PASSWORD@HOST?tls=required` or `smtp://HOST`"
    )]
    Form,
    /// `tls` asks for something else.
    #[error("knows `tls=required` alone: encryption that anybody on the way can switch off is none")]
    Tls,
    /// Only one of user and password.
    #[error("must have both a user and a password, or neither, percent-encoded")]
    Credentials,
    /// A password in the clear.
    #[error("would send the password in the clear: use `smtps://`, or add `?tls=required`")]
    Clear,
}

impl SmtpUrl {
    /// Reads the URL.
    ///
    /// # Errors
    /// [`SmtpUrlError`] says which rule it breaks.
    pub fn parse(text: &str) -> Result<Self, SmtpUrlError> {
        let url = Url::parse(text).map_err(|_| SmtpUrlError::Form)?;
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or(SmtpUrlError::Form)?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let starts_tls = match url.query_pairs().collect::<Vec<_>>().as_slice() {
            [] => false,
            [(name, value)] if name == "tls" && value == "required" => true,
            [(name, _)] if name == "tls" => return Err(SmtpUrlError::Tls),
            _ => return Err(SmtpUrlError::Form),
        };
        let (security, port) = match (url.scheme(), starts_tls) {
            ("smtps", _) => (Security::Tls, 465),
            ("smtp", true) => (Security::StartTls, 587),
            ("smtp", false) => (Security::None, 25),
            _ => return Err(SmtpUrlError::Form),
        };
        let credentials = credentials(&url)?;
        if credentials.is_some() && security == Security::None && !is_loopback(&host) {
            return Err(SmtpUrlError::Clear);
        }
        let hello = url.path().trim_matches('/');
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
        if url.fragment().is_some() || hello.contains(|c| !is_name(c)) {
            return Err(SmtpUrlError::Form);
        }
        let hello = (!hello.is_empty()).then(|| hello.to_owned());
        Ok(Self { host, port: url.port().unwrap_or(port), security, credentials, hello })
    }

    /// Whether mail crosses a network in the clear.
    pub fn is_exposed(&self) -> bool {
        self.security == Security::None && !is_loopback(&self.host)
    }
}

/// Never shows the user or the password.
impl fmt::Display for SmtpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, query) = match self.security {
            Security::None => ("smtp", ""),
            Security::StartTls => ("smtp", "?tls=required"),
            Security::Tls => ("smtps", ""),
        };
        let brackets = if self.host.contains(':') { ["[", "]"] } else { ["", ""] };
        write!(f, "{scheme}://{}{}{}:{}{query}", brackets[0], self.host, brackets[1], self.port)
    }
}

fn credentials(url: &Url) -> Result<Option<(String, SecretString)>, SmtpUrlError> {
    let decode = |text| {
        let text = percent_decode_str(text).decode_utf8().map_err(|_| SmtpUrlError::Credentials)?;
        let is_text = !text.is_empty() && !text.contains(char::is_control);
        if is_text { Ok(text.into_owned()) } else { Err(SmtpUrlError::Credentials) }
    };
    match (url.username(), url.password()) {
        ("", None) => Ok(None),
        (user, Some(password)) => Ok(Some((decode(user)?, SecretString::new(decode(password)?)))),
        (_, None) => Err(SmtpUrlError::Credentials),
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_where_and_how() {
        for (text, shown) in [
            ("smtps://u:p@mail.example.com", "smtps://mail.example.com:465"),
            ("smtp://u:p@mail.example.com?tls=required", "smtp://mail.example.com:587?tls=required"),
            (
                "smtp://u:p@mail.example.com:2525/id.example.com?tls=required",
                "smtp://mail.example.com:2525?tls=required",
            ),
            ("smtp://relay", "smtp://relay:25"),
            ("smtp://u:p@localhost:1025", "smtp://localhost:1025"),
            ("smtp://u:p@[::1]:1025", "smtp://[::1]:1025"),
        ] {
            assert_eq!(SmtpUrl::parse(text).unwrap().to_string(), shown);
        }
        let url = SmtpUrl::parse("smtps://a%40b:p%2Fw@mail.example.com/id.example.com").unwrap();
        let (user, password) = url.credentials.as_ref().unwrap();
        assert_eq!(
            (user.as_str(), password.expose(), url.hello.as_deref()),
            ("a@b", "p/w", Some("id.example.com"))
        );
        assert!(!format!("{url:?}").contains("p/w"));
        assert!(SmtpUrl::parse("smtp://relay").unwrap().is_exposed());
        assert!(!SmtpUrl::parse("smtp://127.0.0.1").unwrap().is_exposed());
    }

    #[test]
    fn what_would_expose_a_password_or_says_nothing_is_refused() {
        for (text, error) in [
            ("mail.example.com", SmtpUrlError::Form),
            ("http://mail.example.com", SmtpUrlError::Form),
            ("smtp:mail.example.com", SmtpUrlError::Form),
            ("smtps://", SmtpUrlError::Form),
            ("smtps://mail.example.com/a%0d%0ab", SmtpUrlError::Form),
            ("smtps://mail.example.com?timeout=1", SmtpUrlError::Form),
            ("smtp://mail.example.com?tls=opportunistic", SmtpUrlError::Tls),
            ("smtps://u@mail.example.com", SmtpUrlError::Credentials),
            ("smtps://u:%0d%0aRCPT@mail.example.com", SmtpUrlError::Credentials),
            ("smtp://u:p@mail.example.com", SmtpUrlError::Clear),
        ] {
            assert_eq!(SmtpUrl::parse(text).unwrap_err(), error, "{text}");
        }
    }
}
