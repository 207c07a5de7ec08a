//! The two ceremonies, step by step as WebAuthn Level 3 numbers them. Steps that the browser and the page run (§7.1 steps
//! 1 to 4, §7.2 steps 1 to 4) have happened when an answer arrives.

use identsphere_kernel::UserId;
use sha2::{Digest, Sha256};

use super::cbor::{Item, Malformed, Reader};
use super::client_data::{self, Ceremony};
use super::{
    AuthenticationResponse, AuthenticatorData, Challenge, CredentialId, NewCredential, Passkey, PasskeyError,
    RegistrationResponse, RelyingParty, SignatureVerifier, Transports, UserHandle, UserVerification,
};

/// What a registration was begun with.
#[derive(Debug, Clone, Copy)]
pub struct RegistrationCeremony<'a> {
    /// The challenge of the options. It must have been taken out of its store: a ceremony ends once.
    pub challenge: &'a Challenge,
    /// Whether a verified person was required.
    pub user_verification: UserVerification,
}

/// What a sign-in or step-up was begun with.
#[derive(Debug, Clone, Copy)]
pub struct AuthenticationCeremony<'a> {
    /// The challenge of the options. It must have been taken out of its store: a ceremony ends once.
    pub challenge: &'a Challenge,
    /// Whose ceremony it is; `None` when the passkey is to say it.
    pub user: Option<UserId>,
    /// The credentials of the options; empty when any was welcome.
    pub allowed: &'a [CredentialId],
    /// Whether a verified person was required.
    pub user_verification: UserVerification,
}

/// What a genuine assertion says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Assertion {
    /// The new counter, to be stored while the old one still stands (§7.2 step 24).
    pub sign_count: u32,
    /// Whether the authenticator verified the person: `aal2` if so.
    pub user_verified: bool,
    /// Whether the credential is backed up now, to be stored (§7.2 step 24).
    pub backed_up: bool,
}

impl RelyingParty {
    /// Verifies the answer to creation options (WebAuthn §7.1).
    ///
    /// Attestation statements are not evaluated: none was asked for (§5.4.7), no trust is put in any, and what is
    /// registered counts as unattested whatever came along. They must be well-formed, and empty where they say `none`.
    ///
    /// # Errors
    /// [`PasskeyError`]: the first step that fails.
    pub fn verify_registration(
        &self,
        ceremony: RegistrationCeremony<'_>,
        answer: &RegistrationResponse,
        signatures: &dyn SignatureVerifier,
    ) -> Result<NewCredential, PasskeyError> {
        let id = answer.credential.id()?;
        let response = &answer.response;
        // Steps 5 to 11.
        client_data::check(&response.client_data_json.0, Ceremony::Registration, ceremony.challenge, self)?;
        // Step 12 makes the hash that attestation statements sign, and none is evaluated.
        // Step 13.
        let attestation = AttestationObject::parse(&response.attestation_object.0)
            .map_err(|_| PasskeyError::Malformed("attestationObject"))?;
        let data = AuthenticatorData::parse(attestation.authenticator_data)?;
        // Steps 14 to 17; nothing is made without somebody being there, because no conditional creation is offered.
        self.check_flags(&data, ceremony.user_verification)?;
        let attested = data.attested.ok_or(PasskeyError::Malformed("authenticatorData"))?;
        // Steps 18 and 19: backup eligibility and state are kept and shown; no policy depends on them.
        // Step 20: a key of an algorithm that was not offered was not read. Its numbers must make a key, too.
        if !signatures.is_sound(&attested.public_key) {
            return Err(PasskeyError::Key(super::KeyError::Parameters));
        }
        // Steps 21 to 24: see above.
        if attestation.format == "none" && attestation.statement != EMPTY_MAP {
            return Err(PasskeyError::Malformed("attestationObject"));
        }
        // Step 25 happened when the id was read. That the browser names the same credential is asked by nobody, and
        // an answer that contradicts itself is not one to keep.
        if attested.id != id {
            return Err(PasskeyError::CredentialId);
        }
        // Steps 26 and 27 are the store's. Step 28: no extension was asked for; outputs are ignored.
        Ok(NewCredential {
            credential_id: attested.id,
            public_key: attested.public_key,
            sign_count: data.sign_count,
            user_verified: data.flags.user_verified(),
            backup_eligible: data.flags.backup_eligible(),
            backed_up: data.flags.backed_up(),
            transports: Transports::keep(response.transports.iter().flatten()),
            aaguid: attested.aaguid,
        })
    }

