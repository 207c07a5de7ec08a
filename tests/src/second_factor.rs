//! An authenticator app and the recovery codes that came with it.

use std::time::Duration;

use identsphere_factors::totp::{SECRET_BYTES, TimeStep, TotpSecret};
use identsphere_kernel::Clock;
use serde_json::json;

use crate::{App, Caller};

/// The second factor of somebody.
pub struct SecondFactor {
    secret: TotpSecret,
    /// Each good once.
    pub recovery_codes: Vec<String>,
}

impl SecondFactor {
    /// Sets one up in a session, which is stepped up by it.
    pub async fn enable(app: &App, browser: &Caller) -> Self {
        let answer = browser.post("/v1/auth/mfa/setup").csrf().send().await;
        answer.assert_status(200);
        let secret = TotpSecret::from_bytes(from_base32(answer.json()["secret"].as_str().unwrap()));
        let mut factor = Self { secret, recovery_codes: vec![] };
        let code = json!({ "code": factor.code(app) });
        let answer = browser.post("/v1/auth/mfa/enable").csrf().json(&code).send().await;
        answer.assert_status(200);
        let codes = answer.json()["recovery_codes"].clone();
        factor.recovery_codes = serde_json::from_value(codes).unwrap();
        factor
    }

    /// A code that was not used yet: time moves on to the next one.
    pub fn code(&self, app: &App) -> String {
        app.clock.advance(Duration::from_secs(30));
        let code = self.secret.code_at(TimeStep::at(app.clock.now()).unwrap());
        String::from_utf8(code.as_bytes().to_vec()).unwrap()
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
        assert_eq!(asked.json()["status"], "mfa_required");
        let body = json!({ "mfa_token": asked.json()["mfa_token"], "code": factor.code(self) });
        browser.follow(|c| c.post("/v1/auth/mfa/challenge").json(&body)).await.assert_status(200);
        browser
    }
}

fn from_base32(text: &str) -> [u8; SECRET_BYTES] {
    let digit = |c: u8| match c {
        b'A'..=b'Z' => c - b'A',
        b'2'..=b'7' => c - b'2' + 26,
        _ => panic!("{text} is not base32"),
    };
    let bits: Vec<bool> =
        text.bytes().flat_map(|c| (0..5).rev().map(move |bit| digit(c) >> bit & 1 == 1)).collect();
    let byte = |bits: &[bool]| bits.iter().fold(0, |byte, bit| byte << 1 | u8::from(*bit));
    let bytes: Vec<u8> = bits.chunks_exact(8).map(byte).collect();
    bytes.try_into().unwrap()
}
