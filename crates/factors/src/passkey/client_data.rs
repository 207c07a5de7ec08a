//! What the browser says it was asked for and by whom: client data (WebAuthn §5.8.1).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use subtle::ConstantTimeEq;

use super::{Challenge, PasskeyError, RelyingParty};

/// What a ceremony is for. Each has its own word in the client data, so that neither passes for the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ceremony {
    Registration,
    Authentication,
}

/// The members that are checked; others may stand beside them (§5.8.1). A member that comes twice is refused.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClientData<'a> {
    #[serde(rename = "type", borrow)]
    kind: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    challenge: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    origin: std::borrow::Cow<'a, str>,
    cross_origin: Option<bool>,
    top_origin: Option<serde::de::IgnoredAny>,
}

/// The challenge that client data names: what to look the ceremony up by, before anything else is known.
pub(super) fn challenge(json: &[u8]) -> Result<Challenge, PasskeyError> {
    let client = read(json)?;
    let mut bytes = [0; 32];
    match URL_SAFE_NO_PAD.decode_slice(client.challenge.as_bytes(), &mut bytes) {
        Ok(length) if length == bytes.len() => Ok(Challenge::from_bytes(bytes)),
        Ok(_) | Err(_) => Err(PasskeyError::Challenge),
    }
}

fn read(json: &[u8]) -> Result<ClientData<'_>, PasskeyError> {
    // §7.1 step 5, §7.2 step 8: UTF-8 decode, which strips a byte order mark. What is not UTF-8 is refused.
    let text = json.strip_prefix(b"\xef\xbb\xbf").unwrap_or(json);
    // §7.1 step 6, §7.2 step 9.
    serde_json::from_slice(text).map_err(|_| PasskeyError::Malformed("clientDataJSON"))
}

