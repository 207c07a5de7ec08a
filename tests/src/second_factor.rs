//! A second factor beside other means to sign in.

use serde_json::json;

use crate::{App, Authenticator, Caller, mfa_token};

/// The second factor of somebody.
pub struct SecondFactor {
    authenticator: Authenticator,
    /// Each good once.
    pub recovery_codes: Vec<String>,
}

impl SecondFactor {
    /// Sets one up in a session, which is stepped up by it.
    pub async fn enable(app: &App, browser: &Caller) -> Self {
        let setup = browser.post("/v1/auth/mfa/setup").csrf().send().await;
        setup.assert_status(200);
        let authenticator = Authenticator::with(setup.json()["secret"].as_str().unwrap());
        let code = json!({ "code": authenticator.next_code(app) });
        let answer = browser.post("/v1/auth/mfa/enable").csrf().json(&code).send().await;
        let codes = answer.assert_status(200).json()["recovery_codes"].clone();
        Self { authenticator, recovery_codes: serde_json::from_value(codes).unwrap() }
    }

    /// A code that was not used yet: time moves on to the next one.
    pub fn code(&self, app: &App) -> String {
        self.authenticator.next_code(app)
    }

    /// Shows it in a session.
    pub async fn step_up(&self, app: &App, browser: &Caller) {
        let code = json!({ "code": self.code(app) });
        browser.post("/v1/auth/mfa/verify").csrf().json(&code).send().await.assert_status(200);
    }
}

impl App {
    /// A browser signed in with the password and a code.
    pub async fn login_with(&self, email: &str, password: &str, factor: &SecondFactor) -> Caller {
        let mut browser = self.caller();
        let body = json!({ "email": email, "password": password });
        let asked = browser.post("/v1/auth/login").json(&body).send().await;
        let body = json!({ "mfa_token": mfa_token(&asked), "code": factor.code(self) });
        browser.follow(|c| c.post("/v1/auth/mfa/challenge").json(&body)).await.assert_status(200);
        browser
    }
}
