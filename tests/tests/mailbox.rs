//! Everything that goes through the mailbox: verification, sign-in by code, password reset, another address.

use std::collections::BTreeSet;
use std::time::Duration;

use identsphere_e2e::{Answer, App, Caller, Engine, PASSWORD, matrix, unique};
use serde_json::{Value, json};

const OTHER_PASSWORD: &str = "staple battery horse";

matrix! {
    a_new_user_confirms_their_address_by_the_link_of_a_mail,
    a_link_works_once_for_a_day_and_a_newer_one_voids_it,
    a_token_of_one_purpose_is_nothing_for_another,
    of_many_who_redeem_one_link_one_succeeds,
    a_code_signs_in_once,
    a_code_is_locked_after_five_misses_and_ends_after_ten_minutes,
    of_many_who_present_one_code_one_signs_in,
    the_first_proof_of_a_mailbox_removes_what_was_planted,
    a_password_is_chosen_anew_by_mail,
    a_reset_of_an_unproven_account_leaves_nothing_planted,
    nobody_learns_who_has_an_account,
    addresses_that_are_no_single_address_send_nothing,
    mail_goes_to_the_stored_address_with_links_of_the_setting,
    an_address_changes_when_the_new_mailbox_is_proven,
    a_pending_change_of_address_dies_with_the_password_and_with_signing_out_everywhere,
    an_address_that_was_taken_meanwhile_is_a_conflict,
    a_sign_in_from_another_browser_is_told_and_can_be_disowned,
    mails_of_a_kind_are_rationed,
    mail_is_written_in_the_language_of_the_reader,
}

async fn post(caller: &Caller, path: &str, body: Value) -> Answer {
    caller.post(path).json(&body).send().await
}

async fn post_as(browser: &Caller, path: &str, body: Value) -> Answer {
    browser.post(path).csrf().json(&body).send().await
}

async fn verify(app: &App, token: &str) -> Answer {
    post(&app.caller(), "/v1/auth/email/verify", json!({ "token": token })).await
}

async fn reset(app: &App, token: &str, password: &str) -> Answer {
    let body = json!({ "token": token, "new_password": password });
    post(&app.caller(), "/v1/auth/password/reset", body).await
}

async fn with_code(app: &App, email: &str, code: &str) -> Answer {
    post(&app.caller(), "/v1/auth/email-otp/verify", json!({ "email": email, "code": code })).await
}

async fn request_code(app: &App, email: &str) -> String {
    post(&app.caller(), "/v1/auth/email-otp/request", json!({ "email": email })).await.assert_status(204);
    app.mailed(email, "sign_in_code").await
}

async fn forgot(app: &App, email: &str) -> String {
    post(&app.caller(), "/v1/auth/password/forgot", json!({ "email": email })).await.assert_status(204);
    app.mailed(email, "reset_password").await
}

async fn password_signs_in(app: &App, email: &str, password: &str) -> bool {
    let body = json!({ "email": email, "password": password });
    post(&app.caller(), "/v1/auth/login", body).await.status == 200
}

async fn session(browser: &Caller) -> Answer {
    browser.get("/v1/auth/session").send().await
}

/// Somebody whose mailbox is proven.
async fn verified(app: &App) -> (String, Caller) {
    let (email, browser) = app.sign_up().await;
    verify(app, &app.mailed(&email, "verify_email").await).await.assert_status(204);
    (email, browser)
}

async fn actions(app: &App) -> Vec<String> {
    app.select("SELECT action AS line FROM audit_logs ORDER BY id").await
}

