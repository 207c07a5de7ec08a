//! Setting up an authenticator.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use identsphere_e2e::{App, Authenticator, matrix};
use identsphere_kernel::Clock;
use serde_json::{Value, json};

use crate::{post_as, refreshed_claims, session, status};

matrix! {
    an_authenticator_is_set_up_and_confirmed,
    a_second_set_up_voids_the_first,
    what_confirms_nothing_changes_nothing,
    confirming_is_a_step_up_of_that_session_alone,
    of_many_who_confirm_at_once_one_gets_codes,
}

const SETUP: &str = "/v1/auth/mfa/setup";
const ENABLE: &str = "/v1/auth/mfa/enable";

async fn an_authenticator_is_set_up_and_confirmed(app: App) {
    let (email, browser) = app.sign_up().await;
    assert_eq!(status(&browser).await, json!({ "enabled": false, "recovery_codes_left": 0 }));
    browser.post(SETUP).send().await.assert_error(403, "csrf_failed");
    app.caller().post(SETUP).send().await.assert_error(401, "authentication_required");

    let answer = browser.post(SETUP).csrf().send().await;
    let setup = answer.assert_status(200).json();
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let mut keys: Vec<&String> = setup.as_object().unwrap().keys().collect();
    keys.sort();
    assert_eq!(keys, ["otpauth_uri", "qr_code_base64", "secret"]);
    let secret = setup["secret"].as_str().unwrap();
    assert_eq!(secret.len(), 32, "160 bits");
    let uri = setup["otpauth_uri"].as_str().unwrap();
    assert!(uri.starts_with("otpauth://totp/IdentSphere:"), "{uri}");
    for part in [&format!("secret={secret}"), "issuer=IdentSphere", "digits=6", "period=30"] {
        assert!(uri.contains(part), "{part} is missing in {uri}");
    }
    assert!(uri.contains(&email) || uri.contains(&email.replace('@', "%40")), "{uri}");
    let png = STANDARD.decode(setup["qr_code_base64"].as_str().unwrap()).unwrap();
    let picture = image::load_from_memory_with_format(&png, image::ImageFormat::Png).unwrap();
    assert!(picture.width() == picture.height() && picture.width() >= 100, "{picture:?}");
    assert_eq!(status(&browser).await["enabled"], false, "inert until a code confirms it");
    app.login(&email).await;

    let request = json!({ "code": Authenticator::with(secret).code(&app) });
    let answer = post_as(&browser, ENABLE, request).await;
    let body = answer.assert_status(200).json();
    let codes: Vec<&str> =
        body["recovery_codes"].as_array().unwrap().iter().map(|code| code.as_str().unwrap()).collect();
    assert_eq!((codes.len(), body.as_object().unwrap().len()), (10, 1));
    for code in &codes {
        let groups: Vec<&str> = code.split('-').collect();
        assert!(groups.len() == 4 && groups.iter().all(|group| group.len() == 4), "{code}");
        assert_eq!(codes.iter().filter(|other| *other == code).count(), 1);
    }
    assert_eq!(status(&browser).await, json!({ "enabled": true, "recovery_codes_left": 10 }));
    let profile = browser.get("/v1/users/me").send().await.json();
    assert_eq!(profile["mfa_enabled"], true);
    let mails = app.deliver().await.received(&email);
    assert!(mails.iter().any(|mail| mail.content.name() == "mfa_enabled"));
}

/// MF-12.
async fn a_second_set_up_voids_the_first(app: App) {
    let (_, browser) = app.sign_up().await;
    let mut secrets = vec![];
    for _ in 0..2 {
        let setup = browser.post(SETUP).csrf().send().await.assert_status(200).json();
        secrets.push(Authenticator::with(setup["secret"].as_str().unwrap()));
    }
    let first = json!({ "code": secrets[0].code(&app) });
    post_as(&browser, ENABLE, first).await.assert_error(401, "authentication_required");
    let second = json!({ "code": secrets[1].code(&app) });
    post_as(&browser, ENABLE, second).await.assert_status(200);

    browser.post(SETUP).csrf().send().await.assert_error(409, "conflict");
    let next = json!({ "code": secrets[1].next_code(&app) });
    post_as(&browser, ENABLE, next).await.assert_error(409, "conflict");
    let code = json!({ "code": secrets[1].code(&app) });
    post_as(&browser, "/v1/auth/mfa/verify", code).await.assert_status(200);
}

async fn what_confirms_nothing_changes_nothing(app: App) {
    let (email, browser) = app.sign_up().await;
    let none = post_as(&browser, ENABLE, json!({ "code": "123456" })).await;
    assert_eq!(none.assert_error(400, "invalid_input").json()["error"]["fields"][0]["field"], "code");
    let setup = browser.post(SETUP).csrf().send().await.json();
    let authenticator = Authenticator::with(setup["secret"].as_str().unwrap());
    let wrong = json!({ "code": authenticator.wrong_code(&app) });
    post_as(&browser, ENABLE, wrong).await.assert_error(401, "authentication_required");
    for far in [-2, 2] {
        let far = json!({ "code": authenticator.code_at(&app, far) });
        post_as(&browser, ENABLE, far).await.assert_error(401, "authentication_required");
    }
    post_as(&browser, ENABLE, json!({})).await.assert_error(400, "invalid_input");
    post_as(&browser, ENABLE, json!({ "code": 123_456 })).await.assert_error(400, "invalid_input");
    assert_eq!(status(&browser).await, json!({ "enabled": false, "recovery_codes_left": 0 }));
    assert!(app.login(&email).await.cookies.contains_key("identsphere_at"), "nothing is asked for");
}

async fn confirming_is_a_step_up_of_that_session_alone(app: App) {
    let (email, browser) = app.sign_up().await;
    let mut other = app.login(&email).await;
    let mut enrolled = app.enrol(email, browser).await;
    let now = app.clock.now().unix_seconds();
    assert_eq!(session(&enrolled.browser).await.json()["user"]["mfa_verified_at"], now);
    let claims = refreshed_claims(&mut enrolled.browser).await;
    assert_eq!((&claims["aal"], &claims["mfa_verified_at"]), (&json!("aal2"), &json!(now)));
    assert_eq!(claims["auth_method"], "password", "it was begun with the password alone");

    assert_eq!(session(&other).await.json()["user"]["mfa_verified_at"], Value::Null);
    let claims = refreshed_claims(&mut other).await;
    assert_eq!((&claims["aal"], claims.get("mfa_verified_at")), (&json!("aal1"), None));
}

async fn of_many_who_confirm_at_once_one_gets_codes(app: App) {
    let (_, browser) = app.sign_up().await;
    let setup = browser.post(SETUP).csrf().send().await.json();
    let code = Authenticator::with(setup["secret"].as_str().unwrap()).code(&app);
    let race = (0..8).map(|_| post_as(&browser, ENABLE, json!({ "code": code })));
    let answers = futures::future::join_all(race).await;
    for answer in &answers {
        assert!(matches!(answer.status, 200 | 409), "{} {}", answer.status, answer.json());
    }
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
    assert_eq!(status(&browser).await["recovery_codes_left"], 10);
}
