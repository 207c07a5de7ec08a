//! What an access token says.

use identsphere_kernel::{AccessTokenId, OrganizationId, SessionId, UserId};
use serde::{Deserialize, Serialize};

/// The claims of an access token. Times are NumericDates: whole seconds since the Unix epoch (RFC 7519 §2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessClaims {
    /// Who issued it.
    pub iss: String,
    /// The user.
    pub sub: UserId,
    /// The organisation of the session.
    pub org: OrganizationId,
    /// For whom it is meant; absent unless configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aud: Option<String>,
    /// When it was issued.
    pub iat: i64,
    /// When it ends.
    pub exp: i64,
    /// Always `access`.
    pub typ: TokenType,
    /// This token.
    pub jti: AccessTokenId,
    /// The session family.
    pub sid: SessionId,
    /// The assurance level: `aal1` or `aal2`.
    pub aal: String,
    /// When the user really authenticated.
    pub auth_time: i64,
    /// How.
    pub auth_method: String,
    /// The user's address, only once verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// The role in the organisation when the token was issued. Ask the service for the present one.
    pub role: String,
    /// When the user last showed a second factor in this session, if they ever did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mfa_verified_at: Option<i64>,
}

/// The kind of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenType {
    /// An access token, the only kind that is a JWT.
    Access,
}
