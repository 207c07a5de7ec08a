//! Refresh: rotation, the grace for lost answers, and reuse. On every framework and store.

use std::time::Duration;

use identsphere_e2e::{Answer, App, Caller, matrix};
use serde_json::{Value, json};

matrix! {
    a_service_exchanges_its_token_for_the_next,
    a_browser_refreshes_by_its_cookie,
    the_parent_gets_the_same_successor_within_the_grace,
    the_parent_ends_the_family_after_the_grace,
    an_older_token_ends_the_family_even_within_the_grace,
    a_hundred_refreshes_at_once_have_one_successor,
    refreshing_never_moves_the_absolute_end,
    an_invented_token_ends_nothing,
    a_cookie_and_a_body_that_differ_are_refused,
    a_foreign_page_cannot_refresh,
    the_time_of_authentication_stays,
}

async fn refresh(app: &App, token: &str) -> Answer {
    app.caller().post("/v1/auth/refresh").json(&json!({ "refresh_token": token })).send().await
}

fn refresh_token(answer: &Answer) -> String {
    answer.assert_status(200);
    answer.json()["refresh_token"].as_str().expect("a refresh token").to_owned()
}

async fn is_live(app: &App, access_token: &str) -> bool {
    match app.caller().get("/v1/auth/session").bearer(access_token).send().await.status {
        200 => true,
        401 => false,
        other => panic!("unexpected status {other}"),
    }
}

async fn a_service_exchanges_its_token_for_the_next(app: App) {
    let session = app.bearer().await;
    let answer = refresh(&app, &session.refresh).await;
    answer.assert_status(200);
    let body = answer.json();
    assert_eq!(body["token_type"], "Bearer");
    assert_eq!(body["expires_in"], 900);
    assert_eq!(body["refresh_expires_in"], 2_592_000);
    assert_ne!(body["refresh_token"], session.refresh);
    assert!(answer.cookies().is_empty());
    assert!(is_live(&app, body["access_token"].as_str().unwrap()).await);
    assert!(is_live(&app, &session.access).await, "an access token lives until it expires");
    refresh_token(&refresh(&app, body["refresh_token"].as_str().unwrap()).await);
}

async fn a_browser_refreshes_by_its_cookie(app: App) {
    let (_, mut browser) = app.sign_up().await;
    let before = browser.cookie("identsphere_rt").to_owned();
    let answer = browser.follow(|c| c.post("/v1/auth/refresh")).await;
    answer.assert_status(200);
    assert_eq!(answer.json()["refresh_token"], Value::Null);
    assert_eq!(answer.cookies().len(), 3);
    assert_ne!(browser.cookie("identsphere_rt"), before);
    browser.get("/v1/auth/session").send().await.assert_status(200);
    browser.delete("/v1/auth/sessions").csrf().send().await.assert_status(204);
}

/// RF-02.
async fn the_parent_gets_the_same_successor_within_the_grace(app: App) {
    let session = app.bearer().await;
    let successor = refresh_token(&refresh(&app, &session.refresh).await);
    app.clock.advance(Duration::from_secs(9));
    let again = refresh(&app, &session.refresh).await;
    assert_eq!(refresh_token(&again), successor);
    assert!(is_live(&app, again.json()["access_token"].as_str().unwrap()).await);
    refresh_token(&refresh(&app, &successor).await);
}

/// RF-03.
async fn the_parent_ends_the_family_after_the_grace(app: App) {
    let session = app.bearer().await;
    let successor = refresh_token(&refresh(&app, &session.refresh).await);
    app.clock.advance(Duration::from_secs(11));
    refresh(&app, &session.refresh).await.assert_error(401, "authentication_required");
    assert!(!is_live(&app, &session.access).await);
    refresh(&app, &successor).await.assert_error(401, "authentication_required");
}

