//! What each way is worth: level and method, for users with every set of factors.

use identsphere_e2e::{Answer, App, claims, matrix};
use serde_json::json;

use crate::paths::{Person, rest};

matrix! {
    without_an_authenticator_app_a_first_factor_opens,
    with_an_authenticator_app_every_first_factor_but_a_verified_passkey_leaves_one_due,
    a_trusted_browser_stands_for_the_second_factor_of_a_password_alone,
}

/// The level and the method of what was issued, the same after a refresh.
async fn worth(app: &App, answer: &Answer) -> (String, String) {
    answer.assert_status(200);
    let of = |answer: &Answer| {
        let claims = claims(answer.json()["access_token"].as_str().expect("a session"));
        let text = |name: &str| claims[name].as_str().unwrap().to_owned();
        (text("aal"), text("auth_method"))
    };
    let mut browser = app.caller();
    browser.keep(answer);
    let refreshed = browser.follow(|c| c.post("/v1/auth/refresh")).await;
    assert_eq!(of(&refreshed), of(answer));
    let session = browser.get("/v1/auth/session").send().await.json();
    assert_eq!(session["user"]["auth_method"], json!(of(answer).1));
    of(answer)
}

fn pair(aal: &str, method: &str) -> (String, String) {
    (aal.to_owned(), method.to_owned())
}

async fn without_an_authenticator_app_a_first_factor_opens(app: App) {
    let body = json!({ "email": "new@example.com", "password": identsphere_e2e::PASSWORD, "organization_name": "New" });
    let mut browser = app.caller();
    let registered = browser.follow(|c| c.post("/v1/auth/register").json(&body)).await;
    let token = registered.json()["access_token"].as_str().unwrap().to_owned();
    assert_eq!(
        (&claims(&token)["aal"], &claims(&token)["auth_method"]),
        (&json!("aal1"), &json!("password"))
    );

    for verifies in [true, false] {
        rest(&app);
        let person = Person::new(&app, verifies, false).await;
        let caller = app.caller();
        let answer = person.password().send(&caller).await;
        assert_eq!(worth(&app, &answer).await, pair("aal1", "password"));
        let answer = person.email_code(&app, &caller).await.send(&caller).await;
        assert_eq!(worth(&app, &answer).await, pair("aal1", "email_otp"));
        for named in [true, false] {
            let answer = person.passkey(&caller, named).await.send(&caller).await;
            let level = if verifies { "aal2" } else { "aal1" };
            assert_eq!(worth(&app, &answer).await, pair(level, "passkey"));
        }
    }
}

async fn with_an_authenticator_app_every_first_factor_but_a_verified_passkey_leaves_one_due(app: App) {
    for verifies in [true, false] {
        rest(&app);
        let person = Person::new(&app, verifies, true).await;
        let caller = app.caller();
        let by_code = person.email_code(&app, &caller).await;
        let mut ways = vec![(person.password(), "password_with_mfa"), (by_code, "email_otp")];
        for named in [true, false] {
            let by_passkey = person.passkey(&caller, named).await;
            if verifies {
                let answer = by_passkey.send(&caller).await;
                assert_eq!(worth(&app, &answer).await, pair("aal2", "passkey"));
            } else {
                ways.push((by_passkey, "passkey"));
            }
        }
        for (first, method) in ways {
            let last = person.challenge(&app, &caller, &first).await;
            let answer = last.send(&caller).await;
            assert_eq!(worth(&app, &answer).await, pair("aal2", method));
        }
    }
}

async fn a_trusted_browser_stands_for_the_second_factor_of_a_password_alone(app: App) {
    let person = Person::new(&app, false, true).await;
    let browser = person.trusted_browser(&app).await;
    for first in [person.email_code(&app, &browser).await, person.passkey(&browser, true).await] {
        let answer = first.send(&browser).await;
        answer.assert_status(200);
        assert_eq!(answer.json()["status"], "mfa_required");
        assert!(answer.cookies().is_empty());
    }
    let answer = person.password().send(&browser).await;
    assert_eq!(worth(&app, &answer).await, pair("aal2", "password_with_mfa"));
    assert_eq!(answer.json()["user"]["mfa_verified_at"], json!(null), "trust is no step-up");
}
