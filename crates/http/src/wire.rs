//! What travels: bodies that come in, views that go out (contract §5).

pub(crate) mod email;
pub(crate) mod mfa;
pub(crate) mod passkeys;

use identsphere_core::{Authorizer, Principal};
use identsphere_kernel::{OrganizationId, SessionId, Timestamp, UserId};
use identsphere_sessions::Session;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::decode::{Faults, Text};
use crate::names;

/// Who signs up.
#[derive(Deserialize, ToSchema)]
#[schema(as = Register)]
pub(crate) struct RegisterBody {
    /// The address to sign in with.
    #[serde(default)]
    #[schema(value_type = String, required = true, format = "email", max_length = 254, examples("ada@example.com"))]
    pub(crate) email: Text,
    /// At most 1,024 bytes; none of the passwords that are guessed first, nor made from the address.
    #[serde(default)]
    #[schema(
        value_type = String, required = true, format = "password", min_length = 12, max_length = 256, examples("correct horse battery staple")
    )]
    pub(crate) password: Text,
    /// The name of the organisation to make.
    #[serde(default)]
    #[schema(value_type = String, required = true, min_length = 1, max_length = 100, examples("Analytical Engines"))]
    pub(crate) organization_name: Text,
    /// Its short name; derived from the name, and made unique, when absent.
    #[serde(default)]
    #[schema(value_type = Option<String>, pattern = "^[a-z0-9-]{1,100}$", examples("analytical-engines"))]
    pub(crate) organization_slug: Text,
    /// The name to show to people.
    #[serde(default)]
    #[schema(value_type = Option<String>, max_length = 200, examples("Ada Lovelace"))]
    pub(crate) display_name: Text,
    /// How the tokens travel.
    #[serde(default)]
    #[schema(value_type = Option<TokenTransport>)]
    pub(crate) token_transport: Text,
}

/// Who signs in.
#[derive(Deserialize, ToSchema)]
#[schema(as = Login)]
pub(crate) struct LoginBody {
    /// The address of the account.
    #[serde(default)]
    #[schema(value_type = String, required = true, format = "email", max_length = 254, examples("ada@example.com"))]
    pub(crate) email: Text,
    /// Its password.
    #[serde(default)]
    #[schema(
        value_type = String, required = true, format = "password", min_length = 1, max_length = 256,
        examples("correct horse battery staple")
    )]
    pub(crate) password: Text,
    /// How the tokens travel.
    #[serde(default)]
    #[schema(value_type = Option<TokenTransport>)]
    pub(crate) token_transport: Text,
}

/// The refresh token of a client that keeps no cookies.
#[derive(Default, Deserialize, ToSchema)]
#[schema(as = Refresh)]
pub(crate) struct RefreshBody {
    /// The refresh token; absent when the cookie carries it.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub(crate) refresh_token: Text,
}

/// How tokens travel: in cookies, or in the body for clients that send them as Bearer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum TokenTransport {
    /// HttpOnly cookies, for browsers.
    Cookie,
    /// The body, for everybody else; no cookie is set.
    Bearer,
}

impl TokenTransport {
    /// What a request asks for: cookies, unless it says otherwise.
    pub(crate) fn read(text: &Text, faults: &mut Faults) -> Self {
        match text {
            Text::Absent => Self::Cookie,
            Text::Given(name) if name.expose() == "cookie" => Self::Cookie,
            Text::Given(name) if name.expose() == "bearer" => Self::Bearer,
            Text::Given(_) | Text::WrongType => {
                faults.note("token_transport", "must be `cookie` or `bearer`");
                Self::Cookie
            }
        }
    }
}

/// A session has begun.
#[derive(Serialize, ToSchema)]
#[schema(as = SignIn)]
pub(crate) struct SignInView<'a> {
    #[schema(schema_with = names::success)]
    pub(crate) status: &'static str,
    /// Who signed in.
    pub(crate) user: AuthUserView<'a>,
    /// What they may do.
    pub(crate) capabilities: CapabilitiesView<'a>,
    /// The access token, a JWT.
    pub(crate) access_token: &'a str,
    #[schema(schema_with = names::bearer)]
    pub(crate) token_type: &'static str,
    /// How long the access token is valid, in seconds.
    pub(crate) expires_in: u64,
    /// The refresh token. With `bearer` only: otherwise it is in a cookie.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) refresh_token: Option<&'a str>,
    /// How long the refresh token is valid, in seconds. With `bearer` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) refresh_expires_in: Option<u64>,
}

