//! Passkeys over HTTP (contract §4.4), with an authenticator of other people's making. On every framework and store.

mod decoys;
mod forged_answers;
mod forged_ceremonies;
mod making;
mod removal;
mod signing_in;
mod stepping_up;

use identsphere_e2e::{Answer, App, Caller, Engine};
use serde_json::Value;

/// An error without what differs between any two of them.
fn error_of(answer: &Answer) -> (u16, Value) {
    let mut body = answer.json();
    body["error"].as_object_mut().unwrap().remove("request_id");
    (answer.status, body)
}

/// The sessions of whoever uses this browser.
async fn sessions(browser: &Caller) -> Vec<Value> {
    let answer = browser.get("/v1/auth/sessions").send().await;
    answer.assert_status(200);
    answer.json().as_array().unwrap().clone()
}

async fn is_signed_in(browser: &Caller) -> bool {
    browser.get("/v1/auth/session").send().await.status == 200
}

async fn has_passkeys(browser: &Caller) -> bool {
    let profile = browser.get("/v1/users/me").send().await;
    profile.assert_status(200);
    profile.json()["passkey_enabled"].as_bool().unwrap()
}

/// How many rows of the audit log are about this, where there are rows to be read.
async fn audited(app: &App, action: &str, status: &str) -> Option<usize> {
    if app.engine() == Engine::Memory {
        return None;
    }
    let query =
        format!("SELECT action AS line FROM audit_logs WHERE action = '{action}' AND status = '{status}'");
    Some(app.select(&query).await.len())
}
