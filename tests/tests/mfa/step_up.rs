//! Showing the second factor again within a session.

use identsphere_e2e::{Answer, App, BearerSession, matrix, uuid_v7};
use identsphere_http::{ENDPOINTS, Endpoint, Route, StepUpRule};
use identsphere_kernel::{Clock, Duration};
use serde_json::{Value, json};

use crate::{post_as, refreshed_claims, session, verify};

matrix! {
    a_step_up_is_noted_in_its_session,
    a_step_up_raises_no_other_session,
    a_step_up_needs_a_second_factor_and_a_session,
    guarded_routes_want_a_fresh_step_up,
    a_refused_step_up_changes_nothing,
}

const TTL: Duration = Duration::from_secs(1_800);

async fn a_step_up_is_noted_in_its_session(app: App) {
    let person = app.enrolled().await;
    let mut browser = person.browser.clone();
    let code = person.authenticator.next_code(&app);
    let answer = verify(&browser, &code).await;
    let now = app.clock.now().unix_seconds();
    let expected = json!({ "verified": true, "verified_at": now, "expires_in": 1_800 });
    assert_eq!(answer.assert_status(200).json(), expected);
    assert!(answer.cookies().is_empty());
    assert_eq!(session(&browser).await.json()["user"]["mfa_verified_at"], now);
    let claims = refreshed_claims(&mut browser).await;
    assert_eq!((&claims["aal"], &claims["mfa_verified_at"]), (&json!("aal2"), &json!(now)));
}

async fn a_step_up_raises_no_other_session(app: App) {
    let (email, browser) = app.sign_up().await;
    let other = app.bearer_login(&email).await;
    let person = app.enrol(email, browser).await;
    verify(&person.browser, &person.authenticator.next_code(&app)).await.assert_status(200);
    let claims = other.refreshed(&app).await.claims();
    assert_eq!((&claims["aal"], claims.get("mfa_verified_at")), (&json!("aal1"), None));

    let other = other.refreshed(&app).await;
    let request = json!({ "code": person.authenticator.next_code(&app) });
    let raised = app.caller().post("/v1/auth/mfa/verify").bearer(&other.access).json(&request).send().await;
    raised.assert_status(200);
    let claims = other.refreshed(&app).await.claims();
    assert_eq!((&claims["aal"], &claims["auth_method"]), (&json!("aal2"), &json!("password")));
    assert_eq!(claims["mfa_verified_at"], app.clock.now().unix_seconds());
}

async fn a_step_up_needs_a_second_factor_and_a_session(app: App) {
    let (_, browser) = app.sign_up().await;
    verify(&browser, "123456").await.assert_error(403, "forbidden");
    browser.post("/v1/auth/mfa/setup").csrf().send().await.assert_status(200);
    verify(&browser, "123456").await.assert_error(403, "forbidden");
    let request = json!({ "code": "123456" });
    let nobody = app.caller().post("/v1/auth/mfa/verify").json(&request).send().await;
    nobody.assert_error(401, "authentication_required");
    browser.post("/v1/auth/mfa/verify").json(&request).send().await.assert_error(403, "csrf_failed");
}

async fn a_refused_step_up_changes_nothing(app: App) {
    let person = app.enrolled().await;
    let before = session(&person.browser).await.json()["user"]["mfa_verified_at"].clone();
    app.clock.advance(Duration::from_secs(60));
    let wrong = person.authenticator.wrong_code(&app);
    verify(&person.browser, &wrong).await.assert_error(401, "authentication_required");
    assert_eq!(session(&person.browser).await.json()["user"]["mfa_verified_at"], before);
}

/// How lately a session has shown a second factor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shown {
    JustNow,
    LongAgo,
    /// Its level is of a trusted browser.
    Elsewhere,
    /// It was begun before there was one.
    Never,
    /// There is none.
    NoneThere,
}

impl Shown {
    fn is_let_through(self, rule: StepUpRule) -> bool {
        match rule {
            StepUpRule::Never => true,
            StepUpRule::IfEnrolled => matches!(self, Self::JustNow | Self::NoneThere),
            StepUpRule::Shown => matches!(self, Self::JustNow | Self::LongAgo),
            StepUpRule::Always => self == Self::JustNow,
        }
    }
}

async fn call(app: &App, endpoint: &Endpoint, route: &Route, session: &BearerSession) -> Answer {
    let method = reqwest::Method::from_bytes(route.method.name().as_bytes()).unwrap();
    let path = endpoint.path.replace("{id}", &uuid_v7());
    // Enough to be read, too little to be done.
    let body = json!({ "label": 7 });
    app.caller().request(method, &path).bearer(&session.access).json(&body).send().await
}

async fn guarded_routes_want_a_fresh_step_up(app: App) {
    let (email, browser) = app.sign_up().await;
    let never = app.bearer_login(&email).await;
    let person = app.enrol(email, browser).await;
    let long_ago = person.bearer(&app).await;
    let mut trusted = person.browser.clone();
    let trust = post_as(&person.browser, "/v1/auth/trusted-browsers", json!({})).await;
    trusted.keep(&trust);
    trusted.follow(|c| c.post("/v1/auth/login").json(&person.login())).await.assert_status(200);

    app.clock.advance(TTL - Duration::from_secs(61));
    let before = long_ago.refreshed(&app).await;
    assert_eq!(guarded(&app, &before, Shown::JustNow).await, guarded_routes());
    app.clock.advance(Duration::from_secs(61));
    refreshed_claims(&mut trusted).await;
    let access = trusted.cookie("identsphere_at").to_owned();
    let elsewhere = BearerSession { access, ..never.clone() };
    assert_eq!(elsewhere.claims()["aal"], "aal2");

    let sessions = [
        (person.bearer(&app).await, Shown::JustNow),
        (before.refreshed(&app).await, Shown::LongAgo),
        (elsewhere, Shown::Elsewhere),
        (never.refreshed(&app).await, Shown::Never),
        (app.bearer().await, Shown::NoneThere),
    ];
    for (session, shown) in sessions {
        assert_eq!(guarded(&app, &session, shown).await, guarded_routes(), "{shown:?}");
    }
}

/// Calls every guarded route by a session; how many there are.
async fn guarded(app: &App, session: &BearerSession, shown: Shown) -> usize {
    let routes =
        ENDPOINTS.iter().flat_map(|endpoint| endpoint.routes.iter().map(move |route| (endpoint, route)));
    let mut called = 0;
    for (endpoint, route) in routes.filter(|(_, route)| route.step_up != StepUpRule::Never) {
        let answer = call(app, endpoint, route, session).await;
        if shown.is_let_through(route.step_up) {
            let code = if answer.status < 400 { String::new() } else { answer.code() };
            assert!(answer.status != 401, "{} {shown:?} {code}", route.operation);
        } else {
            answer.assert_error(401, "mfa_required");
            let error: Value = answer.json();
            assert_eq!(error["error"]["type"], "mfa_required", "{}", route.operation);
        }
        called += 1;
    }
    called
}

fn guarded_routes() -> usize {
    let routes = ENDPOINTS.iter().flat_map(|endpoint| endpoint.routes);
    let guarded = routes.filter(|route| route.step_up != StepUpRule::Never).count();
    assert!(guarded >= 8, "{guarded}");
    guarded
}
