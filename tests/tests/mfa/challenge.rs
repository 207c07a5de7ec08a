//! Signing in with a second factor.

use identsphere_e2e::{App, Engine, claims, matrix, mfa_token};
use identsphere_kernel::{Clock, Duration};
use serde_json::{Value, json};

use crate::{challenge, is_alive, prove_mailbox, refreshed_claims, session, sign_in_by_mail, status};

matrix! {
    a_first_factor_alone_gets_nothing_but_a_question,
    a_code_ends_the_sign_in_of_a_browser,
    a_code_ends_the_sign_in_of_a_program,
    what_is_no_answer_to_the_question_is_refused,
    a_code_from_the_mailbox_is_a_first_factor_too,
    the_first_proof_of_a_mailbox_removes_a_planted_authenticator,
    a_stranger_at_the_challenge_is_told_to_the_owner,
}

/// MF-06.
async fn a_first_factor_alone_gets_nothing_but_a_question(app: App) {
    let person = app.enrolled().await;
    let sessions = async || person.browser.get("/v1/auth/sessions").send().await.json();
    let before = sessions().await;
    let mut device = app.caller();
    device.cookies.insert("identsphere_device".into(), person.browser.cookies["identsphere_device"].clone());
    for caller in [app.caller(), device, person.browser.clone()] {
        for transport in ["cookie", "bearer"] {
            let mut request = person.login();
            request["token_transport"] = json!(transport);
            let answer = caller.post("/v1/auth/login").json(&request).send().await;
            let body = answer.assert_status(200).json();
            let token = body["mfa_token"].as_str().unwrap();
            let expected = json!({
                "status": "mfa_required",
                "mfa_token": token,
                "mfa_token_expires_in": 300,
                "methods": ["totp", "recovery_code"],
            });
            assert_eq!(body, expected);
            assert!(token.len() >= 43, "256 bits in base64url");
            assert!(answer.headers.get("set-cookie").is_none(), "{:?}", answer.headers);
            assert_eq!(answer.header("cache-control"), Some("no-store"));
        }
    }
    assert_eq!(sessions().await, before);
    if app.engine() != Engine::Memory {
        let rows = app.select("SELECT 'row' AS line FROM user_sessions").await;
        assert_eq!(rows, ["row"], "the one that set it up");
    }
    let wrong = json!({ "email": person.email, "password": "not the password" });
    let refused = app.caller().post("/v1/auth/login").json(&wrong).send().await;
    refused.assert_error(401, "invalid_credentials");
}

async fn a_code_ends_the_sign_in_of_a_browser(app: App) {
    let person = app.enrolled().await;
    let mut browser = app.caller();
    let answer = person.sign_in(&app, &mut browser).await;
    let body = answer.json();
    let mut members: Vec<&String> = body.as_object().unwrap().keys().collect();
    members.sort();
    assert_eq!(members, ["access_token", "capabilities", "expires_in", "status", "token_type", "user"]);
    assert_eq!((&body["status"], &body["user"]["email"]), (&json!("success"), &json!(person.email)));
    let cookies: Vec<String> = answer.cookies().into_keys().collect();
    assert_eq!(
        cookies,
        ["identsphere_at", "identsphere_csrf", "identsphere_device", "identsphere_rt"].map(str::to_owned)
    );

    let at = app.clock.now().unix_seconds();
    let claims = claims(body["access_token"].as_str().unwrap());
    let expected =
        json!({ "aal": "aal2", "auth_method": "password_with_mfa", "auth_time": at, "mfa_verified_at": at });
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&claims[name], value, "{name}");
    }
    let user = session(&browser).await.json()["user"].clone();
    assert_eq!((&user["auth_method"], &user["mfa_verified_at"]), (&json!("password_with_mfa"), &json!(at)));
    app.clock.advance(Duration::from_secs(5_000));
    let later = refreshed_claims(&mut browser).await;
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&later[name], value, "{name} after a refresh");
    }
    let list = browser.get("/v1/auth/sessions").send().await.json();
    let current = list.as_array().unwrap().iter().find(|row| row["is_current"] == true).unwrap();
    assert_eq!((&current["aal"], &current["auth_method"]), (&json!("aal2"), &json!("password_with_mfa")));
}

