//! The signatures of passkeys, verified by OpenSSL.

use identsphere_factors::passkey::{CoseKey, KeyMaterial, SignatureVerifier};
use openssl::bn::{BigNum, BigNumContext, BigNumRef};
use openssl::ec::{EcGroup, EcKey};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{Id, PKey, Public};
use openssl::rsa::Rsa;
use openssl::sign::Verifier;

/// Verifies with ES256, ES384, EdDSA and RS256. Whatever OpenSSL refuses is no signature.
#[derive(Debug, Clone, Copy, Default)]
pub struct PasskeySignatures;

impl SignatureVerifier for PasskeySignatures {
    fn is_sound(&self, key: &CoseKey) -> bool {
        let point_is_sound = match key.material() {
            KeyMaterial::Ed25519(point) => is_sound_point(point),
            // For the others, OpenSSL says it when it takes the key.
            KeyMaterial::P256 { .. } | KeyMaterial::P384 { .. } | KeyMaterial::Rsa { .. } => Ok(true),
        };
        point_is_sound.unwrap_or(false) && public_key(key).is_ok()
    }

    fn verify(&self, key: &CoseKey, message: &[u8], signature: &[u8]) -> bool {
        verified(key, message, signature).unwrap_or(false)
    }
}

fn verified(key: &CoseKey, message: &[u8], signature: &[u8]) -> Result<bool, ErrorStack> {
    let public_key = public_key(key)?;
    let mut verifier = match key.material() {
        KeyMaterial::P256 { .. } | KeyMaterial::Rsa { .. } => {
            Verifier::new(MessageDigest::sha256(), &public_key)?
        }
        KeyMaterial::P384 { .. } => Verifier::new(MessageDigest::sha384(), &public_key)?,
        KeyMaterial::Ed25519(_) => Verifier::new_without_digest(&public_key)?,
    };
    verifier.verify_oneshot(signature, message)
}

/// The key as OpenSSL has it. A point that is not on its curve is an error.
fn public_key(key: &CoseKey) -> Result<PKey<Public>, ErrorStack> {
    match key.material() {
        KeyMaterial::P256 { x, y } => curve_key(Nid::X9_62_PRIME256V1, x, y),
        KeyMaterial::P384 { x, y } => curve_key(Nid::SECP384R1, x, y),
        KeyMaterial::Ed25519(point) => PKey::public_key_from_raw_bytes(point, Id::ED25519),
        KeyMaterial::Rsa { n, e } => {
            let rsa = Rsa::from_public_components(BigNum::from_slice(n)?, BigNum::from_slice(e)?)?;
            PKey::from_rsa(rsa)
        }
    }
}

fn curve_key(curve: Nid, x: &[u8], y: &[u8]) -> Result<PKey<Public>, ErrorStack> {
    let group = EcGroup::from_curve_name(curve)?;
    let (x, y) = (BigNum::from_slice(x)?, BigNum::from_slice(y)?);
    let key = EcKey::from_public_key_affine_coordinates(&group, &x, &y)?;
    key.check_key()?;
    PKey::from_ec_key(key)
}

/// Whether 32 bytes are a point of edwards25519 (RFC 8032 §5.1.3) that is not one of the eight of small order, under
/// which a signature may fit any message. OpenSSL takes any 32 bytes, so this is asked of the curve's equation,
/// `x² = (y² - 1) / (d y² + 1)`.
fn is_sound_point(encoded: &[u8; 32]) -> Result<bool, ErrorStack> {
    let mut context = BigNumContext::new()?;
    let field = Field::new()?;
    let mut bytes = *encoded;
    bytes.reverse();
    // The highest bit tells the two points of an ordinate apart; both are on the curve or neither.
    let [highest, ..] = &mut bytes;
    *highest &= 0x7f;
    let y = BigNum::from_slice(&bytes)?;
    // One spelling for each point: the ordinate is less than the modulus.
    if y >= field.modulus {
        return Ok(false);
    }
    let square = field.product(&y, &y, &mut context)?;
    let above = field.difference(&square, &field.one, &mut context)?;
    let scaled = field.product(&field.d, &square, &mut context)?;
    let below = field.sum(&scaled, &field.one, &mut context)?;
    // A quotient is a square exactly if the product is: Euler's criterion.
    let product = field.product(&above, &below, &mut context)?;
    let mut character = BigNum::new()?;
    character.mod_exp(&product, &field.half, &field.modulus, &mut context)?;
    if character != field.one {
        // Zero is for x = 0: the neutral point and the one of order two, both of small order.
        return Ok(false);
    }
    // Order four has y = 0. Order eight doubles to it: x² = -y², which is d y⁴ + 2 y² - 1 = 0.
    let fourth = field.product(&scaled, &square, &mut context)?;
    let doubled = field.sum(&square, &square, &mut context)?;
    let sum = field.sum(&fourth, &doubled, &mut context)?;
    let eighth = field.difference(&sum, &field.one, &mut context)?;
    Ok(square.num_bits() != 0 && eighth.num_bits() != 0)
}

/// The field of edwards25519 (RFC 8032 §5.1).
struct Field {
    modulus: BigNum,
    /// Half of the modulus less one.
    half: BigNum,
    d: BigNum,
    one: BigNum,
}

impl Field {
    fn new() -> Result<Self, ErrorStack> {
        let (one, nineteen) = (BigNum::from_u32(1)?, BigNum::from_u32(19)?);
        let (mut power, mut modulus, mut half) = (BigNum::new()?, BigNum::new()?, BigNum::new()?);
        power.lshift(&one, 255)?;
        modulus.checked_sub(&power, &nineteen)?;
        half.rshift1(&modulus)?;
        let d = BigNum::from_hex_str("52036cee2b6ffe738cc740797779e89800700a4d4141d8ab75eb4dca135978a3")?;
        Ok(Self { modulus, half, d, one })
    }

