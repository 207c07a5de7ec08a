//! The session check, the list of sessions, sign-out and CSRF. On every framework and store.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use identsphere_e2e::{App, PASSWORD, matrix, uuid_v7};
use serde_json::{Value, json};

matrix! {
    the_session_answer_has_every_published_key,
    an_expired_access_token_is_refused,
    a_bearer_token_wins_over_a_cookie,
    what_is_no_access_token_is_refused,
    the_list_shows_live_sessions_newest_activity_first,
    ending_one_session_ends_it_everywhere_at_once,
    a_session_ended_amid_its_checks_is_refused_from_the_next_one_on,
    other_peoples_sessions_do_not_exist,
    ending_the_others_keeps_the_one_that_asks,
    ending_all_ends_the_one_that_asks_too,
    signing_out_ends_the_family_and_clears_the_cookies,
    signing_out_without_a_session_is_no_error,
    signing_out_by_the_refresh_cookie_alone_ends_the_family,
    a_cookie_write_needs_the_csrf_token_of_its_session,
    a_bearer_write_needs_no_csrf_token,
    a_foreign_origin_cannot_write_with_cookies,
    two_cookies_of_one_name_are_refused,
}

async fn the_session_answer_has_every_published_key(app: App) {
    let (email, browser) = app.sign_up().await;
    let answer = browser.get("/v1/auth/session").send().await;
    answer.assert_status(200);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let body = answer.json();
    let user = body["user"].as_object().unwrap();
    let mut keys: Vec<&str> = user.keys().map(String::as_str).collect();
    keys.sort_unstable();
    let mut expected = [
        "user_id",
        "organization_id",
        "email",
        "email_verified",
        "display_name",
        "is_platform_admin",
        "platform_role",
        "api_key_id",
        "api_key_prefix",
        "api_key_name",
        "team_id",
        "project_id",
        "auth_method",
        "session_family_id",
        "mfa_verified_at",
        "scopes",
        "allowed_ips",
        "allowed_referrers",
        "extensions",
    ];
    expected.sort_unstable();
    assert_eq!(keys, expected);
    assert_eq!(user["email"], email);
    for empty in ["scopes", "allowed_ips", "allowed_referrers"] {
        assert_eq!(user[empty], json!([]));
    }
    assert_eq!(user["extensions"], json!({}));
    assert_eq!(body["capabilities"]["role"], "owner");
    assert!(body["capabilities"]["permissions"].as_array().unwrap().contains(&json!("org.read")));
}

async fn an_expired_access_token_is_refused(app: App) {
    let session = app.bearer().await;
    app.clock.advance(Duration::from_secs(899));
    app.caller().get("/v1/auth/session").bearer(&session.access).send().await.assert_status(200);
    app.clock.advance(Duration::from_secs(1));
    app.caller()
        .get("/v1/auth/session")
        .bearer(&session.access)
        .send()
        .await
        .assert_error(401, "authentication_required");
}

async fn a_bearer_token_wins_over_a_cookie(app: App) {
    let (_, browser) = app.sign_up().await;
    let other = app.bearer().await;
    let answer = browser.get("/v1/auth/session").bearer(&other.access).send().await;
    assert_eq!(answer.json()["user"]["session_family_id"], other.claims()["sid"]);
    browser
        .get("/v1/auth/session")
        .bearer("garbage")
        .send()
        .await
        .assert_error(401, "authentication_required");
}

async fn what_is_no_access_token_is_refused(app: App) {
    let session = app.bearer().await;
    let long = "a.".repeat(100_000);
    for authorization in [
        format!("Bearer {}", session.refresh),
        "Bearer".into(),
        "Bearer ".into(),
        "Bearer a.b.c".into(),
        "Basic dTpw".into(),
        "bearer".into(),
        format!("Bearer {}x", session.access),
        format!("Bearer  {} ", &session.access[1..]),
        format!("Token {}", session.access),
        format!("Bearer {}", &long[..6_000]),
    ] {
        let answer =
            app.caller().get("/v1/auth/session").header("authorization", &authorization).send().await;
        answer.assert_error(401, "authentication_required");
    }
    app.caller().get("/v1/auth/session").send().await.assert_error(401, "authentication_required");
    app.caller()
        .get("/v1/auth/session")
        .header("authorization", &format!("bearer {}", session.access))
        .send()
        .await
        .assert_status(200);
}

