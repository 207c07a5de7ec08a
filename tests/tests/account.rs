//! The end of an account, and what is held about it before. On every framework and store.

use futures::future::join_all;
use identsphere_e2e::{Answer, App, Caller, Engine, PASSWORD, matrix};
use serde_json::{Value, json};

matrix! {
    a_deleted_account_is_gone_at_once,
    the_address_of_a_deleted_account_can_be_registered_again,
    a_wrong_password_deletes_nothing,
    wrong_passwords_are_limited,
    of_many_deletions_at_once_one_wins,
    a_deletion_by_cookie_needs_the_csrf_header,
    rows_of_the_audit_log_stay_with_the_id_alone,
    the_export_shows_everything_and_no_secret,
    the_export_shows_nobody_else,
}

const ME: &str = "/v1/users/me";

async fn delete(browser: &Caller, password: &str) -> Answer {
    browser.delete(ME).csrf().json(&json!({ "password": password })).send().await
}

async fn a_deleted_account_is_gone_at_once(app: App) {
    let (email, mut browser) = app.sign_up().await;
    let (other, bearer) = (app.login(&email).await, app.bearer_login(&email).await);
    let bystander = app.sign_up().await.1;
    let access = browser.cookie("identsphere_at").to_owned();
    let request = json!({ "password": PASSWORD });
    let answer = browser.follow(|c| c.delete(ME).csrf().json(&request)).await;
    answer.assert_status(204);
    assert!(browser.cookies.keys().eq(["identsphere_device"]), "{:?}", browser.cookies);
    for token in [&access, &bearer.access, other.cookie("identsphere_at")] {
        app.caller().get(ME).bearer(token).send().await.assert_error(401, "authentication_required");
    }
    let refresh = json!({ "refresh_token": bearer.refresh });
    app.caller().post("/v1/auth/refresh").json(&refresh).send().await.assert_status(401);
    let login = json!({ "email": email, "password": PASSWORD });
    app.caller().post("/v1/auth/login").json(&login).send().await.assert_error(401, "invalid_credentials");
    bystander.get(ME).send().await.assert_status(200);
}

async fn the_address_of_a_deleted_account_can_be_registered_again(app: App) {
    let (email, browser) = app.sign_up().await;
    let before = browser.get(ME).send().await.json();
    delete(&browser, PASSWORD).await.assert_status(204);
    let request = json!({ "email": email, "password": PASSWORD, "organization_name": "Acme" });
    let mut again = app.caller();
    again.follow(|c| c.post("/v1/auth/register").json(&request)).await.assert_status(201);
    assert_ne!(again.get(ME).send().await.json()["id"], before["id"]);
    let tombstone = format!("deleted+{}@invalid", before["id"].as_str().unwrap());
    let request = json!({ "email": tombstone, "password": PASSWORD, "organization_name": "Acme" });
    app.caller().post("/v1/auth/register").json(&request).send().await.assert_error(400, "invalid_input");
}

async fn a_wrong_password_deletes_nothing(app: App) {
    let (email, browser) = app.sign_up().await;
    delete(&browser, "not the password").await.assert_error(401, "invalid_credentials");
    for body in [json!({}), json!({ "password": [PASSWORD] }), json!({ "password": "x".repeat(2_000) })] {
        browser.delete(ME).csrf().json(&body).send().await.assert_error(400, "invalid_input");
    }
    browser.get(ME).send().await.assert_status(200);
    app.login(&email).await;
}

async fn wrong_passwords_are_limited(app: App) {
    let (_, browser) = app.sign_up().await;
    let answers = join_all((0..20).map(|_| delete(&browser, "not the password"))).await;
    let count = |status: u16| answers.iter().filter(|answer| answer.status == status).count();
    assert_eq!((count(401), count(429)), (10, 10));
    delete(&browser, PASSWORD).await.assert_error(429, "rate_limited");
}

async fn of_many_deletions_at_once_one_wins(app: App) {
    let (_, browser) = app.sign_up().await;
    let answers = join_all((0..8).map(|_| delete(&browser, PASSWORD))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 204).count(), 1);
    assert!(answers.iter().all(|answer| matches!(answer.status, 204 | 401)));
}

