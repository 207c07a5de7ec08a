//! What the token of a sign-in that waits is good for: one answer to one question (MF-05).

use identsphere_e2e::{Answer, App, Caller, Enrolled, PASSWORD, mfa_token, unique, uuid_v7};
use identsphere_http::{AuthRule, ENDPOINTS, Endpoint, Route};
use identsphere_kernel::Duration;
use serde_json::{Value, json};

use crate::{challenge, own_password, post_as, prove_mailbox, reset};

identsphere_e2e::matrix! {
    no_other_route_takes_the_token,
    the_token_is_good_for_one_answer,
    of_many_who_answer_at_once_one_gets_in,
    the_token_ends_after_five_minutes,
    the_token_is_bound_to_the_browser_that_began,
    the_token_dies_with_what_began_it,
}

/// On the stores with tables: no route disables a user or ends a membership yet, so the tests do it in SQL.
macro_rules! with_tables {
    ($($scenario:ident),+ $(,)?) => {$(
        mod $scenario {
            identsphere_e2e::matrix!(@ $scenario: actix_sqlite = Actix Sqlite, actix_postgres = Actix Postgres,
                axum_sqlite = Axum Sqlite, axum_postgres = Axum Postgres);
        }
    )+};
}

with_tables! {
    whoever_may_not_sign_in_any_more_gets_no_answer,
}

const CHALLENGE: &str = "/v1/auth/mfa/challenge";

/// Every place in which a request can carry a token.
async fn present(app: &App, endpoint: &Endpoint, route: &Route, token: &str) -> Vec<Answer> {
    let method = reqwest::Method::from_bytes(route.method.name().as_bytes()).unwrap();
    let path = endpoint.path.replace("{id}", &uuid_v7()).replace("{name}", token);
    let body = json!({
        "token": token,
        "refresh_token": token,
        "code": token,
        "password": token,
        "current_password": token,
        "new_password": PASSWORD,
        "email": unique("nobody@example.com"),
        "credential": { "id": token },
    });
    let mut answers = vec![];
    let query = format!("{path}?token={token}&mfa_token={token}&access_token={token}");
    for path in [&path, &query] {
        answers.push(app.caller().request(method.clone(), path).bearer(token).json(&body).send().await);
    }
    for name in ["identsphere_at", "identsphere_rt", "identsphere_trust", "identsphere_csrf"] {
        let mut browser = app.caller();
        for name in [name, "identsphere_csrf"] {
            browser.cookies.insert(name.to_owned(), (token.to_owned(), "/".to_owned()));
        }
        answers.push(browser.request(method.clone(), &path).csrf().json(&body).send().await);
        answers.push(browser.request(method.clone(), &path).csrf().send().await);
    }
    answers
}

async fn no_other_route_takes_the_token(app: App) {
    let person = app.enrolled().await;
    let token = person.mfa_token(&app).await;
    let invented = "A".repeat(token.len());
    let mut presented = 0;
    let routes =
        ENDPOINTS.iter().flat_map(|endpoint| endpoint.routes.iter().map(move |route| (endpoint, route)));
    for (endpoint, route) in routes.filter(|(endpoint, _)| endpoint.path != CHALLENGE) {
        let name = route.operation;
        let real = present(&app, endpoint, route, &token).await;
        let random = present(&app, endpoint, route, &invented).await;
        for (real, random) in real.iter().zip(&random) {
            assert_eq!(real.status, random.status, "{name} answers as to a token that is nothing");
            if route.auth == AuthRule::User {
                assert!(matches!(real.status, 401 | 415), "{name} {}", real.status);
            }
            let signs_in = real.cookies().values().any(|cookie| !cookie.value.is_empty());
            assert!(!signs_in, "{name} {:?}", real.cookies());
            presented += 1;
        }
    }
    assert!(presented > 300, "{presented}");
    let code = person.authenticator.next_code(&app);
    challenge(&app, &token, &code).await.assert_status(200);
}

async fn the_token_is_good_for_one_answer(app: App) {
    let person = app.enrolled().await;
    let (token, other) = (person.mfa_token(&app).await, person.mfa_token(&app).await);
    assert_ne!(token, other);
    challenge(&app, &token, &person.authenticator.next_code(&app)).await.assert_status(200);
    let next = person.authenticator.next_code(&app);
    challenge(&app, &token, &next).await.assert_error(401, "authentication_required");
    challenge(&app, &other, &next).await.assert_status(200);
}

async fn of_many_who_answer_at_once_one_gets_in(app: App) {
    let person = app.enrolled().await;
    let token = person.mfa_token(&app).await;
    let code = person.authenticator.next_code(&app);
    let by_code = (0..2).map(|_| json!({ "mfa_token": token, "code": code }));
    let by_paper = person.recovery_codes.iter().take(3);
    let by_paper = by_paper.map(|code| json!({ "mfa_token": token, "recovery_code": code }));
    let (node, caller) = (app.another_node().await, app.caller());
    let there = node.caller();
    let race = by_code.chain(by_paper).zip([&caller, &there].into_iter().cycle());
    let race = race.map(async |(request, caller)| caller.post(CHALLENGE).json(&request).send().await);
    let answers = futures::future::join_all(race).await;
    assert_eq!(crate::statuses(&answers), [(200, 1), (401, 4)].into());
}