async fn a_code_ends_the_sign_in_of_a_program(app: App) {
    let person = app.enrolled().await;
    let request = json!({
        "mfa_token": person.mfa_token(&app).await,
        "code": person.authenticator.next_code(&app),
        "token_transport": "bearer",
    });
    let answer = app.caller().post("/v1/auth/mfa/challenge").json(&request).send().await;
    let body = answer.assert_status(200).json();
    assert!(answer.headers.get("set-cookie").is_none(), "{:?}", answer.headers);
    assert!(body["refresh_token"].is_string() && body["refresh_expires_in"].is_u64());
    let session = person.bearer(&app).await;
    for claims in [session.claims(), session.refreshed(&app).await.claims()] {
        assert_eq!((&claims["aal"], &claims["auth_method"]), (&json!("aal2"), &json!("password_with_mfa")));
    }
}

async fn what_is_no_answer_to_the_question_is_refused(app: App) {
    let person = app.enrolled().await;
    let (token, code) = (person.mfa_token(&app).await, person.authenticator.next_code(&app));
    let send = async |body: Value| app.caller().post("/v1/auth/mfa/challenge").json(&body).send().await;
    let recovery_code = &person.recovery_codes[0];
    for (body, field) in [
        (json!({ "code": code }), "mfa_token"),
        (json!({ "mfa_token": token }), "code"),
        (json!({ "mfa_token": token, "code": code, "recovery_code": recovery_code }), "recovery_code"),
        (json!({ "mfa_token": token, "code": code, "token_transport": "pigeon" }), "token_transport"),
        (json!({ "mfa_token": 7, "code": code }), "mfa_token"),
        (json!({ "mfa_token": token, "code": [code] }), "code"),
    ] {
        let refused = send(body).await;
        let error = refused.assert_error(400, "invalid_input").json();
        assert_eq!(error["error"]["fields"][0]["field"], field);
    }
    for invented in ["", "x", &token.to_lowercase(), &"A".repeat(43), person.browser.cookie("identsphere_rt")]
    {
        challenge(&app, invented, &code).await.assert_error(401, "authentication_required");
    }
    challenge(&app, &token, &code).await.assert_status(200);
}

async fn a_code_from_the_mailbox_is_a_first_factor_too(app: App) {
    let (email, browser) = app.sign_up().await;
    prove_mailbox(&app, &email).await;
    let person = app.enrol(email, browser).await;
    let asked = sign_in_by_mail(&app, &person.email).await;
    let token = mfa_token(&asked);
    assert!(asked.headers.get("set-cookie").is_none(), "{:?}", asked.headers);
    let answer = challenge(&app, &token, &person.authenticator.next_code(&app)).await;
    let claims = claims(answer.assert_status(200).json()["access_token"].as_str().unwrap());
    assert_eq!((&claims["aal"], &claims["auth_method"]), (&json!("aal2"), &json!("email_otp")));
    assert_eq!(claims["mfa_verified_at"], app.clock.now().unix_seconds());
    if app.engine() != Engine::Memory {
        let rows = app.select("SELECT action AS line FROM audit_logs").await;
        assert!(rows.contains(&"auth.email_otp.mfa_required".to_owned()), "{rows:?}");
        assert!(!rows.contains(&"auth.email_otp.login".to_owned()), "{rows:?}");
    }
}

/// Rule 7 of the linking policy, for second factors.
async fn the_first_proof_of_a_mailbox_removes_a_planted_authenticator(app: App) {
    let planted = app.enrolled().await;
    let waiting = planted.mfa_token(&app).await;
    let answer = sign_in_by_mail(&app, &planted.email).await;
    let body = answer.assert_status(200).json();
    assert_eq!((&body["status"], &body["user"]["email"]), (&json!("success"), &json!(planted.email)));
    let mut owner = app.caller();
    owner.keep(&answer);
    assert_eq!(status(&owner).await, json!({ "enabled": false, "recovery_codes_left": 0 }));
    assert!(!is_alive(&planted.browser).await);
    let late = challenge(&app, &waiting, &planted.authenticator.next_code(&app)).await;
    late.assert_error(401, "authentication_required");

    let person = app.enrol(planted.email.clone(), owner).await;
    mfa_token(&sign_in_by_mail(&app, &person.email).await);
}

async fn a_stranger_at_the_challenge_is_told_to_the_owner(app: App) {
    let mut person = app.enrolled().await;
    let count = async |app: &App| {
        let mails = app.deliver().await.received(&person.email);
        mails.iter().filter(|mail| mail.content.name() == "new_sign_in").count()
    };
    person.mfa_token(&app).await;
    assert_eq!(count(&app).await, 0, "nobody has signed in yet");
    let mut known = person.browser.clone();
    person.sign_in(&app, &mut known).await;
    assert_eq!(count(&app).await, 0);
    person.browser = app.caller();
    person.sign_in(&app, &mut app.caller()).await;
    assert_eq!(count(&app).await, 1);
}
