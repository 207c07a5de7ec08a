//! Documents that are made once: discovery, the API document and its page.

use bytes::Bytes;
use identsphere_kernel::TokenHash;

use crate::config::HttpConfig;
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

/// The documents of this node.
pub(crate) struct Documents {
    pub(crate) discovery: Document,
    pub(crate) openapi: Document,
    pub(crate) docs: Document,
    /// The content security policy of the page.
    pub(crate) docs_policy: String,
    /// How long all of them, and the key set, may be kept.
    pub(crate) cache_control: String,
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
        let page = docs::page(config);
        Ok(Self {
            discovery: Document::new(JSON, serde_json::to_string(&discovery)?),
            openapi: Document::new(JSON, openapi::document(config)?),
            docs: Document::new("text/html; charset=utf-8", page.html),
            docs_policy: page.content_security_policy,
            cache_control: format!("public, max-age={}", config.public_max_age.as_secs()),
        })
    }
}

impl Document {
    fn new(content_type: &'static str, body: String) -> Self {
        let hash = TokenHash::of(body.as_bytes());
        let tag: String = hash.as_bytes().iter().take(12).map(|byte| format!("{byte:02x}")).collect();
        Self { content_type, etag: format!("\"{tag}\""), body: body.into() }
    }
}
