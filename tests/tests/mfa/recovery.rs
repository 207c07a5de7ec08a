//! Recovery codes (MF-10).

use identsphere_e2e::{App, Engine, claims, matrix};
use serde_json::{Value, json};

use crate::{own_password, post_as, recover, status, statuses, verify};

matrix! {
    a_recovery_code_signs_in_once,
    a_recovery_code_may_be_written_in_any_way_it_is_read,
    of_many_who_spend_one_recovery_code_one_gets_in,
    another_users_recovery_code_is_nothing,
    new_recovery_codes_void_the_old_ones,
    recovery_codes_are_for_whoever_knows_the_password_and_has_a_second_factor,
    what_a_refused_sign_in_showed_is_not_spent,
}

const REPLACE: &str = "/v1/auth/mfa/recovery-codes";

async fn a_recovery_code_signs_in_once(app: App) {
    let person = app.enrolled().await;
    let code = &person.recovery_codes[3];
    let answer = recover(&app, &person.mfa_token(&app).await, code).await;
    let claims = claims(answer.assert_status(200).json()["access_token"].as_str().unwrap());
    assert_eq!((&claims["aal"], &claims["auth_method"]), (&json!("aal2"), &json!("password_with_mfa")));
    assert!(claims["mfa_verified_at"].is_i64());
    assert_eq!(status(&person.browser).await, json!({ "enabled": true, "recovery_codes_left": 9 }));
    recover(&app, &person.mfa_token(&app).await, code).await.assert_error(401, "authentication_required");
    verify(&person.browser, code).await.assert_error(400, "invalid_input");

    let mails = app.deliver().await.received(&person.email);
    let told: Vec<Value> = mails
        .iter()
        .filter(|mail| mail.content.name() == "recovery_code_used")
        .map(|mail| serde_json::to_value(&mail.content).unwrap())
        .collect();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0]["left"], 9, "{told:?}");
    let rest = recover(&app, &person.mfa_token(&app).await, &person.recovery_codes[4]).await;
    rest.assert_status(200);
}

async fn a_recovery_code_may_be_written_in_any_way_it_is_read(app: App) {
    let person = app.enrolled().await;
    let spellings: [fn(&str) -> String; 4] = [
        str::to_lowercase,
        |code| code.replace('-', ""),
        |code| code.replace('-', " ").to_lowercase(),
        |code| code.replace('0', "o").replace('1', "l"),
    ];
    for (code, spelling) in person.recovery_codes.iter().zip(spellings) {
        let spelt = spelling(code);
        let token = person.mfa_token(&app).await;
        assert_eq!(recover(&app, &token, &spelt).await.status, 200, "{spelt}");
        let again = recover(&app, &person.mfa_token(&app).await, code).await;
        again.assert_error(401, "authentication_required");
    }
    let whole = &person.recovery_codes[9];
    let too_long = format!("{whole}-{whole}");
    for malformed in ["", "1", &whole[1..], &too_long, &whole.replace('-', "_"), "ＡＢＣＤ-ABCD-ABCD-ABCD"]
    {
        let refused = recover(&app, &person.mfa_token(&app).await, malformed).await;
        let error = refused.assert_error(400, "invalid_input").json();
        assert_eq!(error["error"]["fields"][0]["field"], "recovery_code", "{malformed}");
    }
}

async fn of_many_who_spend_one_recovery_code_one_gets_in(app: App) {
    let node = app.another_node().await;
    let person = app.enrolled().await;
    let mut tokens = vec![];
    for _ in 0..40 {
        tokens.push(person.mfa_token(&app).await);
    }
    let code = &person.recovery_codes[0];
    let at = [&app, &node].into_iter().cycle();
    let race = tokens.iter().zip(at).map(|(token, at)| recover(at, token, code));
    let answers = futures::future::join_all(race).await;
    let statuses = statuses(&answers);
    assert_eq!(statuses.get(&200), Some(&1), "{statuses:?}");
    assert_eq!(statuses.keys().filter(|status| ![200, 401, 429].contains(status)).count(), 0, "{statuses:?}");
    assert_eq!(status(&person.browser).await["recovery_codes_left"], 9);
}

async fn another_users_recovery_code_is_nothing(app: App) {
    let (person, other) = (app.enrolled().await, app.enrolled().await);
    let code = &other.recovery_codes[0];
    recover(&app, &person.mfa_token(&app).await, code).await.assert_error(401, "authentication_required");
    recover(&app, &other.mfa_token(&app).await, code).await.assert_status(200);
}

async fn new_recovery_codes_void_the_old_ones(app: App) {
    let person = app.enrolled().await;
    recover(&app, &person.mfa_token(&app).await, &person.recovery_codes[0]).await.assert_status(200);
    let answer = post_as(&person.browser, REPLACE, own_password()).await;
    let body = answer.assert_status(200).json();
    let new: Vec<String> = serde_json::from_value(body["recovery_codes"].clone()).unwrap();
    assert_eq!(new.len(), 10);
    assert!(new.iter().all(|code| !person.recovery_codes.contains(code)));
    assert_eq!(status(&person.browser).await["recovery_codes_left"], 10);
    let old = recover(&app, &person.mfa_token(&app).await, &person.recovery_codes[1]).await;
    old.assert_error(401, "authentication_required");
    recover(&app, &person.mfa_token(&app).await, &new[0]).await.assert_status(200);
    let mails = app.deliver().await.received(&person.email);
    assert!(mails.iter().any(|mail| mail.content.name() == "recovery_codes_replaced"));
}

async fn recovery_codes_are_for_whoever_knows_the_password_and_has_a_second_factor(app: App) {
    let (_, browser) = app.sign_up().await;
    post_as(&browser, REPLACE, own_password()).await.assert_error(403, "forbidden");
    let person = app.enrolled().await;
    let wrong = post_as(&person.browser, REPLACE, json!({ "password": "not the password" })).await;
    wrong.assert_error(401, "invalid_credentials");
    post_as(&person.browser, REPLACE, json!({})).await.assert_error(400, "invalid_input");
    recover(&app, &person.mfa_token(&app).await, &person.recovery_codes[0]).await.assert_status(200);
}

/// A code on paper is lost only to whoever gets in by it.
async fn what_a_refused_sign_in_showed_is_not_spent(app: App) {
    let person = app.enrolled().await;
    let token = person.mfa_token(&app).await;
    recover(&app, &token, &person.recovery_codes[0]).await.assert_status(200);
    let used_up = recover(&app, &token, &person.recovery_codes[1]).await;
    used_up.assert_error(401, "authentication_required");
    assert_eq!(status(&person.browser).await["recovery_codes_left"], 9);
    if app.engine() != Engine::Memory {
        let rows = app.select("SELECT 'row' AS line FROM user_recovery_codes").await;
        assert_eq!(rows.len(), 9);
    }
}
