//! Refresh tokens: opaque to everybody else, and stored only as a hash.
//!
//! A token is `isr_` and the base64url form of `session ‖ generation ‖ secret ‖ tag`.
//! - The *secret* of the first token is random; each successor's is a keyed function of its parent. So the same parent
//!   has the same successor on every node and after a crash, with nothing kept that could be stolen.
//! - The *tag* shows that we made the token. Invented tokens are refused without asking the store, and nobody can end
//!   a session by presenting a made-up "old" token for it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use identsphere_kernel::{SecretBytes, SecretString, SecureRandom, SessionId, TokenHash};
use sha2::Sha256;
use zeroize::Zeroizing;

const PREFIX: &str = "isr_";
const ID: usize = 16;
const GENERATION: usize = 4;
const SECRET: usize = 32;
const TAG: usize = 16;
const BODY: usize = ID + GENERATION + SECRET;
const LEN: usize = BODY + TAG;

/// The key under which refresh tokens are made; the same on every node.
#[derive(Clone)]
pub struct RefreshKey(SecretBytes<32>);

/// A genuine refresh token.
#[derive(Clone, Debug)]
pub struct RefreshToken {
    session: SessionId,
    generation: u32,
    secret: SecretBytes<SECRET>,
    text: SecretString,
}

impl RefreshKey {
    /// The key with these bytes, derived from the master key.
    pub fn new(key: SecretBytes<32>) -> Self {
        Self(key)
    }

    /// The first token of a family.
    pub fn first(&self, session: SessionId, random: &dyn SecureRandom) -> RefreshToken {
        self.make(session, 0, SecretBytes::new(random.bytes()))
    }

    /// The token that replaces `parent`: always the same one.
    pub fn successor(&self, parent: &RefreshToken) -> RefreshToken {
        let body = body(parent.session, parent.generation, &parent.secret);
        let secret = SecretBytes::new(self.mac(b"successor", &*body));
        self.make(parent.session, parent.generation.saturating_add(1), secret)
    }

    /// Reads a presented token; `None` unless this key made it.
    pub fn read(&self, text: &str) -> Option<RefreshToken> {
        let mut bytes = Zeroizing::new([0u8; LEN]);
        let encoded = text.strip_prefix(PREFIX)?;
        if URL_SAFE_NO_PAD.decode_slice(encoded, &mut *bytes).ok()? != LEN {
            return None;
        }
        let (session, rest) = bytes.split_first_chunk::<ID>()?;
        let (generation, rest) = rest.split_first_chunk::<GENERATION>()?;
        let (secret, _tag) = rest.split_first_chunk::<SECRET>()?;
        let token = self.make(
            SessionId::from_bytes(*session),
            u32::from_be_bytes(*generation),
            SecretBytes::new(*secret),
        );
        (TokenHash::of(token.text.expose().as_bytes()) == TokenHash::of(text.as_bytes())).then_some(token)
    }

    fn make(&self, session: SessionId, generation: u32, secret: SecretBytes<SECRET>) -> RefreshToken {
        let body = body(session, generation, &secret);
        let tag = Zeroizing::new(self.mac(b"tag", &*body));
        let mut bytes = Zeroizing::new(Vec::with_capacity(LEN));
        bytes.extend_from_slice(&*body);
        bytes.extend(tag.iter().take(TAG));
        let mut text = String::with_capacity(PREFIX.len() + LEN.div_ceil(3) * 4);
        text.push_str(PREFIX);
        URL_SAFE_NO_PAD.encode_string(&*bytes, &mut text);
        RefreshToken { session, generation, secret, text: SecretString::new(text) }
    }

    fn mac(&self, purpose: &[u8], body: &[u8]) -> [u8; 32] {
        #[expect(clippy::expect_used, reason = "HMAC takes keys of any length (RFC 2104 §2)")]
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.expose()).expect("a key of 32 bytes is valid");
        mac.update(purpose);
        mac.update(body);
        mac.finalize().into_bytes().into()
    }
}

impl RefreshToken {
    /// The family it belongs to.
    pub fn session(&self) -> SessionId {
        self.session
    }

    /// How many tokens the family had before it.
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// What the store keeps of it.
    pub fn hash(&self) -> TokenHash {
        TokenHash::of(self.text.expose().as_bytes())
    }

    /// The token as its owner holds it.
    pub fn text(&self) -> &SecretString {
        &self.text
    }
}

fn body(session: SessionId, generation: u32, secret: &SecretBytes<SECRET>) -> Zeroizing<[u8; BODY]> {
    let mut body = Zeroizing::new([0u8; BODY]);
    let parts =
        session.as_uuid().into_bytes().into_iter().chain(generation.to_be_bytes()).chain(*secret.expose());
    body.iter_mut().zip(parts).for_each(|(to, from)| *to = from);
    body
}

#[cfg(test)]
mod tests {
    use identsphere_kernel::{OsRandom, SystemClock};
    use proptest::prelude::*;

    use super::*;

    fn key(byte: u8) -> RefreshKey {
        RefreshKey::new(SecretBytes::new([byte; 32]))
    }

    fn token() -> RefreshToken {
        key(1).first(SessionId::new(&SystemClock, &OsRandom), &OsRandom)
    }

    #[test]
    fn a_token_reads_back_as_itself() {
        let first = token();
        let read = key(1).read(first.text().expose()).unwrap();
        assert_eq!((read.session(), read.generation(), read.hash()), (first.session(), 0, first.hash()));
    }

    /// A prefix of 4 characters, and 68 bytes in base64url.
    #[test]
    fn a_token_has_ninety_five_characters() {
        assert_eq!(token().text().expose().len(), 95);
    }

    #[test]
    fn a_parent_has_one_successor() {
        let first = token();
        let (a, b) = (key(1).successor(&first), key(1).successor(&first));
        assert_eq!(a.hash(), b.hash());
        assert_eq!((a.generation(), a.session()), (1, first.session()));
        assert_ne!(key(1).successor(&token()).hash(), a.hash());
    }

    #[test]
    fn another_key_reads_nothing() {
        assert!(key(2).read(token().text().expose()).is_none());
    }

    proptest! {
        #[test]
        fn changing_any_character_breaks_a_token(at in 0usize..95, to in "[A-Za-z0-9_-]") {
            let text = token().text().expose().to_owned();
            let at = at % text.len();
            let mut changed = text.clone();
            changed.replace_range(at..=at, &to);
            prop_assume!(changed != text);
            prop_assert!(key(1).read(&changed).is_none());
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in any::<String>()) {
            prop_assert!(key(1).read(&text).is_none());
            let prefixed = format!("isr_{text}");
            prop_assert!(key(1).read(&prefixed).is_none());
        }
    }
}
