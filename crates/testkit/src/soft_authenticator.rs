//! A browser with an authenticator, of other people's making: the `passkey` crate plays both.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use passkey::authenticator::{
    Authenticator, CredentialStore, DiscoverabilitySupport, StoreInfo, UiHint, UserCheck,
    UserValidationMethod,
};
use passkey::client::{Client, DefaultClientData};
use passkey::crypto::rust_crypto::RustCryptoBackend;
use passkey::crypto::{CryptoBackend, SecretKeyT};
use passkey::types::Passkey;
use passkey::types::ctap2::make_credential::{
    Options, PublicKeyCredentialRpEntity, PublicKeyCredentialUserEntity,
};
use passkey::types::ctap2::{Aaguid, Ctap2Error, StatusCode};
use passkey::types::webauthn::{
    CredentialCreationOptions, CredentialRequestOptions, PublicKeyCredentialDescriptor,
};
use serde_json::{Value, json};
use url::Url;

/// A browser with an authenticator that keeps its passkeys in memory. Everything it creates is discoverable, backed up,
/// and signed with the first algorithm of the options that it knows: ES256 or EdDSA.
#[derive(Clone)]
pub struct SoftAuthenticator {
    shelf: Shelf,
    verifies_user: bool,
    counts: bool,
}

/// What the browser or the authenticator refused, in their words.
#[derive(Debug)]
pub struct SoftAuthenticatorError(pub String);

impl Default for SoftAuthenticator {
    fn default() -> Self {
        Self { shelf: Shelf::default(), verifies_user: true, counts: false }
    }
}

impl SoftAuthenticator {
    /// One without passkeys that verifies its user and counts nothing, as password managers do.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same one, with the same passkeys, that only finds its user present.
    #[must_use]
    pub fn without_user_verification(mut self) -> Self {
        self.verifies_user = false;
        self
    }

    /// The same one, whose new passkeys count their signatures, as security keys do.
    #[must_use]
    pub fn counting(mut self) -> Self {
        self.counts = true;
        self
    }

    /// `navigator.credentials.create()` on a page of `origin`: takes `{"publicKey": …}`, gives what `toJSON()` gives.
    ///
    /// # Errors
    /// What the browser or the authenticator refuses.
    pub async fn register(&self, options: &Value, origin: &str) -> Result<Value, SoftAuthenticatorError> {
        let options: CredentialCreationOptions = read(options)?;
        let mut browser = Client::new(self.authenticator())
            .allows_insecure_localhost(true)
            .user_verification_when_preferred(self.verifies_user);
        let created = browser.register(&page(origin)?, options, DefaultClientData).await;
        serde_json::to_value(created.map_err(refused)?).map_err(refused)
    }

    /// `navigator.credentials.get()` on a page of `origin`: takes `{"publicKey": …}`, gives what `toJSON()` gives.
    ///
    /// # Errors
    /// What the browser or the authenticator refuses.
    pub async fn assert(&self, options: &Value, origin: &str) -> Result<Value, SoftAuthenticatorError> {
        let mut options = options.clone();
        // Browsers take an empty list for none; this client does not.
        if let Some(options) = options.get_mut("publicKey").and_then(Value::as_object_mut)
            && options.get("allowCredentials") == Some(&json!([]))
        {
            options.remove("allowCredentials");
        }
        let options: CredentialRequestOptions = read(&options)?;
        let mut browser = Client::new(self.authenticator())
            .allows_insecure_localhost(true)
            .user_verification_when_preferred(self.verifies_user);
        let asserted = browser.authenticate(&page(origin)?, options, DefaultClientData).await;
        serde_json::to_value(asserted.map_err(refused)?).map_err(refused)
    }

    /// Sets the counter of every passkey, as restoring an old copy would.
    pub fn set_counters(&self, counter: u32) {
        self.shelf.change(|passkeys| passkeys.iter_mut().for_each(|passkey| passkey.counter = Some(counter)));
    }