async fn a_deletion_by_cookie_needs_the_csrf_header(app: App) {
    let (_, browser) = app.sign_up().await;
    let request = json!({ "password": PASSWORD });
    browser.delete(ME).json(&request).send().await.assert_error(403, "csrf_failed");
    browser.get(ME).send().await.assert_status(200);
}

async fn rows_of_the_audit_log_stay_with_the_id_alone(app: App) {
    let (email, browser) = app.sign_up().await;
    let profile = browser.get(ME).send().await.json();
    let change =
        json!({ "display_name": "Ada Lovelace", "bio": "weaves", "phone_number": "+44 20 7946 0958" });
    let patch = browser.request(reqwest::Method::PATCH, ME).csrf().json(&change);
    patch.send().await.assert_status(200);
    delete(&browser, PASSWORD).await.assert_status(204);
    if app.engine() == Engine::Memory {
        return;
    }
    let id = profile["id"].as_str().unwrap();
    let rows = app.select("SELECT action || ' ' || resource_id AS line FROM audit_logs").await;
    assert!(rows.contains(&format!("users.deleted {id}")), "{rows:?}");
    let metadata = app.select("SELECT CAST(metadata AS text) AS line FROM audit_logs").await.join("\n");
    let users = app
        .select(
            "SELECT email || ' ' || email_key || ' ' || status || ' ' || COALESCE(display_name, '-') || \
             COALESCE(bio, '-') || COALESCE(phone_number, '-') || COALESCE(password_hash, '-') AS line FROM users",
        )
        .await
        .join("\n");
    for personal in [email.as_str(), "Ada Lovelace", "weaves", "7946"] {
        assert!(!metadata.contains(personal) && !users.contains(personal), "{personal}");
    }
    assert_eq!(users, format!("deleted+{id}@invalid deleted+{id}@invalid deleted ----"));
    for query in
        ["SELECT auth_method AS line FROM user_sessions", "SELECT role AS line FROM organization_memberships"]
    {
        assert!(app.select(query).await.is_empty(), "{query}");
    }
    let organizations = app.select("SELECT name AS line FROM organizations WHERE deleted_at IS NULL").await;
    assert!(organizations.is_empty(), "{organizations:?}");
}

async fn the_export_shows_everything_and_no_secret(app: App) {
    let (email, browser) = app.sign_up().await;
    let bearer = app.bearer_login(&email).await;
    let end = format!("/v1/auth/sessions/{}", bearer.claims()["sid"].as_str().unwrap());
    browser.delete(&end).csrf().send().await.assert_status(204);
    let answer = browser.get("/v1/users/me/export").send().await;
    let export = answer.assert_status(200).json();
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(export["profile"], browser.get(ME).send().await.json());
    assert_eq!(export["organizations"], browser.get("/v1/users/me/organizations").send().await.json());
    assert_eq!(export["factors"]["passwords"], 1);
    let sessions = export["sessions"].as_array().unwrap();
    assert_eq!(sessions.len(), 2, "the ended one too");
    assert_eq!(sessions.iter().filter(|session| session["revoked_at"].is_string()).count(), 1);
    assert!(sessions.iter().all(|session| session["ip_address"] == "127.0.0.1"));
    let mut actions: Vec<&str> =
        export["audit_logs"].as_array().unwrap().iter().map(|row| row["action"].as_str().unwrap()).collect();
    actions.sort_unstable();
    assert_eq!(actions, ["auth.login", "auth.register", "auth.session.revoked"]);
    let text = String::from_utf8(answer.body.clone()).unwrap();
    for secret in [PASSWORD, "$scrypt$", bearer.refresh.as_str(), bearer.access.as_str(), "eyJ"] {
        assert!(!text.contains(secret), "{secret}");
    }
}

async fn the_export_shows_nobody_else(app: App) {
    let (email, _) = app.sign_up().await;
    let (_, browser) = app.sign_up().await;
    let export = browser.get("/v1/users/me/export").send().await;
    assert!(!String::from_utf8_lossy(&export.body).contains(&email));
    assert_eq!(export.json()["sessions"].as_array().map(Vec::len), Some(1));
    assert_eq!(export.json()["profile"]["avatar_url"], Value::Null);
}
