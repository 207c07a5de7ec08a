//! Who comes, before it is known who they are.

use identsphere_kernel::TokenHash;
use identsphere_sessions::ClientInfo;

use crate::Language;

/// From where a request comes, with which browser, and in which language to write to them.
#[derive(Debug, Clone, Copy)]
pub struct Visitor<'a> {
    /// From where.
    pub client: &'a ClientInfo,
    /// Hash of what tells this browser from others; `None` for clients that keep no cookies.
    pub device: Option<TokenHash>,
    /// Whether the browser came with that mark, rather than getting it now.
    pub is_returning: bool,
    /// What the browser shows to be asked for no second factor.
    pub trust_token: Option<&'a str>,
    /// In which language to write to them.
    pub language: Language,
}

impl<'a> Visitor<'a> {
    /// Somebody whose client keeps no cookies.
    pub fn without_cookies(client: &'a ClientInfo, language: Language) -> Self {
        Self { client, device: None, is_returning: false, trust_token: None, language }
    }
}

impl Visitor<'_> {
    /// What a ceremony that begins now is bound to: the mark that the browser came with, if it came with one.
    pub(crate) fn mark(&self) -> Option<TokenHash> {
        self.device.filter(|_| self.is_returning)
    }

    /// Whether this browser may end what began under this mark. What was begun without one may be ended anywhere.
    pub(crate) fn may_end(&self, begun_under: Option<TokenHash>) -> bool {
        begun_under.is_none_or(|mark| self.mark() == Some(mark))
    }

    /// What a browser is known by. A client without cookies is known by the kind of its program: by its user agent
    /// without the numbers, which change with every update.
    pub(crate) fn browser(&self) -> TokenHash {
        self.device.unwrap_or_else(|| {
            let agent = self.client.user_agent.as_deref().unwrap_or_default();
            let kind: String = agent.chars().filter(|c| !c.is_ascii_digit()).collect();
            TokenHash::of(format!("user agent\0{kind}").as_bytes())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_without_cookies_stays_the_same_when_it_is_updated() {
        let browser = |agent: &str, device| {
            let client = ClientInfo::new(None, Some(agent));
            let nobody =
                Visitor { client: &client, device, ..Visitor::without_cookies(&client, Language::En) };
            nobody.browser()
        };
        assert_eq!(browser("App/1.2 (X11)", None), browser("App/1.13 (X11)", None));
        assert_ne!(browser("App/1.2 (X11)", None), browser("Other/1.2 (X11)", None));
        assert_ne!(
            browser("App/1.2", Some(TokenHash::of(b"a"))),
            browser("App/1.2", Some(TokenHash::of(b"b")))
        );
    }
}
