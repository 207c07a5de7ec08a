//! What the authenticator signs: authenticator data (WebAuthn §6.1).

use super::cbor::{Item, Malformed, Reader};
use super::{Aaguid, CoseKey, CredentialId, PasskeyError};

/// The flags of §6.1. Reserved bits are ignored, as the section says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flags(u8);

impl Flags {
    const ATTESTED: u8 = 1 << 6;
    const EXTENSIONS: u8 = 1 << 7;

    /// UP: somebody was there.
    pub fn user_present(self) -> bool {
        self.0 & 1 != 0
    }

    /// UV: it was the right person.
    pub fn user_verified(self) -> bool {
        self.0 & 1 << 2 != 0
    }

    /// BE: the credential may be backed up.
    pub fn backup_eligible(self) -> bool {
        self.0 & 1 << 3 != 0
    }

    /// BS: it is backed up.
    pub fn backed_up(self) -> bool {
        self.0 & 1 << 4 != 0
    }
}

/// Authenticator data, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthenticatorData {
    /// SHA-256 of the id of the relying party.
    pub rp_id_hash: [u8; 32],
    /// What the authenticator says of the person and of the credential.
    pub flags: Flags,
    /// How often the credential signed, or zero.
    pub sign_count: u32,
    /// The new credential; in registrations only.
    pub attested: Option<AttestedCredential>,
}

/// Attested credential data (§6.5.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttestedCredential {
    /// The model of the authenticator.
    pub aaguid: Aaguid,
    /// The credential's id.
    pub id: CredentialId,
    /// The credential's public key.
    pub public_key: CoseKey,
}

impl AuthenticatorData {
    /// Reads authenticator data to its last byte. Extension outputs must be a well-formed map and are ignored.
    ///
    /// # Errors
    /// [`PasskeyError::Malformed`], [`PasskeyError::CredentialId`], [`PasskeyError::Key`].
    pub fn parse(bytes: &[u8]) -> Result<Self, PasskeyError> {
        const MALFORMED: PasskeyError = PasskeyError::Malformed("authenticatorData");
        let (rp_id_hash, rest) = bytes.split_first_chunk().ok_or(MALFORMED)?;
        let (&[flags], rest) = rest.split_first_chunk().ok_or(MALFORMED)?;
        let (sign_count, rest) = rest.split_first_chunk().ok_or(MALFORMED)?;
        let mut rest = rest;
        let attested = if flags & Flags::ATTESTED != 0 { Some(attested(&mut rest)?) } else { None };
        let mut reader = Reader::new(rest);
        if flags & Flags::EXTENSIONS != 0 {
            extensions(&mut reader).map_err(|_| MALFORMED)?;
        }
        reader.end().map_err(|_| MALFORMED)?;
        Ok(Self {
            rp_id_hash: *rp_id_hash,
            flags: Flags(flags),
            sign_count: u32::from_be_bytes(*sign_count),
            attested,
        })
    }
}

fn attested(rest: &mut &[u8]) -> Result<AttestedCredential, PasskeyError> {
    const MALFORMED: PasskeyError = PasskeyError::Malformed("authenticatorData");
    let (aaguid, tail) = rest.split_first_chunk().ok_or(MALFORMED)?;
    let (length, tail) = tail.split_first_chunk().ok_or(MALFORMED)?;
    let (id, tail) = tail.split_at_checked(u16::from_be_bytes(*length).into()).ok_or(MALFORMED)?;
    // §7.1 step 25: no longer than 1023 bytes.
    let id = CredentialId::parse(id)?;
    let mut reader = Reader::new(tail);
    let public_key = CoseKey::parse(reader.whole().map_err(|_| MALFORMED)?).map_err(PasskeyError::Key)?;
    *rest = reader.rest();
    Ok(AttestedCredential { aaguid: Aaguid::from_bytes(*aaguid), id, public_key })
}

/// Extension outputs are a map whose keys are text (§9.4).
fn extensions(reader: &mut Reader<'_>) -> Result<(), Malformed> {
    reader.map(|name, output| match name {
        Item::Text(_) => output.whole().map(|_| ()),
        Item::Integer(_) | Item::Bytes(_) | Item::Array(_) | Item::Map(_) | Item::Other => Err(Malformed),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn data(flags: u8, rest: &[u8]) -> Vec<u8> {
        [&[9; 32][..], &[flags], &[0, 0, 1, 2], rest].concat()
    }

    fn credential(id: &[u8]) -> Vec<u8> {
        let key = [&b"\xa4\x01\x01\x03\x27\x20\x06\x21\x58\x20"[..], &[7; 32]].concat();
        [&[3; 16][..], &u16::try_from(id.len()).unwrap().to_be_bytes(), id, &key].concat()
    }

    #[test]
    fn every_part_is_found() {
        let parsed = AuthenticatorData::parse(&data(0b0000_1101, &[])).unwrap();
        assert_eq!((parsed.rp_id_hash, parsed.sign_count, parsed.attested), ([9; 32], 258, None));
        let flags = parsed.flags;
        assert!(
            flags.user_present() && flags.user_verified() && flags.backup_eligible() && !flags.backed_up()
        );
        let parsed = AuthenticatorData::parse(&data(0b0100_0001, &credential(&[5; 32]))).unwrap();
        let attested = parsed.attested.unwrap();
        assert_eq!((attested.id.as_bytes(), attested.aaguid), (&[5; 32][..], Aaguid::from_bytes([3; 16])));
        let both = [credential(&[5; 32]), b"\xa1\x63uvm\x80".to_vec()].concat();
        assert!(AuthenticatorData::parse(&data(0b1100_0001, &both)).is_ok());
        assert!(AuthenticatorData::parse(&data(0b1000_0001, b"\xa0")).is_ok());
    }

    #[test]
    fn what_the_flags_do_not_announce_is_refused_and_so_is_what_they_do_in_vain() {
        let malformed = Err(PasskeyError::Malformed("authenticatorData"));
        for (flags, rest) in [
            (1, &b"\xa0"[..]),
            (0b0100_0001, b""),
            (0b1000_0001, b""),
            (0b1000_0001, b"\xa0\xa0"),
            (0b1000_0001, b"\x80"),
            (0b1000_0001, b"\xa1\x01\x02"),
            (0b0100_0001, &credential(&[5; 32])[..60]),
        ] {
            assert_eq!(AuthenticatorData::parse(&data(flags, rest)), malformed);
        }
        assert_eq!(AuthenticatorData::parse(&data(1, b"")[..36]), malformed);
        let more = [credential(&[5; 32]), vec![0]].concat();
        assert_eq!(AuthenticatorData::parse(&data(0b0100_0001, &more)), malformed);
    }

    #[test]
    fn ids_of_credentials_have_bounds() {
        let read = |length| AuthenticatorData::parse(&data(0b0100_0001, &credential(&vec![5; length])));
        assert!(read(16).is_ok() && read(1023).is_ok());
        assert_eq!(read(15).unwrap_err(), PasskeyError::CredentialId);
        assert_eq!(read(1024).unwrap_err(), PasskeyError::CredentialId);
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = AuthenticatorData::parse(&bytes);
        }
    }
}
