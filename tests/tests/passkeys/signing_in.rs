//! Signing in with a passkey.

use futures::future::join_all;
use identsphere_e2e::{
    App, Caller, Holder, NATIVE_APP, SecondFactor, change_client_data, claims, end_sign_in, matrix,
};
use identsphere_kernel::Clock;
use identsphere_testkit::SoftAuthenticator;
use serde_json::{Value, json};

use crate::{audited, sessions};

matrix! {
    a_passkey_that_verifies_its_user_is_two_factors,
    a_passkey_that_does_not_is_one,
    clients_without_cookies_get_tokens_in_the_body,
    a_passkey_without_verification_leaves_the_second_factor_due,
    a_passkey_with_verification_leaves_nothing_due,
    a_counter_that_falls_behind_is_refused,
    many_sign_ins_at_once_lock_nobody_out,
    an_app_signs_in_from_its_own_origin,
    good_answers_are_not_rationed,
}

fn aal(answer: &identsphere_e2e::Answer) -> Value {
    claims(answer.json()["access_token"].as_str().unwrap())["aal"].clone()
}

async fn a_passkey_that_verifies_its_user_is_two_factors(app: App) {
    let (holder, id) = Holder::with_passkey(&app).await;
    for named in [true, false] {
        let mut browser = app.caller();
        let assertion = match named {
            true => holder.named_assertion(&browser).await,
            false => holder.nameless_assertion(&browser).await,
        };
        let answer = end_sign_in(&browser, &assertion).await;
        answer.assert_status(200);
        browser.keep(&answer);
        let (body, now) = (answer.json(), app.clock.now().unix_seconds());
        assert_eq!((&body["status"], &body["token_type"]), (&json!("success"), &json!("Bearer")));
        assert_eq!(body["user"]["email"], json!(holder.email));
        assert_eq!(body["user"]["auth_method"], "passkey");
        assert_eq!(body["user"]["mfa_verified_at"], json!(now));
        let claims = claims(body["access_token"].as_str().unwrap());
        assert_eq!((&claims["aal"], &claims["auth_method"]), (&json!("aal2"), &json!("passkey")));
        assert_eq!((&claims["mfa_verified_at"], &claims["auth_time"]), (&json!(now), &json!(now)));
        let session =
            sessions(&browser).await.into_iter().find(|session| session["is_current"] == true).unwrap();
        assert_eq!((&session["aal"], &session["auth_method"]), (&json!("aal2"), &json!("passkey")));
        assert_eq!(session["id"], claims["sid"]);
        browser.follow(|c| c.post("/v1/auth/refresh")).await.assert_status(200);
    }
    let used = holder.passkeys().await;
    assert_eq!(used[0]["id"], json!(id));
    assert!(used[0]["last_used_at"].is_string());
    assert_eq!(audited(&app, "auth.passkey.login", "success").await.unwrap_or(2), 2);
}

async fn a_passkey_that_does_not_is_one(app: App) {
    let authenticator = SoftAuthenticator::new().without_user_verification();
    let (holder, _) = Holder::with_passkey_on(&app, authenticator).await;
    for assertion in
        [holder.named_assertion(&app.caller()).await, holder.nameless_assertion(&app.caller()).await]
    {
        let answer = end_sign_in(&app.caller(), &assertion).await;
        answer.assert_status(200);
        let body = answer.json();
        assert_eq!(
            (&body["user"]["auth_method"], &body["user"]["mfa_verified_at"]),
            (&json!("passkey"), &Value::Null)
        );
        let claims = claims(body["access_token"].as_str().unwrap());
        assert_eq!((&claims["aal"], claims.get("mfa_verified_at")), (&json!("aal1"), None));
    }
}

async fn clients_without_cookies_get_tokens_in_the_body(app: App) {
    let (holder, _) = Holder::with_passkey(&app).await;
    let credential = holder.named_assertion(&app.caller()).await;
    let body = json!({ "credential": credential, "token_transport": "bearer" });
    let answer = app.caller().post("/v1/auth/passkey/login/complete").json(&body).send().await;
    answer.assert_status(200);
    assert!(answer.cookies().is_empty());
    let refresh = json!({ "refresh_token": answer.json()["refresh_token"] });
    app.caller().post("/v1/auth/refresh").json(&refresh).send().await.assert_status(200);
    let body = json!({ "credential": credential, "token_transport": "pigeon" });
    let answer = app.caller().post("/v1/auth/passkey/login/complete").json(&body).send().await;
    answer.assert_error(400, "invalid_input");
}

async fn challenge(caller: &Caller, body: Value) -> identsphere_e2e::Answer {
    caller.post("/v1/auth/mfa/challenge").json(&body).send().await
}

