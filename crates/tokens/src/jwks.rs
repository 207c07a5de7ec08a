//! The published key set (RFC 7517 §5).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{KeyId, PublicKey, SigningKey};

/// The thumbprint of a key (RFC 7638 §3): SHA-256 over its required members in alphabetical order, base64url.
pub fn thumbprint(key: &PublicKey) -> KeyId {
    let canonical = format!(r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#, encode(&key.e), encode(&key.n));
    KeyId::new(encode(&Sha256::digest(canonical.as_bytes())))
}

/// The key set made of the public halves. One algorithm a key, nothing private.
pub fn jwk_set<'a>(keys: impl IntoIterator<Item = &'a SigningKey>) -> Value {
    let keys: Vec<Value> = keys
        .into_iter()
        .map(|key| {
            json!({
                "kty": "RSA", "use": "sig", "alg": "RS256", "kid": key.kid.as_str(),
                "n": encode(&key.public.n), "e": encode(&key.public.e),
            })
        })
        .collect();
    json!({ "keys": keys })
}

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use identsphere_kernel::Timestamp;

    use super::*;
    use crate::SealedKey;

    #[test]
    fn the_key_set_has_the_public_half_and_nothing_else() {
        let key = SigningKey {
            kid: KeyId::new("a-key"),
            public: PublicKey { n: vec![0xff, 0xef], e: vec![1, 0, 1] },
            private: SealedKey(vec![7]),
            predecessor: None,
            created_at: Timestamp::EPOCH,
            activates_at: Timestamp::EPOCH,
        };
        let one =
            json!({ "kty": "RSA", "use": "sig", "alg": "RS256", "kid": "a-key", "n": "_-8", "e": "AQAB" });
        assert_eq!(jwk_set([&key]), json!({ "keys": [one] }));
        assert_eq!(format!("{:?} {}", key.private, key.kid), "SealedKey(..) a-key");
    }

    /// The example of RFC 7638 §3.1.
    #[test]
    fn the_thumbprint_is_that_of_the_specification() {
        let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
        let key = PublicKey { n: URL_SAFE_NO_PAD.decode(n).unwrap(), e: vec![1, 0, 1] };
        assert_eq!(thumbprint(&key).as_str(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    }
}
