//! A genuine answer with one thing changed is refused, whatever the thing.

use identsphere_factors::passkey::{KeyError, PasskeyError, UserHandle};
use identsphere_kernel::OsRandom;
use identsphere_testkit::SoftAuthenticator;
use serde_json::{Value, json};

use crate::scene::{Registration, Scene, SignIn, bytes, change_bytes, change_client_data};

const DATA: PasskeyError = PasskeyError::Malformed("authenticatorData");
const CLIENT: PasskeyError = PasskeyError::Malformed("clientDataJSON");
const OBJECT: PasskeyError = PasskeyError::Malformed("attestationObject");
const CREDENTIAL: PasskeyError = PasskeyError::Malformed("credential");

fn genuine_registration() -> Registration {
    let genuine = Registration::by(&SoftAuthenticator::new(), &UserHandle::generate(&OsRandom), &[]);
    assert!(genuine.verify().is_ok());
    genuine
}

fn genuine_sign_in() -> SignIn {
    let genuine = Scene::with(SoftAuthenticator::new()).discoverable_sign_in();
    assert!(genuine.verify().is_ok());
    genuine
}

/// Changes of client data, and what each is refused for. `webauthn.get` is the ceremony's word.
fn client_changes(word: &'static str) -> Vec<(String, &'static str, PasskeyError)> {
    let other = if word == "webauthn.get" { "webauthn.create" } else { "webauthn.get" };
    let of = |from: &str, to: &'static str, error| (from.to_owned(), to, error);
    vec![
        of(word, other, PasskeyError::Type),
        of(word, "webauthn", PasskeyError::Type),
        of("\"type\":", "\"kind\":", CLIENT),
        of("\"challenge\":\"", "\"challenge\":\"A", PasskeyError::Challenge),
        of("\"challenge\":", "\"nonce\":", CLIENT),
        of("https://login", "http://login", PasskeyError::Origin),
        of("login.example.org", "example.org", PasskeyError::Origin),
        of("login.example.org", "login.example.org:8443", PasskeyError::Origin),
        of("login.example.org", "login.example.com", PasskeyError::Origin),
        of("login.example.org", "login.example.org/", PasskeyError::Origin),
        of("\"origin\":", "\"site\":", CLIENT),
        of("\"crossOrigin\":false", "\"crossOrigin\":true", PasskeyError::CrossOrigin),
        of("}", ",\"topOrigin\":\"https://login.example.org\"}", PasskeyError::CrossOrigin),
        of("}", ",\"origin\":\"https://login.example.org\"}", CLIENT),
        of("}", "", CLIENT),
        of("{", "[{", CLIENT),
    ]
}

#[test]
fn a_registration_with_another_byte_of_signed_data_is_refused() {
    let genuine = genuine_registration();
    let mut length = 0;
    genuine.clone().change_data(|data| length = data.len());
    let mut refused = 0;
    for at in 0..length {
        // The counter and the model are what the authenticator says; nothing contradicts them.
        if (33..53).contains(&at) {
            continue;
        }
        let mut changed = genuine.clone();
        changed.change_data(|data| data[at] ^= 1);
        let error = changed.verify().expect_err("a change is noticed");
        match at {
            0..32 => assert_eq!(error, PasskeyError::RelyingParty),
            32 => assert_eq!(error, PasskeyError::NotPresent),
            _ => {}
        }
        refused += 1;
    }
    assert!(refused > 100, "only {refused} changes were tried");
}