    fn product(
        &self,
        a: &BigNumRef,
        b: &BigNumRef,
        context: &mut BigNumContext,
    ) -> Result<BigNum, ErrorStack> {
        let mut result = BigNum::new()?;
        result.mod_mul(a, b, &self.modulus, context)?;
        Ok(result)
    }

    fn sum(&self, a: &BigNumRef, b: &BigNumRef, context: &mut BigNumContext) -> Result<BigNum, ErrorStack> {
        let mut result = BigNum::new()?;
        result.mod_add(a, b, &self.modulus, context)?;
        Ok(result)
    }

    fn difference(
        &self,
        a: &BigNumRef,
        b: &BigNumRef,
        context: &mut BigNumContext,
    ) -> Result<BigNum, ErrorStack> {
        let mut result = BigNum::new()?;
        result.mod_sub(a, b, &self.modulus, context)?;
        Ok(result)
    }
}

#[cfg(test)]
mod tests {
    use openssl::sign::Signer;
    use proptest::prelude::*;

    use super::*;

    fn ed25519(point: [u8; 32]) -> CoseKey {
        CoseKey::parse(&[&b"\xa4\x01\x01\x03\x27\x20\x06\x21\x58\x20"[..], &point].concat()).unwrap()
    }

    fn p256(x: &[u8], y: &[u8]) -> CoseKey {
        CoseKey::parse(&[b"\xa5\x01\x02\x03\x26\x20\x01\x21\x58\x20", x, b"\x22\x58\x20", y].concat())
            .unwrap()
    }

    fn p256_pair() -> (PKey<openssl::pkey::Private>, CoseKey) {
        let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
        let key = EcKey::generate(&group).unwrap();
        let (mut x, mut y) = (BigNum::new().unwrap(), BigNum::new().unwrap());
        let mut context = BigNumContext::new().unwrap();
        key.public_key().affine_coordinates(&group, &mut x, &mut y, &mut context).unwrap();
        let cose = p256(&x.to_vec_padded(32).unwrap(), &y.to_vec_padded(32).unwrap());
        (PKey::from_ec_key(key).unwrap(), cose)
    }

    #[test]
    fn points_off_the_curve_are_no_keys() {
        let (_, key) = p256_pair();
        assert!(PasskeySignatures.is_sound(&key));
        let KeyMaterial::P256 { x, mut y } = *key.material() else { panic!("a key on P-256") };
        y[31] ^= 1;
        assert!(!PasskeySignatures.is_sound(&p256(&x, &y)));
        assert!(!PasskeySignatures.is_sound(&p256(&[0; 32], &[0; 32])));
        assert!(!PasskeySignatures.is_sound(&p256(&[0xff; 32], &[0xff; 32])));
        assert!(!PasskeySignatures.verify(&p256(&x, &y), b"message", b"signature"));
    }

    #[test]
    fn half_of_all_ordinates_belong_to_points() {
        let sound = (2u8..=201).filter(|y| {
            let mut point = [0; 32];
            point[0] = *y;
            PasskeySignatures.is_sound(&ed25519(point))
        });
        assert!((70..130).contains(&sound.count()));
    }

    #[test]
    fn points_of_small_order_are_no_keys() {
        let hex = |text: &str| -> [u8; 32] {
            std::array::from_fn(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap())
        };
        for order in [
            "0100000000000000000000000000000000000000000000000000000000000000",
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "0000000000000000000000000000000000000000000000000000000000000000",
            "0000000000000000000000000000000000000000000000000000000000000080",
            "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
            "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
            "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
            "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
            "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        ] {
            assert!(!PasskeySignatures.is_sound(&ed25519(hex(order))), "{order}");
        }
        for _ in 0..20 {
            let key = PKey::generate_ed25519().unwrap().raw_public_key().unwrap();
            assert!(PasskeySignatures.is_sound(&ed25519(key.try_into().unwrap())));
        }
    }

    #[test]
    fn a_signature_fits_its_message_and_its_key() {
        let (private, key) = p256_pair();
        let signature =
            Signer::new(MessageDigest::sha256(), &private).unwrap().sign_oneshot_to_vec(b"message").unwrap();
        assert!(PasskeySignatures.verify(&key, b"message", &signature));
        assert!(!PasskeySignatures.verify(&key, b"massage", &signature));
        assert!(!PasskeySignatures.verify(&p256_pair().1, b"message", &signature));
        assert!(
            !PasskeySignatures.verify(&key, b"message", &[signature.as_slice(), &[0]].concat()),
            "longer"
        );
        assert!(!PasskeySignatures.verify(&key, b"message", &[]));
    }

    #[test]
    fn a_signature_of_zeros_fits_nothing() {
        let (_, key) = p256_pair();
        assert!(!PasskeySignatures.verify(&key, b"message", b"\x30\x06\x02\x01\x00\x02\x01\x00"));
        let point = PKey::generate_ed25519().unwrap().raw_public_key().unwrap();
        assert!(!PasskeySignatures.verify(&ed25519(point.try_into().unwrap()), b"message", &[0; 64]));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_verifier_panic(
            point: [u8; 32],
            x: [u8; 32],
            y: [u8; 32],
            signature in proptest::collection::vec(any::<u8>(), 0..100),
        ) {
            for key in [ed25519(point), p256(&x, &y)] {
                PasskeySignatures.is_sound(&key);
                prop_assert!(!PasskeySignatures.verify(&key, b"message", &signature));
            }
        }
    }
}
