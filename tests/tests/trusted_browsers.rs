//! Browsers that stand for the second factor of a sign-in with the password (contract §4.5, MF-13). On every framework and
//! store.

use std::time::Duration;

use identsphere_e2e::{Answer, App, Caller, Engine, Enrolled, PASSWORD, claims, matrix, mfa_token, uuid_v7};
use identsphere_kernel::Clock;
use serde_json::{Value, json};

const OTHER_PASSWORD: &str = "staple battery horse";
const PATH: &str = "/v1/auth/trusted-browsers";
const TRUST: &str = "identsphere_trust";
const DAY: Duration = Duration::from_secs(86_400);

matrix! {
    a_browser_is_trusted_after_a_second_factor_in_its_session,
    a_session_without_a_second_factor_of_its_own_trusts_nothing,
    a_trusted_browser_is_asked_for_the_password_alone,
    a_trusted_browser_is_no_step_up,
    its_token_works_once,
    of_two_that_show_one_token_one_is_trusted,
    trust_ends_after_thirty_days_however_much_it_is_used,
    the_list_shows_live_ones_newest_first,
    other_peoples_browsers_do_not_exist,
    trust_ends_with_what_it_rests_on,
    trust_outlives_signing_out,
    the_cookie_of_another_user_is_nothing,
    trust_is_nothing_without_the_password,
    trust_is_nothing_to_programs_and_to_other_ways_in,
}

async fn trust(browser: &mut Caller) -> Value {
    browser.follow(|c| c.post(PATH).csrf()).await.assert_status(200).json()["trusted_browser"].clone()
}

/// Somebody whose browser is trusted.
async fn trusted(app: &App) -> Enrolled {
    let mut person = app.enrolled().await;
    trust(&mut person.browser).await;
    person
}

async fn login(browser: &Caller, person: &Enrolled) -> Answer {
    browser.post("/v1/auth/login").json(&person.login()).send().await
}

/// Whether a browser is asked for no second factor. Uses its token.
async fn is_trusted(browser: &mut Caller, person: &Enrolled) -> bool {
    let answer = login(browser, person).await;
    browser.keep(&answer);
    answer.assert_status(200).json()["status"] == "success"
}

async fn list(browser: &Caller) -> Vec<Value> {
    browser.get(PATH).send().await.assert_status(200).json().as_array().expect("a bare array").clone()
}

async fn a_browser_is_trusted_after_a_second_factor_in_its_session(app: App) {
    let person = app.enrolled().await;
    let browser = &person.browser;
    browser.post(PATH).send().await.assert_error(403, "csrf_failed");
    app.caller().post(PATH).send().await.assert_error(401, "authentication_required");
    for label in [json!(""), json!(7), json!("x".repeat(101)), json!("a\nb")] {
        let refused = browser.post(PATH).csrf().json(&json!({ "label": label })).send().await;
        assert_eq!(refused.assert_error(400, "invalid_input").json()["error"]["fields"][0]["field"], "label");
    }
    assert_eq!(list(browser).await, Vec::<Value>::new());

    let request = browser.post(PATH).csrf().header("user-agent", "Firefox on Mars");
    let answer = request.json(&json!({ "label": "Ada's laptop" })).send().await;
    let body = answer.assert_status(200).json();
    let view = &body["trusted_browser"];
    let mut keys: Vec<&String> = view.as_object().unwrap().keys().collect();
    keys.sort();
    assert_eq!(keys, ["created_at", "expires_at", "id", "ip_address", "label", "last_seen_at", "user_agent"]);
    assert_eq!((&view["label"], &view["user_agent"]), (&json!("Ada's laptop"), &json!("Firefox on Mars")));
    assert_eq!((&view["ip_address"], body.as_object().unwrap().len()), (&json!("127.0.0.1"), 1));
    let now = app.clock.now();
    assert_eq!(view["expires_at"], serde_json::to_value(now.plus(30 * DAY)).unwrap());

    let cookies = answer.cookies();
    assert_eq!(cookies.keys().collect::<Vec<_>>(), [TRUST]);
    let cookie = &cookies[TRUST];
    assert_eq!((cookie.max_age(), cookie.attributes["path"].as_str()), (2_592_000, "/v1/auth"));
    assert!(cookie.attributes.contains_key("httponly") && !cookie.attributes.contains_key("domain"));
    assert_eq!(cookie.attributes["samesite"], "lax");
    assert!(cookie.value.len() >= 43 && !String::from_utf8_lossy(&answer.body).contains(&cookie.value));
    assert_eq!(list(browser).await, std::slice::from_ref(view));
}

