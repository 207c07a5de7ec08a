//! Sign-in with a password, on every framework and store.

use std::sync::Arc;
use std::time::Duration;

use identsphere_accounts::Password;
use identsphere_core::PasswordHasher;
use identsphere_crypto::{HashScheme, PasswordPool, PoolConfig};
use identsphere_e2e::{Answer, App, PASSWORD, matrix, unique};
use identsphere_kernel::OsRandom;
use serde_json::{Value, json};

matrix! {
    the_right_password_signs_in_under_any_spelling_of_the_address,
    unknown_wrong_and_impossible_passwords_get_one_answer,
    guesses_share_one_budget_under_any_spelling_and_in_parallel,
    signing_in_does_not_use_up_the_budget,
    a_password_too_long_to_hash_is_refused_before_any_work,
    every_sign_in_is_a_new_session,
    fields_of_the_wrong_type_are_named,
}

/// On stores with tables: the hash is changed in SQL.
mod an_outdated_hash_is_replaced_whatever_follows_the_password {
    identsphere_e2e::matrix!(@ an_outdated_hash_is_replaced_whatever_follows_the_password:
        actix_sqlite = Actix Sqlite, axum_postgres = Axum Postgres);
}

fn body(email: &str, password: &str) -> Value {
    json!({ "email": email, "password": password })
}

async fn login(app: &App, email: &str, password: &str) -> Answer {
    app.caller().post("/v1/auth/login").json(&body(email, password)).send().await
}

async fn the_right_password_signs_in_under_any_spelling_of_the_address(app: App) {
    let (email, _) = app.sign_up().await;
    for spelling in [email.clone(), email.to_uppercase(), format!(" {email}")] {
        let answer = login(&app, &spelling, PASSWORD).await;
        answer.assert_status(200);
        assert_eq!(answer.json()["user"]["email"], email);
        assert_eq!(answer.cookies().len(), 4);
    }
}

/// AU-01: nothing but the request id differs.
async fn unknown_wrong_and_impossible_passwords_get_one_answer(app: App) {
    let (email, _) = app.sign_up().await;
    let normal = |answer: Answer| {
        answer.assert_error(401, "invalid_credentials");
        let mut headers: Vec<String> = answer.headers.keys().map(ToString::to_string).collect();
        headers.sort();
        let mut body = answer.json();
        body["error"]["request_id"] = Value::Null;
        (headers, body)
    };
    let wrong = normal(login(&app, &email, "not the password").await);
    assert_eq!(wrong, normal(login(&app, &unique("nobody@example.com"), "not the password").await));
    assert_eq!(wrong, normal(login(&app, &email, "").await));
    assert_eq!(wrong, normal(login(&app, &email, &format!("{PASSWORD} ")).await), "nothing is trimmed");
    assert_eq!(wrong, normal(login(&app, &email, &PASSWORD.to_uppercase()).await), "nothing is folded");
}

/// AU-05, AU-06.
async fn guesses_share_one_budget_under_any_spelling_and_in_parallel(app: App) {
    let (email, _) = app.sign_up().await;
    let spellings = [email.clone(), email.to_uppercase(), format!(" {email} "), email.replace('a', "ａ")];
    let guesses = (0..40).map(|i| {
        let (app, spelling) = (&app, &spellings[i % spellings.len()]);
        async move { login(app, spelling, "not the password").await.status }
    });
    let statuses = futures::future::join_all(guesses).await;
    assert_eq!(statuses.iter().filter(|status| **status == 401).count(), 10, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 429).count(), 30, "{statuses:?}");

    let refused = login(&app, &email, PASSWORD).await;
    refused.assert_error(429, "rate_limited");
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=90).contains(&wait), "{wait}");
    login(&app, &unique("someone.else@example.com"), "not the password")
        .await
        .assert_error(401, "invalid_credentials");
    app.clock.advance(Duration::from_secs(wait));
    login(&app, &email, PASSWORD).await.assert_status(200);
}

async fn signing_in_does_not_use_up_the_budget(app: App) {
    let (email, _) = app.sign_up().await;
    for _ in 0..25 {
        login(&app, &email, PASSWORD).await.assert_status(200);
    }
}

/// PW-02.
async fn a_password_too_long_to_hash_is_refused_before_any_work(app: App) {
    let answer = login(&app, &unique("a@example.com"), &"x".repeat(1_025)).await;
    answer.assert_error(400, "invalid_input");
    assert_eq!(answer.json()["error"]["fields"][0]["field"], "password");
}

async fn every_sign_in_is_a_new_session(app: App) {
    let (email, _) = app.sign_up().await;
    let mut families = vec![];
    for _ in 0..3 {
        let answer = login(&app, &email, PASSWORD).await;
        families.push(answer.json()["user"]["session_family_id"].as_str().unwrap().to_owned());
    }
    families.sort();
    families.dedup();
    assert_eq!(families.len(), 3);
}

async fn fields_of_the_wrong_type_are_named(app: App) {
    for (request, field) in [
        (json!({ "email": ["a@example.com"], "password": "x" }), "email"),
        (json!({ "email": "a@example.com" }), "password"),
        (json!({ "email": "a@example.com", "password": { "a": 1 } }), "password"),
        (json!({ "email": "a@example.com,b@example.com", "password": "x" }), "email"),
        (json!({ "email": "a@example.com", "password": "x", "token_transport": 1 }), "token_transport"),
    ] {
        let answer = app.caller().post("/v1/auth/login").json(&request).send().await;
        answer.assert_error(400, "invalid_input");
        assert!(answer.json()["error"]["message"].as_str().unwrap().contains(field), "{request}");
    }
}

/// A hash of a cheaper scheme than the one that is set.
async fn outdated_hash() -> String {
    let scheme = HashScheme::below_floor_for_tests("scrypt:ln=3,r=8,p=1").unwrap();
    let pool = PoolConfig { scheme, memory_mib: 64, queue_wait: Duration::from_secs(30), threads: 1 };
    let pool = PasswordPool::start(pool, Arc::new(OsRandom)).unwrap();
    pool.hash(Password::present(PASSWORD).unwrap()).await.unwrap().as_str().to_owned()
}

async fn an_outdated_hash_is_replaced_whatever_follows_the_password(app: App) {
    let (email, browser) = app.sign_up().await;
    let asked = app.enrolled().await;
    let mut trusted = app.enrolled().await;
    let trust = trusted.browser.post("/v1/auth/trusted-browsers").csrf().send().await;
    trusted.browser.keep(trust.assert_status(200));
    let outdated = outdated_hash().await;
    for (email, browser, status) in [
        (&email, &browser, "success"),
        (&asked.email, &asked.browser, "mfa_required"),
        (&trusted.email, &trusted.browser, "success"),
    ] {
        app.change(&format!("UPDATE users SET password_hash = '{outdated}' WHERE email = '{email}'")).await;
        let answer = browser.post("/v1/auth/login").json(&body(email, PASSWORD)).send().await;
        assert_eq!(answer.assert_status(200).json()["status"], status);
        let query = format!("SELECT password_hash AS line FROM users WHERE email = '{email}'");
        assert_ne!(app.select(&query).await, [outdated.as_str()], "{status} {email}");
        login(&app, email, PASSWORD).await.assert_status(200);
    }
}