async fn a_new_user_confirms_their_address_by_the_link_of_a_mail(app: App) {
    let (email, browser) = app.sign_up().await;
    assert_eq!(session(&browser).await.json()["user"]["email_verified"], false);
    let token = app.mailed(&email, "verify_email").await;
    let answer = verify(&app, &token).await;
    answer.assert_status(204);
    assert!(answer.cookies().is_empty(), "confirming signs nobody in");
    let user = session(&browser).await.json()["user"].clone();
    assert_eq!((&user["email_verified"], &user["email"]), (&json!(true), &json!(email)));
    let again = post_as(&browser, "/v1/auth/email/send-verification", Value::Null).await;
    again.assert_status(204);
    assert_eq!(app.deliver().await.received(&email).len(), 1, "nothing is sent to who has confirmed");
    if app.engine() != Engine::Memory {
        assert!(actions(&app).await.contains(&"users.email_verified".to_owned()));
        let stored = app.select("SELECT CAST(count(*) AS text) AS line FROM email_verification_tokens").await;
        assert_eq!(stored, ["0"]);
    }
}

async fn a_link_works_once_for_a_day_and_a_newer_one_voids_it(app: App) {
    let (email, browser) = app.sign_up().await;
    let first = app.mailed(&email, "verify_email").await;
    post_as(&browser, "/v1/auth/email/send-verification", Value::Null).await.assert_status(204);
    let second = app.mailed(&email, "verify_email").await;
    assert_ne!(first, second);
    verify(&app, &first).await.assert_error(401, "authentication_required");
    app.clock.advance(Duration::from_secs(24 * 3_600 - 1));
    verify(&app, &second).await.assert_status(204);
    verify(&app, &second).await.assert_error(401, "authentication_required");

    let (email, _) = app.sign_up().await;
    let late = app.mailed(&email, "verify_email").await;
    app.clock.advance(Duration::from_secs(24 * 3_600));
    verify(&app, &late).await.assert_error(401, "authentication_required");
    for invented in ["", "x", &"A".repeat(43), &late.to_lowercase(), "isr_x"] {
        let answer = verify(&app, invented).await;
        answer.assert_error(401, "authentication_required");
    }
}

/// RC-02: every token at every place that takes one.
async fn a_token_of_one_purpose_is_nothing_for_another(app: App) {
    let (email, browser) = verified(&app).await;
    let code = request_code(&app, &email).await;
    let reset_token = forgot(&app, &email).await;
    let body = json!({ "new_email": unique("other@example.com"), "password": PASSWORD });
    post_as(&browser, "/v1/users/me/email", body.clone()).await.assert_status(204);
    let change = app.mailed(body["new_email"].as_str().unwrap(), "confirm_new_email").await;
    app.login(&email).await;
    let disown = app.mailed(&email, "new_sign_in").await;
    let access = browser.cookie("identsphere_at").to_owned();

    for token in [&code, &reset_token, &disown, &access] {
        verify(&app, token).await.assert_error(401, "authentication_required");
    }
    for token in [&code, &change, &disown, &access] {
        reset(&app, token, OTHER_PASSWORD).await.assert_error(401, "authentication_required");
    }
    for token in [&code, &change, &reset_token, &access] {
        let answer = post(&app.caller(), "/v1/auth/session/disown", json!({ "token": token })).await;
        answer.assert_error(401, "authentication_required");
    }
    for token in [&code, &change, &reset_token, &disown] {
        let answer = app.caller().get("/v1/auth/session").bearer(token).send().await;
        answer.assert_error(401, "authentication_required");
        let answer = post(&app.caller(), "/v1/auth/refresh", json!({ "refresh_token": token })).await;
        answer.assert_error(401, "authentication_required");
    }
    for token in [&change, &reset_token, &disown] {
        with_code(&app, &email, token).await.assert_error(400, "invalid_input");
    }
    with_code(&app, &email, &code).await.assert_status(200);
}

/// RC-03.
async fn of_many_who_redeem_one_link_one_succeeds(app: App) {
    let (email, _) = app.sign_up().await;
    let token = app.mailed(&email, "verify_email").await;
    let race = (0..50).map(|_| verify(&app, &token));
    let won = futures::future::join_all(race).await.iter().filter(|answer| answer.status == 204).count();
    assert_eq!(won, 1);

    let token = forgot(&app, &email).await;
    let race = (0..50).map(|_| reset(&app, &token, OTHER_PASSWORD));
    let statuses: Vec<u16> =
        futures::future::join_all(race).await.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 204).count(), 1, "{statuses:?}");
}

