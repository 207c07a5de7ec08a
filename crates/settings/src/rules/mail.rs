//! What mail needs: addresses of people, of pages and of a mail server.

use identsphere_kernel::{Email, SecretString};
use url::Url;

use super::{Describe, Rejection, Rule};

/// An e-mail address.
pub(crate) struct Address;

impl Describe for Address {
    fn describe(&self) -> String {
        "an e-mail address such as `no-reply@example.com`".to_owned()
    }
}

impl Rule for Address {
    type Value = Email;

    fn read(&self, text: &str) -> Result<Email, Rejection> {
        Email::parse(text).map_err(|_| Rejection::default())
    }
}

/// The address of a page.
pub(crate) struct WebAddress;

impl Describe for WebAddress {
    fn describe(&self) -> String {
        "`http://` or `https://`, a host and perhaps a path, without a query".to_owned()
    }
}

impl Rule for WebAddress {
    type Value = Url;

    fn read(&self, text: &str) -> Result<Url, Rejection> {
        let Ok(mut url) = Url::parse(text) else { return Err(Rejection::default()) };
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(|host| host.contains('*')) {
            return Err(Rejection::default());
        }
        let is_bare = url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none();
        if is_bare {
            return Ok(url);
        }
        url.set_query(None);
        url.set_fragment(None);
        let cleared = url.set_username("").and_then(|()| url.set_password(None));
        Err(Rejection { reason: None, nearest: cleared.ok().map(|()| url.to_string()) })
    }
}

/// A mail server. Whether a text is one is decided where it is used, which hands in a [`Check`](crate::Check).
pub(crate) struct MailServer;

impl Describe for MailServer {
    fn describe(&self) -> String {
        "`smtps://USER:PASSWORD@HOST`, `smtp://USER:PASSWORD@HOST?tls=required`, or `smtp://HOST` in the clear".to_owned()
    }
}

impl Rule for MailServer {
    type Value = SecretString;

    fn read(&self, text: &str) -> Result<SecretString, Rejection> {
        Ok(SecretString::new(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_may_have_a_path_and_nothing_after_it() {
        for good in ["https://app.example.com", "https://app.example.com/app/", "http://localhost:3000"] {
            assert!(WebAddress.read(good).is_ok(), "{good}");
        }
        let nearest = WebAddress.read("https://u:p@app.example.com/a?b=c#d").unwrap_err().nearest;
        assert_eq!(nearest.as_deref(), Some("https://app.example.com/a"));
        for bad in
            ["app.example.com", "ftp://app.example.com", "https://*.example.com", "javascript:alert(1)"]
        {
            assert_eq!(WebAddress.read(bad), Err(Rejection::default()), "{bad}");
        }
    }
}
