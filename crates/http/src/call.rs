//! A request that has passed the guards.

use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;
use identsphere_core::{Language, Principal, Visitor};
use identsphere_kernel::ErrorCode;
use identsphere_sessions::ClientInfo;
use identsphere_tokens::AccessClaims;
use serde::de::DeserializeOwned;

use crate::app::App;
use crate::cookies::{Cookies, Device};
use crate::decode;
use crate::failure::Failure;
use crate::head::Head;
use crate::table::Endpoint;
use crate::wire::TokenTransport;

/// What became of the reading of a body.
#[derive(Debug)]
pub enum Body {
    /// All of it.
    Complete(Bytes),
    /// It is larger than the limit that was given.
    TooLarge,
    /// The client broke off, or sent what is no body.
    Broken,
}

/// Who a request says it comes from.
#[derive(Debug, Default)]
pub(crate) struct Identity<'a> {
    pub(crate) cookies: Cookies<'a>,
    /// Whether an `Authorization` field speaks for the request, good or bad. Then cookies do not.
    pub(crate) has_authorization: bool,
    /// The claims of the access token, if it is genuine and has not expired.
    pub(crate) claims: Option<Arc<AccessClaims>>,
}

/// A request that has passed the guards.
pub(crate) struct Call<'a> {
    pub(crate) endpoint: &'static Endpoint,
    pub(crate) head: &'a Head<'a>,
    pub(crate) identity: Identity<'a>,
    pub(crate) principal: Option<Arc<Principal>>,
    pub(crate) client: ClientInfo,
    pub(crate) body: Bytes,
}

impl Call<'_> {
    /// Who calls. There is somebody wherever the table asks for a user.
    pub(crate) fn principal(&self) -> Result<&Principal, Failure> {
        self.principal.as_deref().ok_or_else(|| Failure::new(ErrorCode::AuthenticationRequired))
    }

    /// Who comes, for use cases that write to people or tell browsers apart; with the browser that gets cookies.
    pub(crate) fn visitor(&self, device: Option<&Device>) -> Visitor<'_> {
        let language = Language::accepted(self.head.accept_language);
        let cookies = &self.identity.cookies;
        let returning = Device::returning(cookies.device);
        Visitor {
            client: &self.client,
            device: device.or(returning.as_ref()).map(Device::hash),
            is_returning: returning.is_some(),
            // Its successor travels in a cookie, which clients that want none would not get.
            trust_token: device.and(cookies.trust),
            language,
        }
    }

    /// The browser that signs in: as its cookie says, else a new one. Clients that keep no cookies have none.
    pub(crate) fn device(&self, app: &App, transport: TokenTransport) -> Option<Device> {
        let of_cookie = || Device::of(self.identity.cookies.device, app.core().random());
        (transport == TokenTransport::Cookie).then(of_cookie)
    }

    /// The body as JSON.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        decode::json(&self.body)
    }

    /// An id in the path. What is no id names nothing that exists.
    pub(crate) fn id<T: FromStr>(&self, name: &str) -> Result<T, Failure> {
        let segment = self.endpoint.variable(name, self.head.path);
        segment.and_then(|text| text.parse().ok()).ok_or_else(|| Failure::new(ErrorCode::NotFound))
    }

    /// Whether the client has what carries this entity tag already (RFC 9110 §13.1.2: compared weakly).
    pub(crate) fn has_current(&self, etag: &str) -> bool {
        let Some(known) = self.head.if_none_match else { return false };
        known.split(',').map(str::trim).any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
    }
}
