//! What travels about second factors, step-ups and trusted browsers.

use identsphere_core::{AuthenticatorSetup, MfaStatus, SecondFactorDue, SteppedUp};
use identsphere_kernel::{SecretString, Timestamp, TrustedBrowserId};
use identsphere_sessions::TrustedBrowser;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{SignInView, TokenTransport};
use crate::decode::Text;
use crate::names;

/// A session has begun, or a second factor is due: `status` tells which.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = SignInAnswer)]
#[expect(dead_code, reason = "describes two answers, each of which is written by itself")]
pub(crate) enum SignInAnswerView<'a> {
    Done(Box<SignInView<'a>>),
    Due(SecondFactorDueView<'a>),
}

/// The first factor was right. There is no session before a second one is shown.
#[derive(Serialize, ToSchema)]
#[schema(as = SecondFactorDue)]
pub(crate) struct SecondFactorDueView<'a> {
    #[schema(schema_with = names::mfa_required)]
    status: &'static str,
    /// What the second factor is shown with. Good for nothing else, and once.
    mfa_token: &'a str,
    /// How long it is valid, in seconds.
    mfa_token_expires_in: u64,
    #[schema(schema_with = methods)]
    methods: Vec<&'static str>,
}

fn methods() -> utoipa::openapi::schema::Array {
    utoipa::openapi::schema::ArrayBuilder::new().items(names::second_factors()).build()
}

impl<'a> SecondFactorDueView<'a> {
    pub(crate) fn of(due: &'a SecondFactorDue) -> Self {
        Self {
            status: "mfa_required",
            mfa_token: due.token.expose(),
            mfa_token_expires_in: due.expires_in.as_secs(),
            methods: due.methods.iter().map(|method| method.name()).collect(),
        }
    }
}

/// Whether there is a second factor.
#[derive(Serialize, ToSchema)]
#[schema(as = MfaStatus)]
pub(crate) struct MfaStatusView {
    enabled: bool,
    recovery_codes_left: u32,
}

impl From<MfaStatus> for MfaStatusView {
    fn from(status: MfaStatus) -> Self {
        Self { enabled: status.is_enabled, recovery_codes_left: status.recovery_codes_left }
    }
}

/// What an authenticator is set up with. Shown once.
#[derive(Serialize, ToSchema)]
#[schema(as = MfaSetup)]
pub(crate) struct MfaSetupView<'a> {
    /// In base32, for typing.
    secret: &'a str,
    /// For opening an app: `otpauth://totp/…`.
    otpauth_uri: &'a str,
    /// A PNG to scan, in base64.
    #[schema(format = "byte")]
    qr_code_base64: &'a str,
}

impl<'a> MfaSetupView<'a> {
    pub(crate) fn of(setup: &'a AuthenticatorSetup) -> Self {
        Self {
            secret: setup.secret.expose(),
            otpauth_uri: setup.otpauth_uri.expose(),
            qr_code_base64: setup.qr_code.expose(),
        }
    }
}

/// A code of an authenticator.
#[derive(Deserialize, ToSchema)]
#[schema(as = MfaCode)]
pub(crate) struct CodeBody {
    #[serde(default)]
    #[schema(value_type = String, required = true, pattern = "^[0-9]{6}$", examples("204816"))]
    pub(crate) code: Text,
}

/// The caller's own password.
#[derive(Deserialize, ToSchema)]
#[schema(as = OwnPassword)]
pub(crate) struct OwnPasswordBody {
    #[serde(default)]
    #[schema(value_type = String, required = true, format = "password", min_length = 1, max_length = 256)]
    pub(crate) password: Text,
}

/// For the day on which the authenticator is lost. Each works once; shown once.
#[derive(Serialize, ToSchema)]
#[schema(as = RecoveryCodes)]
pub(crate) struct RecoveryCodesView<'a> {
    #[schema(min_items = 10, max_items = 10)]
    recovery_codes: Vec<&'a str>,
}

impl<'a> RecoveryCodesView<'a> {
    pub(crate) fn of(codes: &'a [SecretString]) -> Self {
        Self { recovery_codes: codes.iter().map(SecretString::expose).collect() }
    }
}

/// A second factor: either a code of the authenticator or a recovery code.
#[derive(Deserialize, ToSchema)]
#[schema(as = MfaChallenge)]
pub(crate) struct ChallengeBody {
    /// What the sign-in was answered with.
    #[serde(default)]
    #[schema(value_type = String, required = true)]
    pub(crate) mfa_token: Text,
    /// A code of the authenticator.
    #[serde(default)]
    #[schema(value_type = Option<String>, pattern = "^[0-9]{6}$", examples("204816"))]
    pub(crate) code: Text,
    /// A recovery code.
    #[serde(default)]
    #[schema(value_type = Option<String>, examples("7X4T-9QJM-2KHD-W0RA"))]
    pub(crate) recovery_code: Text,
    /// How the tokens travel.
    #[serde(default)]
    #[schema(value_type = Option<TokenTransport>)]
    pub(crate) token_transport: Text,
}

/// A second factor was shown in this session.
#[derive(Serialize, ToSchema)]
#[schema(as = SteppedUp)]
pub(crate) struct SteppedUpView {
    verified: bool,
    /// When, in Unix seconds.
    verified_at: i64,
    /// How long it counts, in seconds.
    expires_in: u64,
}

impl From<SteppedUp> for SteppedUpView {
    fn from(step_up: SteppedUp) -> Self {
        Self {
            verified: true,
            verified_at: step_up.at.unix_seconds(),
            expires_in: step_up.expires_in.as_secs(),
        }
    }
}

/// A browser to trust.
#[derive(Default, Deserialize, ToSchema)]
#[schema(as = TrustBrowser)]
pub(crate) struct TrustBody {
    /// What to call it.
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 100, examples("Ada's laptop"))]
    pub(crate) label: Text,
}

/// A browser is trusted from now on.
#[derive(Serialize, ToSchema)]
#[schema(as = NewlyTrusted)]
pub(crate) struct NewlyTrustedView<'a> {
    pub(crate) trusted_browser: TrustedBrowserView<'a>,
}

/// A browser that stands for the second factor of a sign-in with the password.
#[derive(Serialize, ToSchema)]
#[schema(as = TrustedBrowser)]
pub(crate) struct TrustedBrowserView<'a> {
    #[schema(value_type = String, format = "uuid")]
    id: TrustedBrowserId,
    #[schema(required = true)]
    label: Option<&'a str>,
    /// As it named itself when last seen.
    #[schema(required = true)]
    user_agent: Option<&'a str>,
    #[schema(required = true)]
    ip_address: Option<String>,
    #[schema(value_type = String, format = "date-time")]
    created_at: Timestamp,
    /// When it last stood for a second factor.
    #[schema(value_type = String, format = "date-time")]
    last_seen_at: Timestamp,
    /// Using it never moves this.
    #[schema(value_type = String, format = "date-time")]
    expires_at: Timestamp,
}

impl<'a> TrustedBrowserView<'a> {
    pub(crate) fn of(browser: &'a TrustedBrowser) -> Self {
        Self {
            id: browser.id,
            label: browser.label.as_ref().map(|label| label.as_str()),
            user_agent: browser.client.user_agent.as_deref(),
            ip_address: browser.client.ip_address.map(|address| address.to_string()),
            created_at: browser.created_at,
            last_seen_at: browser.last_seen_at,
            expires_at: browser.expires_at,
        }
    }
}
