//! What users say about themselves, where they belong, and their password. On every framework and store.

use futures::future::join_all;
use identsphere_e2e::{App, Caller, PASSWORD, matrix, unique};
use reqwest::Method;
use serde_json::{Value, json};

matrix! {
    the_profile_has_every_published_key,
    what_is_changed_comes_back_and_the_rest_stays,
    empty_text_clears_and_null_keeps,
    what_breaks_a_rule_changes_nothing,
    preferences_have_bounds,
    a_change_by_cookie_needs_the_csrf_header,
    the_name_shows_in_the_session_at_once,
    the_organizations_of_a_user_are_listed,
    a_new_password_takes_the_place_of_the_old_one,
    a_new_password_ends_the_other_sessions,
    other_sessions_may_be_kept,
    a_password_that_is_not_taken_changes_nothing,
    parallel_guesses_share_one_budget,
    of_many_changes_at_once_one_wins,
}

const ME: &str = "/v1/users/me";

async fn patch(browser: &Caller, change: &Value) -> identsphere_e2e::Answer {
    browser.request(Method::PATCH, ME).csrf().json(change).send().await
}

async fn profile(browser: &Caller) -> Value {
    browser.get(ME).send().await.assert_status(200).json()
}

async fn change_password(browser: &Caller, body: &Value) -> identsphere_e2e::Answer {
    browser.post("/v1/users/me/password").csrf().json(body).send().await
}

async fn the_profile_has_every_published_key(app: App) {
    let (email, browser) = app.sign_up().await;
    let answer = browser.get(ME).send().await;
    assert_eq!(answer.assert_status(200).header("cache-control"), Some("no-store"));
    let profile = answer.json();
    let session = browser.get("/v1/auth/session").send().await.json();
    let mut keys: Vec<&str> = profile.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    let mut expected = [
        "id",
        "email",
        "display_name",
        "organization_id",
        "job_title",
        "phone_number",
        "avatar_url",
        "bio",
        "preferences",
        "mfa_enabled",
        "passkey_enabled",
        "email_verified",
        "last_password_change",
        "created_at",
        "updated_at",
    ];
    expected.sort_unstable();
    assert_eq!(keys, expected);
    assert_eq!(profile["email"], email);
    assert_eq!(profile["id"], session["user"]["user_id"]);
    assert_eq!(profile["organization_id"], session["user"]["organization_id"]);
    assert_eq!(profile["preferences"], json!({}));
    assert_eq!(profile["last_password_change"], profile["created_at"]);
    for empty in ["display_name", "job_title", "phone_number", "avatar_url", "bio"] {
        assert_eq!(profile[empty], Value::Null);
    }
    for no in ["mfa_enabled", "passkey_enabled", "email_verified"] {
        assert_eq!(profile[no], false);
    }
    app.caller().get(ME).send().await.assert_error(401, "authentication_required");
}

async fn what_is_changed_comes_back_and_the_rest_stays(app: App) {
    let (_, browser) = app.sign_up().await;
    let bystander = app.sign_up().await.1;
    let before = profile(&bystander).await;
    let mut expected = profile(&browser).await;
    let changes = [
        json!({ "display_name": " Ада 👩‍🚀 ", "job_title": "Mathematician", "phone_number": "+44 20 7946 0958" }),
        json!({ "bio": "One line\r\nand\tanother 🦀", "preferences": { "theme": "dark", "n": [1, 0.5, null] } }),
        json!({ "preferences": { "language": "de" }, "unknown": { "ignored": true } }),
        json!({ "id": "0199b2a4-6c1e-7d30-8f6e-3c0c5a2f9b11", "email": "x@example.com", "email_verified": true }),
        json!({}),
    ];
    for change in changes {
        app.clock.advance(std::time::Duration::from_secs(1));
        let answer = patch(&browser, &change).await;
        for field in ["display_name", "job_title", "phone_number", "bio", "preferences"] {
            if let Some(value) = change.get(field) {
                expected[field] = match value.as_str() {
                    Some(text) => json!(text.trim().replace("\r\n", "\n")),
                    None => value.clone(),
                };
            }
        }
        let mut now = answer.assert_status(200).json();
        now["updated_at"] = expected["updated_at"].clone();
        assert_eq!(now, expected, "{change}");
        assert_eq!(profile(&browser).await, answer.json());
    }
    assert_eq!(profile(&bystander).await, before);
}

async fn empty_text_clears_and_null_keeps(app: App) {
    let (_, browser) = app.sign_up().await;
    let fields = ["display_name", "job_title", "phone_number", "bio"];
    let set = json!({ "display_name": "A", "job_title": "B", "phone_number": "1", "bio": "C", "preferences": {"a": 1} });
    patch(&browser, &set).await.assert_status(200);
    let before = profile(&browser).await;
    let nothing = json!({ "display_name": null, "job_title": null, "phone_number": null, "bio": null, "preferences": null });
    patch(&browser, &nothing).await.assert_status(200);
    assert_eq!(profile(&browser).await, before);
    for field in fields {
        let cleared = patch(&browser, &json!({ field: "" })).await;
        assert_eq!(cleared.assert_status(200).json()[field], Value::Null);
    }
    assert_eq!(profile(&browser).await["preferences"], json!({"a": 1}));
}