async fn a_code_signs_in_once(app: App) {
    let (email, _) = verified(&app).await;
    let shouted = json!({ "email": email.to_uppercase() });
    post(&app.caller(), "/v1/auth/email-otp/request", shouted).await.assert_status(204);
    let code = app.mailed(&email, "sign_in_code").await;
    let answer = with_code(&app, &email, &code).await;
    answer.assert_status(200);
    let body = answer.json();
    assert_eq!((&body["status"], &body["user"]["auth_method"]), (&json!("success"), &json!("email_otp")));
    let claims = identsphere_e2e::claims(body["access_token"].as_str().unwrap());
    assert_eq!((&claims["aal"], &claims["auth_method"]), (&json!("aal1"), &json!("email_otp")));
    assert_eq!(claims["email"], email, "a proven address is in the token");
    with_code(&app, &email, &code).await.assert_error(401, "authentication_required");
    assert!(password_signs_in(&app, &email, PASSWORD).await, "a proven account keeps its password");
    if app.engine() != Engine::Memory {
        assert!(actions(&app).await.contains(&"auth.email_otp.login".to_owned()));
        app.deliver().await;
        let rows = app.select("SELECT 'left' AS line FROM outbox").await;
        assert!(rows.is_empty(), "nothing that was sent stays");
    }
}

async fn a_code_is_locked_after_five_misses_and_ends_after_ten_minutes(app: App) {
    let (email, _) = verified(&app).await;
    let code = request_code(&app, &email).await;
    let wrong = if code == "000000" { "000001" } else { "000000" };
    for _ in 0..5 {
        with_code(&app, &email, wrong).await.assert_error(401, "authentication_required");
    }
    with_code(&app, &email, &code).await.assert_error(401, "authentication_required");

    app.clock.advance(Duration::from_secs(900));
    let code = request_code(&app, &email).await;
    app.clock.advance(Duration::from_secs(600));
    with_code(&app, &email, &code).await.assert_error(401, "authentication_required");
    for malformed in ["", "12345", "1234567", "１２３４５６", " 12345", "12 456", "+12345", "12345a"] {
        with_code(&app, &email, malformed).await.assert_error(400, "invalid_input");
    }
}

async fn of_many_who_present_one_code_one_signs_in(app: App) {
    let (email, _) = verified(&app).await;
    let code = request_code(&app, &email).await;
    let race = (0..50).map(|_| with_code(&app, &email, &code));
    let won = futures::future::join_all(race).await.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(won, 1);
}

/// Rule 7 of the linking policy: somebody registers another one's address and waits.
async fn the_first_proof_of_a_mailbox_removes_what_was_planted(app: App) {
    let (email, planted) = app.sign_up().await;
    let link = app.mailed(&email, "verify_email").await;
    let pending = json!({ "new_email": unique("thief@example.com"), "password": PASSWORD });
    post_as(&planted, "/v1/users/me/email", pending.clone()).await.assert_status(204);
    let change = app.mailed(pending["new_email"].as_str().unwrap(), "confirm_new_email").await;

    let code = request_code(&app, &email).await;
    let mut owner = app.caller();
    let body = json!({ "email": email, "code": code });
    owner.follow(|c| c.post("/v1/auth/email-otp/verify").json(&body)).await.assert_status(200);

    session(&planted).await.assert_error(401, "authentication_required");
    let refreshed = planted.post("/v1/auth/refresh").send().await;
    refreshed.assert_error(401, "authentication_required");
    assert!(!password_signs_in(&app, &email, PASSWORD).await);
    verify(&app, &change).await.assert_error(401, "authentication_required");
    verify(&app, &link).await.assert_error(401, "authentication_required");
    let user = session(&owner).await.json()["user"].clone();
    assert_eq!((&user["email_verified"], &user["email"]), (&json!(true), &json!(email)));
}

