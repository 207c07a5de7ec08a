//! What remains of it: in tables, in mail, in the export.

use identsphere_e2e::{App, Engine};
use serde_json::json;

use crate::{challenge, own_password, post_as, recover, verify};

macro_rules! with_tables {
    ($($scenario:ident),+ $(,)?) => {$(
        mod $scenario {
            identsphere_e2e::matrix!(@ $scenario: actix_sqlite = Actix Sqlite, axum_postgres = Axum Postgres);
        }
    )+};
}

with_tables! {
    everything_that_happens_to_a_second_factor_is_recorded,
    no_secret_of_a_second_factor_is_kept_or_mailed,
    nothing_of_it_outlives_the_account,
}

identsphere_e2e::matrix! {
    the_export_shows_what_is_held_and_no_secret,
}

async fn everything_that_happens_to_a_second_factor_is_recorded(app: App) {
    let person = app.enrolled().await;
    let wrong = person.authenticator.wrong_code(&app);
    let (token, other) = (person.mfa_token(&app).await, person.mfa_token(&app).await);
    for _ in 0..5 {
        challenge(&app, &token, &wrong).await.assert_status(401);
    }
    challenge(&app, &token, &wrong).await.assert_status(429);
    recover(&app, &other, &person.recovery_codes[0]).await.assert_status(200);
    verify(&person.browser, &wrong).await.assert_status(401);
    verify(&person.browser, &person.authenticator.next_code(&app)).await.assert_status(200);
    let trusted = post_as(&person.browser, "/v1/auth/trusted-browsers", json!({})).await.json();
    let path = format!("/v1/auth/trusted-browsers/{}", trusted["trusted_browser"]["id"].as_str().unwrap());
    person.browser.delete(&path).csrf().send().await.assert_status(204);
    post_as(&person.browser, "/v1/auth/mfa/recovery-codes", own_password()).await.assert_status(200);
    post_as(&person.browser, "/v1/auth/mfa/disable", own_password()).await.assert_status(204);

    let query = "SELECT action || ' ' || status || ' ' || resource_type || ' ' || actor_type || \
                 CASE WHEN actor_id IS NULL THEN '' ELSE ' known' END AS line \
                 FROM audit_logs WHERE actor_type <> 'system'";
    let mut rows = app.select(query).await;
    rows.sort();
    let expected = [
        "auth.login.mfa_required success user user known",
        "auth.login.mfa_required success user user known",
        "auth.mfa.challenge.failed failure user user",
        "auth.mfa.challenge.failed failure user user",
        "auth.mfa.challenge.failed failure user user",
        "auth.mfa.challenge.failed failure user user",
        "auth.mfa.challenge.failed failure user user",
        "auth.mfa.challenge.locked failure user user",
        "auth.mfa.challenge.succeeded success session user known",
        "auth.mfa.disabled success user user known",
        "auth.mfa.enabled success user user known",
        "auth.mfa.recovery_codes_regenerated success user user known",
        "auth.mfa.step_up failure session user known",
        "auth.mfa.step_up success session user known",
        "auth.register success user user known",
        "auth.trusted_browser.added success trusted_browser user known",
        "auth.trusted_browser.revoked success trusted_browser user known",
    ];
    assert_eq!(rows, expected);
}

/// Every cell that has to do with second factors: text as it is, bytes in hexadecimal.
async fn dump(app: &App) -> String {
    const TABLES: [(&str, &[&str], &[&str]); 6] = [
        ("audit_logs", &["action", "resource_id", "user_agent", "metadata"], &[]),
        ("users", &["email"], &["mfa_secret"]),
        ("user_recovery_codes", &[], &["code_hash"]),
        ("mfa_challenges", &["first_factor"], &["token_hash", "browser"]),
        ("trusted_browsers", &["label", "user_agent"], &["token_hash"]),
        ("user_sessions", &["second_factor", "user_agent"], &["refresh_hash"]),
    ];
    let mut dump = String::new();
    for (table, texts, bytes) in TABLES {
        let texts = texts.iter().map(|column| (column, format!("CAST({column} AS text)")));
        let bytes = bytes.iter().map(|column| match app.engine() {
            Engine::Sqlite => (column, format!("hex({column})")),
            Engine::Memory | Engine::Postgres => (column, format!("encode({column}, 'hex')")),
        });
        for (column, cell) in texts.chain(bytes) {
            let query = format!("SELECT {cell} AS line FROM {table} WHERE {column} IS NOT NULL");
            let rows = app.select(&query).await;
            assert!(!rows.is_empty() || matches!(*column, "browser" | "user_agent"), "{table}.{column}");
            dump.push_str(&rows.join("\n").to_lowercase());
            dump.push('\n');
        }
    }
    dump
}

