//! The ways to a session, each gone up to its last request.

use std::time::Duration;

use identsphere_e2e::{Answer, App, Caller, Holder, PASSWORD, SecondFactor, begin_sign_in};
use identsphere_testkit::SoftAuthenticator;
use serde_json::{Value, json};

/// A way to a session, or one that looks like it and opens none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Path {
    Password,
    EmailCode,
    NamedPasskey,
    DiscoverablePasskey,
    Totp,
    RecoveryCode,
    TotpAfterPasskey,
    TotpAfterCode,
    TrustedBrowser,
    Refresh,
    StepUpByTotp,
    StepUpByPasskey,
    PasswordReset,
}

impl Path {
    pub const ALL: [Self; 13] = [
        Self::Password,
        Self::EmailCode,
        Self::NamedPasskey,
        Self::DiscoverablePasskey,
        Self::Totp,
        Self::RecoveryCode,
        Self::TotpAfterPasskey,
        Self::TotpAfterCode,
        Self::TrustedBrowser,
        Self::Refresh,
        Self::StepUpByTotp,
        Self::StepUpByPasskey,
        Self::PasswordReset,
    ];

    /// The operation of its last request.
    pub fn operation(self) -> &'static str {
        match self {
            Self::Password | Self::TrustedBrowser => "login",
            Self::EmailCode => "signInWithEmailCode",
            Self::NamedPasskey | Self::DiscoverablePasskey => "completePasskeySignIn",
            Self::Totp | Self::RecoveryCode | Self::TotpAfterPasskey | Self::TotpAfterCode => {
                "answerMfaChallenge"
            }
            Self::Refresh => "refresh",
            Self::StepUpByTotp => "stepUp",
            Self::StepUpByPasskey => "completePasskeyStepUp",
            Self::PasswordReset => "resetPassword",
        }
    }

    /// Whether it ends in tokens when nothing is in its way.
    pub fn opens(self) -> bool {
        !matches!(self, Self::StepUpByTotp | Self::StepUpByPasskey | Self::PasswordReset)
    }

    /// Whether whoever goes it has an authenticator app.
    pub fn needs_app(self) -> bool {
        match self {
            Self::Totp
            | Self::RecoveryCode
            | Self::TotpAfterPasskey
            | Self::TotpAfterCode
            | Self::TrustedBrowser
            | Self::StepUpByTotp => true,
            Self::Password
            | Self::EmailCode
            | Self::NamedPasskey
            | Self::DiscoverablePasskey
            | Self::Refresh
            | Self::StepUpByPasskey
            | Self::PasswordReset => false,
        }
    }
}

/// Somebody with a proven mailbox, a passkey and perhaps an authenticator app.
pub struct Person {
    pub holder: Holder,
    pub passkey: String,
    pub app: Option<SecondFactor>,
}

impl Person {
    pub async fn new(app: &App, verifies: bool, with_app: bool) -> Self {
        let plain = SoftAuthenticator::new();
        let authenticator = if verifies { plain } else { plain.without_user_verification() };
        let (holder, passkey) = Holder::with_passkey_on(app, authenticator).await;
        let token = json!({ "token": app.mailed(&holder.email, "verify_email").await });
        holder.browser.post("/v1/auth/email/verify").json(&token).send().await.assert_status(204);
        let factor = match with_app {
            true => Some(SecondFactor::enable(app, &holder.browser).await),
            false => None,
        };
        Self { holder, passkey, app: factor }
    }

    fn code(&self, app: &App) -> String {
        self.app.as_ref().expect("they have an authenticator app").code(app)
    }

    pub fn password(&self) -> Last {
        Last::of("/v1/auth/login", json!({ "email": self.holder.email, "password": PASSWORD }))
    }

    pub async fn email_code(&self, app: &App, caller: &Caller) -> Last {
        let email = &self.holder.email;
        let body = json!({ "email": email });
        caller.post("/v1/auth/email-otp/request").json(&body).send().await.assert_status(204);
        let code = app.mailed(email, "sign_in_code").await;
        Last::of("/v1/auth/email-otp/verify", json!({ "email": email, "code": code }))
    }

    pub async fn passkey(&self, caller: &Caller, named: bool) -> Last {
        let email = named.then_some(self.holder.email.as_str());
        let options = begin_sign_in(caller, email).await;
        let body = json!({ "credential": self.holder.assert(&options).await });
        Last::of("/v1/auth/passkey/login/complete", body)
    }