/// MF-06, MF-14.
async fn a_passkey_without_verification_leaves_the_second_factor_due(app: App) {
    let authenticator = SoftAuthenticator::new().without_user_verification();
    let (holder, _) = Holder::with_passkey_on(&app, authenticator).await;
    let factor = SecondFactor::enable(&app, &holder.browser).await;
    let before = sessions(&holder.browser).await.len();
    for by_recovery_code in [false, true] {
        let assertion = holder.nameless_assertion(&app.caller()).await;
        let asked = end_sign_in(&app.caller(), &assertion).await;
        asked.assert_status(200);
        assert!(asked.cookies().is_empty(), "no cookies before the second factor");
        let token = asked.json()["mfa_token"].clone();
        let expected = json!({
            "status": "mfa_required",
            "mfa_token": token,
            "mfa_token_expires_in": 300,
            "methods": ["totp", "recovery_code"],
        });
        assert_eq!(asked.json(), expected);
        challenge(&app.caller(), json!({ "mfa_token": token, "code": "000000" })).await.assert_status(401);
        let answer = match by_recovery_code {
            false => json!({ "mfa_token": token, "code": factor.code(&app) }),
            true => json!({ "mfa_token": token, "recovery_code": factor.recovery_codes[0] }),
        };
        let answer = challenge(&app.caller(), answer).await;
        answer.assert_status(200);
        assert_eq!((aal(&answer), &answer.json()["user"]["auth_method"]), (json!("aal2"), &json!("passkey")));
    }
    assert_eq!(sessions(&holder.browser).await.len(), before + 2);
    assert_eq!(audited(&app, "auth.passkey.mfa_required", "success").await.unwrap_or(2), 2);
    assert_eq!(audited(&app, "auth.passkey.login", "success").await.unwrap_or(0), 0);
}

async fn a_passkey_with_verification_leaves_nothing_due(app: App) {
    let (holder, _) = Holder::with_passkey(&app).await;
    SecondFactor::enable(&app, &holder.browser).await;
    let answer = end_sign_in(&app.caller(), &holder.nameless_assertion(&app.caller()).await).await;
    answer.assert_status(200);
    assert_eq!((aal(&answer), &answer.json()["status"]), (json!("aal2"), &json!("success")));
}

/// WN-10.
async fn a_counter_that_falls_behind_is_refused(app: App) {
    let (holder, _) = Holder::with_passkey_on(&app, SoftAuthenticator::new().counting()).await;
    for _ in 0..3 {
        holder.sign_in(&app).await;
    }
    let before = holder.passkeys().await;
    holder.authenticator.set_counters(1);
    for _ in 0..2 {
        let stale = holder.named_assertion(&app.caller()).await;
        let answer = end_sign_in(&app.caller(), &stale).await;
        answer.assert_error(401, "authentication_required");
        assert!(answer.cookies().is_empty());
    }
    assert_eq!(audited(&app, "auth.passkey.login", "failure").await.unwrap_or(2), 2);
    assert_eq!(holder.passkeys().await, before, "a refused use is no use");
    holder.authenticator.set_counters(10);
    holder.sign_in(&app).await;
}

/// WN-10: of assertions that overtake each other some may be refused; the passkey stays good.
async fn many_sign_ins_at_once_lock_nobody_out(app: App) {
    for counts in [true, false] {
        let plain = SoftAuthenticator::new();
        let authenticator = if counts { plain.counting() } else { plain };
        let (holder, _) = Holder::with_passkey_on(&app, authenticator).await;
        let caller = app.caller();
        let mut assertions = vec![];
        for _ in 0..8 {
            assertions.push(holder.nameless_assertion(&caller).await);
        }
        let answers = join_all(assertions.iter().map(|assertion| end_sign_in(&caller, assertion))).await;
        let admitted = answers.iter().filter(|answer| answer.status == 200).count();
        assert!(answers.iter().all(|answer| matches!(answer.status, 200 | 401)));
        assert!(if counts { admitted >= 1 } else { admitted == 8 }, "{admitted} of 8");
        holder.sign_in(&app).await;
    }
}

/// Extra origins: what an app's platform calls it (WebAuthn §13.4.9).
async fn an_app_signs_in_from_its_own_origin(app: App) {
    let (holder, _) = Holder::with_passkey(&app).await;
    for (origin, status) in [
        (NATIVE_APP.to_owned(), 200),
        (format!("{NATIVE_APP}x"), 401),
        ("android:apk-key-hash:AAAA".to_owned(), 401),
        (app.origin(), 401),
    ] {
        let mut assertion = holder.nameless_assertion(&app.caller()).await;
        change_client_data(&mut assertion, &app.page(), &origin);
        holder.sign_again(&mut assertion);
        end_sign_in(&app.caller(), &assertion).await.assert_status(status);
    }
    let app_side = holder.on(SoftAuthenticator::new());
    let mut made = app_side.create(&app_side.begin().await).await;
    change_client_data(&mut made, &app.page(), NATIVE_APP);
    holder.keep(&made, Some("The app")).await.assert_status(200);
}

async fn good_answers_are_not_rationed(app: App) {
    let (holder, _) = Holder::with_passkey(&app).await;
    let caller = app.caller();
    for _ in 0..110 {
        end_sign_in(&caller, &holder.nameless_assertion(&caller).await).await.assert_status(200);
    }
    let mut refused = holder.nameless_assertion(&caller).await;
    refused["response"]["signature"] = json!("AAAA");
    let mut statuses = vec![];
    for _ in 0..101 {
        statuses.push(end_sign_in(&caller, &refused).await.status);
    }
    assert!(statuses[..100].iter().all(|status| *status == 401), "{statuses:?}");
    assert_eq!(statuses[100], 429);
}
