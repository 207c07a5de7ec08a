//! The guards, in the one order in which every request passes them: limits, origin and CSRF, authentication, step-up. What a
//! role may do is asked after that, and decoding comes last: nobody's body is read before they may be here.

use std::sync::Arc;

use identsphere_core::{Error, Principal};
use identsphere_kernel::ErrorCode;

use crate::app::App;
use crate::call::Identity;
use crate::failure::Failure;
use crate::head::Head;
use crate::multipart::is_multipart;
use crate::table::{AuthRule, BodyRule, CsrfRule, Route};

/// Refuses what is too large, or what cannot be the body that is due, before any of it is read.
pub(crate) fn check_limits(route: &Route, head: &Head<'_>) -> Result<(), Failure> {
    check_head(head)?;
    let Some((_, limit)) = route.body.expected() else { return Ok(()) };
    if head.content_length.is_some_and(|length| length > limit as u64) {
        return Err(ErrorCode::PayloadTooLarge.into());
    }
    let is_plain = head.content_encoding.is_none_or(|encoding| encoding.eq_ignore_ascii_case("identity"));
    let is_due = match (head.content_type, &route.body) {
        (Some(content_type), BodyRule::Multipart(..)) => is_multipart(content_type),
        (Some(content_type), _) => is_json(content_type),
        (None, BodyRule::Optional(..)) => true,
        (None, BodyRule::Required(..) | BodyRule::Multipart(..) | BodyRule::None) => false,
    };
    if is_plain && is_due { Ok(()) } else { Err(ErrorCode::UnsupportedMediaType.into()) }
}

/// Refuses a head that is too large or ambiguous.
pub(crate) fn check_head(head: &Head<'_>) -> Result<(), Failure> {
    match head.broken_limit() {
        Some((part, rule)) => Err(Failure::invalid_field(part, rule)),
        None => Ok(()),
    }
}

/// `application/json`, in UTF-8 if it names a character set (RFC 8259 §8.1).
pub(crate) fn is_json(content_type: &str) -> bool {
    let mut parts = content_type.split(';').map(str::trim);
    let is_utf8 = |parameter: &str| match parameter.split_once('=') {
        Some((name, value)) if name.eq_ignore_ascii_case("charset") => {
            value.trim_matches('"').eq_ignore_ascii_case("utf-8")
        }
        Some(_) | None => true,
    };
    parts.next().is_some_and(|kind| kind.eq_ignore_ascii_case("application/json")) && parts.all(is_utf8)
}

impl App {
    /// Who the request says it comes from. Reads no store.
    pub(crate) fn identify<'a>(
        &self,
        auth: AuthRule,
        csrf: CsrfRule,
        head: &Head<'a>,
    ) -> Result<Identity<'a>, Failure> {
        if auth == AuthRule::Public && csrf == CsrfRule::ReadOnly {
            return Ok(Identity::default());
        }
        let cookies = self.cookies().read(head)?;
        let has_authorization = head.authorization.is_some();
        let token = match head.authorization {
            Some(value) => bearer(value),
            None => cookies.access,
        };
        let token = token.filter(|_| auth != AuthRule::Public);
        let claims = token.and_then(|token| self.core().verify_access_token(token));
        Ok(Identity { cookies, has_authorization, claims })
    }

    /// Refuses a write that a foreign page makes with its visitor's cookies (contract §3.4).
    pub(crate) fn check_csrf(
        &self,
        rule: CsrfRule,
        head: &Head<'_>,
        identity: &Identity<'_>,
    ) -> Result<(), Failure> {
        match rule {
            CsrfRule::ReadOnly => Ok(()),
            CsrfRule::OriginOnly => self.origins().check(head),
            // A browser adds no Authorization field by itself that we would take for a Bearer token.
            CsrfRule::CookieWrite if identity.has_authorization => Ok(()),
            CsrfRule::CookieWrite => {
                self.origins().check(head)?;
                let Some(claims) = &identity.claims else { return Ok(()) };
                let (header, cookie) =
                    (head.csrf_token.unwrap_or_default(), identity.cookies.csrf.unwrap_or_default());
                if self.csrf().accepts(claims.sid, header, cookie) {
                    Ok(())
                } else {
                    Err(ErrorCode::CsrfFailed.into())
                }
            }
        }
    }

    /// Who calls, where the route wants to know.
    pub(crate) async fn authenticate(
        &self,
        rule: AuthRule,
        identity: &Identity<'_>,
    ) -> Result<Option<Arc<Principal>>, Failure> {
        match (rule, &identity.claims) {
            (AuthRule::Public | AuthRule::Optional, _) => Ok(None),
            (AuthRule::User, None) => Err(Error::AuthenticationRequired.into()),
            (AuthRule::User, Some(claims)) => Ok(Some(self.core().authenticate(claims).await?)),
        }
    }
}

/// The token of a Bearer credential (RFC 6750 §2.1); schemes are compared without case (RFC 9110 §11.1).
fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_named_exactly() {
        for json in [
            "application/json",
            "Application/JSON",
            "application/json; charset=utf-8",
            "application/json;charset=\"UTF-8\"",
        ] {
            assert!(is_json(json), "{json}");
        }
        for other in [
            "",
            "text/plain",
            "text/json",
            "application/json-patch+json",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=application/json",
            "application/json; charset=utf-7",
            "application/json, text/plain",
        ] {
            assert!(!is_json(other), "{other}");
        }
    }

    #[test]
    fn only_the_bearer_scheme_carries_a_token() {
        assert_eq!(bearer("bearer  a.b.c "), Some("a.b.c"));
        assert_eq!(bearer("Bearer"), None);
        assert_eq!(bearer("Basic YTpi"), None);
        assert_eq!(bearer("a.b.c"), None);
    }
}
