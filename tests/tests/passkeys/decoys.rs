//! A sign-in begins alike whoever has the address (WN-12, WebAuthn §14.6.2).

use std::collections::BTreeSet;

use identsphere_e2e::{
    Answer, App, Caller, Engine, Holder, PASSWORD, begin_sign_in, end_sign_in, matrix, unique,
};
use identsphere_testkit::SoftAuthenticator;
use serde_json::{Value, json};

use crate::audited;

matrix! {
    nobody_learns_who_has_a_passkey,
    a_decoy_stays_the_same_and_is_of_one_address,
    nothing_ends_a_sign_in_that_began_with_a_decoy,
    without_an_address_nothing_is_listed,
    what_is_no_address_is_refused,
}

async fn begin(caller: &Caller, email: &str) -> Answer {
    caller.post("/v1/auth/passkey/login/begin").json(&json!({ "email": email })).send().await
}

/// What of the request options does not depend on chance.
fn shape(answer: &Answer) -> (u16, BTreeSet<String>, Value) {
    let headers = answer.headers.keys().map(ToString::to_string).collect();
    let mut options = answer.json();
    let listed = options["publicKey"]["allowCredentials"].take();
    let listed = listed.as_array().unwrap();
    assert!((1..=2).contains(&listed.len()), "{listed:?}");
    for credential in listed {
        let members: Vec<&String> = credential.as_object().unwrap().keys().collect();
        assert_eq!(members, ["type", "id", "transports"]);
        assert_eq!(credential["type"], "public-key");
    }
    let challenge = options["publicKey"]["challenge"].take();
    assert_eq!(challenge.as_str().unwrap().len(), 43);
    (answer.status, headers, options)
}

async fn nobody_learns_who_has_a_passkey(app: App) {
    let (holder, _) = Holder::with_passkey(&app).await;
    let (without, _) = app.sign_up().await;
    let deleted = Holder::with_passkey(&app).await.0;
    let password = json!({ "password": PASSWORD });
    deleted.browser.delete("/v1/users/me").csrf().json(&password).send().await.assert_status(204);
    let mut addresses = vec![without, deleted.email, unique("nobody@example.com")];
    if app.engine() != Engine::Memory {
        let disabled = Holder::with_passkey(&app).await.0;
        app.execute(&format!("UPDATE users SET status = 'disabled' WHERE email = '{}'", disabled.email))
            .await;
        addresses.push(disabled.email);
        let left = Holder::with_passkey(&app).await.0;
        app.execute(&format!(
            "DELETE FROM organization_memberships WHERE user_id = (SELECT id FROM users WHERE email = '{}')",
            left.email
        ))
        .await;
        addresses.push(left.email);
    }
    let known = begin(&app.caller(), &holder.email).await;
    let expected = shape(&known);
    assert_eq!(expected.0, 200);
    let options = json!({ "publicKey": {
        "challenge": null,
        "timeout": 300_000,
        "rpId": "localhost",
        "allowCredentials": null,
        "userVerification": "preferred",
    } });
    assert_eq!(expected.2, options);
    for address in addresses {
        assert_eq!(shape(&begin(&app.caller(), &address).await), expected, "{address}");
    }
    assert!(known.cookies().is_empty());
}

async fn a_decoy_stays_the_same_and_is_of_one_address(app: App) {
    let decoys = |email: String| {
        let caller = app.caller();
        async move { begin_sign_in(&caller, Some(&email)).await["publicKey"]["allowCredentials"].clone() }
    };
    let address = unique("nobody@example.com");
    let first = decoys(address.clone()).await;
    app.clock.advance(std::time::Duration::from_secs(86_400 * 365));
    for same in [address.clone(), address.to_uppercase(), format!(" {address}")] {
        assert_eq!(decoys(same).await, first);
    }
    let mut seen = BTreeSet::new();
    for _ in 0..20 {
        for credential in decoys(unique("nobody@example.com")).await.as_array().unwrap() {
            assert!(seen.insert(credential["id"].to_string()), "{credential} is of two addresses");
        }
    }
    // Whoever signs up and has no passkey looks as before.
    let (email, _) = app.sign_up().await;
    let stranger = decoys(email.clone()).await;
    assert_eq!(decoys(email).await, stranger);
}

async fn nothing_ends_a_sign_in_that_began_with_a_decoy(app: App) {
    let (holder, _) = Holder::with_passkey(&app).await;
    let (without, _) = app.sign_up().await;
    for address in [unique("nobody@example.com"), without] {
        let mut options = begin_sign_in(&app.caller(), Some(&address)).await;
        options["publicKey"]["allowCredentials"] = json!([]);
        let answer = end_sign_in(&app.caller(), &holder.assert(&options).await).await;
        answer.assert_error(401, "authentication_required");
    }
    assert_eq!(audited(&app, "auth.passkey.login", "failure").await.unwrap_or(2), 2);
}

async fn without_an_address_nothing_is_listed(app: App) {
    let (holder, _) = Holder::with_passkey(&app).await;
    let caller = app.caller();
    let plain = begin_sign_in(&caller, None).await;
    assert_eq!(plain["publicKey"]["allowCredentials"], json!([]));
    for body in [json!({}), json!({ "email": null })] {
        let answer = holder.browser.post("/v1/auth/passkey/login/begin").json(&body).send().await;
        answer.assert_status(200);
        assert_eq!(answer.json()["publicKey"]["allowCredentials"], json!([]));
    }
}

async fn what_is_no_address_is_refused(app: App) {
    for bad in [
        json!(""),
        json!("nobody"),
        json!("a@b@c"),
        json!(7),
        json!(["a@example.com"]),
        json!("a\0@example.com"),
    ] {
        let answer =
            app.caller().post("/v1/auth/passkey/login/begin").json(&json!({ "email": bad })).send().await;
        answer.assert_error(400, "invalid_input");
        assert_eq!(answer.json()["error"]["fields"][0]["field"], "email", "{bad}");
    }
    let holder = Holder::sign_up(&app, SoftAuthenticator::new()).await;
    assert!(holder.passkeys().await.as_array().unwrap().is_empty());
}
