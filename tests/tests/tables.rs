//! What stands in the tables afterwards, read by SQL as host applications do (contract §7, §8). On every store that has
//! tables.

use identsphere_e2e::{App, Engine, Framework, PASSWORD, run, unique};
use serde_json::json;

/// Runs each scenario on every store with tables: one test each.
macro_rules! with_tables {
    ($($scenario:ident),+ $(,)?) => {$(
        mod $scenario {
            #[test]
            fn sqlite() {
                super::run(super::Framework::Actix, super::Engine::Sqlite, super::$scenario);
            }

            #[test]
            fn postgres() {
                super::run(super::Framework::Axum, super::Engine::Postgres, super::$scenario);
            }
        }
    )+};
}

with_tables! {
    every_change_has_one_row_in_the_audit_log,
    a_refusal_is_recorded_without_what_was_typed,
    no_table_holds_a_secret,
    a_host_application_can_join_the_stable_tables,
}

/// The audit log without what the service did by itself, sorted: in tests time stands still, so rows have no order.
async fn audit_log(app: &App) -> Vec<String> {
    let query = "SELECT action || ' ' || status || ' ' || resource_type AS line FROM audit_logs \
                 WHERE actor_type <> 'system'";
    let mut rows = app.select(query).await;
    rows.sort();
    rows
}

async fn every_change_has_one_row_in_the_audit_log(app: App) {
    let (email, browser) = app.sign_up().await;
    let duplicate = json!({ "email": email, "password": PASSWORD, "organization_name": "Acme" });
    app.caller().post("/v1/auth/register").json(&duplicate).send().await.assert_status(409);
    let (one, two) = (app.bearer_login(&email).await, app.bearer_login(&email).await);

    let first = json!({ "refresh_token": one.refresh });
    let refreshed = app.caller().post("/v1/auth/refresh").json(&first).send().await;
    let second = json!({ "refresh_token": refreshed.assert_status(200).json()["refresh_token"] });
    app.caller().post("/v1/auth/refresh").json(&second).send().await.assert_status(200);
    for _ in 0..2 {
        app.caller().post("/v1/auth/refresh").json(&first).send().await.assert_status(401);
    }

    let session = two.claims()["sid"].as_str().unwrap().to_owned();
    let path = format!("/v1/auth/sessions/{session}");
    browser.delete(&path).csrf().send().await.assert_status(204);
    browser.delete(&path).csrf().send().await.assert_status(404);
    let (_three, _four) = (app.bearer_login(&email).await, app.bearer_login(&email).await);
    browser.delete("/v1/auth/sessions?except_current=true").csrf().send().await.assert_status(204);
    for _ in 0..2 {
        browser.post("/v1/auth/logout").csrf().send().await.assert_status(204);
    }

    let expected = [
        "auth.login success session",
        "auth.login success session",
        "auth.login success session",
        "auth.login success session",
        "auth.logout success session",
        "auth.register success user",
        "auth.session.reuse_detected failure session",
        "auth.session.revoked success session",
        "auth.session.revoked success session",
        "auth.session.revoked success session",
    ];
    assert_eq!(audit_log(&app).await, expected);
    let live = "SELECT CAST(id AS text) AS line FROM user_sessions WHERE revoked_at IS NULL";
    assert_eq!(app.select(live).await, [""; 0], "and nothing was left undone");
    let key = "SELECT action AS line FROM audit_logs WHERE actor_type = 'system'";
    assert_eq!(app.select(key).await, ["keys.rotated"]);
    app.service.discard_keys().await.unwrap();
    assert_eq!(app.select(key).await, ["keys.rotated", "keys.rotated"]);
}

async fn a_refusal_is_recorded_without_what_was_typed(app: App) {
    let (email, _) = app.sign_up().await;
    for (email, password) in [(email, "canary-of-a-password"), (unique("canary@example.com"), PASSWORD)] {
        let request = json!({ "email": email, "password": password });
        app.caller().post("/v1/auth/login").json(&request).send().await.assert_status(401);
    }
    let expected =
        ["auth.login.failed failure user", "auth.login.failed failure user", "auth.register success user"];
    assert_eq!(audit_log(&app).await, expected);
    assert!(!dump(&app).await.contains("canary"));
}

async fn no_table_holds_a_secret(app: App) {
    let (email, browser) = app.sign_up().await;
    let session = app.bearer_login(&email).await;
    let request = json!({ "refresh_token": session.refresh });
    app.caller().post("/v1/auth/refresh").json(&request).send().await.assert_status(200);

    let dump = dump(&app).await;
    assert!(dump.contains(&email), "the dump shows what the tables hold");
    let secrets = [
        PASSWORD,
        &session.access,
        &session.refresh,
        browser.cookie("identsphere_at"),
        browser.cookie("identsphere_rt"),
        browser.cookie("identsphere_csrf"),
    ];
    for secret in secrets {
        assert!(!dump.contains(secret), "{secret}");
        let encoded: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
        assert!(!dump.to_ascii_lowercase().contains(&encoded), "{secret} in hexadecimal");
    }
    assert!(!dump.contains("eyJ"), "no token that begins as access tokens do");
}

/// Every cell of every table: text as it is, bytes in hexadecimal.
async fn dump(app: &App) -> String {
    const COLUMNS: [(&str, &[&str]); 7] = [
        ("users", &["email", "email_key", "password_hash", "display_name", "preferences"]),
        ("organizations", &["name", "slug", "settings"]),
        ("organization_memberships", &["role"]),
        ("user_sessions", &["refresh_hash", "ip_address", "user_agent", "revoked_reason"]),
        ("audit_logs", &["action", "resource_id", "ip_address", "user_agent", "metadata"]),
        ("signing_keys", &["kid", "private_sealed", "predecessor"]),
        ("rate_limits", &["bucket"]),
    ];
    let mut dump = String::new();
    for (table, columns) in COLUMNS {
        for column in columns {
            let cell = match (app.engine(), *column) {
                (Engine::Sqlite, "refresh_hash" | "private_sealed" | "bucket") => format!("hex({column})"),
                _ => format!("CAST({column} AS text)"),
            };
            let query = format!("SELECT {cell} AS line FROM {table} WHERE {column} IS NOT NULL");
            dump.push_str(&app.select(&query).await.join("\n"));
            dump.push('\n');
        }
    }
    dump
}

/// Every stable column has its published name, and the copy of the role in `users` is the one that counts.
async fn a_host_application_can_join_the_stable_tables(app: App) {
    let (email, _) = app.sign_up().await;
    let query = "
        SELECT u.email || ' ' || u.role || ' ' || m.role || ' ' || u.status || ' ' || o.name || ' ' || o.slug AS line,
            u.id, u.email_key, u.password_hash, u.organization_id, u.display_name, u.job_title, u.phone_number,
            u.avatar_url, u.bio, u.preferences, u.mfa_enabled, u.mfa_secret, u.passkey_enabled, u.email_verified,
            u.last_password_change, u.created_at, u.updated_at, u.deleted_at,
            m.joined_at,
            o.settings, o.authz_version, o.created_at, o.updated_at, o.deleted_at,
            a.id, a.actor_id, a.actor_type, a.action, a.resource_type, a.resource_id, a.status, a.user_agent,
            a.ip_address, a.metadata, a.created_at
        FROM users u
        JOIN organization_memberships m ON m.user_id = u.id
        JOIN organizations o ON o.id = m.organization_id AND o.id = u.organization_id
        JOIN audit_logs a ON a.organization_id = o.id AND a.actor_id = u.id";
    assert_eq!(app.select(query).await, [format!("{email} owner owner active Acme acme")]);
}