/// A fresh access token.
#[derive(Serialize, ToSchema)]
#[schema(as = Tokens)]
pub(crate) struct TokensView<'a> {
    /// The access token, a JWT.
    pub(crate) access_token: &'a str,
    #[schema(schema_with = names::bearer)]
    pub(crate) token_type: &'static str,
    /// How long the access token is valid, in seconds.
    pub(crate) expires_in: u64,
    /// The next refresh token. Only when the last one came in the body: otherwise it is in a cookie.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) refresh_token: Option<&'a str>,
    /// How long the refresh token is valid, in seconds. Only beside a refresh token.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) refresh_expires_in: Option<u64>,
}

/// Who is signed in, and what they may do. Read from the store, never from the token.
#[derive(Serialize, ToSchema)]
#[schema(as = CurrentSession)]
pub(crate) struct CurrentSessionView<'a> {
    /// Who is signed in.
    pub(crate) user: AuthUserView<'a>,
    /// What they may do.
    pub(crate) capabilities: CapabilitiesView<'a>,
}

impl<'a> CurrentSessionView<'a> {
    pub(crate) fn of(principal: &'a Principal, authorizer: &'a Authorizer) -> Self {
        Self { user: AuthUserView::of(principal), capabilities: CapabilitiesView::of(principal, authorizer) }
    }
}

/// Who is behind a request. Every key is always present.
#[derive(Serialize, ToSchema)]
#[schema(as = AuthUser)]
pub(crate) struct AuthUserView<'a> {
    #[schema(value_type = String, format = "uuid")]
    user_id: UserId,
    /// The organisation that the session works in.
    #[schema(value_type = String, format = "uuid")]
    organization_id: OrganizationId,
    email: &'a str,
    /// Whether the owner of the mailbox has confirmed the address.
    email_verified: bool,
    #[schema(required = true)]
    display_name: Option<&'a str>,
    is_platform_admin: bool,
    #[schema(required = true)]
    platform_role: Option<&'a str>,
    #[schema(required = true)]
    api_key_id: Option<&'a str>,
    #[schema(required = true)]
    api_key_prefix: Option<&'a str>,
    #[schema(required = true)]
    api_key_name: Option<&'a str>,
    #[schema(required = true)]
    team_id: Option<&'a str>,
    #[schema(required = true)]
    project_id: Option<&'a str>,
    #[schema(schema_with = names::auth_methods)]
    auth_method: &'a str,
    /// The session: the same across refreshes.
    #[schema(value_type = Option<String>, format = "uuid", required = true)]
    session_family_id: Option<SessionId>,
    /// When the second factor was last confirmed, in Unix seconds.
    #[schema(required = true)]
    mfa_verified_at: Option<i64>,
    scopes: Vec<&'a str>,
    allowed_ips: Vec<&'a str>,
    allowed_referrers: Vec<&'a str>,
    /// What a host application adds.
    #[schema(value_type = Object)]
    extensions: Map<String, Value>,
}

impl<'a> AuthUserView<'a> {
    pub(crate) fn of(Principal { user, session, .. }: &'a Principal) -> Self {
        Self {
            user_id: user.id,
            organization_id: session.organization,
            email: user.email.as_str(),
            email_verified: user.email_verified,
            display_name: user.display_name.as_ref().map(|name| name.as_str()),
            is_platform_admin: false,
            platform_role: None,
            api_key_id: None,
            api_key_prefix: None,
            api_key_name: None,
            team_id: None,
            project_id: None,
            auth_method: session.auth_method.name(),
            session_family_id: Some(session.id),
            mfa_verified_at: session.mfa_verified_at.map(Timestamp::unix_seconds),
            scopes: Vec::new(),
            allowed_ips: Vec::new(),
            allowed_referrers: Vec::new(),
            extensions: Map::new(),
        }
    }
}

