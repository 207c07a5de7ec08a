//! An answer is good for the one ceremony it was made in, once, and within five minutes (WN-01, WN-09).

use std::time::Duration;

use futures::future::join_all;
use identsphere_e2e::{App, Caller, Holder, begin_sign_in, end_sign_in, matrix, uuid_v7};
use identsphere_testkit::SoftAuthenticator;
use serde_json::{Value, json};

use crate::{audited, sessions};

matrix! {
    a_registration_answers_its_own_ceremony,
    an_assertion_answers_its_own_ceremony,
    a_ceremony_ends_after_five_minutes,
    a_ceremony_ends_once_whatever_the_answer,
    of_many_answers_to_one_ceremony_one_counts,
    a_passkey_signs_its_owner_in_and_nobody_else,
    a_ceremony_belongs_to_its_browser,
    a_ceremony_begun_on_one_node_ends_on_another,
}

/// Options that ask for this challenge instead.
fn with_challenge(options: &Value, other: &Value) -> Value {
    let mut changed = options.clone();
    changed["publicKey"]["challenge"] = other["publicKey"]["challenge"].clone();
    changed
}

async fn begin_step_up(browser: &Caller) -> Value {
    let answer = browser.post("/v1/auth/passkey/verify/begin").csrf().send().await;
    answer.assert_status(200);
    answer.json()
}

async fn end_step_up(browser: &Caller, credential: &Value) -> identsphere_e2e::Answer {
    let body = json!({ "credential": credential });
    browser.post("/v1/auth/passkey/verify/complete").csrf().json(&body).send().await
}

async fn a_registration_answers_its_own_ceremony(app: App) {
    let (holder, _) = Holder::with_passkey(&app).await;
    let (stranger, _) = Holder::with_passkey(&app).await;
    let elsewhere = holder.on(SoftAuthenticator::new()).in_browser(app.login(&holder.email).await);
    let foreign = [
        ("a sign-in", begin_sign_in(&holder.browser, None).await),
        ("a named sign-in", begin_sign_in(&holder.browser, Some(&holder.email)).await),
        ("a step-up", begin_step_up(&holder.browser).await),
        ("somebody else's registration", stranger.begin().await),
        ("another session's registration", elsewhere.begin().await),
        ("no ceremony", json!({ "publicKey": { "challenge": "A".repeat(43) } })),
    ];
    for (what, options) in foreign {
        let person = holder.on(SoftAuthenticator::new());
        let credential = person.create(&with_challenge(&person.begin().await, &options)).await;
        let answer = holder.keep(&credential, None).await;
        assert_eq!(answer.status, 400, "{what}");
        answer.assert_error(400, "invalid_input");
    }
    assert_eq!(holder.passkeys().await.as_array().unwrap().len(), 1);
}

async fn an_assertion_answers_its_own_ceremony(app: App) {
    let (holder, _) = Holder::with_passkey(&app).await;
    let open = sessions(&holder.browser).await.len();
    let begun = begin_sign_in(&app.caller(), None).await;
    let foreign = [
        ("a registration", holder.begin().await),
        ("a step-up", begin_step_up(&holder.browser).await),
        ("no ceremony", json!({ "publicKey": { "challenge": "A".repeat(43) } })),
        ("an id", json!({ "publicKey": { "challenge": uuid_v7() } })),
    ];
    for (what, options) in foreign {
        let challenge = with_challenge(&begun, &options);
        let answer = end_sign_in(&holder.browser, &holder.assert(&challenge).await).await;
        assert_eq!(answer.status, 401, "{what}");
        answer.assert_error(401, "authentication_required");
    }
    assert_eq!(sessions(&holder.browser).await.len(), open);
    assert_eq!(audited(&app, "auth.passkey.login", "failure").await.unwrap_or(4), 4);

    let other = holder.on(holder.authenticator.clone()).in_browser(app.login(&holder.email).await);
    let (stranger, _) = Holder::with_passkey(&app).await;
    let own = begin_step_up(&holder.browser).await;
    for (what, options) in [
        ("a sign-in", begin_sign_in(&holder.browser, None).await),
        ("a named sign-in", begin_sign_in(&holder.browser, Some(&holder.email)).await),
        ("a registration", holder.begin().await),
        ("another session's step-up", begin_step_up(&other.browser).await),
        ("somebody else's step-up", begin_step_up(&stranger.browser).await),
    ] {
        let answer =
            end_step_up(&holder.browser, &holder.assert(&with_challenge(&own, &options)).await).await;
        assert_eq!(answer.status, 401, "{what}");
        answer.assert_error(401, "authentication_required");
    }
    let mut begun = own.clone();
    begun["publicKey"]["allowCredentials"] = json!([]);
    let answer = end_step_up(&holder.browser, &stranger.assert(&begun).await).await;
    answer.assert_error(401, "authentication_required");
    assert_eq!(audited(&app, "auth.mfa.step_up", "failure").await.unwrap_or(6), 6);
}

async fn a_ceremony_ends_after_five_minutes(app: App) {
    let (holder, _) = Holder::with_passkey(&app).await;
    for (seconds, signs_in, is_kept) in [(299, 200, 200), (300, 401, 400)] {
        let person = holder.on(SoftAuthenticator::new());
        let (assertion, created) =
            (holder.nameless_assertion(&app.caller()).await, person.create(&person.begin().await).await);
        app.clock.advance(Duration::from_secs(seconds));
        end_sign_in(&app.caller(), &assertion).await.assert_status(signs_in);
        holder.keep(&created, None).await.assert_status(is_kept);
    }
}

