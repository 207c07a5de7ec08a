//! Valid records about what proves a person besides a password: sign-ins that wait for it, browsers that stand for it,
//! authenticators, recovery codes, passkeys. Typical ones, and for each kind a collection of extremes that a store must
//! return unchanged.

use std::net::IpAddr;

use identsphere_accounts::User;
use identsphere_factors::passkey::{
    Aaguid, BegunCeremony, CeremonyKind, CoseKey, CredentialId, Passkey, Transports, UserHandle,
};
use identsphere_factors::recovery::RECOVERY_CODES;
use identsphere_kernel::{Label, PasskeyId, SessionId, TokenHash, TrustedBrowserId};
use identsphere_sessions::{AuthMethod, ClientInfo, PendingSignIn, TrustRotation, TrustedBrowser};

use crate::World;
use crate::builders::{ends_of_time, extreme_clients};

/// Typical records. Each call makes another one.
impl World {
    /// A sign-in whose password was right.
    pub fn pending_sign_in(&self, user: &User) -> PendingSignIn {
        PendingSignIn {
            hash: self.token_hash(),
            user: user.id,
            first_factor: AuthMethod::Password,
            passkey: None,
            browser: Some(self.token_hash()),
            created_at: self.now(),
            expires_at: self.now().plus(PendingSignIn::LIFETIME),
        }
    }

    /// A browser that is trusted from now on.
    pub fn trusted_browser(&self, user: &User) -> TrustedBrowser {
        TrustedBrowser {
            id: TrustedBrowserId::new(&*self.clock, &*self.random),
            user: user.id,
            hash: self.token_hash(),
            label: Some(Label::from_stored("Ada's laptop")),
            client: ClientInfo::new(
                Some(IpAddr::from([192, 0, 2, 7])),
                Some("Mozilla/5.0 (X11; Linux x86_64)"),
            ),
            created_at: self.now(),
            last_seen_at: self.now(),
            expires_at: self.now().plus(TrustedBrowser::LIFETIME),
        }
    }

    /// The exchange, now, of the present token of `browser`, which comes from somewhere else.
    pub fn trust_rotation(&self, browser: &TrustedBrowser) -> TrustRotation {
        TrustRotation {
            user: browser.user,
            presented: browser.hash,
            successor: self.token_hash(),
            client: ClientInfo::new(Some(IpAddr::from([198, 51, 100, 23])), Some("curl/8.11.0")),
            at: self.now(),
        }
    }

    /// The sealed secret of an authenticator. It is noise.
    pub fn sealed_secret(&self) -> Vec<u8> {
        self.bytes::<61>().to_vec()
    }

    /// The hashes of as many recovery codes as a user gets.
    pub fn recovery_hashes(&self) -> Vec<TokenHash> {
        std::iter::repeat_with(|| self.token_hash()).take(RECOVERY_CODES).collect()
    }

    /// What the passkeys of a user present.
    pub fn user_handle(&self) -> UserHandle {
        UserHandle::from_bytes(self.bytes())
    }

    /// A passkey that was never used, of an authenticator that counts. Its key is well-formed noise.
    pub fn passkey(&self, user: &User) -> Passkey {
        Passkey {
            id: PasskeyId::new(&*self.clock, &*self.random),
            user: user.id,
            credential_id: credential_id(&self.bytes::<32>()),
            public_key: p256_key(self.bytes(), self.bytes()),
            sign_count: 1,
            backup_eligible: true,
            backed_up: false,
            transports: Transports::keep(["internal", "hybrid"]),
            aaguid: Aaguid::from_bytes(self.bytes()),
            label: Label::from_stored("Ada's key"),
            created_at: self.now(),
            last_used_at: None,
        }
    }

    /// A ceremony that begins now, of this user if there is one.
    pub fn ceremony(&self, kind: CeremonyKind, user: Option<&User>) -> BegunCeremony {
        BegunCeremony {
            hash: self.token_hash(),
            kind,
            user: user.map(|user| user.id),
            session: None,
            browser: Some(self.token_hash()),
            created_at: self.now(),
            expires_at: self.now().plus(BegunCeremony::LIFETIME),
        }
    }
}