async fn the_list_shows_live_sessions_newest_activity_first(app: App) {
    let (email, first) = app.sign_up().await;
    app.clock.advance(Duration::from_secs(5));
    let second = app.login(&email).await;
    app.clock.advance(Duration::from_secs(5));
    let mut third = app.login(&email).await;
    app.clock.advance(Duration::from_secs(5));
    third.follow(|c| c.post("/v1/auth/logout").csrf()).await.assert_status(204);
    let mut first = first;
    first
        .follow(|c| c.post("/v1/auth/refresh").header("user-agent", "Firefox on Mars"))
        .await
        .assert_status(200);

    let answer = second.get("/v1/auth/sessions").send().await;
    answer.assert_status(200);
    let list = answer.json();
    let list = list.as_array().expect("a bare array");
    assert_eq!(list.len(), 2, "the one signed out is not listed");
    assert_eq!([&list[0]["is_current"], &list[1]["is_current"]], [false, true]);
    assert_eq!(list[0]["user_agent"], "Firefox on Mars");
    assert_eq!(list[0]["ip_address"], "127.0.0.1");
    assert_eq!(list[0]["auth_method"], "password");
    assert_eq!(list[0]["aal"], "aal1");
    for time in ["created_at", "last_active_at", "expires_at"] {
        let text = list[0][time].as_str().unwrap();
        assert!(text.ends_with('Z') && text.contains('T'), "{text}");
    }
    app.clock.advance(Duration::from_secs(30 * 86_400));
    app.login(&email)
        .await
        .get("/v1/auth/sessions")
        .send()
        .await
        .json()
        .as_array()
        .map(|l| assert_eq!(l.len(), 1))
        .unwrap();
}

