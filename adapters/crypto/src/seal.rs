//! Sealing: secrets of a row, encrypted so that they open only under the same master key, for the same purpose, in
//! the same row (CR-03).

use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use identsphere_core::{Sealing, Unsealable};
use identsphere_kernel::SecureRandom;
use zeroize::Zeroizing;

use crate::MasterKey;

/// Why a sealed value does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// Not a seal, or one of a newer release.
    #[error("the value is not a seal of this version")]
    Format,
    /// Sealed under another master key.
    #[error("the value was sealed under another master key")]
    OtherMasterKey,
    /// Changed, or moved from another row.
    #[error("the seal is broken: the value was changed or belongs to another row")]
    Broken,
}

/// Seals and opens the values of one purpose with XChaCha20-Poly1305 (RFC 8439 with the 24-byte nonce of
/// draft-irtf-cfrg-xchacha, long enough to be drawn at random for every value).
///
/// A sealed value is `version (1) ‖ master key id (4) ‖ nonce (24) ‖ ciphertext ‖ tag (16)`. The version, the key id, the
/// purpose and the row are associated data: they are not hidden, but none can be exchanged.
pub struct Sealer {
    cipher: XChaCha20Poly1305,
    master_key: [u8; 4],
    purpose: &'static str,
}

impl Sealer {
    /// The sealer for one of the [`crate::purpose`]s.
    pub fn new(master_key: &MasterKey, purpose: &'static str) -> Self {
        let key = master_key.derive(purpose);
        Self { cipher: XChaCha20Poly1305::new(key.expose().into()), master_key: master_key.id(), purpose }
    }

    /// Seals `secret` for the row that `row` identifies.
    pub fn seal(&self, row: &str, secret: &[u8], random: &dyn SecureRandom) -> Vec<u8> {
        let nonce: [u8; NONCE] = random.bytes();
        // With room for the tag: a buffer that had to grow would leave the secret behind in memory.
        let mut body = Vec::with_capacity(secret.len() + TAG);
        body.extend_from_slice(secret);
        #[expect(clippy::expect_used, reason = "fails beyond 256 GiB only (RFC 8439 §2.8)")]
        self.cipher
            .encrypt_in_place(&XNonce::from(nonce), &self.associated_data(row), &mut body)
            .expect("a secret of a row is short");
        [&[VERSION], &self.master_key[..], &nonce, &body].concat()
    }

    /// Opens what [`Sealer::seal`] sealed for the same row.
    ///
    /// # Errors
    /// [`SealError`].
    pub fn open(&self, row: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let (version, rest) = sealed.split_first().ok_or(SealError::Format)?;
        let (master_key, rest) = rest.split_first_chunk::<4>().ok_or(SealError::Format)?;
        let (nonce, body) = rest.split_first_chunk::<NONCE>().ok_or(SealError::Format)?;
        if *version != VERSION || body.len() < TAG {
            return Err(SealError::Format);
        }
        if *master_key != self.master_key {
            return Err(SealError::OtherMasterKey);
        }
        let mut secret = Zeroizing::new(body.to_vec());
        self.cipher
            .decrypt_in_place(&XNonce::from(*nonce), &self.associated_data(row), &mut *secret)
            .map_err(|_| SealError::Broken)?;
        Ok(secret)
    }

    /// Unambiguous: purposes are constants of this crate, and none contains the NUL that ends it.
    fn associated_data(&self, row: &str) -> Vec<u8> {
        [&[VERSION], &self.master_key[..], self.purpose.as_bytes(), &[0], row.as_bytes()].concat()
    }
}

const VERSION: u8 = 1;
const NONCE: usize = 24;
const TAG: usize = 16;

impl Sealing for Sealer {
    fn seal(&self, row: &str, secret: &[u8], random: &dyn SecureRandom) -> Vec<u8> {
        Self::seal(self, row, secret, random)
    }

    fn open(&self, row: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Unsealable> {
        Self::open(self, row, sealed).map_err(|error| Unsealable(error.into()))
    }
}

#[cfg(test)]
mod tests {
    use identsphere_testkit::SeededRandom;
    use proptest::prelude::*;

    use super::*;
    use crate::purpose;

    fn sealer(seed: u64, purpose: &'static str) -> Sealer {
        Sealer::new(&MasterKey::generate(&SeededRandom::new(seed)), purpose)
    }

    #[test]
    fn a_sealed_value_opens_in_its_row() {
        let sealer = sealer(1, purpose::SIGNING_KEYS);
        let sealed = sealer.seal("row 1", b"secret", &SeededRandom::new(9));
        assert!(!sealed.windows(6).any(|window| window == b"secret"));
        assert_eq!(**sealer.open("row 1", &sealed).unwrap(), *b"secret");
    }

    /// CR-03.
    #[test]
    fn swapping_the_values_of_two_rows_breaks_both_seals() {
        let sealer = sealer(1, purpose::SIGNING_KEYS);
        let random = SeededRandom::new(9);
        let (one, two) = (sealer.seal("row 1", b"one", &random), sealer.seal("row 2", b"two", &random));
        assert_eq!(sealer.open("row 1", &two).unwrap_err(), SealError::Broken);
        assert_eq!(sealer.open("row 2", &one).unwrap_err(), SealError::Broken);
    }

    #[test]
    fn another_purpose_or_master_key_does_not_open_it() {
        let sealed = sealer(1, purpose::SIGNING_KEYS).seal("row", b"secret", &SeededRandom::new(9));
        assert_eq!(sealer(1, purpose::CSRF).open("row", &sealed).unwrap_err(), SealError::Broken);
        assert_eq!(
            sealer(2, purpose::SIGNING_KEYS).open("row", &sealed).unwrap_err(),
            SealError::OtherMasterKey
        );
    }

    #[test]
    fn equal_secrets_look_different() {
        let (sealer, random) = (sealer(1, purpose::SIGNING_KEYS), SeededRandom::new(9));
        assert_ne!(sealer.seal("row", b"secret", &random), sealer.seal("row", b"secret", &random));
    }

    proptest! {
        #[test]
        fn any_changed_bit_and_any_cut_is_noticed(secret in prop::collection::vec(any::<u8>(), 0..80), at in any::<prop::sample::Index>(), bit in 0u8..8) {
            let sealer = sealer(1, purpose::SIGNING_KEYS);
            let sealed = sealer.seal("row", &secret, &SeededRandom::new(9));
            prop_assert_eq!(&**sealer.open("row", &sealed).unwrap(), &secret[..]);
            let at = at.index(sealed.len());
            prop_assert!(sealer.open("row", &sealed[..at]).is_err());
            let mut changed = sealed;
            changed[at] ^= 1 << bit;
            prop_assert!(sealer.open("row", &changed).is_err());
        }
    }
}
