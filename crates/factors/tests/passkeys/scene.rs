//! A user with a passkey, and ceremonies as the use cases will run them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::executor::block_on;
use identsphere_crypto::PasskeySignatures;
use identsphere_factors::passkey::{
    Assertion, AuthenticationCeremony, AuthenticationResponse, Challenge, CredentialDescriptor, CredentialId,
    NewCredential, NewOwner, Passkey, PasskeyError, RegistrationCeremony, RegistrationResponse, RelyingParty,
    UserHandle, UserVerification,
};
use identsphere_kernel::{Duration, OsRandom, PasskeyId, SystemClock, Timestamp, UserId};
use identsphere_testkit::SoftAuthenticator;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

pub(crate) const ORIGIN: &str = "https://login.example.org";
pub(crate) const TIMEOUT: Duration = Duration::from_secs(300);

pub(crate) fn party() -> RelyingParty {
    RelyingParty::new("example.org", "Example", vec![ORIGIN.to_owned()]).unwrap()
}

/// An answer to creation options, and the ceremony it belongs to.
#[derive(Clone)]
pub(crate) struct Registration {
    pub(crate) challenge: Challenge,
    pub(crate) required: UserVerification,
    pub(crate) answer: Value,
}

impl Registration {
    pub(crate) fn by(authenticator: &SoftAuthenticator, handle: &UserHandle, existing: &[Passkey]) -> Self {
        let challenge = Challenge::generate(&OsRandom);
        let owner = NewOwner { handle, name: "ann@example.org", display_name: "Ann" };
        let options = party().creation_options(owner, challenge, existing, TIMEOUT);
        let answer = block_on(authenticator.register(&json!({"publicKey": options}), ORIGIN)).unwrap();
        Self { challenge, required: UserVerification::Preferred, answer }
    }

    pub(crate) fn verify(&self) -> Result<NewCredential, PasskeyError> {
        let answer = RegistrationResponse::parse(self.answer.to_string().as_bytes())?;
        let ceremony = RegistrationCeremony { challenge: &self.challenge, user_verification: self.required };
        party().verify_registration(ceremony, &answer, &PasskeySignatures)
    }

    /// Replaces the authenticator data inside the attestation object, which is the object's last member.
    pub(crate) fn change_data(&mut self, change: impl FnOnce(&mut Vec<u8>)) {
        let object = bytes(&self.answer["response"]["attestationObject"]);
        let at = object.windows(9).position(|part| part == b"\x68authData").unwrap() + 9;
        assert_eq!(object[at], 0x58, "the data has a length of one byte");
        let mut data = object[at + 2..].to_vec();
        change(&mut data);
        let length = u8::try_from(data.len()).unwrap();
        let head: &[u8] = if length < 24 { &[0x40 + length] } else { &[0x58, length] };
        let changed = [&object[..at], head, &data].concat();
        self.answer["response"]["attestationObject"] = text(&changed);
    }
}

/// An answer to request options, and the ceremony it belongs to.
#[derive(Clone)]
pub(crate) struct SignIn {
    pub(crate) scene: Scene,
    pub(crate) challenge: Challenge,
    pub(crate) user: Option<UserId>,
    pub(crate) allowed: Vec<CredentialId>,
    pub(crate) required: UserVerification,
    pub(crate) answer: Value,
}

impl SignIn {
    pub(crate) fn verify(&self) -> Result<Assertion, PasskeyError> {
        let answer = AuthenticationResponse::parse(self.answer.to_string().as_bytes())?;
        let ceremony = AuthenticationCeremony {
            challenge: &self.challenge,
            user: self.user,
            allowed: &self.allowed,
            user_verification: self.required,
        };
        party().verify_assertion(
            ceremony,
            &answer,
            &self.scene.passkey,
            &self.scene.handle,
            &PasskeySignatures,
        )
    }

    /// Signs what stands in the answer, so that nothing but a change made before is wrong with it.
    pub(crate) fn sign_again(&mut self) {
        let response = &self.answer["response"];
        let hash = Sha256::digest(bytes(&response["clientDataJSON"]));
        let signed = [bytes(&response["authenticatorData"]), hash.to_vec()].concat();
        let signature = self.scene.authenticator.sign(self.scene.passkey.credential_id.as_bytes(), &signed);
        self.answer["response"]["signature"] = text(&signature.unwrap());
    }

    pub(crate) fn change_data(&mut self, change: impl FnOnce(&mut Vec<u8>)) {
        change_bytes(&mut self.answer["response"]["authenticatorData"], change);
    }
}

/// A user with one passkey.
#[derive(Clone)]
pub(crate) struct Scene {
    pub(crate) authenticator: SoftAuthenticator,
    pub(crate) user: UserId,
    pub(crate) handle: UserHandle,
    pub(crate) passkey: Passkey,
}

impl Scene {
    pub(crate) fn with(authenticator: SoftAuthenticator) -> Self {
        let handle = UserHandle::generate(&OsRandom);
        let user = UserId::new(&SystemClock, &OsRandom);
        let credential = Registration::by(&authenticator, &handle, &[]).verify().unwrap();
        let passkey = kept(credential, user);
        Self { authenticator, user, handle, passkey }
    }

    /// A sign-in begun with an address.
    pub(crate) fn sign_in(&self) -> SignIn {
        let allowed = vec![self.passkey.credential_id.clone()];
        self.begin(Some(self.user), allowed, vec![CredentialDescriptor::from(&self.passkey)])
    }

    /// A sign-in begun without anything.
    pub(crate) fn discoverable_sign_in(&self) -> SignIn {
        self.begin(None, vec![], vec![])
    }

    fn begin(
        &self,
        user: Option<UserId>,
        allowed: Vec<CredentialId>,
        descriptors: Vec<CredentialDescriptor>,
    ) -> SignIn {
        let (challenge, required) = (Challenge::generate(&OsRandom), UserVerification::Preferred);
        let options = party().request_options(challenge, descriptors, required, TIMEOUT);
        let answer = block_on(self.authenticator.assert(&json!({"publicKey": options}), ORIGIN)).unwrap();
        SignIn { scene: self.clone(), challenge, user, allowed, required, answer }
    }
}

pub(crate) fn kept(credential: NewCredential, user: UserId) -> Passkey {
    credential.into_passkey(PasskeyId::new(&SystemClock, &OsRandom), user, None, Timestamp::EPOCH)
}

pub(crate) fn bytes(text: &Value) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text.as_str().unwrap()).unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> Value {
    json!(URL_SAFE_NO_PAD.encode(bytes))
}

pub(crate) fn change_bytes(value: &mut Value, change: impl FnOnce(&mut Vec<u8>)) {
    let mut content = bytes(value);
    change(&mut content);
    *value = text(&content);
}

/// Replaces a part of the client data, which must be there.
pub(crate) fn change_client_data(answer: &mut Value, from: &str, to: &str) {
    change_bytes(&mut answer["response"]["clientDataJSON"], |json| {
        let before = String::from_utf8(json.clone()).unwrap();
        assert!(before.contains(from), "{from} stands in {before}");
        *json = before.replacen(from, to, 1).into_bytes();
    });
}