#[test]
fn a_registration_with_another_structure_is_refused() {
    let genuine = genuine_registration();
    let key = |data: &[u8]| data.windows(4).position(|part| part == b"\xa5\x01\x02\x03").unwrap();
    type Change = Box<dyn Fn(&mut Vec<u8>)>;
    let changes: Vec<(&str, Change, PasskeyError)> = vec![
        ("nothing", Box::new(Vec::clear), DATA),
        ("half of it", Box::new(|data| data.truncate(data.len() / 2)), DATA),
        ("a byte less", Box::new(|data| data.truncate(data.len() - 1)), DATA),
        ("a byte more", Box::new(|data| data.push(0)), DATA),
        ("no credential announced", Box::new(|data| data[32] &= !0x40), DATA),
        ("no credential", Box::new(|data| (data[32] &= !0x40, data.truncate(37)).1), DATA),
        ("extensions announced", Box::new(|data| data[32] |= 0x80), DATA),
        ("an id of no bytes", Box::new(|data| data[53..55].fill(0)), PasskeyError::CredentialId),
        ("an id of 1024 bytes", Box::new(|data| data[53..55].copy_from_slice(&[4, 0])), DATA),
        (
            "an algorithm that was not offered",
            Box::new(move |data| (key(data)..).skip(4).take(1).for_each(|at| data[at] = 0x2e)),
            PasskeyError::Key(KeyError::Algorithm),
        ),
        (
            "a point that is not on the curve",
            Box::new(|data| data.last_mut().into_iter().for_each(|last| *last ^= 0x10)),
            PasskeyError::Key(KeyError::Parameters),
        ),
        (
            "another curve",
            Box::new(move |data| (key(data)..).skip(6).take(1).for_each(|at| data[at] = 2)),
            PasskeyError::Key(KeyError::Parameters),
        ),
        (
            "a key that ends before its ordinate",
            Box::new(move |data| (key(data)..).take(1).for_each(|at| data[at] = 0xa4)),
            PasskeyError::Key(KeyError::Parameters),
        ),
        (
            "a key of indefinite length",
            Box::new(move |data| (key(data)..).take(1).for_each(|at| data[at] = 0xbf)),
            DATA,
        ),
    ];
    for (what, change, expected) in changes {
        let mut changed = genuine.clone();
        changed.change_data(|data| change(data));
        assert_eq!(changed.verify(), Err(expected), "{what}");
    }
}

#[test]
fn a_registration_with_another_attestation_object_is_refused() {
    let genuine = genuine_registration();
    let object = bytes(&genuine.answer["response"]["attestationObject"]);
    for (what, from, to) in [
        ("a statement where there is none", &b"\x67attStmt\xa0"[..], &b"\x67attStmt\xa1\x61x\x01"[..]),
        ("a statement of another type", b"\x67attStmt\xa0", b"\x67attStmt\x00"),
        ("no format", b"\x63fmt", b"\x63fmx"),
        ("a format that is bytes", b"\x64none", b"\x44none"),
        ("no statement", b"\x67attStmt", b"\x67attStmx"),
        ("no data", b"\x68authData", b"\x68authDatx"),
        ("data as text", b"\x68authData\x58", b"\x68authData\x78"),
        ("a map of four", b"\xa3", b"\xa4"),
        ("a map of two", b"\xa3", b"\xa2"),
        ("a map of indefinite length", b"\xa3", b"\xbf"),
        ("an array", b"\xa3", b"\x83"),
    ] {
        let at = object.windows(from.len()).position(|part| part == from).unwrap();
        let mut changed = genuine.clone();
        changed.answer["response"]["attestationObject"] =
            crate::scene::text(&[&object[..at], to, &object[at + from.len()..]].concat());
        assert_eq!(changed.verify(), Err(OBJECT), "{what}");
    }
    let mut longer = genuine.clone();
    change_bytes(&mut longer.answer["response"]["attestationObject"], |object| object.push(0));
    assert_eq!(longer.verify(), Err(OBJECT));
}

#[test]
fn a_registration_with_other_client_data_is_refused() {
    let genuine = genuine_registration();
    for (from, to, expected) in client_changes("webauthn.create") {
        let mut changed = genuine.clone();
        change_client_data(&mut changed.answer, &from, to);
        assert_eq!(changed.verify(), Err(expected), "{from} -> {to}");
    }
}

