//! Public keys as authenticators write them: COSE_Key (RFC 9052 §7), restricted by WebAuthn §5.8.5 and §6.5.1.1.

use super::cbor::{Item, Malformed, Reader};

/// A signature algorithm that we take (IANA registry "COSE Algorithms").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// EdDSA on Ed25519.
    EdDsa,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// RSASSA-PKCS1-v1_5 with SHA-256: the TPMs of Windows.
    Rs256,
}

impl Algorithm {
    /// All of them, the preferred ones first: this is what is offered to authenticators.
    pub const OFFERED: [Self; 4] = [Self::Es256, Self::EdDsa, Self::Es384, Self::Rs256];

    /// The number in the registry.
    pub const fn id(self) -> i64 {
        match self {
            Self::Es256 => -7,
            Self::EdDsa => -8,
            Self::Es384 => -35,
            Self::Rs256 => -257,
        }
    }

    /// The algorithm with this number, if it is offered.
    pub fn from_id(id: i64) -> Option<Self> {
        Self::OFFERED.into_iter().find(|algorithm| algorithm.id() == id)
    }
}

/// Why bytes are not a public key that we take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not canonical CBOR, a missing parameter, one too many, or one of the wrong type.
    #[error("not a well-formed key")]
    Malformed,
    /// An algorithm that was not offered.
    #[error("its algorithm was not offered")]
    Algorithm,
    /// The parameters do not go together with the algorithm, or are out of bounds.
    #[error("its parameters are not those of its algorithm")]
    Parameters,
}

impl From<Malformed> for KeyError {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

/// The numbers of a public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyMaterial {
    /// A point on P-256.
    P256 {
        /// Its abscissa.
        x: [u8; 32],
        /// Its ordinate.
        y: [u8; 32],
    },
    /// A point on P-384.
    P384 {
        /// Its abscissa.
        x: [u8; 48],
        /// Its ordinate.
        y: [u8; 48],
    },
    /// A compressed point on edwards25519 (RFC 8032 §5.1.2).
    Ed25519([u8; 32]),
    /// An RSA key.
    Rsa {
        /// The modulus, 2048 to 4096 bits, without leading zeros.
        n: Vec<u8>,
        /// The public exponent, odd, from 65537, less than 2^32.
        e: Vec<u8>,
    },
}

/// The public key of a credential. Whether its point lies on its curve is for a [`super::SignatureVerifier`] to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CoseKey {
    material: KeyMaterial,
    encoded: Vec<u8>,
}

impl CoseKey {
    /// Reads a key, strictly: exactly the required parameters of its algorithm (§6.5.1.1), nothing behind them.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn parse(encoded: &[u8]) -> Result<Self, KeyError> {
        let mut reader = Reader::new(encoded);
        let parameters = Parameters::read(&mut reader)?;
        reader.end()?;
        Ok(Self { material: parameters.material()?, encoded: encoded.to_vec() })
    }

    /// The algorithm it signs with.
    pub fn algorithm(&self) -> Algorithm {
        match self.material {
            KeyMaterial::P256 { .. } => Algorithm::Es256,
            KeyMaterial::P384 { .. } => Algorithm::Es384,
            KeyMaterial::Ed25519(_) => Algorithm::EdDsa,
            KeyMaterial::Rsa { .. } => Algorithm::Rs256,
        }
    }

    /// Its numbers.
    pub fn material(&self) -> &KeyMaterial {
        &self.material
    }

    /// The key as the authenticator wrote it, which is how it is stored.
    pub fn as_bytes(&self) -> &[u8] {
        &self.encoded
    }
}

// Labels of RFC 9052 §7.1.
const KTY: i64 = 1;
const ALG: i64 = 3;

/// The parameters as they stand there. What -1, -2 and -3 mean depends on the type (RFC 9053 §7, RFC 8230 §4).
#[derive(Default)]
struct Parameters<'a> {
    kty: Option<i64>,
    alg: Option<i64>,
    first: Option<Item<'a>>,
    second: Option<&'a [u8]>,
    third: Option<&'a [u8]>,
}

