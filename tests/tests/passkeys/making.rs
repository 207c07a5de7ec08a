//! Passkeys are made, listed and called something else.

use futures::future::join_all;
use identsphere_e2e::{App, Holder, matrix};
use identsphere_testkit::SoftAuthenticator;
use serde_json::{Value, json};

use crate::{audited, error_of, has_passkeys};

matrix! {
    the_options_are_those_that_browsers_parse,
    a_passkey_is_made_and_listed,
    a_passkey_is_called_something_else,
    a_name_is_one_to_a_hundred_characters,
    there_are_ten_at_most,
    of_many_at_once_ten_are_kept,
    a_known_credential_is_refused_alike_whoever_has_it,
    passkeys_are_made_in_a_session_with_the_csrf_header,
}

const PASSKEYS: &str = "/v1/users/me/passkeys";

fn length_of(base64url: &Value) -> usize {
    let text = base64url.as_str().unwrap();
    assert!(text.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-' || c == b'_'), "{text}");
    text.len() * 3 / 4
}

async fn the_options_are_those_that_browsers_parse(app: App) {
    let holder = Holder::sign_up(&app, SoftAuthenticator::new()).await;
    let options = holder.begin().await;
    let (challenge, handle) = (&options["publicKey"]["challenge"], &options["publicKey"]["user"]["id"]);
    assert_eq!((length_of(challenge), length_of(handle)), (32, 64));
    let expected = json!({ "publicKey": {
        "rp": { "id": "localhost", "name": "IdentSphere" },
        "user": { "id": handle, "name": holder.email, "displayName": holder.email },
        "challenge": challenge,
        "pubKeyCredParams": [
            { "type": "public-key", "alg": -7 },
            { "type": "public-key", "alg": -8 },
            { "type": "public-key", "alg": -35 },
            { "type": "public-key", "alg": -257 },
        ],
        "timeout": 300_000,
        "excludeCredentials": [],
        "authenticatorSelection":
            { "residentKey": "preferred", "requireResidentKey": false, "userVerification": "preferred" },
        "attestation": "none",
    } });
    assert_eq!(options, expected);

    let credential = holder.create(&options).await;
    holder.keep(&credential, None).await.assert_status(200);
    let name = json!({ "display_name": "Ada" });
    let me = holder.browser.request("PATCH".parse().unwrap(), "/v1/users/me").csrf().json(&name);
    me.send().await.assert_status(200);
    let again = holder.begin().await["publicKey"].clone();
    assert_eq!(&again["user"], &json!({ "id": handle, "name": holder.email, "displayName": "Ada" }));
    assert_ne!(&again["challenge"], challenge);
    let excluded = again["excludeCredentials"].as_array().unwrap();
    assert_eq!(excluded.len(), 1);
    assert_eq!((&excluded[0]["type"], &excluded[0]["id"]), (&json!("public-key"), &credential["id"]));
    assert_eq!(excluded[0]["transports"], credential["response"]["transports"]);

    let (other, _) = Holder::with_passkey(&app).await;
    assert_ne!(&other.begin().await["publicKey"]["user"]["id"], handle);
}

async fn a_passkey_is_made_and_listed(app: App) {
    let holder = Holder::sign_up(&app, SoftAuthenticator::new()).await;
    assert_eq!(holder.passkeys().await, json!([]));
    assert!(!has_passkeys(&holder.browser).await);

    let credential = holder.create(&holder.begin().await).await;
    let answer = holder.keep(&credential, Some("Ada's phone")).await;
    answer.assert_status(200);
    let first = answer.json();
    let transports: Vec<&str> = credential["response"]["transports"]
        .as_array()
        .unwrap()
        .iter()
        .map(|t| t.as_str().unwrap())
        .collect();
    let expected = json!({
        "id": first["id"],
        "label": "Ada's phone",
        "aaguid": "00000000-0000-0000-0000-000000000000",
        "transport": transports.join(","),
        "backed_up": true,
        "created_at": first["created_at"],
        "last_used_at": null,
    });
    assert_eq!(first, expected);
    assert_eq!(holder.passkeys().await, json!([first]));
    assert!(has_passkeys(&holder.browser).await);

    app.clock.advance(std::time::Duration::from_secs(1));
    let unnamed = holder.on(SoftAuthenticator::new());
    unnamed.add_passkey().await;
    let listed = holder.passkeys().await;
    assert_eq!((&listed[0]["label"], &listed[1]), (&json!("Passkey"), &first), "newest first");
    assert_eq!(audited(&app, "auth.passkey.added", "success").await.unwrap_or(2), 2);
    let mails = app.deliver().await.received(&holder.email);
    assert!(mails.len() >= 3, "the owner is told of each");

    let (stranger, _) = Holder::with_passkey(&app).await;
    assert_eq!(stranger.passkeys().await.as_array().unwrap().len(), 1, "everybody sees their own");
}

async fn a_passkey_is_called_something_else(app: App) {
    let (holder, id) = Holder::with_passkey(&app).await;
    let before = holder.passkeys().await[0].clone();
    let rename = |label: Value| {
        let path = format!("{PASSKEYS}/{id}");
        holder.browser.request("PATCH".parse().unwrap(), &path).csrf().json(&json!({ "label": label })).send()
    };
    let answer = rename(json!("  Work key ")).await;
    answer.assert_status(200);
    let mut expected = before.clone();
    expected["label"] = answer.json()["label"].clone();
    assert_eq!(answer.json(), expected);
    assert_eq!(expected["label"].as_str().unwrap().trim(), "Work key");
    assert_eq!(holder.passkeys().await, json!([expected]));
    for bad in [json!(""), json!("   "), json!("x".repeat(101)), json!("a\u{7}b"), json!(7), Value::Null] {
        let answer = rename(bad.clone()).await;
        answer.assert_error(400, "invalid_input");
        assert_eq!(answer.json()["error"]["fields"][0]["field"], "label", "{bad}");
    }
    assert_eq!(holder.passkeys().await, json!([expected]), "a bad name changes nothing");
    assert_eq!(audited(&app, "auth.passkey.renamed", "success").await.unwrap_or(1), 1);
}

async fn a_name_is_one_to_a_hundred_characters(app: App) {
    let holder = Holder::sign_up(&app, SoftAuthenticator::new()).await;
    let credential = holder.create(&holder.begin().await).await;
    for bad in ["", "  ", &"x".repeat(101), "a\nb"] {
        let answer = holder.keep(&credential, Some(bad)).await;
        answer.assert_error(400, "invalid_input");
        assert_eq!(answer.json()["error"]["fields"][0]["field"], "label", "{bad:?}");
    }
    let longest = "ü".repeat(100);
    let answer = holder.keep(&credential, Some(&longest)).await;
    answer.assert_status(200);
    assert_eq!(answer.json()["label"], json!(longest));
}

async fn there_are_ten_at_most(app: App) {
    let holder = Holder::sign_up(&app, SoftAuthenticator::new()).await;
    let late = holder.on(SoftAuthenticator::new());
    let eleventh = late.create(&late.begin().await).await;
    for _ in 0..10 {
        holder.on(SoftAuthenticator::new()).add_passkey().await;
    }
    let begin = holder.browser.post("/v1/users/me/passkeys/register/begin").csrf().send().await;
    begin.assert_error(409, "conflict");
    holder.keep(&eleventh, None).await.assert_error(409, "conflict");
    let listed = holder.passkeys().await;
    let ids: Vec<&str> = listed.as_array().unwrap().iter().map(|p| p["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 10);
    let path = format!("{PASSKEYS}/{}", ids[3]);
    holder.browser.delete(&path).csrf().send().await.assert_status(204);
    holder.on(SoftAuthenticator::new()).add_passkey().await;
}

async fn of_many_at_once_ten_are_kept(app: App) {
    let holder = Holder::sign_up(&app, SoftAuthenticator::new()).await;
    let mut credentials = vec![];
    for _ in 0..14 {
        let other = holder.on(SoftAuthenticator::new());
        credentials.push(other.create(&other.begin().await).await);
    }
    let answers = join_all(credentials.iter().map(|credential| holder.keep(credential, None))).await;
    let count = |status: u16| answers.iter().filter(|answer| answer.status == status).count();
    assert_eq!((count(200), count(409)), (10, 4));
    assert_eq!(holder.passkeys().await.as_array().unwrap().len(), 10);
}

/// WN-08: an id is unique across all users, and that it is taken says nothing of whose it is.
async fn a_known_credential_is_refused_alike_whoever_has_it(app: App) {
    let ann = Holder::sign_up(&app, SoftAuthenticator::new()).await;
    let bob = Holder::sign_up(&app, SoftAuthenticator::new()).await;
    let known = ann.create(&ann.begin().await).await;
    ann.keep(&known, None).await.assert_status(200);
    let mut refusals = vec![];
    for person in [&ann, &bob] {
        let other = person.on(SoftAuthenticator::new());
        let mut copied = other.create(&other.begin().await).await;
        for member in ["id", "rawId"] {
            copied[member] = known[member].clone();
        }
        copied["response"]["attestationObject"] = known["response"]["attestationObject"].clone();
        let answer = person.keep(&copied, None).await;
        answer.assert_error(409, "conflict");
        refusals.push(error_of(&answer));
    }
    assert_eq!(refusals[0], refusals[1]);
    assert_eq!(ann.passkeys().await.as_array().unwrap().len(), 1);
    assert_eq!(bob.passkeys().await, json!([]));
    assert!(!has_passkeys(&bob.browser).await);
}

async fn passkeys_are_made_in_a_session_with_the_csrf_header(app: App) {
    let (holder, id) = Holder::with_passkey(&app).await;
    let credential = holder.on(SoftAuthenticator::new());
    let credential = credential.create(&credential.begin().await).await;
    let passkey = format!("{PASSKEYS}/{id}");
    for (caller, status, code) in
        [(holder.browser.clone(), 403, "csrf_failed"), (app.caller(), 401, "authentication_required")]
    {
        let label = json!({ "label": "x" });
        let requests = [
            caller.post(&format!("{PASSKEYS}/register/begin")),
            caller.post(&format!("{PASSKEYS}/register/complete")).json(&json!({ "credential": credential })),
            caller.request("PATCH".parse().unwrap(), &passkey).json(&label),
            caller.delete(&passkey),
        ];
        for request in requests {
            request.send().await.assert_error(status, code);
        }
    }
    app.caller().get(PASSKEYS).send().await.assert_error(401, "authentication_required");
    assert_eq!(holder.passkeys().await.as_array().unwrap().len(), 1);
    holder.keep(&credential, None).await.assert_status(200);
}
