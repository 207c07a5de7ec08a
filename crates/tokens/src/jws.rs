//! The compact form of a signed token (RFC 7515 §3.1).
//!
//! We accept only tokens that we made, so a header is not interpreted: it must equal, byte for byte, the header that
//! we write for one of our keys. That leaves no room for `alg`, `jku`, `crit` and their like (RFC 8725 §3.1, §3.5, §3.10).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::{AccessClaims, KeyError, KeyId, TokenSigner};

/// Longest token that is looked at.
pub const MAX_TOKEN_BYTES: usize = 8 * 1_024;

/// The first segment of every token signed with this key.
pub fn header_segment(kid: &KeyId) -> String {
    URL_SAFE_NO_PAD.encode(format!(r#"{{"typ":"JWT","alg":"RS256","kid":"{kid}"}}"#))
}

/// Signs claims into a compact token.
///
/// # Errors
/// [`KeyError::Library`].
pub fn sign(
    header_segment: &str,
    claims: &AccessClaims,
    signer: &dyn TokenSigner,
) -> Result<String, KeyError> {
    let payload = serde_json::to_vec(claims).map_err(|error| KeyError::Library(error.into()))?;
    let mut token = String::with_capacity(header_segment.len() + 1 + payload.len().div_ceil(3) * 4 + 1 + 512);
    token.push_str(header_segment);
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(&payload, &mut token);
    let signature = signer.sign(token.as_bytes())?;
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(&signature, &mut token);
    Ok(token)
}

/// A token taken apart, nothing believed yet.
#[derive(Debug, Clone, Copy)]
pub struct Unverified<'a> {
    /// The first segment.
    pub header: &'a str,
    /// What the signature covers.
    pub message: &'a str,
    payload: &'a str,
    signature: &'a str,
}

impl<'a> Unverified<'a> {
    /// Takes a token apart; `None` when it is too long or not three segments.
    pub fn split(token: &'a str) -> Option<Self> {
        if token.len() > MAX_TOKEN_BYTES {
            return None;
        }
        let (message, signature) = token.rsplit_once('.')?;
        let (header, payload) = message.split_once('.')?;
        (!payload.contains('.')).then_some(Self { header, message, payload, signature })
    }

    /// The bytes of the signature; `None` unless canonical base64url without padding.
    pub fn signature(&self) -> Option<Vec<u8>> {
        URL_SAFE_NO_PAD.decode(self.signature).ok()
    }

    /// Reads the claims. Call it only after the signature was verified.
    pub fn claims(&self) -> Option<AccessClaims> {
        let payload = URL_SAFE_NO_PAD.decode(self.payload).ok()?;
        serde_json::from_slice(&payload).ok()
    }
}

#[cfg(test)]
mod tests {
    use identsphere_kernel::{AccessTokenId, OrganizationId, OsRandom, SessionId, SystemClock, UserId};
    use proptest::prelude::*;

    use super::*;
    use crate::TokenType;

    /// Signs with the length of what it signs.
    struct Length;

    impl TokenSigner for Length {
        fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
            Ok(message.len().to_be_bytes().to_vec())
        }
    }

    #[test]
    fn what_is_signed_reads_back_as_it_was() {
        let claims = AccessClaims {
            iss: "https://id.example.com".to_owned(),
            sub: UserId::new(&SystemClock, &OsRandom),
            org: OrganizationId::new(&SystemClock, &OsRandom),
            aud: None,
            iat: 1,
            exp: 901,
            typ: TokenType::Access,
            jti: AccessTokenId::new(&SystemClock, &OsRandom),
            sid: SessionId::new(&SystemClock, &OsRandom),
            aal: "aal1".to_owned(),
            auth_time: 1,
            auth_method: "password".to_owned(),
            email: None,
            role: "owner".to_owned(),
            mfa_verified_at: None,
        };
        let header = header_segment(&KeyId::new("a-key"));
        assert_eq!(URL_SAFE_NO_PAD.decode(&header).unwrap(), br#"{"typ":"JWT","alg":"RS256","kid":"a-key"}"#);
        let token = sign(&header, &claims, &Length).unwrap();
        let read = Unverified::split(&token).unwrap();
        assert_eq!((read.header, read.claims()), (&*header, Some(claims)));
        assert_eq!(read.signature(), Some(read.message.len().to_be_bytes().to_vec()));
        let other = format!("{header}.e30.AA");
        assert_eq!(Unverified::split(&other).unwrap().claims(), None);
    }

    #[test]
    fn tokens_longer_than_eight_kibibytes_are_not_looked_at() {
        let of_length = |length: usize| format!("a.b.{}", "c".repeat(length - 4));
        for length in [5, 2_000, 8_192] {
            assert!(Unverified::split(&of_length(length)).is_some(), "{length}");
        }
        for length in [8_193, 20_000] {
            assert!(Unverified::split(&of_length(length)).is_none(), "{length}");
        }
    }

    #[test]
    fn only_three_segments_are_a_token() {
        for token in ["", ".", "a.b", "a.b.c.d", "a.b.c.d.e", "...."] {
            assert!(Unverified::split(token).is_none(), "{token}");
        }
        let token = Unverified::split("a.b.c").unwrap();
        assert_eq!((token.header, token.message, token.payload, token.signature), ("a", "a.b", "b", "c"));
        assert!(Unverified::split(&"a.b.".repeat(4_096)).is_none());
    }

    #[test]
    fn signatures_have_one_spelling() {
        let signature = |text: &str| Unverified::split(&format!("a.b.{text}")).unwrap().signature();
        assert_eq!(signature("_-8"), Some(vec![0xff, 0xef]));
        for text in ["_-8=", "/+8", "_-9", "_-8\n", "_ -8"] {
            assert_eq!(signature(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in any::<String>()) {
            if let Some(token) = Unverified::split(&text) {
                let _ = (token.signature(), token.claims());
            }
        }
    }
}