async fn a_ceremony_ends_once_whatever_the_answer(app: App) {
    let (holder, _) = Holder::with_passkey(&app).await;
    let person = holder.on(SoftAuthenticator::new());
    let assertion = holder.nameless_assertion(&app.caller()).await;
    let created = person.create(&person.begin().await).await;
    end_sign_in(&app.caller(), &assertion).await.assert_status(200);
    end_sign_in(&app.caller(), &assertion).await.assert_error(401, "authentication_required");
    holder.keep(&created, None).await.assert_status(200);
    holder.keep(&created, None).await.assert_error(400, "invalid_input");

    let assertion = holder.nameless_assertion(&app.caller()).await;
    let mut forged = assertion.clone();
    forged["response"]["signature"] = json!("AAAA");
    end_sign_in(&app.caller(), &forged).await.assert_status(401);
    end_sign_in(&app.caller(), &assertion).await.assert_error(401, "authentication_required");
}

async fn of_many_answers_to_one_ceremony_one_counts(app: App) {
    let (holder, _) = Holder::with_passkey(&app).await;
    let person = holder.on(SoftAuthenticator::new());
    let (caller, other) = (app.caller(), app.another_node().await);
    let elsewhere = caller.at(other.address);
    let open = sessions(&holder.browser).await.len();
    let assertion = holder.nameless_assertion(&caller).await;
    let callers = [&caller, &elsewhere];
    let answers = join_all((0..8).map(|at| end_sign_in(callers[at % 2], &assertion))).await;
    let count = |status: u16| answers.iter().filter(|answer| answer.status == status).count();
    assert_eq!((count(200), count(401)), (1, 7));
    assert_eq!(sessions(&holder.browser).await.len(), open + 1);

    let created = person.create(&person.begin().await).await;
    let answers = join_all((0..8).map(|_| holder.keep(&created, None))).await;
    let count = |status: u16| answers.iter().filter(|answer| answer.status == status).count();
    assert_eq!((count(200), count(400)), (1, 7));
    assert_eq!(holder.passkeys().await.as_array().unwrap().len(), 2);
}

/// WN-09.
async fn a_passkey_signs_its_owner_in_and_nobody_else(app: App) {
    let ((ann, _), (bob, _)) = (Holder::with_passkey(&app).await, Holder::with_passkey(&app).await);
    let mut named = begin_sign_in(&app.caller(), Some(&ann.email)).await;
    named["publicKey"]["allowCredentials"] = json!([]);
    let answer = end_sign_in(&app.caller(), &bob.assert(&named).await).await;
    answer.assert_error(401, "authentication_required");

    let of_bob = bob.nameless_assertion(&app.caller()).await["response"]["userHandle"].clone();
    for named in [true, false] {
        let mut swapped = match named {
            true => ann.named_assertion(&app.caller()).await,
            false => ann.nameless_assertion(&app.caller()).await,
        };
        swapped["response"]["userHandle"] = of_bob.clone();
        end_sign_in(&app.caller(), &swapped).await.assert_error(401, "authentication_required");
    }
    let (mut taken, of_bob) =
        (ann.nameless_assertion(&app.caller()).await, bob.nameless_assertion(&app.caller()).await);
    (taken["id"], taken["rawId"]) = (of_bob["id"].clone(), of_bob["rawId"].clone());
    end_sign_in(&app.caller(), &taken).await.assert_error(401, "authentication_required");

    let mut silent = ann.named_assertion(&app.caller()).await;
    silent["response"]["userHandle"] = Value::Null;
    let answer = end_sign_in(&app.caller(), &silent).await;
    answer.assert_status(200);
    assert_eq!(answer.json()["user"]["email"], json!(ann.email), "the address has named her");
}

/// WN-01: what a known browser begins it alone ends.
async fn a_ceremony_belongs_to_its_browser(app: App) {
    let (holder, _) = Holder::with_passkey(&app).await;
    let stranger = app.sign_up().await.1;
    for elsewhere in [&stranger, &app.caller()] {
        let assertion = holder.nameless_assertion(&holder.browser).await;
        end_sign_in(elsewhere, &assertion).await.assert_error(401, "authentication_required");
    }
    end_sign_in(&holder.browser, &holder.nameless_assertion(&holder.browser).await).await.assert_status(200);

    let mut copied = holder.browser.clone();
    copied.cookies.insert("identsphere_device".to_owned(), stranger.cookies["identsphere_device"].clone());
    let options = begin_step_up(&holder.browser).await;
    let answer = end_step_up(&copied, &holder.assert(&options).await).await;
    answer.assert_error(401, "authentication_required");
}

async fn a_ceremony_begun_on_one_node_ends_on_another(app: App) {
    let (mut holder, _) = Holder::with_passkey(&app).await;
    let other = app.another_node().await;
    let assertion = holder.nameless_assertion(&app.caller()).await;
    end_sign_in(&other.caller(), &assertion).await.assert_status(200);
    let person = holder.on(SoftAuthenticator::new());
    let created = person.create(&person.begin().await).await;
    holder.browser = holder.browser.at(other.address);
    holder.keep(&created, None).await.assert_status(200);
}