async fn a_session_without_a_second_factor_of_its_own_trusts_nothing(app: App) {
    let (email, browser) = app.sign_up().await;
    browser.post(PATH).csrf().send().await.assert_error(401, "mfa_required");
    let before = app.login(&email).await;
    let mut person = app.enrol(email, browser).await;
    before.post(PATH).csrf().send().await.assert_error(401, "mfa_required");

    trust(&mut person.browser).await;
    let mut by_trust = person.browser.clone();
    assert!(is_trusted(&mut by_trust, &person).await);
    let refused = by_trust.post(PATH).csrf().send().await;
    refused.assert_error(401, "mfa_required");
    assert!(refused.cookies().is_empty());
    let code = json!({ "code": person.authenticator.next_code(&app) });
    by_trust.post("/v1/auth/mfa/verify").csrf().json(&code).send().await.assert_status(200);
    trust(&mut by_trust).await;
}

async fn a_trusted_browser_is_asked_for_the_password_alone(app: App) {
    let mut person = trusted(&app).await;
    let before = person.browser.cookie(TRUST).to_owned();
    app.clock.advance(DAY);
    let answer = login(&person.browser, &person).await;
    let body = answer.assert_status(200).json();
    assert_eq!(body["status"], "success");
    let claims = claims(body["access_token"].as_str().unwrap());
    assert_eq!((&claims["aal"], &claims["auth_method"]), (&json!("aal2"), &json!("password_with_mfa")));
    assert!(claims.get("mfa_verified_at").is_none(), "{claims}");
    assert_eq!(body["user"]["mfa_verified_at"], Value::Null);

    let cookies = answer.cookies();
    let cookie = &cookies[TRUST];
    assert_ne!(cookie.value, before, "the token is replaced when it is used");
    assert_eq!((cookie.max_age(), cookie.attributes["path"].as_str()), (29 * 86_400, "/v1/auth"));
    assert!(cookie.attributes.contains_key("httponly"));
    person.browser.keep(&answer);
    let row = &list(&person.browser).await[0];
    assert_eq!(row["last_seen_at"], serde_json::to_value(app.clock.now()).unwrap());
    if app.engine() != Engine::Memory {
        let query = "SELECT action AS line FROM audit_logs WHERE metadata IS NOT NULL";
        let rows = app.select(query).await;
        assert!(rows.contains(&"auth.login".to_owned()), "{rows:?}");
        assert!(!rows.contains(&"auth.login.mfa_required".to_owned()), "{rows:?}");
    }
}

async fn a_trusted_browser_is_no_step_up(app: App) {
    let mut person = trusted(&app).await;
    let mut browser = person.browser.clone();
    assert!(is_trusted(&mut browser, &person).await);
    let password = json!({ "password": PASSWORD });
    let refused = browser.post("/v1/auth/mfa/disable").csrf().json(&password).send().await;
    refused.assert_error(401, "mfa_required");
    browser.follow(|c| c.post("/v1/auth/refresh")).await.assert_status(200);
    let claims = claims(browser.cookie("identsphere_at"));
    assert_eq!((&claims["aal"], claims.get("mfa_verified_at")), (&json!("aal2"), None));
    person.browser = browser;
    let refused = person.browser.delete("/v1/users/me").csrf().json(&password).send().await;
    refused.assert_error(401, "mfa_required");
}

async fn its_token_works_once(app: App) {
    let person = trusted(&app).await;
    let mut stolen = person.browser.clone();
    let mut browser = person.browser.clone();
    assert!(is_trusted(&mut browser, &person).await);
    assert!(!is_trusted(&mut stolen, &person).await, "the token before is nothing");
    assert!(is_trusted(&mut browser, &person).await, "and its successor is not harmed by that");
}