impl<'a> Parameters<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, KeyError> {
        let mut found = Self::default();
        reader.map(|label, value| {
            match label {
                Item::Integer(KTY) => found.kty = Some(value.integer()?),
                Item::Integer(ALG) => found.alg = Some(value.integer()?),
                Item::Integer(-1) => {
                    let first = value.item()?;
                    if !matches!(first, Item::Integer(_) | Item::Bytes(_)) {
                        return Err(KeyError::Malformed);
                    }
                    found.first = Some(first);
                }
                // A compressed point has a boolean instead of its ordinate, and WebAuthn forbids it (§5.8.5).
                Item::Integer(-2) => found.second = Some(value.bytes()?),
                Item::Integer(-3) => found.third = Some(value.bytes()?),
                // Private parts, key operations, ids: none has a place in a credential public key (§6.5.1.1).
                Item::Integer(_)
                | Item::Text(_)
                | Item::Bytes(_)
                | Item::Array(_)
                | Item::Map(_)
                | Item::Other => {
                    return Err(KeyError::Malformed);
                }
            }
            Ok(())
        })?;
        Ok(found)
    }

    fn material(&self) -> Result<KeyMaterial, KeyError> {
        let alg = self.alg.ok_or(KeyError::Malformed)?;
        let algorithm = Algorithm::from_id(alg).ok_or(KeyError::Algorithm)?;
        let kty = self.kty.ok_or(KeyError::Malformed)?;
        match (algorithm, kty, self.first, self.second, self.third) {
            // kty 2 is EC2, crv 1 is P-256, 2 is P-384 (RFC 9053 §7.1).
            (Algorithm::Es256, 2, Some(Item::Integer(1)), Some(x), Some(y)) => {
                Ok(KeyMaterial::P256 { x: exact(x)?, y: exact(y)? })
            }
            (Algorithm::Es384, 2, Some(Item::Integer(2)), Some(x), Some(y)) => {
                Ok(KeyMaterial::P384 { x: exact(x)?, y: exact(y)? })
            }
            // kty 1 is OKP, crv 6 is Ed25519.
            (Algorithm::EdDsa, 1, Some(Item::Integer(6)), Some(x), None) => {
                Ok(KeyMaterial::Ed25519(exact(x)?))
            }
            // kty 3 is RSA (RFC 8230 §4): -1 is the modulus, -2 the exponent.
            (Algorithm::Rs256, 3, Some(Item::Bytes(n)), Some(e), None) => rsa(n, e),
            _ => Err(KeyError::Parameters),
        }
    }
}

fn exact<const N: usize>(bytes: &[u8]) -> Result<[u8; N], KeyError> {
    bytes.try_into().map_err(|_| KeyError::Parameters)
}