    /// Verifies the answer to request options (WebAuthn §7.2) against the passkey that it names, and the handle of that
    /// passkey's owner.
    ///
    /// # Errors
    /// [`PasskeyError`]: the first step that fails. [`PasskeyError::Counter`] is the last one: everything else about the
    /// assertion is genuine then.
    pub fn verify_assertion(
        &self,
        ceremony: AuthenticationCeremony<'_>,
        answer: &AuthenticationResponse,
        passkey: &Passkey,
        owner: &UserHandle,
        signatures: &dyn SignatureVerifier,
    ) -> Result<Assertion, PasskeyError> {
        let id = answer.credential.id()?;
        // Step 5.
        if !ceremony.allowed.is_empty() && !ceremony.allowed.contains(&id) {
            return Err(PasskeyError::NotAllowed);
        }
        // Step 6.
        check_owner(ceremony.user, &id, answer, passkey, owner)?;
        // Step 7.
        let response = &answer.response;
        let (client_data, data, signature) =
            (&response.client_data_json.0, &response.authenticator_data.0, &response.signature.0);
        // Steps 8 to 14.
        client_data::check(client_data, Ceremony::Authentication, ceremony.challenge, self)?;
        let parsed = AuthenticatorData::parse(data)?;
        // Attested credential data has no place in an assertion (§6.1).
        if parsed.attested.is_some() {
            return Err(PasskeyError::Malformed("authenticatorData"));
        }
        // Steps 15 to 18.
        self.check_flags(&parsed, ceremony.user_verification)?;
        // Step 19: eligibility never changes.
        if parsed.flags.backup_eligible() != passkey.backup_eligible {
            return Err(PasskeyError::BackupFlags);
        }
        // Step 20.
        let hash = Sha256::digest(client_data);
        // Step 21.
        let signed = [data.as_slice(), &hash].concat();
        if !signatures.verify(&passkey.public_key, &signed, signature) {
            return Err(PasskeyError::Signature);
        }
        // Step 22.
        if !counter_rises(passkey.sign_count, parsed.sign_count) {
            return Err(PasskeyError::Counter { stored: passkey.sign_count, presented: parsed.sign_count });
        }
        // Step 23: no extension was asked for; outputs are ignored. Step 24 is the store's.
        Ok(Assertion {
            sign_count: parsed.sign_count,
            user_verified: parsed.flags.user_verified(),
            backed_up: parsed.flags.backed_up(),
        })
    }

    /// What both ceremonies ask of the flags: §7.1 steps 14 to 17, §7.2 steps 15 to 18.
    fn check_flags(
        &self,
        data: &AuthenticatorData,
        verification: UserVerification,
    ) -> Result<(), PasskeyError> {
        // §7.1 step 14, §7.2 step 15.
        if !self.is_named_by(&data.rp_id_hash) {
            return Err(PasskeyError::RelyingParty);
        }
        // §7.1 step 15, §7.2 step 16.
        if !data.flags.user_present() {
            return Err(PasskeyError::NotPresent);
        }
        // §7.1 step 16, §7.2 step 17.
        if verification == UserVerification::Required && !data.flags.user_verified() {
            return Err(PasskeyError::NotVerified);
        }
        // §7.1 step 17, §7.2 step 18.
        if data.flags.backed_up() && !data.flags.backup_eligible() {
            return Err(PasskeyError::BackupFlags);
        }
        Ok(())
    }
}

