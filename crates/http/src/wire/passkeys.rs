//! What travels about passkeys. Options and credentials are exactly what browsers take and give:
//! `parseCreationOptionsFromJSON()`, `parseRequestOptionsFromJSON()`, `toJSON()` (WebAuthn §5.1).

use identsphere_factors::passkey::{CreationOptions, Passkey, RequestOptions};
use identsphere_kernel::{PasskeyId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::TokenTransport;
use crate::decode::{Faults, Text};

/// What to make a passkey with.
#[derive(Serialize, ToSchema)]
#[schema(as = PasskeyCreation)]
pub(crate) struct CreationView {
    /// For `PublicKeyCredential.parseCreationOptionsFromJSON()`.
    #[serde(rename = "publicKey")]
    #[schema(value_type = Object)]
    pub(crate) public_key: CreationOptions,
}

/// What to use a passkey with.
#[derive(Serialize, ToSchema)]
#[schema(as = PasskeyRequest)]
pub(crate) struct RequestView {
    /// For `PublicKeyCredential.parseRequestOptionsFromJSON()`.
    #[serde(rename = "publicKey")]
    #[schema(value_type = Object)]
    pub(crate) public_key: RequestOptions,
}

/// What the browser says, as it says it.
#[derive(Default)]
pub(crate) struct Credential(Option<Box<RawValue>>);

impl<'de> Deserialize<'de> for Credential {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Box::<RawValue>::deserialize(deserializer).map(|raw| Self(Some(raw)))
    }
}

impl Credential {
    /// Its JSON; empty, with a fault noted, when it is not there or no object.
    pub(crate) fn required(&self, faults: &mut Faults) -> &[u8] {
        match self.0.as_deref().map(RawValue::get) {
            Some(json) if json.starts_with('{') => json.as_bytes(),
            Some("null") | None => faults.note("credential", "is required").as_bytes(),
            Some(_) => faults.note("credential", "must be a JSON object").as_bytes(),
        }
    }
}

/// A passkey that was made.
#[derive(Deserialize, ToSchema)]
#[schema(as = NewPasskey)]
pub(crate) struct NewPasskeyBody {
    /// `toJSON()` of what `navigator.credentials.create()` gave.
    #[serde(default)]
    #[schema(value_type = Object, required = true)]
    pub(crate) credential: Credential,
    /// What to call it; after the model of its authenticator when absent.
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 100, examples("Ada's phone"))]
    pub(crate) label: Text,
}

/// What to call a passkey.
#[derive(Deserialize, ToSchema)]
#[schema(as = PasskeyLabel)]
pub(crate) struct LabelBody {
    #[serde(default)]
    #[schema(value_type = String, required = true, min_length = 1, max_length = 100, examples("Ada's phone"))]
    pub(crate) label: Text,
}

/// Who wants to sign in with a passkey.
#[derive(Default, Deserialize, ToSchema)]
#[schema(as = PasskeySignIn)]
pub(crate) struct PasskeySignInBody {
    /// The address of the account. Without it the authenticator offers the passkeys it holds (conditional UI).
    #[serde(default)]
    #[schema(value_type = Option<String>, format = "email", max_length = 254, examples("ada@example.com"))]
    pub(crate) email: Text,
}

/// A passkey that was used to sign in.
#[derive(Deserialize, ToSchema)]
#[schema(as = UsedPasskey)]
pub(crate) struct UsedPasskeyBody {
    /// `toJSON()` of what `navigator.credentials.get()` gave.
    #[serde(default)]
    #[schema(value_type = Object, required = true)]
    pub(crate) credential: Credential,
    /// How the tokens travel.
    #[serde(default)]
    #[schema(value_type = Option<TokenTransport>)]
    pub(crate) token_transport: Text,
}

/// A passkey that was shown in a session.
#[derive(Deserialize, ToSchema)]
#[schema(as = ShownPasskey)]
pub(crate) struct ShownPasskeyBody {
    /// `toJSON()` of what `navigator.credentials.get()` gave.
    #[serde(default)]
    #[schema(value_type = Object, required = true)]
    pub(crate) credential: Credential,
}

/// A passkey of the caller.
#[derive(Serialize, ToSchema)]
#[schema(as = Passkey)]
pub(crate) struct PasskeyView<'a> {
    #[schema(value_type = String, format = "uuid")]
    id: PasskeyId,
    label: &'a str,
    /// The model of its authenticator, as that claims; zeroes when it does not say.
    #[schema(format = "uuid")]
    aaguid: String,
    /// How it can be reached, in the words of browsers, separated by commas.
    #[schema(required = true, examples("hybrid,internal"))]
    transport: Option<String>,
    /// Whether it was in a backup when it was last used.
    backed_up: bool,
    #[schema(value_type = String, format = "date-time")]
    created_at: Timestamp,
    #[schema(value_type = Option<String>, format = "date-time", required = true)]
    last_used_at: Option<Timestamp>,
}

impl<'a> PasskeyView<'a> {
    pub(crate) fn of(passkey: &'a Passkey) -> Self {
        let transports = &passkey.transports;
        Self {
            id: passkey.id,
            label: passkey.label.as_str(),
            aaguid: passkey.aaguid.to_string(),
            transport: (!transports.is_empty()).then(|| transports.as_slice().join(",")),
            backed_up: passkey.backed_up,
            created_at: passkey.created_at,
            last_used_at: passkey.last_used_at,
        }
    }
}
