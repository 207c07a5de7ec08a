//! What a page passes to the browser: the JSON of `PublicKeyCredential.parseCreationOptionsFromJSON()` and
//! `parseRequestOptionsFromJSON()` (WebAuthn §5.1.8, §5.1.9).

use identsphere_kernel::Duration;
use serde::Serialize;

use super::{Algorithm, Challenge, CredentialId, Passkey, RelyingParty, Transports, UserHandle};

/// Whether the authenticator has to verify the person, by a PIN or a finger (WebAuthn §5.8.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum UserVerification {
    /// Refuse what was not verified.
    Required,
    /// Verify if possible; whether it happened is seen in the answer.
    Preferred,
    /// Do not ask for it.
    Discouraged,
}

/// `PublicKeyCredentialCreationOptionsJSON`.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CreationOptions {
    rp: RpEntity,
    user: UserEntity,
    challenge: Challenge,
    pub_key_cred_params: Vec<CredentialParameters>,
    timeout: u64,
    exclude_credentials: Vec<CredentialDescriptor>,
    authenticator_selection: AuthenticatorSelection,
    attestation: &'static str,
}

/// `PublicKeyCredentialRequestOptionsJSON`.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestOptions {
    challenge: Challenge,
    timeout: u64,
    rp_id: String,
    allow_credentials: Vec<CredentialDescriptor>,
    user_verification: UserVerification,
}

/// `PublicKeyCredentialDescriptorJSON`: a credential by its id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CredentialDescriptor {
    #[serde(rename = "type")]
    kind: &'static str,
    id: CredentialId,
    #[serde(skip_serializing_if = "Transports::is_empty")]
    transports: Transports,
}

impl CredentialDescriptor {
    /// Describes a credential.
    pub fn new(id: CredentialId, transports: Transports) -> Self {
        Self { kind: PUBLIC_KEY, id, transports }
    }

    /// The id of the credential.
    pub fn id(&self) -> &CredentialId {
        &self.id
    }
}

impl From<&Passkey> for CredentialDescriptor {
    fn from(passkey: &Passkey) -> Self {
        Self::new(passkey.credential_id.clone(), passkey.transports.clone())
    }
}

/// Whose passkey is made, as the authenticator shows it.
#[derive(Debug, Clone, Copy)]
pub struct NewOwner<'a> {
    /// What the passkey will present when it is used without a name.
    pub handle: &'a UserHandle,
    /// The account, such as the e-mail address.
    pub name: &'a str,
    /// The person.
    pub display_name: &'a str,
}

pub(super) const PUBLIC_KEY: &str = "public-key";

impl RelyingParty {
    /// Options for making a passkey: discoverable if the authenticator can (§5.4.6), no attestation (§5.4.7), and not on
    /// an authenticator that holds one of `existing`.
    pub fn creation_options(
        &self,
        owner: NewOwner<'_>,
        challenge: Challenge,
        existing: &[Passkey],
        timeout: Duration,
    ) -> CreationOptions {
        CreationOptions {
            rp: RpEntity { id: self.id().to_owned(), name: self.name().to_owned() },
            user: UserEntity {
                id: *owner.handle,
                name: owner.name.to_owned(),
                display_name: owner.display_name.to_owned(),
            },
            challenge,
            pub_key_cred_params: Algorithm::OFFERED
                .map(|algorithm| CredentialParameters { kind: PUBLIC_KEY, alg: algorithm.id() })
                .into(),
            timeout: millis(timeout),
            exclude_credentials: existing.iter().map(Into::into).collect(),
            authenticator_selection: AuthenticatorSelection {
                resident_key: "preferred",
                require_resident_key: false,
                user_verification: UserVerification::Preferred,
            },
            attestation: "none",
        }
    }

    /// Options for using a passkey: one of `allowed`, or any discoverable one when that is empty.
    pub fn request_options(
        &self,
        challenge: Challenge,
        allowed: Vec<CredentialDescriptor>,
        user_verification: UserVerification,
        timeout: Duration,
    ) -> RequestOptions {
        RequestOptions {
            challenge,
            timeout: millis(timeout),
            rp_id: self.id().to_owned(),
            allow_credentials: allowed,
            user_verification,
        }
    }
}

#[derive(Debug, Clone, Serialize)]
struct RpEntity {
    id: String,
    name: String,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct UserEntity {
    id: UserHandle,
    name: String,
    display_name: String,
}

#[derive(Debug, Clone, Serialize)]
struct CredentialParameters {
    #[serde(rename = "type")]
    kind: &'static str,
    alg: i64,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct AuthenticatorSelection {
    resident_key: &'static str,
    /// For browsers that know Level 1 only.
    require_resident_key: bool,
    user_verification: UserVerification,
}

fn millis(timeout: Duration) -> u64 {
    u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn party() -> RelyingParty {
        RelyingParty::new("example.org", "Example", vec!["https://example.org".to_owned()]).unwrap()
    }

    #[test]
    fn creation_options_are_those_that_browsers_parse() {
        let handle = UserHandle::from_bytes([0; 64]);
        let owner = NewOwner { handle: &handle, name: "ann@example.org", display_name: "Ann" };
        let options =
            party().creation_options(owner, Challenge::from_bytes([0xff; 32]), &[], Duration::from_secs(300));
        let expected = json!({
            "rp": {"id": "example.org", "name": "Example"},
            "user": {"id": "A".repeat(86), "name": "ann@example.org", "displayName": "Ann"},
            "challenge": format!("{}8", "_".repeat(42)),
            "pubKeyCredParams": [
                {"type": "public-key", "alg": -7},
                {"type": "public-key", "alg": -8},
                {"type": "public-key", "alg": -35},
                {"type": "public-key", "alg": -257},
            ],
            "timeout": 300_000,
            "excludeCredentials": [],
            "authenticatorSelection":
                {"residentKey": "preferred", "requireResidentKey": false, "userVerification": "preferred"},
            "attestation": "none",
        });
        assert_eq!(serde_json::to_value(options).unwrap(), expected);
    }

    #[test]
    fn request_options_are_those_that_browsers_parse() {
        let known = CredentialDescriptor::new(
            CredentialId::parse(&[0; 16]).unwrap(),
            Transports::keep(["usb", "smart-card"]),
        );
        let silent = CredentialDescriptor::new(CredentialId::parse(&[0; 16]).unwrap(), Transports::default());
        let options = party().request_options(
            Challenge::from_bytes([0; 32]),
            vec![known, silent],
            UserVerification::Required,
            Duration::from_secs(300),
        );
        let expected = json!({
            "challenge": "A".repeat(43),
            "timeout": 300_000,
            "rpId": "example.org",
            "allowCredentials": [
                {"type": "public-key", "id": "A".repeat(22), "transports": ["usb", "smart-card"]},
                {"type": "public-key", "id": "A".repeat(22)},
            ],
            "userVerification": "required",
        });
        assert_eq!(serde_json::to_value(options).unwrap(), expected);
    }
}