/// §7.2 step 6: the credential is the one that was looked up, and its owner is whom the ceremony is for.
fn check_owner(
    begun_for: Option<UserId>,
    id: &CredentialId,
    answer: &AuthenticationResponse,
    passkey: &Passkey,
    owner: &UserHandle,
) -> Result<(), PasskeyError> {
    if *id != passkey.credential_id {
        return Err(PasskeyError::CredentialId);
    }
    let names_owner = answer.response.user_handle.as_ref().map(|handle| handle.0 == owner.as_bytes());
    let good = match begun_for {
        Some(user) => passkey.user == user && names_owner != Some(false),
        None => names_owner == Some(true),
    };
    if good { Ok(()) } else { Err(PasskeyError::Owner) }
}

/// §7.2 step 22: a counter that is kept rises with every use.
fn counter_rises(stored: u32, presented: u32) -> bool {
    (stored, presented) == (0, 0) || presented > stored
}

const EMPTY_MAP: &[u8] = &[0xa0];

/// An attestation object (§6.5.4): three members, in any order.
struct AttestationObject<'a> {
    format: &'a str,
    statement: &'a [u8],
    authenticator_data: &'a [u8],
}

impl<'a> AttestationObject<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let (mut format, mut statement, mut authenticator_data) = (None, None, None);
        let mut reader = Reader::new(bytes);
        reader.map(|key, value| {
            match key {
                Item::Text("fmt") => {
                    let Item::Text(text) = value.item()? else { return Err(Malformed) };
                    format = Some(text);
                }
                // A map, or an array of statements (§6.5.4).
                Item::Text("attStmt") => {
                    let is_structure = matches!(value.rest().first().map(|head| head >> 5), Some(4 | 5));
                    statement = Some(value.whole()?).filter(|_| is_structure);
                }
                Item::Text("authData") => authenticator_data = Some(value.bytes()?),
                Item::Text(_)
                | Item::Integer(_)
                | Item::Bytes(_)
                | Item::Array(_)
                | Item::Map(_)
                | Item::Other => {
                    value.whole()?;
                }
            }
            Ok(())
        })?;
        reader.end()?;
        match (format, statement, authenticator_data) {
            (Some(format), Some(statement), Some(authenticator_data)) => {
                Ok(Self { format, statement, authenticator_data })
            }
            _ => Err(Malformed),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_counter_that_is_kept_must_rise() {
        for (stored, presented, good) in [
            (0, 0, true),
            (0, 1, true),
            (1, 2, true),
            (5, 5, false),
            (5, 4, false),
            (5, 0, false),
            (u32::MAX, 0, false),
        ] {
            assert_eq!(counter_rises(stored, presented), good, "{stored} -> {presented}");
        }
    }

    #[test]
    fn an_attestation_object_has_three_members_once() {
        let good = b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x41\x07";
        assert!(AttestationObject::parse(good).is_ok());
        let reordered = b"\xa3\x68authData\x41\x07\x63fmt\x64none\x67attStmt\xa0";
        assert!(AttestationObject::parse(reordered).is_ok());
        let with_more = b"\xa4\x63fmt\x64none\x67attStmt\xa0\x68authData\x41\x07\x65epAtt\xf4";
        assert!(AttestationObject::parse(with_more).is_ok());
        for bad in [
            &b"\xa2\x63fmt\x64none\x67attStmt\xa0"[..],
            b"\xa3\x63fmt\x44none\x67attStmt\xa0\x68authData\x41\x07",
            b"\xa3\x63fmt\x64none\x67attStmt\x40\x68authData\x41\x07",
            b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x61\x07",
            b"\xa3\x63fmt\x64none\x63fmt\x64none\x67attStmt\xa0",
            b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x41\x07\x00",
            b"\x80",
            b"",
        ] {
            assert!(AttestationObject::parse(bad).is_err(), "{bad:02x?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = AttestationObject::parse(&bytes).map(|_| ());
        }
    }
}