/// Bounds on both sides: small numbers break, large ones cost us time.
fn rsa(n: &[u8], e: &[u8]) -> Result<KeyMaterial, KeyError> {
    let bits = n.first().map_or(0, |first| n.len() * 8 - first.leading_zeros() as usize);
    let has_no_leading_zero = |number: &[u8]| number.first().is_some_and(|first| *first != 0);
    let is_odd = |number: &[u8]| number.last().is_some_and(|last| last & 1 == 1);
    let exponent = e.iter().take(8).fold(0u64, |value, byte| value << 8 | u64::from(*byte));
    let good = (2048..=4096).contains(&bits)
        && has_no_leading_zero(n)
        && is_odd(n)
        && e.len() <= 4
        && has_no_leading_zero(e)
        && is_odd(e)
        && exponent >= 65_537;
    if good { Ok(KeyMaterial::Rsa { n: n.to_vec(), e: e.to_vec() }) } else { Err(KeyError::Parameters) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn es256() -> Vec<u8> {
        [b"\xa5\x01\x02\x03\x26\x20\x01\x21\x58\x20".as_slice(), &[7; 32], b"\x22\x58\x20", &[8; 32]].concat()
    }

    fn rs256(n: &[u8], e: &[u8]) -> Vec<u8> {
        let length = u16::try_from(n.len()).unwrap().to_be_bytes();
        let length = if n.len() < 256 { vec![0x58, length[1]] } else { vec![0x59, length[0], length[1]] };
        let head = [0x40 + u8::try_from(e.len()).unwrap()];
        [b"\xa4\x01\x03\x03\x39\x01\x00\x20".as_slice(), &length, n, b"\x21", &head, e].concat()
    }

    fn modulus(bytes: usize) -> Vec<u8> {
        [vec![0x80], vec![1; bytes - 1]].concat()
    }

    #[test]
    fn keys_of_the_four_algorithms_are_read() {
        let key = CoseKey::parse(&es256()).unwrap();
        assert_eq!(key.material(), &KeyMaterial::P256 { x: [7; 32], y: [8; 32] });
        assert_eq!((key.algorithm(), key.as_bytes()), (Algorithm::Es256, &es256()[..]));
        let es384 =
            [b"\xa5\x01\x02\x03\x38\x22\x20\x02\x21\x58\x30".as_slice(), &[7; 48], b"\x22\x58\x30", &[8; 48]]
                .concat();
        assert_eq!(CoseKey::parse(&es384).unwrap().algorithm(), Algorithm::Es384);
        let ed25519 = [b"\xa4\x01\x01\x03\x27\x20\x06\x21\x58\x20".as_slice(), &[7; 32]].concat();
        assert_eq!(CoseKey::parse(&ed25519).unwrap().material(), &KeyMaterial::Ed25519([7; 32]));
        for (n, e) in [(modulus(256), [1, 0, 1]), ([modulus(511), vec![0xff]].concat(), [1, 0, 3])] {
            let rsa = CoseKey::parse(&rs256(&n, &e)).unwrap();
            assert_eq!(rsa.algorithm(), Algorithm::Rs256);
            assert_eq!(rsa.material(), &KeyMaterial::Rsa { n, e: e.to_vec() });
        }
    }

    #[test]
    fn what_is_wrong_with_a_curve_key_is_noticed() {
        let with = |from: &[u8], to: &[u8]| {
            let (at, key) = (es256().windows(from.len()).position(|part| part == from).unwrap(), es256());
            CoseKey::parse(&[&key[..at], to, &key[at + from.len()..]].concat()).unwrap_err()
        };
        assert_eq!(with(b"\x03\x26", b"\x03\x27"), KeyError::Parameters, "EdDSA with an EC2 key");
        assert_eq!(with(b"\x03\x26", b"\x03\x38\x22"), KeyError::Parameters, "ES384 on P-256");
        assert_eq!(with(b"\x03\x26", b"\x03\x38\x23"), KeyError::Algorithm, "ES512 was not offered");
        assert_eq!(with(b"\x03\x26", b"\x03\x39\xff\xfe"), KeyError::Algorithm, "RS1 was not offered");
        assert_eq!(with(b"\x20\x01", b"\x20\x02"), KeyError::Parameters, "ES256 on P-384");
        assert_eq!(with(b"\x20\x01", b"\x20\x08"), KeyError::Parameters, "ES256 on secp256k1");
        assert_eq!(with(b"\x01\x02", b"\x01\x01"), KeyError::Parameters, "an OKP key for ES256");
        assert_eq!(with(b"\x01\x02\x03\x26", b"\x01\x02\x04\x26"), KeyError::Malformed, "no algorithm");
        assert_eq!(with(b"\xa5", b"\xbf"), KeyError::Malformed, "indefinite length");
        assert_eq!(with(b"\x22\x58\x20", b"\x21\x58\x20"), KeyError::Malformed, "a label twice");
        assert_eq!(with(b"\x22\x58\x20", b"\x23\x58\x20"), KeyError::Malformed, "a private part");
        let compressed = [&b"\xa5\x01\x02\x03\x26\x20\x01\x21\x58\x20"[..], &[7; 32], b"\x22\xf5"].concat();
        assert_eq!(CoseKey::parse(&compressed), Err(KeyError::Malformed));
        assert_eq!(
            CoseKey::parse(&[es256(), vec![0]].concat()),
            Err(KeyError::Malformed),
            "something behind it"
        );
        let short =
            [&b"\xa5\x01\x02\x03\x26\x20\x01\x21\x58\x1f"[..], &[7; 31], b"\x22\x58\x20", &[8; 32]].concat();
        assert_eq!(CoseKey::parse(&short), Err(KeyError::Parameters));
    }

    #[test]
    fn rsa_keys_out_of_bounds_are_refused() {
        let refused = |n: &[u8], e: &[u8]| CoseKey::parse(&rs256(n, e)).unwrap_err() == KeyError::Parameters;
        assert!(refused(&modulus(255), &[1, 0, 1]), "2040 bits");
        assert!(refused(&[vec![0x7f], vec![1; 255]].concat(), &[1, 0, 1]), "2047 bits");
        assert!(refused(&modulus(513), &[1, 0, 1]), "4104 bits");
        assert!(refused(&[vec![0], modulus(256)].concat(), &[1, 0, 1]), "a leading zero");
        assert!(refused(&[modulus(255), vec![2]].concat(), &[1, 0, 1]), "an even modulus");
        for e in [&[][..], &[1], &[3], &[1, 0], &[1, 0, 0], &[0, 1, 0, 1], &[1, 0, 0, 0, 1]] {
            assert!(refused(&modulus(256), e), "exponent {e:02x?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(key) = CoseKey::parse(&bytes) {
                prop_assert_eq!(key.as_bytes(), &bytes[..]);
            }
        }

        #[test]
        fn a_changed_byte_gives_another_key_or_none(at in 0usize..77, by in 1u8..=255) {
            let mut bytes = es256();
            bytes[at] ^= by;
            prop_assert_ne!(CoseKey::parse(&bytes).ok(), CoseKey::parse(&es256()).ok());
        }
    }
}