/// What somebody may do in the organisation of their session.
#[derive(Serialize, ToSchema)]
#[schema(as = Capabilities)]
pub(crate) struct CapabilitiesView<'a> {
    #[schema(examples("owner"))]
    role: &'a str,
    /// In alphabetical order.
    #[schema(examples(json!(["billing.read", "org.read"])))]
    permissions: Vec<&'a str>,
}

impl<'a> CapabilitiesView<'a> {
    pub(crate) fn of(principal: &'a Principal, authorizer: &'a Authorizer) -> Self {
        Self { role: principal.role.name(), permissions: authorizer.permissions(&principal.role) }
    }
}

/// A live session.
#[derive(Serialize, ToSchema)]
#[schema(as = Session)]
pub(crate) struct SessionView<'a> {
    #[schema(value_type = String, format = "uuid")]
    id: SessionId,
    /// The browser or program, as it named itself when last seen.
    #[schema(required = true)]
    user_agent: Option<&'a str>,
    /// The address it was last seen from.
    #[schema(required = true)]
    ip_address: Option<String>,
    #[schema(value_type = String, format = "date-time")]
    created_at: Timestamp,
    #[schema(value_type = String, format = "date-time")]
    last_active_at: Timestamp,
    /// Whether this is the session that asks.
    is_current: bool,
    #[schema(schema_with = names::auth_methods)]
    auth_method: &'a str,
    #[schema(schema_with = names::assurance_levels)]
    aal: &'a str,
    /// The absolute end: refreshing never moves it.
    #[schema(value_type = String, format = "date-time")]
    expires_at: Timestamp,
}

impl<'a> SessionView<'a> {
    pub(crate) fn of(session: &'a Session, current: SessionId) -> Self {
        Self {
            id: session.id,
            user_agent: session.client.user_agent.as_deref(),
            ip_address: session.client.ip_address.map(|address| address.to_string()),
            created_at: session.created_at,
            last_active_at: session.last_active_at,
            is_current: session.id == current,
            auth_method: session.auth_method.name(),
            aal: session.aal.name(),
            expires_at: session.expires_at,
        }
    }
}

/// A sign of life.
#[derive(Serialize, ToSchema)]
#[schema(as = Health)]
pub(crate) struct HealthView {
    #[schema(examples("ok"))]
    pub(crate) status: &'static str,
}

/// What a resource server needs to find our keys (OpenID Connect Discovery 1.0 §3).
#[derive(Serialize, ToSchema)]
#[schema(as = Discovery)]
pub(crate) struct DiscoveryView<'a> {
    /// The `iss` of every token.
    pub(crate) issuer: &'a str,
    /// Where the key set is.
    pub(crate) jwks_uri: &'a str,
    pub(crate) id_token_signing_alg_values_supported: [&'static str; 1],
    pub(crate) token_endpoint_auth_signing_alg_values_supported: [&'static str; 1],
    pub(crate) response_types_supported: [&'static str; 1],
    pub(crate) subject_types_supported: [&'static str; 1],
    /// The claims of an access token.
    pub(crate) claims_supported: &'static [&'static str],
}

/// The key set (RFC 7517 §5), as the core writes it.
#[derive(ToSchema)]
#[schema(as = JwkSet)]
#[expect(dead_code, reason = "describes a document that the core writes")]
pub(crate) struct JwkSetView {
    keys: Vec<JwkView>,
}

/// A public key (RFC 7517 §4, RFC 7518 §6.3.1).
#[derive(ToSchema)]
#[schema(as = Jwk)]
#[expect(dead_code, reason = "describes a document that the core writes")]
pub(crate) struct JwkView {
    #[schema(pattern = "^RSA$")]
    kty: String,
    #[serde(rename = "use")]
    #[schema(pattern = "^sig$")]
    usage: String,
    #[schema(pattern = "^RS256$")]
    alg: String,
    /// The RFC 7638 thumbprint.
    kid: String,
    /// The modulus, base64url.
    n: String,
    /// The exponent, base64url.
    e: String,
}