async fn of_two_that_show_one_token_one_is_trusted(app: App) {
    let node = app.another_node().await;
    let person = trusted(&app).await;
    let there = person.browser.at(node.address);
    let (one, two) = tokio::join!(login(&person.browser, &person), login(&there, &person));
    let mut answers = [one, two].map(|answer| answer.assert_status(200).json()["status"].clone());
    answers.sort_by_key(ToString::to_string);
    assert_eq!(answers, ["mfa_required", "success"]);
}

async fn trust_ends_after_thirty_days_however_much_it_is_used(app: App) {
    let person = trusted(&app).await;
    let mut browser = person.browser.clone();
    for _ in 0..29 {
        app.clock.advance(DAY);
        assert!(is_trusted(&mut browser, &person).await);
    }
    app.clock.advance(DAY - Duration::from_secs(1));
    let answer = login(&browser, &person).await;
    assert_eq!(answer.cookies()[TRUST].max_age(), 1);
    browser.keep(&answer);
    app.clock.advance(Duration::from_secs(1));
    assert!(list(&browser).await.is_empty());
    assert!(!is_trusted(&mut browser, &person).await);
}

async fn the_list_shows_live_ones_newest_first(app: App) {
    let person = app.enrolled().await;
    let mut ids = vec![];
    let mut browsers = vec![];
    for _ in 0..3 {
        let mut browser = app.caller();
        person.sign_in(&app, &mut browser).await;
        ids.insert(0, trust(&mut browser).await["id"].clone());
        browsers.push(browser);
    }
    let listed = async |browser: &Caller| -> Vec<Value> {
        list(browser).await.iter().map(|row| row["id"].clone()).collect()
    };
    assert_eq!(listed(&browsers[0]).await, ids);
    assert!(is_trusted(&mut browsers[0], &person).await);
    assert_eq!(listed(&browsers[0]).await, ids, "in the order in which they came to be trusted");

    let path = format!("{PATH}/{}", ids[1].as_str().unwrap());
    browsers[0].delete(&path).send().await.assert_error(403, "csrf_failed");
    let answer = browsers[0].delete(&path).csrf().send().await;
    answer.assert_status(204);
    browsers[0].delete(&path).csrf().send().await.assert_error(404, "not_found");
    assert_eq!(listed(&browsers[0]).await, [ids[0].clone(), ids[2].clone()]);
    assert!(!is_trusted(&mut browsers[1], &person).await);
    assert!(is_trusted(&mut browsers[2], &person).await);
}