async fn the_token_ends_after_five_minutes(app: App) {
    let person = app.enrolled().await;
    let (first, second) = (person.mfa_token(&app).await, person.mfa_token(&app).await);
    app.clock.advance(Duration::from_secs(299));
    challenge(&app, &first, &person.authenticator.code(&app)).await.assert_status(200);
    app.clock.advance(Duration::from_secs(1));
    let code = person.authenticator.code_at(&app, 1);
    challenge(&app, &second, &code).await.assert_error(401, "authentication_required");
    challenge(&app, &person.mfa_token(&app).await, &code).await.assert_status(200);
}

async fn the_token_is_bound_to_the_browser_that_began(app: App) {
    let person = app.enrolled().await;
    let mut known = person.browser.clone();
    known.cookies.retain(|name, _| name == "identsphere_device");
    let (_, stranger) = app.sign_up().await;
    let answer = async |caller: &Caller, token: &str, code: &str| {
        let request = json!({ "mfa_token": token, "code": code });
        caller.post(CHALLENGE).json(&request).send().await
    };
    let token = mfa_token(&known.post("/v1/auth/login").json(&person.login()).send().await);
    let code = person.authenticator.next_code(&app);
    for other in [&app.caller(), &stranger] {
        answer(other, &token, &code).await.assert_error(401, "authentication_required");
        let bearer = json!({ "mfa_token": token, "code": code, "token_transport": "bearer" });
        let refused = other.post(CHALLENGE).json(&bearer).send().await;
        refused.assert_error(401, "authentication_required");
    }
    let foreign = known.post(CHALLENGE).header("origin", "https://evil.example");
    let foreign = foreign.json(&json!({ "mfa_token": token, "code": code })).send().await;
    foreign.assert_error(403, "forbidden");
    answer(&known, &token, &code).await.assert_status(200);

    let anywhere = person.mfa_token(&app).await;
    answer(&stranger, &anywhere, &person.authenticator.next_code(&app)).await.assert_status(200);
}

/// Somebody whose mailbox is proven, with a browser that has just shown the second factor.
async fn proven(app: &App) -> Enrolled {
    let person = app.enrolled().await;
    prove_mailbox(app, &person.email).await;
    person
}

async fn the_token_dies_with_what_began_it(app: App) {
    let change = json!({ "current_password": PASSWORD, "new_password": crate::OTHER_PASSWORD });
    for what in ["password", "reset", "disable", "everywhere", "delete"] {
        let person = proven(&app).await;
        let token = person.mfa_token(&app).await;
        let browser = &person.browser;
        match what {
            "password" => {
                let answer = post_as(browser, "/v1/users/me/password", change.clone()).await;
                answer.assert_status(204);
            }
            "reset" => reset(&app, &person.email).await,
            "disable" => {
                post_as(browser, "/v1/auth/mfa/disable", own_password()).await.assert_status(204);
            }
            "everywhere" => {
                browser.delete("/v1/auth/sessions").csrf().send().await.assert_status(204);
            }
            _ => {
                let delete = browser.delete("/v1/users/me").csrf().json(&own_password());
                delete.send().await.assert_status(204);
            }
        }
        let code = person.authenticator.next_code(&app);
        let refused = challenge(&app, &token, &code).await;
        assert_eq!((refused.status, refused.code().as_str()), (401, "authentication_required"), "{what}");
    }
}

async fn whoever_may_not_sign_in_any_more_gets_no_answer(app: App) {
    let of = |email: &str| format!("(SELECT id FROM users WHERE email = '{email}')");
    let changes: [&dyn Fn(&str) -> String; 4] = [
        &|email| format!("UPDATE users SET status = 'disabled' WHERE email = '{email}'"),
        &|email| format!("UPDATE users SET status = 'deleted' WHERE email = '{email}'"),
        &|email| format!("UPDATE users SET status = 'invited' WHERE email = '{email}'"),
        &|email| format!("DELETE FROM organization_memberships WHERE user_id = {}", of(email)),
    ];
    for change in changes {
        let person = app.enrolled().await;
        let token = person.mfa_token(&app).await;
        app.change(&change(&person.email)).await;
        let code = person.authenticator.next_code(&app);
        challenge(&app, &token, &code).await.assert_error(401, "authentication_required");
        let paper: Value = json!({ "mfa_token": token, "recovery_code": person.recovery_codes[0] });
        let refused = app.caller().post(CHALLENGE).json(&paper).send().await;
        refused.assert_error(401, "authentication_required");
        let live = format!("SELECT 'row' AS line FROM user_sessions WHERE user_id = {}", of(&person.email));
        assert_eq!(app.select(&live).await, ["row"], "the one that set it up");
    }
}
