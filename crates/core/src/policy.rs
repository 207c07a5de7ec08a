//! What the operator decides.

use identsphere_factors::passkey::RelyingParty;
use identsphere_kernel::Duration;
use identsphere_organizations::RbacConfig;
use identsphere_tokens::KeyPolicy;

use crate::RateLimits;

/// What the operator decides.
#[derive(Debug, Clone)]
pub struct Policy {
    /// The token's `iss`.
    pub issuer: String,
    /// The token's `aud`, if it is to have one.
    pub audience: Option<String>,
    /// How long an access token is valid; at most [`Policy::MAX_ACCESS_TTL`].
    pub access_ttl: Duration,
    /// How long a session lives from its sign-in, however often it is refreshed.
    pub session_ttl: Duration,
    /// How long the parent of a leaf may be presented again.
    pub refresh_grace: Duration,
    /// How long a second factor that was shown in a session lets through what asks for one (a step-up).
    pub step_up_ttl: Duration,
    /// Who we are to passkeys and authenticators.
    pub relying_party: RelyingParty,
    /// How signing keys live.
    pub keys: KeyPolicy,
    /// Rate limits; `None` switches them off.
    pub limits: Option<RateLimits>,
    /// Where the pages are that links in mails lead to: an address without a `/` at its end.
    pub frontend_url: String,
    /// Which role may do what.
    pub rbac: RbacConfig,
}

impl Policy {
    /// The longest life of an access token that is ever issued or accepted (TK-07).
    pub const MAX_ACCESS_TTL: Duration = Duration::from_secs(3_600);
    /// How far a node's clock may lie from the store's before the node takes no requests.
    pub const MAX_CLOCK_DRIFT: Duration = Duration::from_secs(5);
}