async fn other_peoples_browsers_do_not_exist(app: App) {
    let (mut victim, mallory) = (app.enrolled().await, app.enrolled().await);
    let id = trust(&mut victim.browser).await["id"].as_str().unwrap().to_owned();
    let mut answers = vec![];
    for id in [id.as_str(), &uuid_v7(), "no-uuid"] {
        let answer = mallory.browser.delete(&format!("{PATH}/{id}")).csrf().send().await;
        let mut body = answer.assert_error(404, "not_found").json();
        body["error"]["request_id"] = Value::Null;
        answers.push(body);
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    assert!(list(&mallory.browser).await.is_empty());
    assert!(is_trusted(&mut victim.browser.clone(), &victim).await);
}

async fn trust_ends_with_what_it_rests_on(app: App) {
    for what in ["password", "password that ends nothing", "reset", "everywhere"] {
        let person = trusted(&app).await;
        let link = json!({ "token": app.mailed(&person.email, "verify_email").await });
        app.caller().post("/v1/auth/email/verify").json(&link).send().await.assert_status(204);
        let browser = &person.browser;
        let mut change = json!({ "current_password": PASSWORD, "new_password": OTHER_PASSWORD });
        let password = match what {
            "password" | "password that ends nothing" => {
                change["sign_out_other_sessions"] = json!(what == "password");
                let answer = browser.post("/v1/users/me/password").csrf().json(&change).send().await;
                answer.assert_status(204);
                OTHER_PASSWORD
            }
            "reset" => {
                let caller = app.caller();
                let request = json!({ "email": person.email });
                caller.post("/v1/auth/password/forgot").json(&request).send().await.assert_status(204);
                let token = app.mailed(&person.email, "reset_password").await;
                let request = json!({ "token": token, "new_password": OTHER_PASSWORD });
                caller.post("/v1/auth/password/reset").json(&request).send().await.assert_status(204);
                OTHER_PASSWORD
            }
            _ => {
                browser.delete("/v1/auth/sessions").csrf().send().await.assert_status(204);
                PASSWORD
            }
        };
        let request = json!({ "email": person.email, "password": password });
        let answer = browser.post("/v1/auth/login").json(&request).send().await;
        assert_eq!(answer.json()["status"], "mfa_required", "{what} {}", answer.json());
        let code = person.authenticator.next_code(&app);
        let request = json!({ "mfa_token": mfa_token(&answer), "code": code });
        let mut browser = browser.clone();
        browser.follow(|c| c.post("/v1/auth/mfa/challenge").json(&request)).await.assert_status(200);
        assert!(list(&browser).await.is_empty(), "{what}");
    }
}

async fn trust_outlives_signing_out(app: App) {
    let person = trusted(&app).await;
    let mut browser = person.browser.clone();
    let answer = browser.follow(|c| c.post("/v1/auth/logout").csrf()).await;
    assert!(!answer.assert_status(204).cookies().contains_key(TRUST));
    assert!(is_trusted(&mut browser, &person).await);
    browser.delete("/v1/auth/sessions?except_current=true").csrf().send().await.assert_status(204);
    assert!(is_trusted(&mut browser, &person).await);
}

async fn the_cookie_of_another_user_is_nothing(app: App) {
    let (one, other) = (trusted(&app).await, trusted(&app).await);
    let mut shared = one.browser.clone();
    assert!(!is_trusted(&mut shared, &other).await);
    assert!(is_trusted(&mut shared, &one).await, "it still is its user's");
    for invented in ["", "x", &"A".repeat(43), &other.browser.cookie(TRUST).to_lowercase()] {
        let mut browser = app.caller();
        browser.cookies.insert(TRUST.to_owned(), (invented.to_owned(), "/v1/auth".to_owned()));
        assert!(!is_trusted(&mut browser, &other).await, "{invented}");
    }
    let line = format!("{TRUST}={0}; {TRUST}={0}", other.browser.cookie(TRUST));
    let twice = app.caller();
    let twice = twice.post("/v1/auth/login").header("cookie", &line).json(&other.login()).send().await;
    twice.assert_error(400, "invalid_input");
}

async fn trust_is_nothing_without_the_password(app: App) {
    let person = trusted(&app).await;
    let wrong = json!({ "email": person.email, "password": "not the password" });
    let refused = person.browser.post("/v1/auth/login").json(&wrong).send().await;
    refused.assert_error(401, "invalid_credentials");
    assert!(refused.cookies().is_empty());
    assert!(is_trusted(&mut person.browser.clone(), &person).await, "nor is it used up");
}

async fn trust_is_nothing_to_programs_and_to_other_ways_in(app: App) {
    let person = trusted(&app).await;
    let mut request = person.login();
    request["token_transport"] = json!("bearer");
    let asked = person.browser.post("/v1/auth/login").json(&request).send().await;
    mfa_token(&asked);
    assert!(asked.cookies().is_empty());
    let cookie_alone = person.browser.get("/v1/auth/session").anonymous();
    let line = format!("{TRUST}={}", person.browser.cookie(TRUST));
    cookie_alone.header("cookie", &line).send().await.assert_error(401, "authentication_required");

    let link = json!({ "token": app.mailed(&person.email, "verify_email").await });
    app.caller().post("/v1/auth/email/verify").json(&link).send().await.assert_status(204);
    let wanted = json!({ "email": person.email });
    person.browser.post("/v1/auth/email-otp/request").json(&wanted).send().await.assert_status(204);
    let code = app.mailed(&person.email, "sign_in_code").await;
    let request = json!({ "email": person.email, "code": code });
    mfa_token(&person.browser.post("/v1/auth/email-otp/verify").json(&request).send().await);
    assert!(is_trusted(&mut person.browser.clone(), &person).await, "it was not used");
}