async fn a_password_is_chosen_anew_by_mail(app: App) {
    let (email, browser) = verified(&app).await;
    let token = forgot(&app, &email).await;
    let newer = forgot(&app, &email).await;
    reset(&app, &token, OTHER_PASSWORD).await.assert_error(401, "authentication_required");
    reset(&app, &newer, "short").await.assert_error(400, "invalid_input");
    reset(&app, &newer, &email).await.assert_error(400, "invalid_input");

    let answer = reset(&app, &newer, OTHER_PASSWORD).await;
    answer.assert_status(204);
    assert!(answer.cookies().is_empty(), "a reset signs nobody in");
    session(&browser).await.assert_error(401, "authentication_required");
    assert!(!password_signs_in(&app, &email, PASSWORD).await);
    assert!(password_signs_in(&app, &email, OTHER_PASSWORD).await);
    reset(&app, &newer, PASSWORD).await.assert_error(401, "authentication_required");
    let kinds = app.deliver().await.received(&email);
    assert!(kinds.iter().any(|mail| mail.content.name() == "password_changed"));

    let late = forgot(&app, &email).await;
    app.clock.advance(Duration::from_secs(3_600));
    reset(&app, &late, PASSWORD).await.assert_error(401, "authentication_required");
    if app.engine() != Engine::Memory {
        let actions = actions(&app).await;
        for action in ["auth.password_reset.requested", "auth.password_reset.consumed"] {
            assert!(actions.contains(&action.to_owned()), "{action}");
        }
    }
}

async fn a_reset_of_an_unproven_account_leaves_nothing_planted(app: App) {
    let (email, planted) = app.sign_up().await;
    let token = forgot(&app, &email).await;
    reset(&app, &token, OTHER_PASSWORD).await.assert_status(204);
    session(&planted).await.assert_error(401, "authentication_required");
    assert!(!password_signs_in(&app, &email, PASSWORD).await);
    let owner =
        post(&app.caller(), "/v1/auth/login", json!({ "email": email, "password": OTHER_PASSWORD })).await;
    assert_eq!(owner.json()["user"]["email_verified"], true);
}

async fn nobody_learns_who_has_an_account(app: App) {
    let (email, _) = verified(&app).await;
    let nobody = unique("nobody@example.com");
    for path in ["/v1/auth/password/forgot", "/v1/auth/email-otp/request"] {
        let shape = |answer: Answer| {
            let names: BTreeSet<String> = answer.headers.keys().map(ToString::to_string).collect();
            (answer.status, names, answer.body)
        };
        let known = shape(post(&app.caller(), path, json!({ "email": email })).await);
        let unknown = shape(post(&app.caller(), path, json!({ "email": nobody })).await);
        assert_eq!(known, unknown);
        assert_eq!(known.0, 204);
    }
    let mailbox = app.deliver().await;
    assert!(mailbox.received(&nobody).is_empty());
    let wrong = with_code(&app, &email, "123456").await;
    let unknown = with_code(&app, &nobody, "123456").await;
    for answer in [&wrong, &unknown] {
        answer.assert_error(401, "authentication_required");
    }
    assert_eq!(wrong.json()["error"]["message"], unknown.json()["error"]["message"]);
}