async fn what_breaks_a_rule_changes_nothing(app: App) {
    let (_, browser) = app.sign_up().await;
    let before = profile(&browser).await;
    for (field, value) in [
        ("display_name", json!("Ada\r\nBcc: everybody@example.com")),
        ("display_name", json!("a\nb")),
        ("display_name", json!("a\u{0}b")),
        ("display_name", json!("x".repeat(201))),
        ("display_name", json!(["Ada"])),
        ("job_title", json!("a\rb")),
        ("job_title", json!("x".repeat(201))),
        ("job_title", json!(7)),
        ("phone_number", json!("1".repeat(51))),
        ("phone_number", json!("1\n2")),
        ("phone_number", json!(4420)),
        ("bio", json!("x".repeat(2_001))),
        ("bio", json!("a\u{7}b")),
        ("bio", json!({ "text": "a" })),
        ("preferences", json!([])),
        ("preferences", json!("{}")),
        ("preferences", json!(true)),
    ] {
        let mut change = json!({ "job_title": "Mathematician" });
        change[field] = value;
        let answer = patch(&browser, &change).await;
        answer.assert_error(400, "invalid_input");
        assert_eq!(answer.json()["error"]["fields"][0]["field"], field, "{change}");
    }
    let both = patch(&browser, &json!({ "bio": 1, "preferences": 2 })).await;
    assert_eq!(both.json()["error"]["fields"].as_array().unwrap().len(), 2);
    assert_eq!(profile(&browser).await, before);
}

