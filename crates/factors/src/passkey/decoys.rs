//! Credentials that nobody has: what a sign-in begun with an unknown address is answered with, so that it looks like one
//! begun with a known address (WebAuthn §14.6.2).

use hmac::{Hmac, KeyInit, Mac};
use identsphere_kernel::{EmailKey, SecretBytes};
use sha2::Sha256;

use super::{CredentialDescriptor, CredentialId, Transports};

/// Lengths of ids and transports that authenticators in wide use have: password managers, Apple, Windows, security keys.
const KINDS: [(usize, &[&str]); 4] = [
    (16, &["hybrid", "internal"]),
    (20, &["hybrid", "internal"]),
    (32, &["internal"]),
    (64, &["nfc", "usb"]),
];

/// The key under which decoys are made; the same on every node.
#[derive(Debug, Clone)]
pub struct DecoyKey(SecretBytes<32>);

impl DecoyKey {
    /// The key with these bytes, derived from the master key.
    pub fn new(key: SecretBytes<32>) -> Self {
        Self(key)
    }

    /// The credentials of an address without an account: one or two, always the same.
    pub fn credentials(&self, email: &EmailKey) -> Vec<CredentialDescriptor> {
        let count = 1 + self.choice(email, 0, 1) % 2;
        (1..=count).filter_map(|number| self.credential(email, number)).collect()
    }

    fn credential(&self, email: &EmailKey, number: u8) -> Option<CredentialDescriptor> {
        let kind = usize::from(self.choice(email, number, 0)) % KINDS.len();
        let (length, transports) = KINDS.get(kind)?;
        let bytes: Vec<u8> =
            (1..=2).flat_map(|block| self.block(email, number, block)).take(*length).collect();
        let id = CredentialId::parse(&bytes).ok()?;
        Some(CredentialDescriptor::new(id, Transports::keep(transports.iter())))
    }

    fn choice(&self, email: &EmailKey, number: u8, block: u8) -> u8 {
        let [first, ..] = self.block(email, number, block);
        first
    }

    fn block(&self, email: &EmailKey, number: u8, block: u8) -> [u8; 32] {
        #[expect(clippy::expect_used, reason = "HMAC takes keys of any length (RFC 2104 §2)")]
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.expose()).expect("a key of 32 bytes is valid");
        mac.update(&[number, block]);
        mac.update(email.as_str().as_bytes());
        mac.finalize().into_bytes().into()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use identsphere_kernel::Email;

    use super::*;

    fn credentials(key: u8, address: &str) -> Vec<CredentialDescriptor> {
        let key = DecoyKey::new(SecretBytes::new([key; 32]));
        key.credentials(Email::parse(address).unwrap().key())
    }

    #[test]
    fn an_address_has_the_same_decoys_for_ever_and_under_one_key_only() {
        assert_eq!(credentials(1, "ann@example.org"), credentials(1, "Ann@Example.org"));
        assert_ne!(credentials(1, "ann@example.org"), credentials(2, "ann@example.org"));
        assert_ne!(credentials(1, "ann@example.org"), credentials(1, "bob@example.org"));
    }

    #[test]
    fn decoys_look_like_credentials() {
        let all: Vec<_> = (0..200).map(|at| credentials(1, &format!("user{at}@example.org"))).collect();
        let counts: HashSet<_> = all.iter().map(Vec::len).collect();
        assert_eq!(counts, HashSet::from([1, 2]));
        let lengths: HashSet<_> = all.iter().flatten().map(|one| one.id().as_bytes().len()).collect();
        assert_eq!(lengths, HashSet::from([16, 20, 32, 64]));
        let ids: HashSet<_> = all.iter().flatten().map(|one| one.id().clone()).collect();
        assert_eq!(ids.len(), all.iter().flatten().count());
    }
}
