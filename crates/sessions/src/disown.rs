//! The token with which the owner of an account ends a session that is not theirs, from the mail that told them of it.
//!
//! It is the session and its user under a keyed tag, so nothing is kept for it. It can end that session and nothing
//! else, and ending a session twice is no different from ending it once.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use identsphere_kernel::{SecretBytes, SecretString, SessionId, UserId};
use sha2::Sha256;
use subtle::ConstantTimeEq;

const PREFIX: &str = "isn_";
const ID: usize = 16;
const TAG: usize = 32;

/// The key under which such tokens are made; the same on every node.
#[derive(Clone)]
pub struct DisownKey(SecretBytes<32>);

impl DisownKey {
    /// The key with these bytes, derived from the master key.
    pub fn new(key: SecretBytes<32>) -> Self {
        Self(key)
    }

    /// The token that ends this session of this user.
    pub fn token(&self, user: UserId, session: SessionId) -> SecretString {
        let ids = [user.as_uuid().into_bytes(), session.as_uuid().into_bytes()].concat();
        let bytes = [ids.as_slice(), self.tag(&ids).as_slice()].concat();
        SecretString::new(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// Which session of which user a token ends; `None` unless this key made it.
    pub fn read(&self, text: &str) -> Option<(UserId, SessionId)> {
        let mut bytes = [0u8; 2 * ID + TAG];
        let length = URL_SAFE_NO_PAD.decode_slice(text.strip_prefix(PREFIX)?, &mut bytes).ok()?;
        let (ids, tag) = bytes.split_first_chunk::<{ 2 * ID }>()?;
        if length != bytes.len() || !bool::from(self.tag(ids).ct_eq(tag)) {
            return None;
        }
        let (user, session) = ids.split_first_chunk::<ID>()?;
        Some((UserId::from_bytes(*user), SessionId::from_bytes(session.try_into().ok()?)))
    }

    fn tag(&self, ids: &[u8]) -> [u8; TAG] {
        #[expect(clippy::expect_used, reason = "HMAC takes keys of any length (RFC 2104 §2)")]
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.expose()).expect("a key of 32 bytes is valid");
        mac.update(ids);
        mac.finalize().into_bytes().into()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(byte: u8) -> DisownKey {
        DisownKey::new(SecretBytes::new([byte; 32]))
    }

    #[test]
    fn a_token_names_its_session_under_its_own_key_only() {
        let (user, session) = (UserId::from_bytes([1; 16]), SessionId::from_bytes([2; 16]));
        let token = key(7).token(user, session);
        assert_eq!(key(7).read(token.expose()), Some((user, session)));
        assert_eq!(key(8).read(token.expose()), None);
    }

    proptest! {
        #[test]
        fn no_changed_token_is_read(at in 0usize..90, byte in b' '..b'~') {
            let token = key(7).token(UserId::from_bytes([1; 16]), SessionId::from_bytes([2; 16]));
            let mut text = token.expose().as_bytes().to_vec();
            let at = at % text.len();
            prop_assume!(text[at] != byte);
            text[at] = byte;
            prop_assert_eq!(key(7).read(std::str::from_utf8(&text).unwrap()), None);
        }

        #[test]
        fn reading_never_panics(text in "(isn_)?\\PC*") {
            let _ = key(7).read(&text);
        }
    }
}
