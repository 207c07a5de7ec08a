//! RSA keys for access tokens: made, sealed, opened, used.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use identsphere_kernel::SecureRandom;
use identsphere_tokens::{
    GeneratedKey, KeyError, KeyVault, PublicKey, SealedKey, SigningKey, TokenSigner, TokenVerifier,
    thumbprint,
};
use josekit::Value;
use josekit::jwk::Jwk;
use josekit::jws::alg::rsassa::{RsassaJwsSigner, RsassaJwsVerifier};
use josekit::jws::{JwsSigner, JwsVerifier, RS256};
use rsa::pkcs8::EncodePrivateKey;
use rsa::traits::PublicKeyParts;
use rsa::{RsaPrivateKey, rand_core};

use crate::{MasterKey, Sealer, purpose};

/// How long a modulus is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RsaSize {
    /// 2048 bits: 112 bits of security, good until 2030 (NIST SP 800-57 part 1 §5.6).
    Bits2048,
    /// 3072 bits: 128 bits of security; a signature takes five times as long.
    Bits3072,
    /// 4096 bits.
    Bits4096,
}

impl RsaSize {
    /// The size with this many bits; `None` unless 2048, 3072 or 4096.
    pub const fn from_bits(bits: u32) -> Option<Self> {
        match bits {
            2048 => Some(Self::Bits2048),
            3072 => Some(Self::Bits3072),
            4096 => Some(Self::Bits4096),
            _ => None,
        }
    }

    /// The number of bits.
    pub const fn bits(self) -> usize {
        match self {
            Self::Bits2048 => 2048,
            Self::Bits3072 => 3072,
            Self::Bits4096 => 4096,
        }
    }
}

/// Makes RSA keys for RS256 and opens those that were sealed under the same master key.
pub struct RsaVault {
    size: RsaSize,
    sealer: Sealer,
    random: Arc<dyn SecureRandom>,
}

impl RsaVault {
    /// A vault whose new keys have `size`; keys of any size open.
    pub fn new(size: RsaSize, master_key: &MasterKey, random: Arc<dyn SecureRandom>) -> Self {
        Self { size, sealer: Sealer::new(master_key, purpose::SIGNING_KEYS), random }
    }
}

impl KeyVault for RsaVault {
    fn generate(&self) -> Result<GeneratedKey, KeyError> {
        // The exponent is 65537. The key and its DER form wipe themselves.
        let key = RsaPrivateKey::new(&mut Source(&*self.random), self.size.bits()).map_err(library)?;
        let der = key.to_pkcs8_der().map_err(library)?;
        let public = PublicKey { n: key.n().to_bytes_be(), e: key.e().to_bytes_be() };
        let kid = thumbprint(&public);
        let private = SealedKey(self.sealer.seal(kid.as_str(), der.as_bytes(), &*self.random));
        Ok(GeneratedKey { kid, public, private })
    }

    fn signer(&self, key: &SigningKey) -> Result<Arc<dyn TokenSigner>, KeyError> {
        let mixed_up = || KeyError::MixedUp { kid: key.kid.clone() };
        if thumbprint(&key.public) != key.kid {
            return Err(mixed_up());
        }
        let der = self
            .sealer
            .open(key.kid.as_str(), &key.private.0)
            .map_err(|source| KeyError::Sealed { kid: key.kid.clone(), source: source.into() })?;
        let signer = Signer(RS256.signer_from_der(&*der).map_err(library)?);
        let signature = signer.sign(PROBE)?;
        if !verifier(&key.public)?.verify(PROBE, &signature) {
            return Err(mixed_up());
        }
        Ok(Arc::new(signer))
    }

    fn verifier(&self, key: &PublicKey) -> Result<Arc<dyn TokenVerifier>, KeyError> {
        Ok(Arc::new(verifier(key)?))
    }
}

/// What a key signs when it is opened, to show that its halves belong together.
const PROBE: &[u8] = b"identsphere signing key self-test";

/// The parsed private key stays in OpenSSL's hands: parsing it costs more than a signature.
struct Signer(RsassaJwsSigner);

impl TokenSigner for Signer {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        JwsSigner::sign(&self.0, message).map_err(library)
    }
}

struct Verifier(RsassaJwsVerifier);

impl TokenVerifier for Verifier {
    fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        JwsVerifier::verify(&self.0, message, signature).is_ok()
    }
}

fn verifier(key: &PublicKey) -> Result<Verifier, KeyError> {
    let mut jwk = Jwk::new("RSA");
    for (name, number) in [("n", &key.n), ("e", &key.e)] {
        jwk.set_parameter(name, Some(Value::String(URL_SAFE_NO_PAD.encode(number)))).map_err(library)?;
    }
    RS256.verifier_from_jwk(&jwk).map(Verifier).map_err(library)
}

fn library(cause: impl std::error::Error + Send + Sync + 'static) -> KeyError {
    KeyError::Library(cause.into())
}

/// Our randomness as the `rsa` crate wants it.
struct Source<'a>(&'a dyn SecureRandom);

impl rand_core::RngCore for Source<'_> {
    fn next_u32(&mut self) -> u32 {
        u32::from_le_bytes(self.0.bytes())
    }

    fn next_u64(&mut self) -> u64 {
        u64::from_le_bytes(self.0.bytes())
    }

    fn fill_bytes(&mut self, buffer: &mut [u8]) {
        self.0.fill(buffer);
    }

    fn try_fill_bytes(&mut self, buffer: &mut [u8]) -> Result<(), rand_core::Error> {
        self.0.fill(buffer);
        Ok(())
    }
}