async fn no_secret_of_a_second_factor_is_kept_or_mailed(app: App) {
    let (email, browser) = app.sign_up().await;
    let setup = browser.post("/v1/auth/mfa/setup").csrf().send().await.assert_status(200).json();
    let secret = setup["secret"].as_str().unwrap();
    let authenticator = identsphere_e2e::Authenticator::with(secret);
    let code = authenticator.code(&app);
    let enabled = post_as(&browser, "/v1/auth/mfa/enable", json!({ "code": code })).await;
    let codes = enabled.assert_status(200).json()["recovery_codes"].clone();
    let codes: Vec<String> = serde_json::from_value(codes).unwrap();
    let mut trusted = browser.clone();
    trusted.keep(&post_as(&browser, "/v1/auth/trusted-browsers", json!({ "label": "Laptop" })).await);
    let login = json!({ "email": email, "password": identsphere_e2e::PASSWORD });
    let waiting = identsphere_e2e::mfa_token(&app.caller().post("/v1/auth/login").json(&login).send().await);
    let answered = identsphere_e2e::mfa_token(&app.caller().post("/v1/auth/login").json(&login).send().await);
    recover(&app, &answered, &codes[0]).await.assert_status(200);

    let mails: Vec<String> = app
        .deliver()
        .await
        .received(&email)
        .iter()
        .map(|mail| serde_json::to_string(&mail.content).unwrap().to_lowercase())
        .collect();
    let dump = dump(&app).await;
    assert!(
        dump.contains(&email) && dump.contains("auth.mfa.enabled"),
        "the dump shows what the tables hold"
    );
    let mut secrets = vec![
        secret.to_owned(),
        setup["qr_code_base64"].as_str().unwrap()[..64].to_owned(),
        waiting,
        answered,
        trusted.cookie("identsphere_trust").to_owned(),
    ];
    secrets.extend(codes.iter().map(|code| code.replace('-', "")));
    secrets.extend(codes);
    for secret in secrets {
        let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
        let secret = secret.to_lowercase();
        for held in mails.iter().chain([&dump]) {
            assert!(!held.contains(&secret) && !held.contains(&hex), "{secret}");
        }
    }
    // The bytes of the secret as the app has them.
    let sealed = app.select("SELECT 'row' AS line FROM users WHERE length(mfa_secret) > 20").await;
    assert_eq!(sealed, ["row"], "sealed: longer than what is in it");
    let raw: String = authenticator.bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(!dump.contains(&raw));
    let hashes =
        app.select("SELECT 'row' AS line FROM user_recovery_codes WHERE length(code_hash) = 32").await;
    assert_eq!(hashes.len(), 9, "hashes, and none of the one that was used");
}

async fn nothing_of_it_outlives_the_account(app: App) {
    let person = app.enrolled().await;
    post_as(&person.browser, "/v1/auth/trusted-browsers", json!({ "label": "Laptop" }))
        .await
        .assert_status(200);
    person.mfa_token(&app).await;
    let rows = async || {
        let mut rows = vec![];
        for table in ["user_recovery_codes", "mfa_challenges", "trusted_browsers", "user_sessions"] {
            rows.push(app.select(&format!("SELECT '{table}' AS line FROM {table}")).await.len());
        }
        rows.push(app.select("SELECT 'mfa' AS line FROM users WHERE mfa_secret IS NOT NULL").await.len());
        rows
    };
    assert_eq!(rows().await, [10, 1, 1, 1, 1]);
    let delete = person.browser.delete("/v1/users/me").csrf().json(&own_password());
    delete.send().await.assert_status(204);
    assert_eq!(rows().await, [0; 5]);
}

async fn the_export_shows_what_is_held_and_no_secret(app: App) {
    let person = app.enrolled().await;
    let mut browser = person.browser.clone();
    let request = json!({ "label": "Laptop" });
    browser.follow(|c| c.post("/v1/auth/trusted-browsers").csrf().json(&request)).await.assert_status(200);
    recover(&app, &person.mfa_token(&app).await, &person.recovery_codes[0]).await.assert_status(200);
    let answer = browser.get("/v1/users/me/export").send().await;
    let export = answer.assert_status(200).json();
    let factors = &export["factors"];
    assert_eq!(factors["trusted_browsers"], browser.get("/v1/auth/trusted-browsers").send().await.json());
    assert_eq!(factors["trusted_browsers"][0]["label"], "Laptop");
    let counts = ["passwords", "authenticators", "recovery_codes"].map(|name| factors[name].as_u64());
    assert_eq!(counts, [Some(1), Some(1), Some(9)]);
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    assert!(!text.contains(browser.cookie("identsphere_trust")));
    assert!(person.recovery_codes.iter().all(|code| !text.contains(code)));

    let (_, bystander) = app.sign_up().await;
    let export = bystander.get("/v1/users/me/export").send().await.json();
    let factors = &export["factors"];
    assert_eq!((&factors["trusted_browsers"], &factors["authenticators"]), (&json!([]), &json!(0)));
}