async fn an_older_token_ends_the_family_even_within_the_grace(app: App) {
    let session = app.bearer().await;
    let second = refresh_token(&refresh(&app, &session.refresh).await);
    let third = refresh_token(&refresh(&app, &second).await);
    refresh(&app, &session.refresh).await.assert_error(401, "authentication_required");
    refresh(&app, &third).await.assert_error(401, "authentication_required");
    assert!(!is_live(&app, &session.access).await);
}

/// RF-01, RF-04.
async fn a_hundred_refreshes_at_once_have_one_successor(app: App) {
    let session = app.bearer().await;
    let answers = futures::future::join_all((0..100).map(|_| refresh(&app, &session.refresh))).await;
    let mut successors: Vec<String> = answers.iter().map(refresh_token).collect();
    successors.sort();
    successors.dedup();
    assert_eq!(successors.len(), 1, "no fork");
    refresh_token(&refresh(&app, &successors[0]).await);
}

/// SS-05.
async fn refreshing_never_moves_the_absolute_end(app: App) {
    let session = app.bearer().await;
    app.clock.advance(Duration::from_secs(29 * 86_400));
    let answer = refresh(&app, &session.refresh).await;
    assert_eq!(answer.json()["refresh_expires_in"], 86_400);
    let token = refresh_token(&answer);
    app.clock.advance(Duration::from_secs(86_400 - 60));
    let answer = refresh(&app, &token).await;
    assert_eq!(answer.json()["expires_in"], 60, "an access token never outlives its session");
    let token = refresh_token(&answer);
    app.clock.advance(Duration::from_secs(60));
    refresh(&app, &token).await.assert_error(401, "authentication_required");
}

async fn an_invented_token_ends_nothing(app: App) {
    let session = app.bearer().await;
    let successor = refresh_token(&refresh(&app, &session.refresh).await);
    let mut forged = session.refresh.clone();
    forged.replace_range(40..41, if &forged[40..41] == "A" { "B" } else { "A" });
    for token in [forged.as_str(), "", "isr_", "isr_AAAA", &session.access, "\u{0}", &"A".repeat(10_000)] {
        refresh(&app, token).await.assert_error(401, "authentication_required");
    }
    assert!(is_live(&app, &session.access).await);
    refresh_token(&refresh(&app, &successor).await);
    app.caller().post("/v1/auth/refresh").send().await.assert_error(401, "authentication_required");
}

/// RF-06.
async fn a_cookie_and_a_body_that_differ_are_refused(app: App) {
    let (_, browser) = app.sign_up().await;
    let other = app.bearer().await;
    let both = browser.post("/v1/auth/refresh").json(&json!({ "refresh_token": other.refresh })).send().await;
    both.assert_error(400, "invalid_input");
}

async fn a_foreign_page_cannot_refresh(app: App) {
    let (_, browser) = app.sign_up().await;
    let attempts: [(&str, &str); 3] =
        [("origin", "https://evil.example"), ("origin", "null"), ("sec-fetch-site", "cross-site")];
    for (header, value) in attempts {
        browser.post("/v1/auth/refresh").header(header, value).send().await.assert_error(403, "forbidden");
    }
    let own: &Caller = &browser;
    own.post("/v1/auth/refresh")
        .header("origin", &app.origin())
        .header("sec-fetch-site", "same-origin")
        .send()
        .await
        .assert_status(200);
}

async fn the_time_of_authentication_stays(app: App) {
    let session = app.bearer().await;
    app.clock.advance(Duration::from_secs(600));
    let answer = refresh(&app, &session.refresh).await;
    let (before, after) =
        (session.claims(), identsphere_e2e::claims(answer.json()["access_token"].as_str().unwrap()));
    assert_eq!((&before["auth_time"], &before["sid"]), (&after["auth_time"], &after["sid"]));
    assert_eq!(after["iat"].as_i64().unwrap() - before["iat"].as_i64().unwrap(), 600);
    assert_ne!(before["jti"], after["jti"]);
}
