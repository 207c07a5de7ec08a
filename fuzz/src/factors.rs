//! What people type and authenticators write. There is no route yet, so the parsers are called as one will call them.

use identsphere_crypto::PasskeySignatures;
use identsphere_factors::passkey::{
    AuthenticationCeremony, AuthenticationResponse, AuthenticatorData, Challenge, CoseKey, CredentialId,
    NewCredential, RegistrationCeremony, RegistrationResponse, RelyingParty, SignatureVerifier as _,
    Transports, UserHandle, UserVerification,
};
use identsphere_factors::recovery::RecoveryCode;
use identsphere_factors::totp::{TotpCode, TotpSecret, matching_step};
use identsphere_kernel::{PasskeyId, Timestamp, UserId};

/// The relying party of the specification's test vectors (WebAuthn §16.1), so that they can be seeds.
fn party() -> RelyingParty {
    RelyingParty::new("example.org", "Example", vec!["https://example.org".to_owned()])
        .expect("a relying party")
}

fn challenge(hex: &str) -> Challenge {
    Challenge::from_bytes(std::array::from_fn(|at| {
        u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).expect("hex")
    }))
}

/// An answer to creation options. What is registered has a key that can be read back, and an id within bounds.
pub fn passkey_registration(bytes: &[u8]) {
    let Ok(answer) = RegistrationResponse::parse(bytes) else { return };
    let challenge = challenge("00c30fb78531c464d2b6771dab8d7b603c01162f2fa486bea70f283ae556e130");
    let ceremony =
        RegistrationCeremony { challenge: &challenge, user_verification: UserVerification::Discouraged };
    if let Ok(credential) = party().verify_registration(ceremony, &answer, &PasskeySignatures) {
        let again =
            CoseKey::parse(credential.public_key.as_bytes()).expect("a key that was read is read again");
        assert_eq!(again, credential.public_key);
        assert!(
            (CredentialId::LEAST_BYTES..=CredentialId::MOST_BYTES)
                .contains(&credential.credential_id.as_bytes().len())
        );
        assert!(credential.backup_eligible || !credential.backed_up);
    }
}

/// An answer to request options: nobody has the private key, so none is accepted but what was signed before.
pub fn passkey_assertion(bytes: &[u8]) {
    let Ok(answer) = AuthenticationResponse::parse(bytes) else { return };
    let _ = (answer.credential_id(), answer.user_handle());
    let key = b"\xa5\x01\x02\x03\x26\x20\x01\x21\x58\x20\xaf\xef\xa1\x6f\x97\xca\x9b\x2d\x23\xeb\x86\xcc\xb6\x40\x98\xd2\
        \x0d\xb9\x08\x56\x06\x2e\xb2\x49\xc3\x3a\x9b\x67\x2f\x26\xdf\x61\x22\x58\x20\x93\x0a\x56\xb8\x7a\x2f\xca\x66\
        \x33\x4b\x03\x45\x8a\xbf\x87\x97\x17\xc1\x2c\xc6\x8e\xd7\x32\x90\xaf\x2e\x26\x64\x79\x6b\x92\x20";
    let Ok(credential_id) = answer.credential_id() else { return };
    let credential = NewCredential {
        credential_id,
        public_key: CoseKey::parse(key).expect("a key"),
        sign_count: 0,
        user_verified: false,
        backup_eligible: true,
        backed_up: true,
        transports: Transports::default(),
        aaguid: identsphere_factors::passkey::Aaguid::from_bytes([0; 16]),
    };
    let user = UserId::from_bytes([1; 16]);
    let passkey = credential.into_passkey(PasskeyId::from_bytes([2; 16]), user, None, Timestamp::EPOCH);
    let challenge = challenge("39c0e7521417ba54d43e8dc95174f423dee9bf3cd804ff6d65c857c9abf4d408");
    let ceremony = AuthenticationCeremony {
        challenge: &challenge,
        user: Some(user),
        allowed: &[],
        user_verification: UserVerification::Required,
    };
    // What was signed before was signed without verifying the user, so that it is refused here.
    let handle = UserHandle::from_bytes([0; 64]);
    assert!(party().verify_assertion(ceremony, &answer, &passkey, &handle, &PasskeySignatures).is_err());
}

/// A key of any bytes is read whole or not at all, with nothing behind it, and verifies nothing.
pub fn cose_key(bytes: &[u8]) {
    if let Ok(key) = CoseKey::parse(bytes) {
        assert_eq!(key.as_bytes(), bytes);
        assert!(CoseKey::parse(&[bytes, b"\0"].concat()).is_err());
        let _ = PasskeySignatures.is_sound(&key);
        assert!(!PasskeySignatures.verify(&key, b"message", b"signature"));
    }
}

/// Authenticator data of any bytes is read to its last byte.
pub fn authenticator_data(bytes: &[u8]) {
    if let Ok(data) = AuthenticatorData::parse(bytes) {
        assert!(bytes.len() >= 37);
        assert_eq!(data.rp_id_hash, bytes[..32]);
        assert!(AuthenticatorData::parse(&[bytes, b"\0"].concat()).is_err());
    }
}

/// A code is six digits, and nothing else is one.
pub fn totp_code(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let is_code = bytes.len() == 6 && bytes.iter().all(u8::is_ascii_digit);
    match TotpCode::parse(text) {
        Ok(code) => {
            assert!(is_code);
            let _ = matching_step(
                &TotpSecret::from_bytes([7; 20]),
                &code,
                Timestamp::from_unix_seconds(1_800_000_000),
            );
        }
        Err(_) => assert!(!is_code),
    }
}

/// A recovery code is sixteen characters of its alphabet, and has one canonical form.
pub fn recovery_code(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(code) = RecoveryCode::parse(text) {
        let characters = || text.chars().filter(|c| !matches!(c, '-' | ' '));
        assert_eq!(characters().count(), 16);
        assert!(characters().all(|c| c.is_ascii_alphanumeric() && !matches!(c, 'U' | 'u')));
        let canonical = code.text();
        let again = RecoveryCode::parse(canonical.expose()).expect("a canonical code is a code");
        assert_eq!(again.text().expose(), canonical.expose());
        assert!(again.hash(UserId::from_bytes([1; 16])) == code.hash(UserId::from_bytes([1; 16])));
    }
}