    /// Signs any bytes with the key of a passkey, which no authenticator does: for forgeries that fail at one step only.
    /// `None` if there is no such passkey.
    pub fn sign(&self, credential_id: &[u8], message: &[u8]) -> Option<Vec<u8>> {
        let passkeys = self.shelf.0.lock().unwrap_or_else(PoisonError::into_inner);
        let passkey = passkeys.iter().find(|passkey| *passkey.credential_id == *credential_id)?;
        let key = <RustCryptoBackend as CryptoBackend>::SecretKey::from_cose_key(&passkey.key);
        Some(key.ok()?.sign(message))
    }

    fn authenticator(&self) -> Authenticator<Shelf, Person, RustCryptoBackend> {
        let person = Person { can_be_verified: self.verifies_user };
        let mut authenticator =
            Authenticator::new(Aaguid::new_empty(), self.shelf.clone(), person, RustCryptoBackend);
        authenticator.set_make_credentials_with_signature_counter(self.counts);
        authenticator
    }
}

fn read<T: serde::de::DeserializeOwned>(options: &Value) -> Result<T, SoftAuthenticatorError> {
    serde_json::from_value(options.clone()).map_err(refused)
}

fn page(origin: &str) -> Result<Url, SoftAuthenticatorError> {
    Url::parse(origin).map_err(refused)
}

fn refused(error: impl std::fmt::Debug) -> SoftAuthenticatorError {
    SoftAuthenticatorError(format!("{error:?}"))
}

/// Whoever sits in front of it: always there, verified if asked for and possible.
struct Person {
    can_be_verified: bool,
}

#[async_trait]
impl UserValidationMethod for Person {
    type PasskeyItem = Passkey;

    async fn check_user<'a>(
        &self,
        hint: UiHint<'a, Passkey>,
        _presence: bool,
        verification: bool,
    ) -> Result<UserCheck, Ctap2Error> {
        match hint {
            UiHint::InformNoCredentialsFound => Err(Ctap2Error::NoCredentials),
            UiHint::InformExcludedCredentialFound(_) => Err(Ctap2Error::CredentialExcluded),
            UiHint::RequestNewCredential(..) | UiHint::RequestExistingCredential(_) => {
                Ok(UserCheck { presence: true, verification: verification && self.can_be_verified })
            }
        }
    }

    fn is_presence_enabled(&self) -> bool {
        true
    }

    fn is_verification_enabled(&self) -> Option<bool> {
        Some(self.can_be_verified)
    }
}

/// Passkeys, found with and without their ids: what comes with the crate finds only the former.
#[derive(Clone, Default)]
struct Shelf(Arc<Mutex<Vec<Passkey>>>);

impl Shelf {
    fn change<T>(&self, change: impl FnOnce(&mut Vec<Passkey>) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[async_trait]
impl CredentialStore for Shelf {
    type PasskeyItem = Passkey;

    async fn find_credentials(
        &self,
        ids: Option<&[PublicKeyCredentialDescriptor]>,
        rp_id: &str,
        _user_handle: Option<&[u8]>,
    ) -> Result<Vec<Passkey>, StatusCode> {
        let fits = |passkey: &Passkey| {
            let listed =
                |ids: &[PublicKeyCredentialDescriptor]| ids.iter().any(|id| id.id == passkey.credential_id);
            passkey.rp_id == rp_id && ids.is_none_or(listed)
        };
        // The newest first: browsers would let the user choose.
        let found: Vec<_> =
            self.change(|passkeys| passkeys.iter().rev().filter(|passkey| fits(passkey)).cloned().collect());
        if found.is_empty() { Err(Ctap2Error::NoCredentials.into()) } else { Ok(found) }
    }

    async fn save_credential(
        &mut self,
        passkey: Passkey,
        _user: PublicKeyCredentialUserEntity,
        _rp: PublicKeyCredentialRpEntity,
        _options: Options,
    ) -> Result<(), StatusCode> {
        self.change(|passkeys| passkeys.push(passkey));
        Ok(())
    }

    async fn update_credential(&mut self, passkey: &Passkey) -> Result<(), StatusCode> {
        self.change(|passkeys| {
            let same = passkeys.iter_mut().find(|known| known.credential_id == passkey.credential_id);
            same.map(|known| *known = passkey.clone())
        })
        .ok_or_else(|| Ctap2Error::NoCredentials.into())
    }

    async fn get_info(&self) -> StoreInfo {
        StoreInfo { discoverability: DiscoverabilitySupport::ForcedDiscoverable }
    }
}