/// Extremes. What can expire has not, for the whole of this world's time.
impl World {
    /// Sign-ins begun in every way, in a browser or who knows where, at both ends of time.
    pub fn extreme_pending_sign_ins(&self, user: &User) -> Vec<PendingSignIn> {
        let (created_at, expires_at) = ends_of_time();
        let mut all = Vec::new();
        for first_factor in AuthMethod::ALL {
            for browser in [None, Some(TokenHash::from_bytes([0; 32])), Some(self.token_hash())] {
                let hash = self.next_hash(all.len());
                let typical = self.pending_sign_in(user);
                let first_factor = *first_factor;
                let by_passkey = first_factor == AuthMethod::Passkey;
                let passkey = by_passkey.then(|| PasskeyId::new(&*self.clock, &*self.random));
                all.push(PendingSignIn {
                    hash,
                    first_factor,
                    passkey,
                    browser,
                    created_at,
                    expires_at,
                    ..typical
                });
            }
        }
        all
    }

    /// Browsers with every kind of client and label, at both ends of time.
    pub fn extreme_trusted_browsers(&self, user: &User) -> Vec<TrustedBrowser> {
        let (early, late) = ends_of_time();
        let labels = std::iter::once(None).chain(extreme_labels().into_iter().map(Some));
        let labels: Vec<Option<Label>> = labels.collect();
        let all = extreme_clients().into_iter().zip(labels.into_iter().cycle()).enumerate();
        let all = all.map(|(index, (client, label))| TrustedBrowser {
            hash: self.next_hash(index),
            label,
            client,
            created_at: if index % 2 == 0 { early } else { late },
            last_seen_at: if index % 3 == 0 { early } else { late },
            expires_at: late,
            ..self.trusted_browser(user)
        });
        all.collect()
    }

    /// Sealed secrets from none to 200 bytes, with zeros at the beginning, in the middle and at the end.
    pub fn extreme_sealed_secrets(&self) -> Vec<Vec<u8>> {
        let middle = [self.bytes::<30>().as_slice(), &[0; 3], &self.bytes::<30>()].concat();
        vec![vec![], vec![0], vec![0; 200], vec![u8::MAX; 200], (0..=199).collect(), middle]
    }

    /// Passkeys of every algorithm with the shortest and longest ids, counters, labels and hints, at both ends of time: as
    /// many as one user may have at most. A store takes them once, because their credential ids are fixed.
    pub fn extreme_passkeys(&self, user: &User) -> Vec<Passkey> {
        let (early, late) = ends_of_time();
        let longest_hints = Transports::keep((0..8).map(|place| format!("{place}{}", "-".repeat(31))));
        let every_byte: Vec<u8> = (0..=u8::MAX).collect();
        let ids = [&[0; 16][..], &[0; 17], &[u8::MAX; 1_023], &every_byte, b"' \" \\ % _ ; -- \n"];
        let keys = extreme_keys();
        let all = ids.into_iter().zip(keys).zip(extreme_labels()).enumerate();
        let all = all.map(|(index, ((id, public_key), label))| Passkey {
            credential_id: credential_id(id),
            public_key,
            label,
            backup_eligible: index % 2 == 0,
            backed_up: index == 2,
            ..self.passkey(user)
        });
        let mut all: Vec<Passkey> = all.collect();
        let [none, most, ..] = all.as_mut_slice() else { return all };
        (none.sign_count, none.transports, none.aaguid) =
            (0, Transports::default(), Aaguid::from_bytes([0; 16]));
        (none.created_at, none.last_used_at) = (early, None);
        (most.sign_count, most.transports) = (u32::MAX, longest_hints);
        most.aaguid = Aaguid::from_bytes([u8::MAX; 16]);
        (most.created_at, most.last_used_at) = (late, Some(late));
        all
    }