impl rand_core::CryptoRng for Source<'_> {}

#[cfg(test)]
mod tests {
    use identsphere_kernel::{OsRandom, Timestamp};
    use identsphere_testkit::SeededRandom;
    use identsphere_tokens::KeyId;
    use rsa::pkcs1v15::{Signature, VerifyingKey};
    use rsa::pkcs8::DecodePrivateKey;
    use rsa::signature::Verifier as _;
    use rsa::traits::PrivateKeyParts;
    use rsa::{BigUint, RsaPublicKey, sha2};

    use super::*;

    fn vault(master_key: u64) -> RsaVault {
        let master_key = MasterKey::generate(&SeededRandom::new(master_key));
        RsaVault::new(RsaSize::Bits2048, &master_key, Arc::new(OsRandom))
    }

    fn row(key: GeneratedKey) -> SigningKey {
        let GeneratedKey { kid, public, private } = key;
        let now = Timestamp::EPOCH;
        SigningKey { kid, public, private, predecessor: None, created_at: now, activates_at: now }
    }

    #[test]
    fn signatures_verify_here_and_by_another_implementation() {
        let vault = vault(1);
        let key = row(vault.generate().unwrap());
        let signature = vault.signer(&key).unwrap().sign(b"header.payload").unwrap();

        let verifier = vault.verifier(&key.public).unwrap();
        assert!(verifier.verify(b"header.payload", &signature));
        assert!(!verifier.verify(b"header.payloae", &signature));
        let mut changed = signature.clone();
        changed[100] ^= 1;
        for forged in [&changed, &signature[..255], &signature[1..], b"", &[0; 256], &[0xff; 256]] {
            assert!(!verifier.verify(b"header.payload", forged));
        }

        let (n, e) = (BigUint::from_bytes_be(&key.public.n), BigUint::from_bytes_be(&key.public.e));
        let independent = VerifyingKey::<sha2::Sha256>::new(RsaPublicKey::new(n, e).unwrap());
        let signature = Signature::try_from(&signature[..]).unwrap();
        independent.verify(b"header.payload", &signature).unwrap();
        independent.verify(b"header.payloae", &signature).unwrap_err();
    }

    /// TK-13.
    #[test]
    fn keys_have_the_wanted_form() {
        let vault = vault(1);
        let key = vault.generate().unwrap();
        assert_eq!(key.public.e, [1, 0, 1], "65537");
        assert_eq!((key.public.n.len(), key.public.n[0] >> 7), (256, 1), "2048 bits, no leading zeros");
        assert_eq!(key.kid, thumbprint(&key.public));

        let der = vault.sealer.open(key.kid.as_str(), &key.private.0).unwrap();
        let private = RsaPrivateKey::from_pkcs8_der(&der).unwrap();
        private.validate().unwrap();
        let [p, q] = private.primes() else { panic!("two primes") };
        let distance = if p > q { p - q } else { q - p };
        assert!(
            distance.bits() > 1024 - 100,
            "far apart, as FIPS 186-5 appendix A.1.3 wants against Fermat's method"
        );
    }

    #[test]
    fn no_two_keys_are_alike() {
        let vault = vault(1);
        let (one, two) = (vault.generate().unwrap(), vault.generate().unwrap());
        assert_ne!(one.public, two.public);
        assert!(
            !vault
                .verifier(&two.public)
                .unwrap()
                .verify(b"x", &vault.signer(&row(one)).unwrap().sign(b"x").unwrap())
        );
    }

    #[test]
    fn another_master_key_does_not_open_a_key() {
        let key = row(vault(1).generate().unwrap());
        let error = vault(2).signer(&key).err().unwrap();
        assert!(matches!(&error, KeyError::Sealed { kid, .. } if *kid == key.kid), "{error}");
    }

    #[test]
    fn rows_that_were_mixed_up_do_not_open() {
        let vault = vault(1);
        let (one, two) = (row(vault.generate().unwrap()), row(vault.generate().unwrap()));

        let swapped_private = SigningKey { private: two.private.clone(), ..one.clone() };
        assert!(matches!(vault.signer(&swapped_private), Err(KeyError::Sealed { .. })));
        let swapped_public = SigningKey { public: two.public.clone(), ..one.clone() };
        assert!(matches!(vault.signer(&swapped_public), Err(KeyError::MixedUp { .. })));
        let renamed = SigningKey { kid: KeyId::new("other"), ..one.clone() };
        assert!(matches!(vault.signer(&renamed), Err(KeyError::MixedUp { .. })));

        // Sealed for the right row, but the wrong private half: only the self-test can tell.
        let der = vault.sealer.open(two.kid.as_str(), &two.private.0).unwrap();
        let private = SealedKey(vault.sealer.seal(one.kid.as_str(), &der, &OsRandom));
        assert!(matches!(vault.signer(&SigningKey { private, ..one }), Err(KeyError::MixedUp { .. })));
    }

    #[test]
    fn weak_and_senseless_public_keys_are_refused() {
        let vault = vault(1);
        for key in [PublicKey { n: vec![0xff; 128], e: vec![1, 0, 1] }, PublicKey { n: vec![], e: vec![] }] {
            assert!(matches!(vault.verifier(&key), Err(KeyError::Library(_))));
        }
    }

    #[test]
    fn only_three_sizes_exist() {
        for bits in [2048, 3072, 4096] {
            assert_eq!(RsaSize::from_bits(bits).map(|size| size.bits() as u32), Some(bits));
        }
        assert_eq!(RsaSize::from_bits(1024), None);
    }
}
