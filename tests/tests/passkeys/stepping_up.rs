//! A passkey as the fresh second factor of a session.

use std::time::Duration;

use identsphere_e2e::{Answer, App, Caller, Holder, PASSWORD, SecondFactor, claims, matrix};
use identsphere_kernel::Clock;
use identsphere_testkit::SoftAuthenticator;
use serde_json::json;

use crate::{audited, sessions};

matrix! {
    a_passkey_steps_a_session_up,
    a_step_up_opens_what_asks_for_one,
    only_a_verified_user_steps_up,
    whoever_has_no_passkey_cannot_step_up_with_one,
    changing_passkeys_asks_those_with_an_authenticator_for_it,
    ceremonies_within_a_session_are_rationed,
}

/// A request that asks users with an authenticator for a fresh second factor.
async fn begin_registration(browser: &Caller) -> Answer {
    browser.post("/v1/users/me/passkeys/register/begin").csrf().send().await
}

/// Somebody with a passkey and an authenticator app, whose browser showed neither lately.
async fn with_both(app: &App) -> (Holder, String, SecondFactor) {
    let (mut holder, id) = Holder::with_passkey(app).await;
    let factor = SecondFactor::enable(app, &holder.browser).await;
    app.clock.advance(Duration::from_secs(1_801));
    holder.browser.follow(|c| c.post("/v1/auth/refresh")).await.assert_status(200);
    (holder, id, factor)
}

async fn a_passkey_steps_a_session_up(app: App) {
    let (mut holder, _) = Holder::with_passkey(&app).await;
    let options = holder.browser.post("/v1/auth/passkey/verify/begin").csrf().send().await.json();
    assert_eq!(options["publicKey"]["userVerification"], "required");
    assert_eq!(options["publicKey"]["allowCredentials"].as_array().unwrap().len(), 1);
    let count = sessions(&holder.browser).await.len();
    let answer = holder.step_up(&holder.browser).await;
    answer.assert_status(200);
    let now = app.clock.now().unix_seconds();
    assert_eq!(answer.json(), json!({ "verified": true, "verified_at": now, "expires_in": 1_800 }));
    assert!(answer.cookies().is_empty(), "the session stays the one it is");
    let session = holder.browser.get("/v1/auth/session").send().await.json();
    assert_eq!(session["user"]["mfa_verified_at"], json!(now));
    assert_eq!(session["user"]["auth_method"], "password");
    let open = sessions(&holder.browser).await;
    assert_eq!((open.len(), &open[0]["aal"]), (count, &json!("aal2")));
    let refreshed = holder.browser.follow(|c| c.post("/v1/auth/refresh")).await;
    let claims = claims(refreshed.json()["access_token"].as_str().unwrap());
    assert_eq!((&claims["aal"], &claims["mfa_verified_at"]), (&json!("aal2"), &json!(now)));
    assert_eq!(audited(&app, "auth.mfa.step_up", "success").await.unwrap_or(1), 1);
    assert!(holder.passkeys().await[0]["last_used_at"].is_string());
}

async fn a_step_up_opens_what_asks_for_one(app: App) {
    let (holder, _, _) = with_both(&app).await;
    begin_registration(&holder.browser).await.assert_error(401, "mfa_required");
    holder.step_up(&holder.browser).await.assert_status(200);
    begin_registration(&holder.browser).await.assert_status(200);
    app.clock.advance(Duration::from_secs(890));
    begin_registration(&holder.browser).await.assert_status(200);
    let other = holder.on(SoftAuthenticator::new()).in_browser(holder.sign_in(&app).await);
    begin_registration(&other.browser).await.assert_status(200);
    app.clock.advance(Duration::from_secs(895));
    let mut browser = other.browser;
    app.clock.advance(Duration::from_secs(905));
    browser.follow(|c| c.post("/v1/auth/refresh")).await.assert_status(200);
    begin_registration(&browser).await.assert_error(401, "mfa_required");
}

async fn only_a_verified_user_steps_up(app: App) {
    let authenticator = SoftAuthenticator::new().without_user_verification();
    let (holder, _) = Holder::with_passkey_on(&app, authenticator).await;
    let begin = holder.browser.post("/v1/auth/passkey/verify/begin").csrf().send().await;
    let mut options = begin.json();
    // A browser would not even ask such an authenticator.
    options["publicKey"]["userVerification"] = json!("discouraged");
    let body = json!({ "credential": holder.assert(&options).await });
    let answer = holder.browser.post("/v1/auth/passkey/verify/complete").csrf().json(&body).send().await;
    answer.assert_error(401, "authentication_required");
    assert_eq!(sessions(&holder.browser).await[0]["aal"], "aal1");
    assert_eq!(audited(&app, "auth.mfa.step_up", "failure").await.unwrap_or(1), 1);
}

async fn whoever_has_no_passkey_cannot_step_up_with_one(app: App) {
    let holder = Holder::sign_up(&app, SoftAuthenticator::new()).await;
    let begin =
        |browser: Caller| async move { browser.post("/v1/auth/passkey/verify/begin").csrf().send().await };
    begin(holder.browser.clone()).await.assert_error(403, "forbidden");
    let id = holder.add_passkey().await;
    let begun = begin(holder.browser.clone()).await;
    let body = json!({ "credential": holder.assert(&begun.json()).await });
    let path = format!("/v1/users/me/passkeys/{id}");
    holder.browser.delete(&path).csrf().send().await.assert_status(204);
    let answer = holder.browser.post("/v1/auth/passkey/verify/complete").csrf().json(&body).send().await;
    answer.assert_error(401, "authentication_required");
    begin(holder.browser.clone()).await.assert_error(403, "forbidden");
    let complete = app.caller().post("/v1/auth/passkey/verify/complete").json(&body).send().await;
    complete.assert_error(401, "authentication_required");
}

/// MF-11.
async fn changing_passkeys_asks_those_with_an_authenticator_for_it(app: App) {
    let (holder, id, factor) = with_both(&app).await;
    let path = format!("/v1/users/me/passkeys/{id}");
    let complete = holder.keep(&json!({}), None).await;
    for answer in [
        begin_registration(&holder.browser).await,
        complete,
        holder.browser.delete(&path).csrf().send().await,
    ] {
        answer.assert_error(401, "mfa_required");
    }
    let label = json!({ "label": "x" });
    let rename = holder.browser.request("PATCH".parse().unwrap(), &path).csrf().json(&label).send().await;
    rename.assert_status(200);

    let other = app.login_with(&holder.email, PASSWORD, &factor).await;
    let person = holder.on(SoftAuthenticator::new()).in_browser(other);
    person.add_passkey().await;
    factor.step_up(&app, &holder.browser).await;
    holder.browser.delete(&path).csrf().send().await.assert_status(204);
    assert_eq!(person.passkeys().await.as_array().unwrap().len(), 1);
}

/// Each keeps a row for five minutes.
async fn ceremonies_within_a_session_are_rationed(app: App) {
    const QUOTA: usize = 300;
    let (holder, _) = Holder::with_passkey(&app).await;
    let begin_step_up = holder.browser.post("/v1/auth/passkey/verify/begin").csrf();
    // Making the passkey was the first.
    for _ in 1..QUOTA {
        begin_registration(&holder.browser).await.assert_status(200);
    }
    let refused = begin_registration(&holder.browser).await;
    refused.assert_error(429, "rate_limited");
    assert!(refused.header("retry-after").is_some());
    begin_step_up.send().await.assert_error(429, "rate_limited");
    let (other, _) = Holder::with_passkey(&app).await;
    begin_registration(&other.browser).await.assert_status(200);
}
