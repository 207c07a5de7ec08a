//! Second factors: set up, asked for at sign-in, shown again, lost and removed (contract §4.3). On every framework and
//! store.

mod attempts;
mod challenge;
mod enrolment;
mod pending;
mod records;
mod recovery;
mod removal;
mod replay;
mod step_up;

use std::collections::BTreeMap;

use identsphere_e2e::{Answer, App, Caller, PASSWORD};
use serde_json::{Value, json};

const OTHER_PASSWORD: &str = "staple battery horse";

/// A write by somebody in a browser.
async fn post_as(browser: &Caller, path: &str, body: Value) -> Answer {
    browser.post(path).csrf().json(&body).send().await
}

async fn challenge(app: &App, mfa_token: &str, code: &str) -> Answer {
    let request = json!({ "mfa_token": mfa_token, "code": code });
    app.caller().post("/v1/auth/mfa/challenge").json(&request).send().await
}

async fn recover(app: &App, mfa_token: &str, recovery_code: &str) -> Answer {
    let request = json!({ "mfa_token": mfa_token, "recovery_code": recovery_code });
    app.caller().post("/v1/auth/mfa/challenge").json(&request).send().await
}

async fn verify(browser: &Caller, code: &str) -> Answer {
    post_as(browser, "/v1/auth/mfa/verify", json!({ "code": code })).await
}

async fn status(browser: &Caller) -> Value {
    browser.get("/v1/auth/mfa/status").send().await.assert_status(200).json()
}

async fn session(browser: &Caller) -> Answer {
    browser.get("/v1/auth/session").send().await
}

async fn is_alive(browser: &Caller) -> bool {
    session(browser).await.status == 200
}

/// Chooses another password by mail.
async fn reset(app: &App, email: &str) {
    let caller = app.caller();
    let request = json!({ "email": email });
    caller.post("/v1/auth/password/forgot").json(&request).send().await.assert_status(204);
    let request =
        json!({ "token": app.mailed(email, "reset_password").await, "new_password": OTHER_PASSWORD });
    caller.post("/v1/auth/password/reset").json(&request).send().await.assert_status(204);
}

/// Proves the mailbox of an account.
async fn prove_mailbox(app: &App, email: &str) {
    let request = json!({ "token": app.mailed(email, "verify_email").await });
    app.caller().post("/v1/auth/email/verify").json(&request).send().await.assert_status(204);
}

/// Signs in with a code from the mailbox.
async fn sign_in_by_mail(app: &App, email: &str) -> Answer {
    let request = json!({ "email": email });
    app.caller().post("/v1/auth/email-otp/request").json(&request).send().await.assert_status(204);
    let request = json!({ "email": email, "code": app.mailed(email, "sign_in_code").await });
    app.caller().post("/v1/auth/email-otp/verify").json(&request).send().await
}

/// The claims of a browser's access token after a refresh.
async fn refreshed_claims(browser: &mut Caller) -> Value {
    browser.follow(|c| c.post("/v1/auth/refresh")).await.assert_status(200);
    identsphere_e2e::claims(browser.cookie("identsphere_at"))
}

/// How many answers there are of each status.
fn statuses(answers: &[Answer]) -> BTreeMap<u16, usize> {
    let mut statuses = BTreeMap::new();
    for answer in answers {
        *statuses.entry(answer.status).or_default() += 1;
    }
    statuses
}

fn own_password() -> Value {
    json!({ "password": PASSWORD })
}
