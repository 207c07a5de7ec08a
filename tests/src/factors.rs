//! Second factors as their owners use them: an app that shows codes, and codes on paper.

use identsphere_factors::totp::{PERIOD_SECONDS, SECRET_BYTES, TimeStep};
use identsphere_kernel::{Clock, Duration};
use identsphere_testkit::CodeApp;
use serde_json::{Value, json};

use crate::{Answer, App, BearerSession, Caller, PASSWORD};

/// How long an authenticator shows a code.
pub const PERIOD: Duration = Duration::from_secs(PERIOD_SECONDS);

/// An app that shows codes.
#[derive(Debug, Clone)]
pub struct Authenticator(CodeApp);

impl Authenticator {
    /// An app into which this secret was typed (base32, RFC 4648 §6).
    pub fn with(secret: &str) -> Self {
        Self(CodeApp::with(secret).expect("160 bits in base32"))
    }

    /// The secret's bytes.
    pub fn bytes(&self) -> &[u8; SECRET_BYTES] {
        self.0.bytes()
    }

    /// The code that is shown now.
    pub fn code(&self, app: &App) -> String {
        self.code_at(app, 0)
    }

    /// The code that is shown so many steps from now.
    pub fn code_at(&self, app: &App, steps: i64) -> String {
        let now = TimeStep::at(app.clock.now()).unwrap().number();
        self.code_of(TimeStep::from_number(now.checked_add_signed(steps).unwrap()))
    }

    /// The code of a step.
    pub fn code_of(&self, step: TimeStep) -> String {
        self.0.code_of(step)
    }

    /// The code of the next step, when that has come: one that nobody has used.
    pub fn next_code(&self, app: &App) -> String {
        app.clock.advance(PERIOD);
        self.code(app)
    }

    /// A code that is not shown about now.
    pub fn wrong_code(&self, app: &App) -> String {
        let shown: Vec<String> = (-3..=3).map(|steps| self.code_at(app, steps)).collect();
        (0..).map(|number| format!("{number:06}")).find(|code| !shown.contains(code)).unwrap()
    }
}

/// Somebody with a second factor.
#[derive(Debug, Clone)]
pub struct Enrolled {
    pub email: String,
    /// The browser in which they set it up, which counts as shown there.
    pub browser: Caller,
    pub authenticator: Authenticator,
    pub recovery_codes: Vec<String>,
}

impl Enrolled {
    /// Signs in with both factors by a browser, which is anew each time unless it was given.
    pub async fn sign_in(&self, app: &App, browser: &mut Caller) -> Answer {
        let asked = browser.post("/v1/auth/login").json(&self.login()).send().await;
        let request = json!({ "mfa_token": mfa_token(&asked), "code": self.authenticator.next_code(app) });
        let answer = browser.follow(|c| c.post("/v1/auth/mfa/challenge").json(&request)).await;
        answer.assert_status(200);
        answer
    }

    /// Signs in with both factors by a client that uses no cookies.
    pub async fn bearer(&self, app: &App) -> BearerSession {
        let code = self.authenticator.next_code(app);
        let request =
            json!({ "mfa_token": self.mfa_token(app).await, "code": code, "token_transport": "bearer" });
        let answer = app.caller().post("/v1/auth/mfa/challenge").json(&request).send().await;
        BearerSession::of(&self.email, answer.assert_status(200))
    }

    /// The token of a sign-in that waits, begun by nobody's browser.
    pub async fn mfa_token(&self, app: &App) -> String {
        mfa_token(&app.caller().post("/v1/auth/login").json(&self.login()).send().await)
    }

    /// What they sign in with first.
    pub fn login(&self) -> Value {
        json!({ "email": self.email, "password": PASSWORD })
    }
}

/// The token in the question for a second factor.
pub fn mfa_token(answer: &Answer) -> String {
    let body = answer.assert_status(200).json();
    assert_eq!(body["status"], "mfa_required", "{body}");
    body["mfa_token"].as_str().unwrap().to_owned()
}

impl App {
    /// A new account with a second factor.
    pub async fn enrolled(&self) -> Enrolled {
        let (email, browser) = self.sign_up().await;
        self.enrol(email, browser).await
    }

    /// Sets up a second factor for whoever is signed in.
    pub async fn enrol(&self, email: String, browser: Caller) -> Enrolled {
        let setup = browser.post("/v1/auth/mfa/setup").csrf().send().await;
        let authenticator = Authenticator::with(setup.assert_status(200).json()["secret"].as_str().unwrap());
        let request = json!({ "code": authenticator.code(self) });
        let enabled = browser.post("/v1/auth/mfa/enable").csrf().json(&request).send().await;
        let codes = enabled.assert_status(200).json()["recovery_codes"].clone();
        let recovery_codes = serde_json::from_value(codes).unwrap();
        Enrolled { email, browser, authenticator, recovery_codes }
    }
}