    /// The second half of a sign-in whose first half is this.
    pub async fn challenge(&self, app: &App, caller: &Caller, first: &Last) -> Last {
        let asked = first.send(caller).await.json();
        assert_eq!(asked["status"], "mfa_required", "{asked}");
        let body = json!({ "mfa_token": asked["mfa_token"], "code": self.code(app) });
        Last::of("/v1/auth/mfa/challenge", body)
    }

    /// A browser that this person trusts, signed out.
    pub async fn trusted_browser(&self, app: &App) -> Caller {
        let factor = self.app.as_ref().expect("they have an authenticator app");
        let mut browser = app.login_with(&self.holder.email, PASSWORD, factor).await;
        browser.follow(|c| c.post("/v1/auth/trusted-browsers").csrf()).await.assert_status(200);
        browser.follow(|c| c.post("/v1/auth/logout").csrf()).await.assert_status(204);
        browser.cookie("identsphere_trust");
        browser
    }
}

/// The last request of a way, not sent yet.
pub struct Last {
    path: &'static str,
    body: Value,
    in_session: bool,
}

impl Last {
    fn of(path: &'static str, body: Value) -> Self {
        Self { path, body, in_session: false }
    }

    pub async fn send(&self, caller: &Caller) -> Answer {
        let request = caller.post(self.path).json(&self.body);
        if self.in_session { request.csrf().send().await } else { request.send().await }
    }
}

/// Somebody one request before the end of a way.
pub struct Ready {
    pub person: Person,
    pub caller: Caller,
    pub last: Last,
}

impl Ready {
    pub async fn on(app: &App, path: Path) -> Self {
        let person = Person::new(app, path != Path::TotpAfterPasskey, path.needs_app()).await;
        let mut caller = app.caller();
        let last = match path {
            Path::Password => person.password(),
            Path::EmailCode => person.email_code(app, &caller).await,
            Path::NamedPasskey => person.passkey(&caller, true).await,
            Path::DiscoverablePasskey => person.passkey(&caller, false).await,
            Path::Totp => person.challenge(app, &caller, &person.password()).await,
            Path::RecoveryCode => {
                let mut last = person.challenge(app, &caller, &person.password()).await;
                let codes = &person.app.as_ref().unwrap().recovery_codes;
                last.body = json!({ "mfa_token": last.body["mfa_token"], "recovery_code": codes[0] });
                last
            }
            Path::TotpAfterPasskey => {
                let first = person.passkey(&caller, false).await;
                person.challenge(app, &caller, &first).await
            }
            Path::TotpAfterCode => {
                let first = person.email_code(app, &caller).await;
                person.challenge(app, &caller, &first).await
            }
            Path::TrustedBrowser => {
                caller = person.trusted_browser(app).await;
                person.password()
            }
            Path::Refresh => {
                caller = person.holder.sign_in(app).await;
                Last::of("/v1/auth/refresh", json!({}))
            }
            Path::StepUpByTotp => {
                caller = app.login_with(&person.holder.email, PASSWORD, person.app.as_ref().unwrap()).await;
                let body = json!({ "code": person.code(app) });
                Last { in_session: true, ..Last::of("/v1/auth/mfa/verify", body) }
            }
            Path::StepUpByPasskey => {
                caller = person.holder.sign_in(app).await;
                let options = caller.post("/v1/auth/passkey/verify/begin").csrf().send().await;
                let body = json!({ "credential": person.holder.assert(&options.json()).await });
                Last { in_session: true, ..Last::of("/v1/auth/passkey/verify/complete", body) }
            }
            Path::PasswordReset => {
                let email = json!({ "email": person.holder.email });
                caller.post("/v1/auth/password/forgot").json(&email).send().await.assert_status(204);
                let token = app.mailed(&person.holder.email, "reset_password").await;
                Last::of(
                    "/v1/auth/password/reset",
                    json!({ "token": token, "new_password": "staple battery horse" }),
                )
            }
        };
        Self { person, caller, last }
    }
}

/// Lets the limits of client addresses recover.
pub fn rest(app: &App) {
    app.clock.advance(Duration::from_secs(3_600));
}