async fn preferences_have_bounds(app: App) {
    let (_, browser) = app.sign_up().await;
    let sized = |bytes: usize| json!({ "preferences": { "a": "x".repeat(bytes - r#"{"a":""}"#.len()) } });
    patch(&browser, &sized(16 * 1_024)).await.assert_status(200);
    patch(&browser, &sized(16 * 1_024 + 1)).await.assert_error(400, "invalid_input");
    patch(&browser, &json!({ "preferences": { "a": "\u{0}" } })).await.assert_error(400, "invalid_input");
    let nested = |depth: usize| {
        format!("{{\"preferences\":{{\"a\":{}{}}}}}", "[".repeat(depth - 1), "]".repeat(depth - 1))
    };
    for (depth, status) in [(16, 200), (17, 400), (33, 400), (10_000, 400)] {
        let request = browser.request(Method::PATCH, ME).csrf().body("application/json", nested(depth));
        request.send().await.assert_status(status);
    }
}

async fn a_change_by_cookie_needs_the_csrf_header(app: App) {
    let (_, browser) = app.sign_up().await;
    let change = json!({ "bio": "planted" });
    browser.request(Method::PATCH, ME).json(&change).send().await.assert_error(403, "csrf_failed");
    let passwords = json!({ "current_password": PASSWORD, "new_password": "a new good password" });
    browser.post("/v1/users/me/password").json(&passwords).send().await.assert_error(403, "csrf_failed");
    assert_eq!(profile(&browser).await["bio"], Value::Null);
}

async fn the_name_shows_in_the_session_at_once(app: App) {
    let (_, browser) = app.sign_up().await;
    for name in ["Ada", "Grace"] {
        patch(&browser, &json!({ "display_name": name })).await.assert_status(200);
        let session = browser.get("/v1/auth/session").send().await.json();
        assert_eq!(session["user"]["display_name"], name);
    }
}

async fn the_organizations_of_a_user_are_listed(app: App) {
    let (_, browser) = app.sign_up().await;
    let slug = unique("acme-labs");
    let request = json!({
        "email": unique("grace@example.com"), "password": PASSWORD, "organization_name": "Acme Labs",
        "organization_slug": slug,
    });
    let mut other = app.caller();
    other.follow(|c| c.post("/v1/auth/register").json(&request)).await.assert_status(201);
    let profile = profile(&other).await;
    let list = other.get("/v1/users/me/organizations").send().await.assert_status(200).json();
    let expected = json!([{
        "id": profile["organization_id"], "name": "Acme Labs", "slug": slug, "role": "owner",
        "joined_at": profile["created_at"],
    }]);
    assert_eq!(list, expected);
    let theirs = browser.get("/v1/users/me/organizations").send().await.json();
    assert_eq!(theirs.as_array().unwrap().len(), 1);
    assert_ne!(theirs, expected);
}

async fn a_new_password_takes_the_place_of_the_old_one(app: App) {
    let (email, browser) = app.sign_up().await;
    app.clock.advance(std::time::Duration::from_secs(60));
    let new = "the engine weaves patterns";
    let body = json!({ "current_password": PASSWORD, "new_password": new });
    change_password(&browser, &body).await.assert_status(204);
    let login = |password: &str| json!({ "email": email, "password": password });
    let refused = app.caller().post("/v1/auth/login").json(&login(PASSWORD)).send().await;
    refused.assert_error(401, "invalid_credentials");
    app.caller().post("/v1/auth/login").json(&login(new)).send().await.assert_status(200);
    let profile = profile(&browser).await;
    assert!(profile["last_password_change"].as_str() > profile["created_at"].as_str());
}

async fn a_new_password_ends_the_other_sessions(app: App) {
    let (email, browser) = app.sign_up().await;
    let (other, bearer) = (app.login(&email).await, app.bearer_login(&email).await);
    let stranger = app.sign_up().await.1;
    let body = json!({ "current_password": PASSWORD, "new_password": "the engine weaves patterns" });
    change_password(&browser, &body).await.assert_status(204);
    other.get(ME).send().await.assert_error(401, "authentication_required");
    let refresh = json!({ "refresh_token": bearer.refresh });
    app.caller().post("/v1/auth/refresh").json(&refresh).send().await.assert_status(401);
    browser.get(ME).send().await.assert_status(200);
    stranger.get(ME).send().await.assert_status(200);
}

async fn other_sessions_may_be_kept(app: App) {
    let (email, browser) = app.sign_up().await;
    let other = app.login(&email).await;
    let mut body = json!({
        "current_password": PASSWORD, "new_password": "the engine weaves patterns", "sign_out_other_sessions": "no",
    });
    change_password(&browser, &body).await.assert_error(400, "invalid_input");
    body["sign_out_other_sessions"] = json!(false);
    change_password(&browser, &body).await.assert_status(204);
    other.get(ME).send().await.assert_status(200);
}

async fn a_password_that_is_not_taken_changes_nothing(app: App) {
    let (email, browser) = app.sign_up().await;
    let other = app.login(&email).await;
    for (body, status) in [
        (json!({ "current_password": PASSWORD, "new_password": PASSWORD }), 400),
        (json!({ "current_password": "not the password", "new_password": "a new good password" }), 401),
        (json!({ "current_password": PASSWORD, "new_password": "short" }), 400),
        (json!({ "current_password": PASSWORD, "new_password": "password1234" }), 400),
        (json!({ "current_password": PASSWORD, "new_password": email }), 400),
        (json!({ "current_password": PASSWORD, "new_password": "x".repeat(2_000) }), 400),
        (json!({ "current_password": "x".repeat(2_000), "new_password": "a new good password" }), 400),
        (json!({ "new_password": "a new good password" }), 400),
        (json!({ "current_password": [PASSWORD], "new_password": "a new good password" }), 400),
    ] {
        let answer = change_password(&browser, &body).await;
        answer.assert_error(status, if status == 401 { "invalid_credentials" } else { "invalid_input" });
    }
    other.get(ME).send().await.assert_status(200);
    app.login(&email).await;
}

/// AU-05: 10 wrong passwords in 15 minutes, however they come; then not even the right one is looked at.
async fn parallel_guesses_share_one_budget(app: App) {
    let (email, browser) = app.sign_up().await;
    let guess = json!({ "current_password": "not the password", "new_password": "a new good password" });
    let answers = join_all((0..40).map(|_| change_password(&browser, &guess))).await;
    let count = |status: u16| answers.iter().filter(|answer| answer.status == status).count();
    assert_eq!((count(401), count(429)), (10, 30));
    let right = json!({ "current_password": PASSWORD, "new_password": "a new good password" });
    let refused = change_password(&browser, &right).await;
    assert!(refused.assert_error(429, "rate_limited").header("retry-after").is_some());
    app.login(&email).await;
}

async fn of_many_changes_at_once_one_wins(app: App) {
    let (email, browser) = app.sign_up().await;
    let passwords: Vec<String> = (0..8).map(|n| format!("a new good password {n}")).collect();
    let changes = passwords.iter().map(|new| {
        let body = json!({ "current_password": PASSWORD, "new_password": new });
        let browser = &browser;
        async move { change_password(browser, &body).await.status }
    });
    let statuses = join_all(changes).await;
    let winners: Vec<&String> =
        passwords.iter().zip(&statuses).filter(|(_, status)| **status == 204).map(|(new, _)| new).collect();
    assert_eq!(winners.len(), 1, "{statuses:?}");
    assert!(statuses.iter().all(|status| matches!(status, 204 | 401)), "{statuses:?}");
    let login = json!({ "email": email, "password": winners[0] });
    app.caller().post("/v1/auth/login").json(&login).send().await.assert_status(200);
}
