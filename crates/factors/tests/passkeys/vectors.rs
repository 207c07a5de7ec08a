//! WebAuthn Level 3 §16. `vectors.json` has the published values; binary ones in hexadecimal, client data as text.

use identsphere_crypto::PasskeySignatures;
use identsphere_factors::passkey::{
    Algorithm, Assertion, AuthenticationCeremony, AuthenticationResponse, Challenge, CredentialId,
    NewCredential, Passkey, PasskeyError, RegistrationCeremony, RegistrationResponse, RelyingParty,
    UserHandle, UserVerification,
};
use identsphere_kernel::{OsRandom, SystemClock, UserId};
use serde_json::{Value, json};

use crate::scene::{kept, text};

fn vectors() -> Vec<Value> {
    serde_json::from_str(include_str!("vectors.json")).unwrap()
}

fn hex(value: &Value) -> Vec<u8> {
    let digits = value.as_str().unwrap();
    (0..digits.len() / 2).map(|at| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).unwrap()).collect()
}

/// §16.1: the vectors are for this relying party.
fn party() -> RelyingParty {
    RelyingParty::new("example.org", "Example", vec!["https://example.org".to_owned()]).unwrap()
}

fn register(vector: &Value, client_data: &str) -> Result<NewCredential, PasskeyError> {
    let (registration, id) = (&vector["registration"], text(&hex(&vector["credential_id"])));
    let answer = json!({
        "id": id, "rawId": id, "type": "public-key", "clientExtensionResults": {},
        "response": {
            "clientDataJSON": text(client_data.as_bytes()),
            "attestationObject": text(&hex(&registration["attestation_object"])),
        },
    });
    let challenge = Challenge::from_bytes(hex(&registration["challenge"]).try_into().unwrap());
    let ceremony =
        RegistrationCeremony { challenge: &challenge, user_verification: UserVerification::Discouraged };
    let answer = RegistrationResponse::parse(answer.to_string().as_bytes())?;
    party().verify_registration(ceremony, &answer, &PasskeySignatures)
}

fn authenticate(vector: &Value, passkey: &Passkey) -> Result<Assertion, PasskeyError> {
    let (assertion, id) = (&vector["assertion"], text(&hex(&vector["credential_id"])));
    let answer = json!({
        "id": id, "rawId": id, "type": "public-key", "clientExtensionResults": {},
        "response": {
            "clientDataJSON": text(assertion["client_data"].as_str().unwrap().as_bytes()),
            "authenticatorData": text(&hex(&assertion["authenticator_data"])),
            "signature": text(&hex(&assertion["signature"])),
        },
    });
    let challenge = Challenge::from_bytes(hex(&assertion["challenge"]).try_into().unwrap());
    let ceremony = AuthenticationCeremony {
        challenge: &challenge,
        user: Some(passkey.user),
        allowed: &[],
        user_verification: UserVerification::Discouraged,
    };
    let answer = AuthenticationResponse::parse(answer.to_string().as_bytes())?;
    party().verify_assertion(ceremony, &answer, passkey, &UserHandle::from_bytes([0; 64]), &PasskeySignatures)
}

fn owner() -> UserId {
    UserId::new(&SystemClock, &OsRandom)
}

fn is_embedded(vector: &Value) -> bool {
    vector["registration"]["client_data"].as_str().unwrap().contains(r#""crossOrigin":true"#)
}

#[test]
fn registrations_and_assertions_of_the_specification_verify() {
    let mut algorithms = vec![];
    for vector in vectors().iter().filter(|vector| !is_embedded(vector)) {
        let name = &vector["name"];
        let credential = register(vector, vector["registration"]["client_data"].as_str().unwrap());
        let passkey = kept(credential.unwrap_or_else(|error| panic!("{name}: {error}")), owner());
        assert_eq!(
            passkey.credential_id,
            CredentialId::parse(&hex(&vector["credential_id"])).unwrap(),
            "{name}"
        );
        assert_eq!(authenticate(vector, &passkey).map(|assertion| assertion.sign_count), Ok(0), "{name}");
        algorithms.push(passkey.public_key.algorithm());
    }
    let es256 = Algorithm::Es256;
    assert_eq!(algorithms, [es256, es256, Algorithm::Es384, Algorithm::Rs256, Algorithm::EdDsa]);
}

#[test]
fn ceremonies_in_frames_are_refused_and_for_no_other_reason() {
    let embedded: Vec<_> = vectors().into_iter().filter(is_embedded).collect();
    assert_eq!(embedded.len(), 2);
    for vector in embedded {
        let client_data = vector["registration"]["client_data"].as_str().unwrap();
        assert_eq!(register(&vector, client_data), Err(PasskeyError::CrossOrigin));
        // Nothing signs the client data of a registration without attestation.
        let alone = client_data.replace("true", "false").replace(r#","topOrigin":"https://example.com""#, "");
        let passkey = kept(register(&vector, &alone).unwrap(), owner());
        assert_eq!(authenticate(&vector, &passkey), Err(PasskeyError::CrossOrigin));
    }
}

#[test]
fn the_signature_of_one_vector_fits_no_other() {
    let vectors: Vec<_> = vectors().into_iter().filter(|vector| !is_embedded(vector)).collect();
    for vector in &vectors {
        let mut passkey =
            kept(register(vector, vector["registration"]["client_data"].as_str().unwrap()).unwrap(), owner());
        for other in vectors.iter().filter(|other| other["name"] != vector["name"]) {
            let mut swapped = vector.clone();
            swapped["assertion"]["signature"] = other["assertion"]["signature"].clone();
            assert_eq!(authenticate(&swapped, &passkey), Err(PasskeyError::Signature));
        }
        passkey.backup_eligible = !passkey.backup_eligible;
        assert_eq!(authenticate(vector, &passkey), Err(PasskeyError::BackupFlags));
    }
}
