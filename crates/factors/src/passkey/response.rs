//! What a page sends back: `PublicKeyCredential.toJSON()` (WebAuthn §5.1.7), received strictly where it is checked and
//! tolerantly elsewhere: unknown members, unknown transports and extension outputs do no harm.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::options::PUBLIC_KEY;
use super::{Challenge, CredentialId, PasskeyError, client_data};

/// `RegistrationResponseJSON`: the answer to creation options.
#[derive(Debug, Clone, Deserialize)]
pub struct RegistrationResponse {
    #[serde(flatten)]
    pub(super) credential: CredentialPart,
    pub(super) response: AttestationPart,
}

/// `AuthenticationResponseJSON`: the answer to request options.
#[derive(Debug, Clone, Deserialize)]
pub struct AuthenticationResponse {
    #[serde(flatten)]
    pub(super) credential: CredentialPart,
    pub(super) response: AssertionPart,
}

impl RegistrationResponse {
    /// Reads an answer.
    ///
    /// # Errors
    /// [`PasskeyError::Malformed`].
    pub fn parse(json: &[u8]) -> Result<Self, PasskeyError> {
        serde_json::from_slice(json).map_err(|_| PasskeyError::Malformed("credential"))
    }

    /// The challenge that it answers, as the client data says: what to look the ceremony up by.
    ///
    /// # Errors
    /// [`PasskeyError`] when there cannot be such a challenge.
    pub fn challenge(&self) -> Result<Challenge, PasskeyError> {
        client_data::challenge(&self.response.client_data_json.0)
    }
}

impl AuthenticationResponse {
    /// Reads an answer.
    ///
    /// # Errors
    /// [`PasskeyError::Malformed`].
    pub fn parse(json: &[u8]) -> Result<Self, PasskeyError> {
        serde_json::from_slice(json).map_err(|_| PasskeyError::Malformed("credential"))
    }

    /// The challenge that it answers, as the signed client data says: what to look the ceremony up by.
    ///
    /// # Errors
    /// [`PasskeyError`] when there cannot be such a challenge.
    pub fn challenge(&self) -> Result<Challenge, PasskeyError> {
        client_data::challenge(&self.response.client_data_json.0)
    }

    /// The credential that was used: what to look up before the answer can be verified.
    ///
    /// # Errors
    /// [`PasskeyError`] when there cannot be such a credential.
    pub fn credential_id(&self) -> Result<CredentialId, PasskeyError> {
        self.credential.id()
    }
}

/// What every `PublicKeyCredential` has.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CredentialPart {
    id: String,
    raw_id: Base64Url<{ CredentialId::MOST_BYTES }>,
    #[serde(rename = "type")]
    kind: String,
}

impl CredentialPart {
    /// The id, when it is told twice alike (§5.1) and the credential is a public key.
    pub(super) fn id(&self) -> Result<CredentialId, PasskeyError> {
        if self.kind != PUBLIC_KEY {
            return Err(PasskeyError::Malformed("type"));
        }
        let id = CredentialId::parse(&self.raw_id.0)?;
        if self.id == id.to_base64url() { Ok(id) } else { Err(PasskeyError::CredentialId) }
    }
}

/// `AuthenticatorAttestationResponseJSON`, of which the browser's own readings (`publicKey`, `authenticatorData`,
/// `publicKeyAlgorithm`) are not used: only the attestation object counts.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AttestationPart {
    #[serde(rename = "clientDataJSON")]
    pub(super) client_data_json: Base64Url<8_192>,
    pub(super) attestation_object: Base64Url<32_768>,
    #[serde(default)]
    pub(super) transports: Option<Vec<String>>,
}

/// `AuthenticatorAssertionResponseJSON`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AssertionPart {
    #[serde(rename = "clientDataJSON")]
    pub(super) client_data_json: Base64Url<8_192>,
    pub(super) authenticator_data: Base64Url<4_096>,
    pub(super) signature: Base64Url<1_024>,
    #[serde(default)]
    pub(super) user_handle: Option<Base64Url<64>>,
}

/// At most `MOST` bytes in base64url without padding (RFC 4648 §5), in their one spelling.
#[derive(Debug, Clone)]
pub(super) struct Base64Url<const MOST: usize>(pub(super) Vec<u8>);

