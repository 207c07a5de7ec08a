//! Turning the second factor off.

use identsphere_e2e::{App, Caller, matrix};
use identsphere_kernel::Duration;
use serde_json::{Value, json};

use crate::{is_alive, own_password, post_as, recover, refreshed_claims, session, status, verify};

matrix! {
    removing_the_authenticator_leaves_nothing_of_it,
    sessions_that_rest_on_the_authenticator_end_with_it,
    removing_what_is_not_there_is_no_error,
    only_its_owner_who_has_just_shown_it_removes_an_authenticator,
    an_authenticator_set_up_again_shares_nothing_with_the_first,
}

const DISABLE: &str = "/v1/auth/mfa/disable";

async fn disable(browser: &Caller) {
    post_as(browser, DISABLE, own_password()).await.assert_status(204);
}

async fn removing_the_authenticator_leaves_nothing_of_it(app: App) {
    let person = app.enrolled().await;
    let mut trusted = person.browser.clone();
    trusted.follow(|c| c.post("/v1/auth/trusted-browsers").csrf()).await.assert_status(200);
    disable(&person.browser).await;
    assert_eq!(status(&person.browser).await, json!({ "enabled": false, "recovery_codes_left": 0 }));
    assert_eq!(person.browser.get("/v1/auth/trusted-browsers").send().await.json(), json!([]));
    assert_eq!(person.browser.get("/v1/users/me").send().await.json()["mfa_enabled"], false);
    let mails = app.deliver().await.received(&person.email);
    assert!(mails.iter().any(|mail| mail.content.name() == "mfa_disabled"));

    let answer = trusted.post("/v1/auth/login").json(&person.login()).send().await;
    let body = answer.assert_status(200).json();
    assert_eq!((&body["status"], &body["user"]["auth_method"]), (&json!("success"), &json!("password")));
    let claims = identsphere_e2e::claims(body["access_token"].as_str().unwrap());
    assert_eq!(claims["aal"], "aal1", "the cookie of a browser that was trusted is nothing");
}

/// MF-15.
async fn sessions_that_rest_on_the_authenticator_end_with_it(app: App) {
    let (email, before) = app.sign_up().await;
    let browser = app.login(&email).await;
    let mut person = app.enrol(email, browser).await;
    let (mut by_code, mut by_paper, mut trusted) = (app.caller(), app.caller(), app.caller());
    person.sign_in(&app, &mut by_code).await;
    by_paper.keep(&recover(&app, &person.mfa_token(&app).await, &person.recovery_codes[0]).await);
    person.sign_in(&app, &mut trusted).await;
    trusted.follow(|c| c.post("/v1/auth/trusted-browsers").csrf()).await.assert_status(200);
    trusted.follow(|c| c.post("/v1/auth/login").json(&person.login())).await.assert_status(200);
    for browser in [&by_code, &by_paper, &trusted] {
        assert!(is_alive(browser).await);
    }

    disable(&person.browser).await;
    for (name, mut browser) in [("code", by_code), ("paper", by_paper), ("trust", trusted)] {
        session(&browser).await.assert_error(401, "authentication_required");
        let refreshed = browser.follow(|c| c.post("/v1/auth/refresh")).await;
        assert_eq!(refreshed.status, 401, "{name}");
    }
    assert!(is_alive(&before).await, "it never rested on it");
    assert_eq!(session(&person.browser).await.json()["user"]["mfa_verified_at"], Value::Null);
    let claims = refreshed_claims(&mut person.browser).await;
    assert_eq!((&claims["aal"], claims.get("mfa_verified_at")), (&json!("aal1"), None));
}

async fn removing_what_is_not_there_is_no_error(app: App) {
    let (email, browser) = app.sign_up().await;
    disable(&browser).await;
    browser.post("/v1/auth/mfa/setup").csrf().send().await.assert_status(200);
    disable(&browser).await;
    let mails = app.deliver().await.received(&email);
    assert!(mails.iter().all(|mail| mail.content.name() != "mfa_disabled"));
    let wrong = post_as(&browser, DISABLE, json!({ "password": "not the password" })).await;
    wrong.assert_error(401, "invalid_credentials");
}

async fn only_its_owner_who_has_just_shown_it_removes_an_authenticator(app: App) {
    let (email, browser) = app.sign_up().await;
    let never = app.login(&email).await;
    let mut person = app.enrol(email, browser).await;
    let wrong = post_as(&person.browser, DISABLE, json!({ "password": "not the password" })).await;
    wrong.assert_error(401, "invalid_credentials");
    post_as(&person.browser, DISABLE, json!({})).await.assert_error(400, "invalid_input");
    post_as(&never, DISABLE, own_password()).await.assert_error(401, "mfa_required");
    app.clock.advance(Duration::from_secs(1_800));
    refreshed_claims(&mut person.browser).await;
    post_as(&person.browser, DISABLE, own_password()).await.assert_error(401, "mfa_required");
    assert_eq!(status(&person.browser).await["enabled"], true);
    verify(&person.browser, &person.authenticator.code(&app)).await.assert_status(200);
    disable(&person.browser).await;
}

async fn an_authenticator_set_up_again_shares_nothing_with_the_first(app: App) {
    let first = app.enrolled().await;
    disable(&first.browser).await;
    let second = app.enrol(first.email.clone(), first.browser.clone()).await;
    let token = second.mfa_token(&app).await;
    let old = crate::challenge(&app, &token, &first.authenticator.next_code(&app)).await;
    old.assert_error(401, "authentication_required");
    recover(&app, &token, &first.recovery_codes[0]).await.assert_error(401, "authentication_required");
    crate::challenge(&app, &token, &second.authenticator.code(&app)).await.assert_status(200);
}