/// Checks client data: §7.1 steps 5 to 11, §7.2 steps 8 to 14.
pub(super) fn check(
    json: &[u8],
    ceremony: Ceremony,
    challenge: &Challenge,
    party: &RelyingParty,
) -> Result<(), PasskeyError> {
    let client = read(json)?;
    // §7.1 step 7, §7.2 step 10.
    let due = match ceremony {
        Ceremony::Registration => "webauthn.create",
        Ceremony::Authentication => "webauthn.get",
    };
    if client.kind != due {
        return Err(PasskeyError::Type);
    }
    // §7.1 step 8, §7.2 step 11: the one inside the signed data counts.
    if !bool::from(client.challenge.as_bytes().ct_eq(challenge.to_base64url().as_bytes())) {
        return Err(PasskeyError::Challenge);
    }
    // §7.1 step 9, §7.2 step 12.
    if !party.expects(&client.origin) {
        return Err(PasskeyError::Origin);
    }
    // §7.1 steps 10 and 11, §7.2 steps 13 and 14: nobody is expected to embed us.
    if client.cross_origin == Some(true) || client.top_origin.is_some() {
        return Err(PasskeyError::CrossOrigin);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check_text(json: &str) -> Result<(), PasskeyError> {
        let origins = vec!["https://example.org".to_owned(), "android:apk-key-hash:abc".to_owned()];
        let party = RelyingParty::new("example.org", "Example", origins).unwrap();
        check(json.as_bytes(), Ceremony::Registration, &Challenge::from_bytes([0; 32]), &party)
    }

    fn genuine() -> String {
        let challenge = "A".repeat(43);
        format!(
            r#"{{"type":"webauthn.create","challenge":"{challenge}","origin":"https://example.org","crossOrigin":false}}"#
        )
    }

    #[test]
    fn genuine_client_data_passes_in_every_spelling() {
        assert_eq!(check_text(&genuine()), Ok(()));
        assert_eq!(check_text(&format!("\u{feff}{}", genuine())), Ok(()), "a byte order mark");
        assert_eq!(check_text(&genuine().replace(",", " ,\n ")), Ok(()), "white space");
        assert_eq!(check_text(&genuine().replace("https", "\\u0068ttps")), Ok(()), "escapes");
        assert_eq!(
            check_text(&genuine().replace(r#","crossOrigin":false"#, "")),
            Ok(()),
            "without crossOrigin"
        );
        assert_eq!(check_text(&genuine().replace("false", "null")), Ok(()));
        assert_eq!(check_text(&genuine().replace("https://example.org", "android:apk-key-hash:abc")), Ok(()));
        let more = r#""extra":{"nested":[1,2]},"tokenBinding":{"status":"supported"},"crossOrigin""#;
        assert_eq!(check_text(&genuine().replace(r#""crossOrigin""#, more)), Ok(()), "unknown members");
    }

    #[test]
    fn each_change_has_its_own_refusal() {
        let malformed = PasskeyError::Malformed("clientDataJSON");
        for (from, to, expected) in [
            ("webauthn.create", "webauthn.get", PasskeyError::Type),
            ("webauthn.create", "webauthn.create ", PasskeyError::Type),
            ("webauthn.create", "WebAuthn.create", PasskeyError::Type),
            ("webauthn.create", "payment.get", PasskeyError::Type),
            ("AAAA\"", "AAAB\"", PasskeyError::Challenge),
            ("AAAA\"", "AAAA=\"", PasskeyError::Challenge),
            ("AAAA\"", "AAA\"", PasskeyError::Challenge),
            ("https://example.org", "http://example.org", PasskeyError::Origin),
            ("https://example.org", "https://example.org/", PasskeyError::Origin),
            ("https://example.org", "https://EXAMPLE.org", PasskeyError::Origin),
            ("https://example.org", "https://example.org:443", PasskeyError::Origin),
            ("https://example.org", "https://example.org.evil.test", PasskeyError::Origin),
            ("https://example.org", "https://evil.test/https://example.org", PasskeyError::Origin),
            ("https://example.org", "https://login.example.org", PasskeyError::Origin),
            ("https://example.org", "null", PasskeyError::Origin),
            ("https://example.org", "", PasskeyError::Origin),
            ("false", "true", PasskeyError::CrossOrigin),
            ("false", r#"false,"topOrigin":"https://example.org""#, PasskeyError::CrossOrigin),
            ("false", r#"false,"topOrigin":"""#, PasskeyError::CrossOrigin),
            ("false", "\"false\"", malformed),
            ("false", r#"false,"type":"webauthn.create""#, malformed),
            ("false", r#"false,"origin":"https://example.org""#, malformed),
            ("\"type\"", "\"Type\"", malformed),
            ("\"webauthn.create\"", "null", malformed),
            ("\"challenge\"", "\"Challenge\"", malformed),
            ("\"origin\"", "\"origins\"", malformed),
            ("}", "", malformed),
            ("}", "}}", malformed),
            ("}", "}\0", malformed),
        ] {
            let changed = genuine().replace(from, to);
            assert_ne!(changed, genuine(), "{from} stands in the client data");
            assert_eq!(check_text(&changed), Err(expected), "{from} -> {to}");
        }
        assert_eq!(
            check_text(&format!("\u{feff}\u{feff}{}", genuine())),
            Err(malformed),
            "two byte order marks"
        );
        assert_eq!(check_text(&format!("[{}]", genuine())), Err(malformed));
    }

    #[test]
    fn a_ceremony_is_looked_up_by_thirty_two_bytes() {
        let named = |text: &str| challenge(genuine().replace(&"A".repeat(43), text).as_bytes());
        let genuine = Challenge::from_bytes([7; 32]);
        assert_eq!(named(&genuine.to_base64url()), Ok(genuine));
        let padded = format!("{}=", genuine.to_base64url());
        for other in ["", "AAAA", &"A".repeat(42), &"A".repeat(44), &"!".repeat(43), &padded] {
            assert_eq!(named(other), Err(PasskeyError::Challenge), "{other}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let party = RelyingParty::new("example.org", "Example", vec!["https://example.org".to_owned()]).unwrap();
            prop_assert!(check(&bytes, Ceremony::Authentication, &Challenge::from_bytes([0; 32]), &party).is_err());
        }
    }
}
