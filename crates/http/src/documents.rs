//! Documents that are made once: discovery at the start, the API document and its page when somebody first asks for them,
//! which on most nodes nobody does.

use std::sync::OnceLock;

use bytes::Bytes;
use identsphere_kernel::TokenHash;

use crate::config::HttpConfig;
use crate::cookies::CookieSettings;
use crate::reply::JSON;
use crate::wire::DiscoveryView;
use crate::{docs, openapi};

/// The claims of an access token (contract §3.1).
const CLAIMS: &[&str] = &[
    "iss",
    "sub",
    "org",
    "aud",
    "iat",
    "exp",
    "typ",
    "jti",
    "sid",
    "aal",
    "auth_time",
    "auth_method",
    "email",
    "role",
    "mfa_verified_at",
];

/// A document that is made once.
pub(crate) struct Document {
    pub(crate) content_type: &'static str,
    pub(crate) etag: String,
    pub(crate) body: Bytes,
}

/// The page of the API document, and the content security policy under which browsers show it.
pub(crate) struct DocsPage {
    pub(crate) document: Document,
    pub(crate) policy: Bytes,
}

/// The documents of this node.
pub(crate) struct Documents {
    pub(crate) discovery: Document,
    /// How long all of them, and the key set, may be kept.
    pub(crate) cache_control: String,
    base: String,
    cookies: CookieSettings,
    openapi: OnceLock<Document>,
    docs: OnceLock<DocsPage>,
}

impl Documents {
    pub(crate) fn new(config: &HttpConfig, issuer: &str) -> Result<Self, serde_json::Error> {
        let base = config.base_url.as_str().trim_end_matches('/');
        let discovery = DiscoveryView {
            issuer,
            jwks_uri: &format!("{base}/.well-known/jwks.json"),
            id_token_signing_alg_values_supported: ["RS256"],
            token_endpoint_auth_signing_alg_values_supported: ["RS256"],
            response_types_supported: ["token"],
            subject_types_supported: ["public"],
            claims_supported: CLAIMS,
        };
        Ok(Self {
            discovery: Document::new(JSON, serde_json::to_string(&discovery)?),
            cache_control: format!("public, max-age={}", config.public_max_age.as_secs()),
            base: base.to_owned(),
            cookies: config.cookies.clone(),
            openapi: OnceLock::new(),
            docs: OnceLock::new(),
        })
    }

    /// The API document.
    pub(crate) fn openapi(&self) -> Result<&Document, serde_json::Error> {
        if let Some(made) = self.openapi.get() {
            return Ok(made);
        }
        let document = Document::new(JSON, openapi::written(&self.base, &self.cookies)?);
        Ok(self.openapi.get_or_init(|| document))
    }

    /// Its page.
    pub(crate) fn docs(&self) -> &DocsPage {
        self.docs.get_or_init(|| {
            let page = docs::page(&self.base, &self.cookies);
            let document = Document::new("text/html; charset=utf-8", page.html);
            DocsPage { document, policy: page.content_security_policy.into() }
        })
    }
}

impl Document {
    fn new(content_type: &'static str, body: String) -> Self {
        let hash = TokenHash::of(body.as_bytes());
        let tag: String = hash.as_bytes().iter().take(12).map(|byte| format!("{byte:02x}")).collect();
        Self {
            content_type,
            etag: format!("\"{tag}\""),
            body: body.into_boxed_str().into_boxed_bytes().into(),
        }
    }
}