/// Changes of the JSON around the signed parts.
fn envelope_changes(answer: &Value) -> Vec<(&'static str, Value, PasskeyError)> {
    let with = |member: &str, value: Value| {
        let mut changed = answer.clone();
        changed[member] = value;
        changed
    };
    let raw = answer["rawId"].as_str().unwrap();
    vec![
        ("another type", with("type", json!("password")), PasskeyError::Malformed("type")),
        ("no type", with("type", Value::Null), CREDENTIAL),
        ("another id", with("id", json!("AAAAAAAAAAAAAAAAAAAAAA")), PasskeyError::CredentialId),
        ("another raw id", with("rawId", json!("AAAAAAAAAAAAAAAAAAAAAA")), PasskeyError::CredentialId),
        ("a padded raw id", with("rawId", json!(format!("{raw}=="))), CREDENTIAL),
        ("a short raw id", with("rawId", json!("AAAA")), PasskeyError::CredentialId),
        ("no response", with("response", Value::Null), CREDENTIAL),
        ("an empty response", with("response", json!({})), CREDENTIAL),
        ("an array", json!([answer]), CREDENTIAL),
    ]
}

#[test]
fn answers_in_another_envelope_are_refused() {
    let registration = genuine_registration();
    for (what, answer, expected) in envelope_changes(&registration.answer) {
        assert_eq!(Registration { answer, ..registration.clone() }.verify(), Err(expected), "{what}");
    }
    let sign_in = genuine_sign_in();
    for (what, answer, expected) in envelope_changes(&sign_in.answer) {
        assert_eq!(SignIn { answer, ..sign_in.clone() }.verify(), Err(expected), "{what}");
    }
}

#[test]
fn an_assertion_with_any_other_byte_is_refused() {
    let genuine = genuine_sign_in();
    let mut refused = 0;
    for member in ["clientDataJSON", "authenticatorData", "signature", "userHandle"] {
        for at in 0..bytes(&genuine.answer["response"][member]).len() {
            let mut changed = genuine.clone();
            change_bytes(&mut changed.answer["response"][member], |bytes| bytes[at] ^= 1);
            assert!(changed.verify().is_err(), "byte {at} of {member}");
            refused += 1;
        }
        for length in [0, 1] {
            let mut shorter = genuine.clone();
            change_bytes(&mut shorter.answer["response"][member], |bytes| {
                bytes.truncate(bytes.len() * length / 2)
            });
            assert!(shorter.verify().is_err(), "less of {member}");
        }
        let mut longer = genuine.clone();
        change_bytes(&mut longer.answer["response"][member], |bytes| bytes.push(b' '));
        assert!(longer.verify().is_err(), "more of {member}");
    }
    assert!(refused > 250, "only {refused} changes were tried");
}

#[test]
fn an_assertion_that_is_signed_again_after_a_change_is_refused() {
    let genuine = genuine_sign_in();
    let mut same = genuine.clone();
    same.sign_again();
    assert!(same.verify().is_ok(), "signing again alone changes nothing");
    for (from, to, expected) in client_changes("webauthn.get") {
        let mut changed = genuine.clone();
        change_client_data(&mut changed.answer, &from, to);
        changed.sign_again();
        assert_eq!(changed.verify(), Err(expected), "{from} -> {to}");
    }
    type Change = fn(&mut Vec<u8>);
    let changes: [(&str, Change, PasskeyError); 7] = [
        ("another relying party", |data| data[0] ^= 1, PasskeyError::RelyingParty),
        ("nobody there", |data| data[32] &= !1, PasskeyError::NotPresent),
        ("no longer eligible", |data| data[32] &= !0b11000, PasskeyError::BackupFlags),
        ("a credential announced", |data| data[32] |= 0x40, DATA),
        ("extensions announced", |data| data[32] |= 0x80, DATA),
        ("a byte more", |data| data.push(0), DATA),
        ("a byte less", |data| data.truncate(36), DATA),
    ];
    for (what, change, expected) in changes {
        let mut changed = genuine.clone();
        changed.change_data(change);
        changed.sign_again();
        assert_eq!(changed.verify(), Err(expected), "{what}");
    }
}

#[test]
fn an_assertion_of_another_key_is_refused() {
    let (ann, bob) = (genuine_sign_in(), genuine_sign_in());
    let mut swapped = ann.clone();
    swapped.scene.passkey.public_key = bob.scene.passkey.public_key.clone();
    assert_eq!(swapped.verify(), Err(PasskeyError::Signature));
    let mut copied = ann.clone();
    copied.answer["response"]["signature"] = bob.answer["response"]["signature"].clone();
    assert_eq!(copied.verify(), Err(PasskeyError::Signature));
}