impl<'de, const MOST: usize> Deserialize<'de> for Base64Url<MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        if text.len() > MOST.div_ceil(3) * 4 {
            return Err(D::Error::custom("too long"));
        }
        match URL_SAFE_NO_PAD.decode(text.as_bytes()) {
            Ok(bytes) if bytes.len() <= MOST => Ok(Self(bytes)),
            Ok(_) => Err(D::Error::custom("too long")),
            Err(_) => Err(D::Error::custom("not base64url without padding")),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn registration() -> Value {
        let id = URL_SAFE_NO_PAD.encode([5; 32]);
        json!({
            "id": id, "rawId": id, "type": "public-key",
            "response": {"clientDataJSON": "e30", "attestationObject": "oA"},
        })
    }

    fn read(change: impl FnOnce(&mut Value)) -> Result<CredentialId, PasskeyError> {
        let mut json = registration();
        change(&mut json);
        RegistrationResponse::parse(json.to_string().as_bytes())?.credential.id()
    }

    #[test]
    fn what_browsers_send_is_read_with_and_without_the_optional_members() {
        assert!(read(|_| {}).is_ok());
        let full = |json: &mut Value| {
            json["authenticatorAttachment"] = json!("platform");
            json["clientExtensionResults"] = json!({"credProps": {"rk": true}, "new": [1]});
            json["newMember"] = json!({"deep": [{}]});
            json["response"]["transports"] = json!(["hybrid", "internal", "smart-card", "carrier-pigeon"]);
            json["response"]["authenticatorData"] = json!("not even base64 !");
            json["response"]["publicKey"] = Value::Null;
            json["response"]["publicKeyAlgorithm"] = json!(-7);
        };
        assert!(read(full).is_ok());
        assert!(read(|json| json["response"]["transports"] = Value::Null).is_ok());
        assert!(read(|json| json["authenticatorAttachment"] = Value::Null).is_ok());
    }

    #[test]
    fn what_is_checked_has_one_spelling() {
        let id = registration()["id"].as_str().unwrap().to_owned();
        assert!(read(|json| json["rawId"] = json!(format!("{id}="))).is_err(), "padding");
        assert!(read(|json| json["rawId"] = json!(id.replace('F', "+"))).is_err(), "the other alphabet");
        assert!(read(|json| json["rawId"] = json!(format!("{id} "))).is_err(), "white space");
        let last = format!("{}V", &id[..id.len() - 1]);
        assert!(read(|json| json["rawId"] = json!(last)).is_err(), "bits that count for nothing");
        assert_eq!(read(|json| json["id"] = json!(format!("{id}="))), Err(PasskeyError::CredentialId));
        assert_eq!(read(|json| json["id"] = json!("other")), Err(PasskeyError::CredentialId));
        assert_eq!(read(|json| json["type"] = json!("password")), Err(PasskeyError::Malformed("type")));
    }

    #[test]
    fn what_is_missing_or_of_another_type_is_refused() {
        for member in ["id", "rawId", "type", "response"] {
            assert!(read(|json| json[member] = Value::Null).is_err(), "{member}");
            assert!(read(|json| json[member] = json!(1)).is_err(), "{member}");
            assert!(read(|json| drop(json.as_object_mut().unwrap().remove(member))).is_err(), "{member}");
        }
        for member in ["clientDataJSON", "attestationObject"] {
            assert!(read(|json| json["response"][member] = Value::Null).is_err(), "{member}");
            assert!(read(|json| json["response"][member] = json!([1, 2])).is_err(), "{member}");
        }
        assert!(read(|json| json["response"]["transports"] = json!("usb")).is_err());
        assert!(RegistrationResponse::parse(b"[]").is_err());
        let twice = registration().to_string().replacen("{\"", r#"{"id":"other",""#, 1);
        assert!(RegistrationResponse::parse(twice.as_bytes()).is_err(), "a member twice");
    }

    #[test]
    fn nothing_is_longer_than_it_may_be() {
        let of = |bytes: usize| json!(URL_SAFE_NO_PAD.encode(vec![0; bytes]));
        let set_id = |json: &mut Value, id: Value| (json["id"], json["rawId"]) = (id.clone(), id);
        assert!(read(|json| json["response"]["attestationObject"] = of(32_768)).is_ok());
        assert!(read(|json| json["response"]["attestationObject"] = of(32_769)).is_err());
        assert!(read(|json| json["response"]["clientDataJSON"] = of(8_193)).is_err());
        assert!(read(|json| set_id(json, of(1_023))).is_ok());
        assert!(read(|json| set_id(json, of(1_024))).is_err());
        assert!(read(|json| set_id(json, of(15))).is_err());
    }
}