async fn ending_one_session_ends_it_everywhere_at_once(app: App) {
    let (email, first) = app.sign_up().await;
    let second = app.login(&email).await;
    let id = second.get("/v1/auth/session").send().await.json()["user"]["session_family_id"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = format!("/v1/auth/sessions/{id}");
    first.delete(&path).csrf().send().await.assert_status(204);
    second.get("/v1/auth/session").send().await.assert_error(401, "authentication_required");
    second.post("/v1/auth/refresh").send().await.assert_error(401, "authentication_required");
    first.delete(&path).csrf().send().await.assert_error(404, "not_found");
}

/// Contract 3.6: nothing that was read before the end is answered after it.
async fn a_session_ended_amid_its_checks_is_refused_from_the_next_one_on(app: App) {
    for _ in 0..5 {
        let session = app.bearer().await;
        let has_ended = AtomicBool::new(false);
        let check = async || loop {
            let is_due = has_ended.load(Ordering::SeqCst);
            let answer = app.caller().get("/v1/auth/session").bearer(&session.access).send().await;
            if is_due {
                answer.assert_error(401, "authentication_required");
                return;
            }
        };
        let end = async {
            app.caller().get("/v1/auth/session").bearer(&session.access).send().await.assert_status(200);
            app.caller().post("/v1/auth/logout").bearer(&session.access).send().await.assert_status(204);
            has_ended.store(true, Ordering::SeqCst);
        };
        tokio::join!(futures::future::join_all((0..8).map(|_| check())), end);
    }
}

async fn other_peoples_sessions_do_not_exist(app: App) {
    let victim = app.bearer().await;
    let (_, mallory) = app.sign_up().await;
    let theirs = format!("/v1/auth/sessions/{}", victim.claims()["sid"].as_str().unwrap());
    let nobodys = format!("/v1/auth/sessions/{}", uuid_v7());
    let strip = |answer: identsphere_e2e::Answer| {
        let mut body = answer.assert_error(404, "not_found").json();
        body["error"]["request_id"] = Value::Null;
        body
    };
    let a = strip(mallory.delete(&theirs).csrf().send().await);
    let b = strip(mallory.delete(&nobodys).csrf().send().await);
    assert_eq!(a, b);
    for odd in ["/v1/auth/sessions/not-a-uuid", "/v1/auth/sessions/%00", "/v1/auth/sessions/..%2f"] {
        let answer = mallory.delete(odd).csrf().send().await;
        assert!(answer.status == 404 || answer.status == 400, "{odd}: {}", answer.status);
        answer.code();
    }
    app.caller().get("/v1/auth/session").bearer(&victim.access).send().await.assert_status(200);
}

async fn ending_the_others_keeps_the_one_that_asks(app: App) {
    let (email, first) = app.sign_up().await;
    let second = app.login(&email).await;
    let bystander = app.bearer().await;
    first.delete("/v1/auth/sessions?except_current=true").csrf().send().await.assert_status(204);
    first.get("/v1/auth/session").send().await.assert_status(200);
    second.get("/v1/auth/session").send().await.assert_error(401, "authentication_required");
    app.caller().get("/v1/auth/session").bearer(&bystander.access).send().await.assert_status(200);
    first
        .delete("/v1/auth/sessions?except_current=perhaps")
        .csrf()
        .send()
        .await
        .assert_error(400, "invalid_input");
}

async fn ending_all_ends_the_one_that_asks_too(app: App) {
    let (email, first) = app.sign_up().await;
    let second = app.login(&email).await;
    first.delete("/v1/auth/sessions").csrf().send().await.assert_status(204);
    for browser in [first, second] {
        browser.get("/v1/auth/session").send().await.assert_error(401, "authentication_required");
    }
}

async fn signing_out_ends_the_family_and_clears_the_cookies(app: App) {
    let (_, mut browser) = app.sign_up().await;
    let before = browser.clone();
    // The browser stays known to whoever signs in with it next.
    let device = "identsphere_device";
    let set: Vec<_> = before.cookies.keys().filter(|name| *name != device).cloned().collect();
    let answer = browser.follow(|c| c.post("/v1/auth/logout").csrf()).await;
    answer.assert_status(204);
    assert!(answer.body.is_empty());
    let cleared = answer.cookies();
    assert_eq!(cleared.keys().cloned().collect::<Vec<_>>(), set);
    for (name, cookie) in &cleared {
        assert_eq!((cookie.value.as_str(), cookie.max_age()), ("", 0), "{name}");
        assert_eq!(cookie.attributes["path"], before.cookies[name].1, "cleared where it was set");
    }
    assert!(browser.cookies.keys().eq([device]));
    before.get("/v1/auth/session").send().await.assert_error(401, "authentication_required");
    before.post("/v1/auth/refresh").send().await.assert_error(401, "authentication_required");
    before.post("/v1/auth/logout").csrf().send().await.assert_status(204);
}

async fn signing_out_without_a_session_is_no_error(app: App) {
    app.caller().post("/v1/auth/logout").send().await.assert_status(204);
    app.caller().post("/v1/auth/logout").bearer("garbage").send().await.assert_status(204);
    let session = app.bearer().await;
    app.caller().post("/v1/auth/logout").bearer(&session.access).send().await.assert_status(204);
    app.caller()
        .get("/v1/auth/session")
        .bearer(&session.access)
        .send()
        .await
        .assert_error(401, "authentication_required");
}

async fn signing_out_by_the_refresh_cookie_alone_ends_the_family(app: App) {
    let (_, mut browser) = app.sign_up().await;
    let refresh = browser.clone();
    browser.cookies.retain(|name, _| name == "identsphere_rt");
    browser.post("/v1/auth/logout").header("origin", "https://evil.example").send().await.assert_status(403);
    browser.post("/v1/auth/logout").send().await.assert_status(204);
    refresh.post("/v1/auth/refresh").send().await.assert_error(401, "authentication_required");
}

/// CK-04.
async fn a_cookie_write_needs_the_csrf_token_of_its_session(app: App) {
    let (_, browser) = app.sign_up().await;
    let (_, other) = app.sign_up().await;
    browser.delete("/v1/auth/sessions").send().await.assert_error(403, "csrf_failed");
    browser.post("/v1/auth/logout").send().await.assert_error(403, "csrf_failed");
    browser
        .delete("/v1/auth/sessions")
        .header("x-csrf-token", "")
        .send()
        .await
        .assert_error(403, "csrf_failed");
    browser
        .delete("/v1/auth/sessions")
        .header("x-csrf-token", other.csrf())
        .send()
        .await
        .assert_error(403, "csrf_failed");

    let mut planted = browser.clone();
    planted.cookies.insert("identsphere_csrf".into(), (other.csrf().to_owned(), "/".into()));
    planted.delete("/v1/auth/sessions").csrf().send().await.assert_error(403, "csrf_failed");
    planted.cookies.insert("identsphere_csrf".into(), ("same".into(), "/".into()));
    planted.delete("/v1/auth/sessions").csrf().send().await.assert_error(403, "csrf_failed");
    planted.cookies.remove("identsphere_csrf");
    planted
        .delete("/v1/auth/sessions")
        .header("x-csrf-token", browser.csrf())
        .send()
        .await
        .assert_error(403, "csrf_failed");

    browser.get("/v1/auth/session").send().await.assert_status(200);
    browser.delete("/v1/auth/sessions").csrf().send().await.assert_status(204);
}

/// CK-07.
async fn a_bearer_write_needs_no_csrf_token(app: App) {
    let session = app.bearer().await;
    let answer =
        app.caller().delete("/v1/auth/sessions?except_current=true").bearer(&session.access).send().await;
    answer.assert_status(204);
    assert!(answer.cookies().is_empty());
}

/// CK-05.
async fn a_foreign_origin_cannot_write_with_cookies(app: App) {
    let (email, browser) = app.sign_up().await;
    for (header, value) in
        [("origin", "https://evil.example"), ("origin", "null"), ("sec-fetch-site", "cross-site")]
    {
        browser
            .delete("/v1/auth/sessions")
            .csrf()
            .header(header, value)
            .send()
            .await
            .assert_error(403, "forbidden");
        let login = json!({ "email": email, "password": PASSWORD });
        app.caller()
            .post("/v1/auth/login")
            .json(&login)
            .header(header, value)
            .send()
            .await
            .assert_error(403, "forbidden");
    }
    browser.get("/v1/auth/session").send().await.assert_status(200);
}

/// CK-03.
async fn two_cookies_of_one_name_are_refused(app: App) {
    let (_, browser) = app.sign_up().await;
    let line = format!("identsphere_at={}; identsphere_at=planted", browser.cookie("identsphere_at"));
    app.caller()
        .get("/v1/auth/session")
        .header("cookie", &line)
        .send()
        .await
        .assert_error(400, "invalid_input");
    let line = format!("other=1; other=2; identsphere_at={}", browser.cookie("identsphere_at"));
    app.caller().get("/v1/auth/session").header("cookie", &line).send().await.assert_status(200);
}
