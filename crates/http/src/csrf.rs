//! The token that shows that a write authenticated by cookie comes from our own pages: a signed double submit.
//!
//! The token is random and carries a keyed hash over itself and the session, so neither a cookie planted by a sibling
//! subdomain nor the token of another session passes.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use identsphere_kernel::{SecretBytes, SecureRandom, SessionId};
use sha2::Sha256;
use subtle::ConstantTimeEq;

const RANDOM: usize = 16;
const TAG: usize = 32;

/// The key under which CSRF tokens are made; the same on every node.
#[derive(Clone, Debug)]
pub(crate) struct CsrfKey(SecretBytes<32>);

impl CsrfKey {
    pub(crate) fn new(key: SecretBytes<32>) -> Self {
        Self(key)
    }

    /// A new token for this session.
    pub(crate) fn issue(&self, session: SessionId, random: &dyn SecureRandom) -> String {
        let random: [u8; RANDOM] = random.bytes();
        let mut token = String::with_capacity(RANDOM.div_ceil(3) * 4 + 1 + TAG.div_ceil(3) * 4);
        URL_SAFE_NO_PAD.encode_string(random, &mut token);
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(self.mac(session, &random).finalize().into_bytes(), &mut token);
        token
    }

    /// Whether header and cookie are the same token, made by this key for this session. Takes the same time wherever
    /// they differ.
    pub(crate) fn accepts(&self, session: SessionId, header: &str, cookie: &str) -> bool {
        let same: bool = header.as_bytes().ct_eq(cookie.as_bytes()).into();
        same && self.made(session, header).unwrap_or(false)
    }

    fn made(&self, session: SessionId, token: &str) -> Option<bool> {
        let (random, tag) = token.split_once('.')?;
        let random: [u8; RANDOM] = URL_SAFE_NO_PAD.decode(random).ok()?.try_into().ok()?;
        let tag = URL_SAFE_NO_PAD.decode(tag).ok()?;
        Some(self.mac(session, &random).verify_slice(&tag).is_ok())
    }

    fn mac(&self, session: SessionId, random: &[u8; RANDOM]) -> Hmac<Sha256> {
        #[expect(clippy::expect_used, reason = "HMAC takes keys of any length (RFC 2104 §2)")]
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.expose()).expect("a key of 32 bytes is valid");
        mac.update(session.as_uuid().as_bytes());
        mac.update(random);
        mac
    }
}

#[cfg(test)]
mod tests {
    use identsphere_kernel::{OsRandom, SystemClock};

    use super::*;

    fn key(byte: u8) -> CsrfKey {
        CsrfKey::new(SecretBytes::new([byte; 32]))
    }

    #[test]
    fn a_token_passes_for_its_session_only() {
        let (mine, other) =
            (SessionId::new(&SystemClock, &OsRandom), SessionId::new(&SystemClock, &OsRandom));
        let token = key(1).issue(mine, &OsRandom);
        assert!(key(1).accepts(mine, &token, &token));
        assert!(!key(1).accepts(other, &token, &token));
        assert!(!key(2).accepts(mine, &token, &token));
    }

    #[test]
    fn a_planted_pair_fails() {
        let mine = SessionId::new(&SystemClock, &OsRandom);
        let token = key(1).issue(mine, &OsRandom);
        for planted in ["", ".", "x", "AAAAAAAAAAAAAAAAAAAAAA.AAAA", &token[..token.len() - 1]] {
            assert!(!key(1).accepts(mine, planted, planted), "{planted}");
        }
        assert!(!key(1).accepts(mine, &token, &key(1).issue(mine, &OsRandom)));
        assert!(!key(1).accepts(mine, &token, ""));
    }

    #[test]
    fn a_shortened_tag_is_none() {
        let mine = SessionId::new(&SystemClock, &OsRandom);
        let token = key(1).issue(mine, &OsRandom);
        let (random, tag) = token.split_once('.').unwrap();
        let tag = URL_SAFE_NO_PAD.decode(tag).unwrap();
        for length in 0..TAG {
            let shortened = format!("{random}.{}", URL_SAFE_NO_PAD.encode(&tag[..length]));
            assert!(!key(1).accepts(mine, &shortened, &shortened), "{length} bytes");
        }
    }
}
