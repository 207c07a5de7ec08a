//! Keys and tokens as a stranger sees them; and a vault that does not make each test wait for new keys.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use identsphere_crypto::RsaVault;
use identsphere_tokens::{
    GeneratedKey, KeyError, KeyVault, PublicKey, SigningKey, TokenSigner, TokenVerifier,
};
use rsa::pkcs1v15::{Signature, VerifyingKey};
use rsa::sha2::Sha256;
use rsa::signature::Verifier;
use rsa::{BigUint, RsaPublicKey};
use serde_json::Value;

/// The claims of a token, unverified.
pub fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).expect("a token has a payload");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

/// Verifies a token with a published key set and another library than the service's own.
pub fn verify_independently(jwks: &Value, token: &str) -> bool {
    let Some((message, signature)) = token.rsplit_once('.') else { return false };
    let header = message.split('.').next().and_then(|header| URL_SAFE_NO_PAD.decode(header).ok());
    let header: Value = header.and_then(|header| serde_json::from_slice(&header).ok()).unwrap_or_default();
    let Some(key) = jwks["keys"].as_array().unwrap().iter().find(|key| key["kid"] == header["kid"]) else {
        return false;
    };
    let number = |member: &str| {
        BigUint::from_bytes_be(&URL_SAFE_NO_PAD.decode(key[member].as_str().unwrap()).unwrap())
    };
    let key = VerifyingKey::<Sha256>::new(RsaPublicKey::new(number("n"), number("e")).unwrap());
    let signature =
        URL_SAFE_NO_PAD.decode(signature).ok().and_then(|bytes| Signature::try_from(&bytes[..]).ok());
    signature.is_some_and(|signature| key.verify(message.as_bytes(), &signature).is_ok())
}

/// Hands out keys that this process has made before: each app its own sequence, the same for all.
pub struct RepeatingVault {
    inner: Arc<RsaVault>,
    next: Arc<AtomicUsize>,
}

const KEYS: usize = 6;

impl RepeatingVault {
    pub fn new(inner: Arc<RsaVault>, next: Arc<AtomicUsize>) -> Self {
        Self { inner, next }
    }
}

impl KeyVault for RepeatingVault {
    fn generate(&self) -> Result<GeneratedKey, KeyError> {
        static MADE: [OnceLock<GeneratedKey>; KEYS] = [const { OnceLock::new() }; KEYS];
        let slot = &MADE[self.next.fetch_add(1, Ordering::SeqCst) % KEYS];
        Ok(slot.get_or_init(|| self.inner.generate().expect("a key can be made")).clone())
    }

    fn signer(&self, key: &SigningKey) -> Result<Arc<dyn TokenSigner>, KeyError> {
        self.inner.signer(key)
    }

    fn verifier(&self, key: &PublicKey) -> Result<Arc<dyn TokenVerifier>, KeyError> {
        self.inner.verifier(key)
    }
}
