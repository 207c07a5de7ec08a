//! A genuine answer with one thing changed is refused and changes nothing (WN-01 to WN-09).

use identsphere_e2e::{App, Holder, change_bytes, change_client_data, end_sign_in, matrix, with_bytes};
use identsphere_testkit::SoftAuthenticator;
use serde_json::{Value, json};

use crate::{audited, error_of, has_passkeys, sessions};

matrix! {
    a_forged_registration_keeps_nothing,
    a_forged_assertion_signs_nobody_in,
    what_cannot_be_an_answer_is_named,
    what_browsers_may_add_does_no_harm,
}

/// A change of an answer.
type Change = Box<dyn Fn(&mut Value)>;

/// A change of bytes, and what it is.
type Named = (&'static str, fn(&mut Vec<u8>));

fn client(from: &'static str, to: &'static str) -> Change {
    Box::new(move |answer| change_client_data(answer, from, to))
}

fn member(pointer: &'static str, change: fn(&mut Vec<u8>)) -> Change {
    Box::new(move |answer| change_bytes(answer.pointer_mut(pointer).unwrap(), change))
}

/// Changes of the client data, in a ceremony whose word is this.
fn client_changes(word: &'static str, other: &'static str) -> Vec<(&'static str, Change)> {
    vec![
        ("another ceremony", client(word, other)),
        ("no ceremony", client(word, "")),
        ("another origin", client("http://localhost", "https://localhost")),
        ("a deeper origin", client("http://localhost", "http://login.localhost")),
        ("an origin with more behind it", client("http://localhost", "http://localhost.evil.test")),
        ("an origin within a path", client("http://localhost", "http://evil.test/http://localhost")),
        ("another challenge", client("\"challenge\":\"", "\"challenge\":\"A")),
        ("no challenge", client("\"challenge\":", "\"nonce\":")),
        ("embedded elsewhere", client("\"crossOrigin\":false", "\"crossOrigin\":true")),
        ("an outer page", client("}", ",\"topOrigin\":\"https://evil.test\"}")),
        ("a member twice", client("}", ",\"type\":\"webauthn.get\"}")),
        ("broken client data", client("}", "")),
        ("client data that is no text", member("/response/clientDataJSON", |bytes| bytes.push(0xff))),
        (
            "half of the client data",
            member("/response/clientDataJSON", |bytes| bytes.truncate(bytes.len() / 2)),
        ),
        ("no client data", member("/response/clientDataJSON", Vec::clear)),
        ("another id", Box::new(|answer| answer["id"] = json!("AAAAAAAAAAAAAAAAAAAAAA"))),
        ("another raw id", Box::new(|answer| answer["rawId"] = json!("AAAAAAAAAAAAAAAAAAAAAA"))),
        ("a short id", Box::new(|answer| (answer["id"], answer["rawId"]) = (json!("AAAA"), json!("AAAA")))),
        ("another type", Box::new(|answer| answer["type"] = json!("password"))),
    ]
}

/// The authenticator data of an attestation object, whose last member it is, after a length of one byte.
fn data_in(object: &mut [u8]) -> &mut [u8] {
    let at = object.windows(9).position(|part| part == b"\x68authData").unwrap() + 11;
    &mut object[at..]
}

fn registration_changes() -> Vec<(&'static str, Change)> {
    const OBJECT: &str = "/response/attestationObject";
    let mut changes = client_changes("webauthn.create", "webauthn.get");
    let more: [Named; 16] = [
        ("another relying party", |object| data_in(object)[0] ^= 1),
        ("nobody there", |object| data_in(object)[32] &= !1),
        ("backed up without being eligible", |object| data_in(object)[32] &= !0b1000),
        ("no credential announced", |object| data_in(object)[32] &= !0x40),
        ("extensions announced", |object| data_in(object)[32] |= 0x80),
        ("an id without bytes", |object| data_in(object)[54] = 0),
        ("another id inside", |object| data_in(object)[55] ^= 1),
        ("a point that is not on the curve", |object| *object.last_mut().unwrap() ^= 1),
        ("a byte less", |object| object.truncate(object.len() - 1)),
        ("a byte more", |object| object.push(0)),
        ("half of it", |object| object.truncate(object.len() / 2)),
        ("nothing", Vec::clear),
        ("a map of indefinite length", |object| object[0] = 0xbf),
        ("a map of two", |object| object[0] = 0xa2),
        ("nothing but depth", |object| object.fill(0x81)),
        ("lengths without end", |object| object.fill(0x9b)),
    ];
    changes.extend(more.map(|(what, change)| (what, member(OBJECT, change))));
    changes
}

async fn a_forged_registration_keeps_nothing(app: App) {
    let holder = Holder::sign_up(&app, SoftAuthenticator::new()).await;
    for (what, change) in registration_changes() {
        let person = holder.on(SoftAuthenticator::new());
        let genuine = person.create(&person.begin().await).await;
        let mut forged = genuine.clone();
        change(&mut forged);
        assert_ne!(forged, genuine, "{what}");
        let answer = holder.keep(&forged, None).await;
        assert_eq!(answer.status, 400, "{what}: {}", answer.json());
        answer.assert_error(400, "invalid_input");
        assert_eq!(answer.json()["error"]["fields"][0]["field"], "credential", "{what}");
    }
    assert_eq!(holder.passkeys().await, json!([]));
    assert!(!has_passkeys(&holder.browser).await);
    assert_eq!(audited(&app, "auth.passkey.added", "success").await.unwrap_or(0), 0);
    holder.add_passkey().await;
}

fn assertion_changes() -> Vec<(&'static str, Change)> {
    const DATA: &str = "/response/authenticatorData";
    const SIGNATURE: &str = "/response/signature";
    let mut changes = client_changes("webauthn.get", "webauthn.create");
    let data: [Named; 8] = [
        ("another relying party", |data| data[0] ^= 1),
        ("nobody there", |data| data[32] &= !1),
        ("not eligible any more", |data| data[32] &= !0b11000),
        ("backed up without being eligible", |data| data[32] &= !0b1000),
        ("a credential announced", |data| data[32] |= 0x40),
        ("extensions announced", |data| data[32] |= 0x80),
        ("a byte more", |data| data.push(0)),
        ("a byte less", |data| data.truncate(36)),
    ];
    changes.extend(data.map(|(what, change)| (what, member(DATA, change))));
    let handle: [Named; 3] = [
        ("another handle", |handle| handle[0] ^= 1),
        ("half a handle", |handle| handle.truncate(32)),
        ("an empty handle", Vec::clear),
    ];
    changes.extend(handle.map(|(what, change)| (what, member("/response/userHandle", change))));
    changes.push(("no handle", Box::new(|answer| answer["response"]["userHandle"] = Value::Null)));
    changes.push(("no data", member(DATA, Vec::clear)));
    let signature: [Named; 5] = [
        ("another first byte", |signature| signature[0] ^= 1),
        ("another byte", |signature| signature[20] ^= 1),
        ("a byte less", |signature| signature.truncate(signature.len() - 1)),
        ("a byte more", |signature| signature.push(0)),
        ("no signature", Vec::clear),
    ];
    changes.extend(signature.map(|(what, change)| (what, member(SIGNATURE, change))));
    changes
}

async fn a_forged_assertion_signs_nobody_in(app: App) {
    let (holder, _) = Holder::with_passkey(&app).await;
    let (passkeys, open) = (holder.passkeys().await, sessions(&holder.browser).await.len());
    let mut refusals = vec![];
    for (what, change) in assertion_changes() {
        let genuine = holder.nameless_assertion(&app.caller()).await;
        let mut forged = genuine.clone();
        change(&mut forged);
        assert_ne!(forged, genuine, "{what}");
        let answer = end_sign_in(&app.caller(), &forged).await;
        assert_eq!(answer.status, 401, "{what}: {}", answer.json());
        answer.assert_error(401, "authentication_required");
        assert!(answer.cookies().is_empty(), "{what}");
        refusals.push(error_of(&answer));
        // Signed again, so that the change itself is what is refused, and not the signature.
        let mut forged = holder.nameless_assertion(&app.caller()).await;
        let signature = forged["response"]["signature"].clone();
        change(&mut forged);
        if forged["response"]["signature"] == signature && forged["id"] == genuine["id"] {
            if forged["rawId"] == genuine["rawId"] {
                holder.sign_again(&mut forged);
            }
            assert_eq!(end_sign_in(&app.caller(), &forged).await.status, 401, "{what}, signed");
        }
    }
    assert!(refusals.windows(2).all(|two| two[0] == two[1]), "one answer whatever is wrong");
    assert_eq!(holder.passkeys().await, passkeys);
    assert_eq!(sessions(&holder.browser).await.len(), open);
    let failures = audited(&app, "auth.passkey.login", "failure").await;
    assert!(failures.is_none_or(|count| count > refusals.len()), "{failures:?}");
    assert_eq!(audited(&app, "auth.passkey.login", "success").await.unwrap_or(0), 0);
    holder.sign_in(&app).await;
}

async fn what_cannot_be_an_answer_is_named(app: App) {
    let (holder, _) = Holder::with_passkey(&app).await;
    let other = holder.on(SoftAuthenticator::new());
    let created = other.create(&other.begin().await).await;
    let asserted = holder.nameless_assertion(&app.caller()).await;
    let broken = |answer: &Value| {
        let with = |pointer: &str, value: Value| {
            let mut changed = answer.clone();
            *changed.pointer_mut(pointer).unwrap() = value;
            changed
        };
        let padded = json!(format!("{}==", answer["rawId"].as_str().unwrap()));
        vec![
            Value::Null,
            json!([]),
            json!("text"),
            json!({}),
            with("/id", Value::Null),
            with("/rawId", padded),
            with("/rawId", json!("+/+/+/+/+/+/+/+/+/+/+/")),
            with("/type", json!(1)),
            with("/response", Value::Null),
            with("/response", json!({})),
            with("/response/clientDataJSON", json!({})),
            with("/response/clientDataJSON", json!("A")),
            with("/response/clientDataJSON", with_bytes(&[b' '; 9_000])),
        ]
    };
    for credential in broken(&created) {
        let answer = holder.keep(&credential, None).await;
        answer.assert_error(400, "invalid_input");
        assert_eq!(answer.json()["error"]["fields"][0]["field"], "credential", "{credential}");
    }
    for credential in broken(&asserted) {
        let answer = end_sign_in(&app.caller(), &credential).await;
        answer.assert_error(400, "invalid_input");
        assert_eq!(answer.json()["error"]["fields"][0]["field"], "credential", "{credential}");
    }
    for path in ["/v1/auth/passkey/login/complete", "/v1/auth/passkey/login/begin"] {
        for body in ["{", "[]", "7", "{\"credential\":{\"id\":1,\"id\":2}", "{\"credential\":"] {
            let answer = app.caller().post(path).body("application/json", body.to_owned()).send().await;
            answer.assert_error(400, "invalid_input");
        }
    }
    // None of it has ended the ceremonies.
    holder.keep(&created, None).await.assert_status(200);
    end_sign_in(&app.caller(), &asserted).await.assert_status(200);
}

/// WN-14.
async fn what_browsers_may_add_does_no_harm(app: App) {
    let holder = Holder::sign_up(&app, SoftAuthenticator::new()).await;
    let mut created = holder.create(&holder.begin().await).await;
    let add = |answer: &mut Value| {
        answer["somethingNew"] = json!([1, { "a": 2 }]);
        answer["clientExtensionResults"] = json!({ "appid": false, "prf": { "results": {} } });
        answer["authenticatorAttachment"] = json!("cross-platform");
        change_client_data(answer, "}", ",\"extra\":{\"nested\":[1]}}");
        change_bytes(&mut answer["response"]["clientDataJSON"], |json| {
            json.splice(0..0, *b"\xef\xbb\xbf");
        });
    };
    add(&mut created);
    created["response"]["transports"] = json!(["internal", "telepathy", "hybrid", "internal"]);
    let answer = holder.keep(&created, None).await;
    answer.assert_status(200);
    assert_eq!(answer.json()["transport"].as_str().unwrap().matches("internal").count(), 1);
    let mut asserted = holder.nameless_assertion(&app.caller()).await;
    add(&mut asserted);
    holder.sign_again(&mut asserted);
    end_sign_in(&app.caller(), &asserted).await.assert_status(200);
}