    /// Ceremonies of every kind, with and without a user, a session and a browser, at both ends of time.
    pub fn extreme_ceremonies(&self, user: &User) -> Vec<BegunCeremony> {
        let (created_at, expires_at) = ends_of_time();
        let mut all = Vec::new();
        for kind in CeremonyKind::ALL {
            for user in [None, Some(user)] {
                for session in [None, Some(SessionId::new(&*self.clock, &*self.random))] {
                    for browser in [None, Some(TokenHash::from_bytes([0; 32]))] {
                        let hash = self.next_hash(all.len());
                        let typical = self.ceremony(kind, user);
                        all.push(BegunCeremony { hash, session, browser, created_at, expires_at, ..typical });
                    }
                }
            }
        }
        all
    }

    /// The first and the last hash there are, and others.
    fn next_hash(&self, index: usize) -> TokenHash {
        match index {
            0 => TokenHash::from_bytes([0; 32]),
            1 => TokenHash::from_bytes([u8::MAX; 32]),
            _ => self.token_hash(),
        }
    }
}

/// Labels from the shortest to the longest, of every script, with everything that means something to a database.
pub fn extreme_labels() -> Vec<Label> {
    let longest = "🔑".repeat(Label::MAX_CHARS);
    let labels = ["x", &longest, "' \" \\ % _ ; --", "مفتاح — ключ — 鍵", "👩‍🚀's  \u{301}key"];
    labels.map(Label::from_stored).into_iter().collect()
}

/// A key of each algorithm, the longest and the shortest of the one that has several lengths.
fn extreme_keys() -> [CoseKey; 5] {
    let shortest = [&[0x80][..], &[0; 254], &[1]].concat();
    [
        p256_key([0; 32], [u8::MAX; 32]),
        rsa_key(&[u8::MAX; 512], &[1, 0, 1]),
        rsa_key(&shortest, &[u8::MAX; 4]),
        cose_key(&[b"\xa4\x01\x01\x03\x27\x20\x06\x21\x58\x20", &[7; 32]]),
        cose_key(&[b"\xa5\x01\x02\x03\x38\x22\x20\x02\x21\x58\x30", &[7; 48], b"\x22\x58\x30", &[8; 48]]),
    ]
}

fn p256_key(x: [u8; 32], y: [u8; 32]) -> CoseKey {
    cose_key(&[b"\xa5\x01\x02\x03\x26\x20\x01\x21\x58\x20", &x, b"\x22\x58\x20", &y])
}

fn rsa_key(n: &[u8], e: &[u8]) -> CoseKey {
    let length = u16::try_from(n.len()).unwrap_or(u16::MAX).to_be_bytes();
    let head = [0x40 | u8::try_from(e.len()).unwrap_or(u8::MAX)];
    cose_key(&[b"\xa4\x01\x03\x03\x39\x01\x00\x20\x59", &length, n, b"\x21", &head, e])
}

#[expect(clippy::expect_used, reason = "the encodings are written in this file")]
fn cose_key(parts: &[&[u8]]) -> CoseKey {
    CoseKey::parse(&parts.concat()).expect("a well-formed key")
}

#[expect(clippy::expect_used, reason = "the ids are written in this file")]
fn credential_id(bytes: &[u8]) -> CredentialId {
    CredentialId::parse(bytes).expect("an id of a length that is taken")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use identsphere_factors::passkey::{Algorithm, MOST_PASSKEYS};

    use super::*;

    #[test]
    fn extreme_passkeys_reach_the_limits_of_their_types() {
        let world = World::default();
        let all = world.extreme_passkeys(&world.account().user);
        assert!(all.len() <= MOST_PASSKEYS);
        let algorithms: HashSet<Algorithm> =
            all.iter().map(|passkey| passkey.public_key.algorithm()).collect();
        assert_eq!(algorithms, HashSet::from(Algorithm::OFFERED));
        let lengths: Vec<usize> = all.iter().map(|passkey| passkey.credential_id.as_bytes().len()).collect();
        assert_eq!(lengths, [CredentialId::LEAST_BYTES, 17, CredentialId::MOST_BYTES, 256, 16]);
        let hints: Vec<usize> = all.iter().map(|passkey| passkey.transports.as_slice().len()).collect();
        assert_eq!(hints, [0, 8, 2, 2, 2]);
    }

    #[test]
    fn extreme_labels_are_labels() {
        for label in extreme_labels() {
            assert_eq!(Label::parse(label.as_str()), Ok(label));
        }
    }
}