/// RC-05.
async fn addresses_that_are_no_single_address_send_nothing(app: App) {
    let (email, _) = verified(&app).await;
    let before = app.deliver().await.count();
    let thief = "thief@example.com";
    let bad = [
        json!([email, thief]),
        json!({ "to": email }),
        json!(format!("{email},{thief}")),
        json!(format!("{email};{thief}")),
        json!(format!("{email} {thief}")),
        json!(format!("{email}\n{thief}")),
        json!(format!("{email}\r\nBcc: {thief}")),
        json!(format!("{email}%0a{thief}")),
        json!(format!("{email}\u{0}{thief}")),
        json!(format!("<{email}>")),
        json!(format!("\"{email}\" <{thief}>")),
        json!(null),
        json!(7),
        json!(true),
        json!(""),
    ];
    for path in ["/v1/auth/password/forgot", "/v1/auth/email-otp/request"] {
        for email in &bad {
            post(&app.caller(), path, json!({ "email": email })).await.assert_error(400, "invalid_input");
        }
        let twice = format!(r#"{{"email":"{email}","email":"{thief}"}}"#);
        let answer = app.caller().post(path).body("application/json", twice).send().await;
        answer.assert_error(400, "invalid_input");
    }
    assert_eq!(app.deliver().await.count(), before);
}

/// RC-06, RC-07.
async fn mail_goes_to_the_stored_address_with_links_of_the_setting(app: App) {
    let (email, _) = verified(&app).await;
    let lookalike = email.replace('e', "ｅ").to_uppercase();
    for (header, value) in [
        ("x-forwarded-host", "evil.example"),
        ("forwarded", "host=evil.example"),
        ("x-host", "evil.example"),
        ("x-original-url", "https://evil.example/"),
        ("host", "evil.example"),
    ] {
        app.clock.advance(Duration::from_secs(3_600));
        let request = app.caller();
        let body = json!({ "email": lookalike });
        let answer = request.post("/v1/auth/password/forgot").header(header, value).json(&body).send().await;
        answer.assert_status(204);
        app.deliver().await;
    }
    let mails = app.deliver().await.received(&email);
    assert!(app.deliver().await.received(&lookalike).is_empty());
    let links: Vec<String> = mails
        .iter()
        .filter_map(|mail| serde_json::to_value(&mail.content).ok()?["link"].as_str().map(str::to_owned))
        .collect();
    assert!(links.len() >= 5);
    for link in links {
        assert!(link.starts_with(&format!("{}/", app.origin())), "{link}");
    }
}

/// RC-14.
async fn an_address_changes_when_the_new_mailbox_is_proven(app: App) {
    let (old, browser) = verified(&app).await;
    let new = unique("new@example.com");
    let ask = |email: &str, password: &str| json!({ "new_email": email, "password": password });
    let path = "/v1/users/me/email";
    post_as(&browser, path, ask(&new, "not the password")).await.assert_error(401, "invalid_credentials");
    post_as(&browser, path, ask(&old.to_uppercase(), PASSWORD)).await.assert_error(400, "invalid_input");
    post_as(&browser, path, ask("no address", PASSWORD)).await.assert_error(400, "invalid_input");
    post(&browser, path, ask(&new, PASSWORD)).await.assert_error(403, "csrf_failed");
    post_as(&browser, path, ask(&new, PASSWORD)).await.assert_status(204);

    let token = app.mailed(&new, "confirm_new_email").await;
    let notices = app.deliver().await.received(&old);
    assert!(notices.iter().any(|mail| mail.content.name() == "email_change_requested"));
    assert_eq!(session(&browser).await.json()["user"]["email"], old, "nothing changes before");

    verify(&app, &token).await.assert_status(204);
    let notices = app.deliver().await.received(&old);
    assert!(notices.iter().any(|mail| mail.content.name() == "email_changed"));
    let user = session(&browser).await.json()["user"].clone();
    assert_eq!((&user["email"], &user["email_verified"]), (&json!(new), &json!(true)));
    assert!(!password_signs_in(&app, &old, PASSWORD).await);
    assert!(password_signs_in(&app, &new, PASSWORD).await);
    let sign_up = json!({ "email": old, "password": PASSWORD, "organization_name": "Later" });
    post(&app.caller(), "/v1/auth/register", sign_up).await.assert_status(201);
}

async fn a_pending_change_of_address_dies_with_the_password_and_with_signing_out_everywhere(app: App) {
    for by_reset in [true, false] {
        let (email, browser) = verified(&app).await;
        let new = unique("new@example.com");
        let body = json!({ "new_email": new, "password": PASSWORD });
        post_as(&browser, "/v1/users/me/email", body).await.assert_status(204);
        let change = app.mailed(&new, "confirm_new_email").await;
        if by_reset {
            let token = forgot(&app, &email).await;
            reset(&app, &token, OTHER_PASSWORD).await.assert_status(204);
        } else {
            browser.delete("/v1/auth/sessions").csrf().send().await.assert_status(204);
        }
        verify(&app, &change).await.assert_error(401, "authentication_required");
    }
}

async fn an_address_that_was_taken_meanwhile_is_a_conflict(app: App) {
    let (_, browser) = verified(&app).await;
    let wanted = unique("wanted@example.com");
    let body = json!({ "new_email": wanted, "password": PASSWORD });
    post_as(&browser, "/v1/users/me/email", body).await.assert_status(204);
    let token = app.mailed(&wanted, "confirm_new_email").await;
    let sign_up = json!({ "email": wanted, "password": PASSWORD, "organization_name": "Quicker" });
    post(&app.caller(), "/v1/auth/register", sign_up).await.assert_status(201);
    verify(&app, &token).await.assert_error(409, "conflict");
}

async fn a_sign_in_from_another_browser_is_told_and_can_be_disowned(app: App) {
    let (email, mut browser) = verified(&app).await;
    let count = async |app: &App| {
        let mails = app.deliver().await.received(&email);
        mails.iter().filter(|mail| mail.content.name() == "new_sign_in").count()
    };
    let body = json!({ "email": email, "password": PASSWORD });
    browser.follow(|c| c.post("/v1/auth/login").json(&body)).await.assert_status(200);
    assert_eq!(count(&app).await, 0, "the browser that registered is known");

    let stranger = app.login(&email).await;
    assert_eq!(count(&app).await, 1);
    let token = app.mailed(&email, "new_sign_in").await;
    let mut again = stranger.clone();
    again.follow(|c| c.post("/v1/auth/login").json(&body)).await.assert_status(200);
    assert_eq!(count(&app).await, 1, "a browser is told of once");
    app.bearer_login(&email).await;
    app.bearer_login(&email).await;
    assert_eq!(count(&app).await, 2, "a program without cookies is known by its kind");

    for _ in 0..2 {
        let answer = post(&app.caller(), "/v1/auth/session/disown", json!({ "token": token })).await;
        answer.assert_status(204);
    }
    session(&stranger).await.assert_error(401, "authentication_required");
    session(&browser).await.assert_status(200);
    session(&again).await.assert_status(200);
    let forged = format!("{}A", &token[..token.len() - 1]);
    if forged != token {
        let answer = post(&app.caller(), "/v1/auth/session/disown", json!({ "token": forged })).await;
        answer.assert_error(401, "authentication_required");
    }
}

/// RC-16.
async fn mails_of_a_kind_are_rationed(app: App) {
    let email = unique("flooded@example.com");
    let caller = app.caller();
    let ask = || post(&caller, "/v1/auth/password/forgot", json!({ "email": email }));
    for _ in 0..3 {
        ask().await.assert_status(204);
    }
    let refused = ask().await;
    refused.assert_error(429, "rate_limited");
    assert!(refused.header("retry-after").is_some());
    post(&app.caller(), "/v1/auth/email-otp/request", json!({ "email": email })).await.assert_status(204);
    app.clock.advance(Duration::from_secs(600));
    ask().await.assert_status(204);
}

async fn mail_is_written_in_the_language_of_the_reader(app: App) {
    let (email, _) = verified(&app).await;
    let body = json!({ "email": email });
    let request = app.caller();
    let answer =
        request.post("/v1/auth/email-otp/request").header("accept-language", "de-AT,de;q=0.9").json(&body);
    answer.send().await.assert_status(204);
    let mails = app.deliver().await.received(&email);
    assert_eq!(mails.last().unwrap().language.tag(), "de");
    assert_eq!(mails.first().unwrap().language.tag(), "en");
}
