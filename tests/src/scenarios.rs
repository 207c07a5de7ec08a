//! For every route a request that succeeds, ready to be sent: what sweeps over the route table need.
//!
//! A route without a scenario fails the sweeps. To add one: its name in [`SCENARIOS`] and its preparation in the
//! function of its chapter. Some operations have several, each a way of its own through the use case; they are named
//! `operation: what is different`.

use std::io::Cursor;
use std::net::SocketAddr;

use identsphere_http::{ENDPOINTS, Endpoint, Route};
use identsphere_kernel::Duration;
use identsphere_testkit::SoftAuthenticator;
use image::{DynamicImage, ImageFormat, RgbImage};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{Answer, App, Caller, Enrolled, Holder, PASSWORD, begin_sign_in, unique};

const OTHER_PASSWORD: &str = "staple battery horse";

/// The names of all scenarios.
pub const SCENARIOS: &[&str] = &[
    "register",
    "register: under a name that others have",
    "login",
    "login: a second factor is due",
    "login: in a trusted browser",
    "login: from another browser than before",
    "refresh",
    "logout",
    "getSession",
    "listSessions",
    "endSession",
    "endSessions",
    "disownSession",
    "sendVerification",
    "verifyEmail",
    "verifyEmail: of another address",
    "requestEmailCode",
    "signInWithEmailCode",
    "signInWithEmailCode: for the first time",
    "signInWithEmailCode: a second factor is due",
    "forgotPassword",
    "resetPassword",
    "getMfaStatus",
    "setUpMfa",
    "enableMfa",
    "disableMfa",
    "replaceRecoveryCodes",
    "answerMfaChallenge",
    "answerMfaChallenge: with a recovery code",
    "stepUp",
    "listTrustedBrowsers",
    "trustBrowser",
    "distrustBrowser",
    "beginPasskeySignIn",
    "beginPasskeySignIn: without an address",
    "completePasskeySignIn",
    "completePasskeySignIn: a second factor is due",
    "beginPasskeyStepUp",
    "completePasskeyStepUp",
    "listPasskeys",
    "beginPasskeyRegistration",
    "completePasskeyRegistration",
    "renamePasskey",
    "removePasskey",
    "changeEmail",
    "getProfile",
    "updateProfile",
    "deleteAccount",
    "listOwnOrganizations",
    "changePassword",
    "setAvatar",
    "setAvatar: in the place of another",
    "removeAvatar",
    "exportAccount",
    "getAvatar",
    "getJwks",
    "getDiscovery",
    "healthz",
    "readyz",
    "getOpenApi",
    "getDocs",
    "showAccount",
    "showVerifyEmail",
    "showResetPassword",
    "showNotMe",
    "listDevelopmentMail",
    "readDevelopmentMail",
];

/// What a request carries.
#[derive(Debug, Clone)]
enum Payload {
    Nothing,
    Json(Value),
    Form(Vec<u8>),
}

/// Somebody about to send a request that succeeds.
#[derive(Debug, Clone)]
pub struct Scenario {
    pub endpoint: &'static Endpoint,
    pub route: &'static Route,
    /// Its sender, with their cookies.
    pub caller: Caller,
    /// Its path, with everything that varies in place.
    pub path: String,
    payload: Payload,
    in_session: bool,
}

impl Scenario {
    /// The scenario of this name, prepared on `app`. Where it speaks of something that only one node knows (mail that was
    /// kept), that is put on `target`, to which the request will be sent.
    pub async fn on(app: &App, target: &App, name: &str) -> Self {
        let operation = name.split(':').next().unwrap();
        let mut routes = routes().filter(|(_, route)| route.operation == operation);
        let (endpoint, route) = routes.next().unwrap_or_else(|| panic!("no operation {operation}"));
        let draft = if let Some(draft) = Draft::of_session(app, name).await {
            draft
        } else if let Some(draft) = Draft::of_mailbox(app, name).await {
            draft
        } else if let Some(draft) = Draft::of_factor(app, name).await {
            draft
        } else if let Some(draft) = Draft::of_passkey(app, name).await {
            draft
        } else {
            Draft::of_account(app, target, name).await
        };
        let Draft { caller, payload, in_session, variable } = draft;
        let path = match endpoint.path.split_once('{') {
            Some((before, _)) => format!("{before}{}", variable.expect("what varies in the path")),
            None => endpoint.path.to_owned(),
        };
        Self { endpoint, route, caller, path, payload, in_session }
    }

    /// Sends the request to a node.
    pub async fn send(&self, node: SocketAddr) -> Answer {
        self.send_with(node, &[]).await
    }

    /// Sends the request to a node, with further header fields.
    pub async fn send_with(&self, node: SocketAddr, fields: &[(&str, &[u8])]) -> Answer {
        let caller = self.caller.at(node);
        let method = Method::from_bytes(self.route.method.name().as_bytes()).unwrap();
        let mut request = caller.request(method, &self.path);
        if self.in_session && self.route.csrf == identsphere_http::CsrfRule::CookieWrite {
            request = request.csrf();
        }
        for (name, value) in fields {
            request = request.header_bytes(name, value);
        }
        match &self.payload {
            Payload::Nothing => request.send().await,
            Payload::Json(body) => request.json(body).send().await,
            Payload::Form(body) => request.body(FORM, body.clone()).send().await,
        }
    }
}

/// The route table, line by line.
pub fn routes() -> impl Iterator<Item = (&'static Endpoint, &'static Route)> {
    ENDPOINTS.iter().flat_map(|endpoint| endpoint.routes.iter().map(move |route| (endpoint, route)))
}

/// What a scenario adds to its route.
struct Draft {
    caller: Caller,
    payload: Payload,
    in_session: bool,
    variable: Option<String>,
}

impl Draft {
    fn by(caller: Caller, payload: Payload) -> Self {
        Self { caller, payload, in_session: false, variable: None }
    }

    fn by_anybody(app: &App, body: Value) -> Self {
        Self::by(app.caller(), Payload::Json(body))
    }

    fn in_session(browser: Caller, payload: Payload) -> Self {
        Self { in_session: true, ..Self::by(browser, payload) }
    }

    fn about(self, variable: String) -> Self {
        Self { variable: Some(variable), ..self }
    }

    async fn of_session(app: &App, name: &str) -> Option<Self> {
        let sign_in = |email: &str| json!({ "email": email, "password": PASSWORD });
        Some(match name {
            "register" => {
                let mut body = sign_in(&unique("new@example.com"));
                body["organization_name"] = json!(unique("Acme"));
                Self::by_anybody(app, body)
            }
            "register: under a name that others have" => {
                app.sign_up().await;
                let mut body = sign_in(&unique("new@example.com"));
                body["organization_name"] = json!("Acme");
                Self::by_anybody(app, body)
            }
            "login" => {
                let (email, mut browser) = app.sign_up().await;
                browser.follow(|c| c.post("/v1/auth/logout").csrf()).await.assert_status(204);
                Self::by(browser, Payload::Json(sign_in(&email)))
            }
            "login: a second factor is due" => Self::by_anybody(app, app.enrolled().await.login()),
            "login: in a trusted browser" => {
                let person = app.enrolled().await;
                let mut browser = person.browser.clone();
                browser.follow(|c| c.post("/v1/auth/trusted-browsers").csrf()).await.assert_status(200);
                browser.follow(|c| c.post("/v1/auth/logout").csrf()).await.assert_status(204);
                Self::by(browser, Payload::Json(person.login()))
            }
            "login: from another browser than before" => {
                Self::by_anybody(app, sign_in(&app.sign_up().await.0))
            }
            "refresh" => {
                let (_, browser) = app.sign_up().await;
                // The session is no new one any more, and has less time left.
                app.clock.advance(Duration::from_secs(600));
                Self::in_session(browser, Payload::Json(json!({})))
            }
            "logout" | "getSession" | "listSessions" | "endSessions" => {
                Self::in_session(app.sign_up().await.1, Payload::Nothing)
            }
            "endSession" => {
                let (email, browser) = app.sign_up().await;
                let other = app.bearer_login(&email).await.claims()["sid"].as_str().unwrap().to_owned();
                Self::in_session(browser, Payload::Nothing).about(other)
            }
            "disownSession" => {
                let (email, _) = app.sign_up().await;
                app.login(&email).await;
                Self::by_anybody(app, json!({ "token": app.mailed(&email, "new_sign_in").await }))
            }
            _ => return None,
        })
    }

    async fn of_mailbox(app: &App, name: &str) -> Option<Self> {
        Some(match name {
            "sendVerification" => Self::in_session(app.sign_up().await.1, Payload::Nothing),
            "verifyEmail" => {
                let (email, _) = app.sign_up().await;
                Self::by_anybody(app, json!({ "token": app.mailed(&email, "verify_email").await }))
            }
            "verifyEmail: of another address" => {
                let (_, browser) = proven(app).await;
                let new_email = unique("other@example.com");
                let body = json!({ "new_email": new_email, "password": PASSWORD });
                browser.post("/v1/users/me/email").csrf().json(&body).send().await.assert_status(204);
                Self::by_anybody(app, json!({ "token": app.mailed(&new_email, "confirm_new_email").await }))
            }
            "requestEmailCode" | "forgotPassword" => {
                Self::by_anybody(app, json!({ "email": app.sign_up().await.0 }))
            }
            "signInWithEmailCode" => Self::by_code(app, &proven(app).await.0).await,
            "signInWithEmailCode: for the first time" => Self::by_code(app, &app.sign_up().await.0).await,
            "signInWithEmailCode: a second factor is due" => {
                let (email, browser) = proven(app).await;
                let person = app.enrol(email, browser).await;
                Self::by_code(app, &person.email).await
            }
            "resetPassword" => {
                let (email, _) = proven(app).await;
                let body = json!({ "email": email });
                let asked = app.caller().post("/v1/auth/password/forgot").json(&body).send().await;
                asked.assert_status(204);
                let token = app.mailed(&email, "reset_password").await;
                Self::by_anybody(app, json!({ "token": token, "new_password": OTHER_PASSWORD }))
            }
            "changeEmail" => {
                let body = json!({ "new_email": unique("other@example.com"), "password": PASSWORD });
                Self::in_session(app.sign_up().await.1, Payload::Json(body))
            }
            _ => return None,
        })
    }

    async fn by_code(app: &App, email: &str) -> Self {
        let body = json!({ "email": email });
        let asked = app.caller().post("/v1/auth/email-otp/request").json(&body).send().await;
        asked.assert_status(204);
        let code = app.mailed(email, "sign_in_code").await;
        Self::by_anybody(app, json!({ "email": email, "code": code }))
    }

    async fn of_factor(app: &App, name: &str) -> Option<Self> {
        let own_password = Payload::Json(json!({ "password": PASSWORD }));
        Some(match name {
            "getMfaStatus" | "listTrustedBrowsers" => {
                Self::in_session(app.enrolled().await.browser, Payload::Nothing)
            }
            "setUpMfa" => Self::in_session(app.sign_up().await.1, Payload::Nothing),
            "enableMfa" => {
                let (_, browser) = app.sign_up().await;
                let setup = browser.post("/v1/auth/mfa/setup").csrf().send().await;
                let secret = setup.assert_status(200).json()["secret"].as_str().unwrap().to_owned();
                let code = crate::Authenticator::with(&secret).code(app);
                Self::in_session(browser, Payload::Json(json!({ "code": code })))
            }
            "disableMfa" | "replaceRecoveryCodes" => {
                Self::in_session(app.enrolled().await.browser, own_password)
            }
            "answerMfaChallenge" => {
                let person = app.enrolled().await;
                let code = person.authenticator.next_code(app);
                Self::by_anybody(app, json!({ "mfa_token": person.mfa_token(app).await, "code": code }))
            }
            "answerMfaChallenge: with a recovery code" => {
                let person = app.enrolled().await;
                let (token, code) = (person.mfa_token(app).await, &person.recovery_codes[0]);
                Self::by_anybody(app, json!({ "mfa_token": token, "recovery_code": code }))
            }
            "stepUp" => {
                let Enrolled { browser, authenticator, .. } = app.enrolled().await;
                let code = authenticator.next_code(app);
                Self::in_session(browser, Payload::Json(json!({ "code": code })))
            }
            "trustBrowser" => {
                let label = Payload::Json(json!({ "label": "Laptop" }));
                Self::in_session(app.enrolled().await.browser, label)
            }
            "distrustBrowser" => {
                let browser = app.enrolled().await.browser;
                let trusted = browser.post("/v1/auth/trusted-browsers").csrf().send().await;
                let id = trusted.assert_status(200).json()["trusted_browser"]["id"].clone();
                Self::in_session(browser, Payload::Nothing).about(id.as_str().unwrap().to_owned())
            }
            _ => return None,
        })
    }

    async fn of_passkey(app: &App, name: &str) -> Option<Self> {
        Some(match name {
            "beginPasskeySignIn" => {
                Self::by_anybody(app, json!({ "email": Holder::with_passkey(app).await.0.email }))
            }
            "beginPasskeySignIn: without an address" => Self::by(app.caller(), Payload::Nothing),
            "completePasskeySignIn" => {
                let (holder, _) = Holder::with_passkey(app).await;
                let credential = holder.named_assertion(&app.caller()).await;
                Self::by_anybody(app, json!({ "credential": credential }))
            }
            "completePasskeySignIn: a second factor is due" => {
                let authenticator = SoftAuthenticator::new().without_user_verification();
                let (holder, _) = Holder::with_passkey_on(app, authenticator).await;
                app.enrol(holder.email.clone(), holder.browser.clone()).await;
                let options = begin_sign_in(&app.caller(), Some(&holder.email)).await;
                Self::by_anybody(app, json!({ "credential": holder.assert(&options).await }))
            }
            "beginPasskeyStepUp" | "listPasskeys" => {
                Self::in_session(Holder::with_passkey(app).await.0.browser, Payload::Nothing)
            }
            "completePasskeyStepUp" => {
                let (holder, _) = Holder::with_passkey(app).await;
                let options = holder.browser.post("/v1/auth/passkey/verify/begin").csrf().send().await;
                let credential = holder.assert(&options.assert_status(200).json()).await;
                let body = json!({ "credential": credential });
                Self::in_session(holder.browser, Payload::Json(body))
            }
            "beginPasskeyRegistration" => Self::in_session(app.sign_up().await.1, Payload::Nothing),
            "completePasskeyRegistration" => {
                let holder = Holder::sign_up(app, SoftAuthenticator::new()).await;
                let credential = holder.create(&holder.begin().await).await;
                let body = json!({ "credential": credential, "label": "Phone" });
                Self::in_session(holder.browser, Payload::Json(body))
            }
            "renamePasskey" => {
                let (holder, id) = Holder::with_passkey(app).await;
                Self::in_session(holder.browser, Payload::Json(json!({ "label": "Key ring" }))).about(id)
            }
            "removePasskey" => {
                // Who signed in with it just now may remove it.
                let (holder, id) = Holder::with_passkey(app).await;
                let browser = holder.sign_in(app).await;
                holder.step_up(&browser).await.assert_status(200);
                Self::in_session(browser, Payload::Nothing).about(id)
            }
            _ => return None,
        })
    }

    async fn of_account(app: &App, target: &App, name: &str) -> Self {
        let passwords = json!({ "current_password": PASSWORD, "new_password": OTHER_PASSWORD });
        match name {
            "getProfile" | "listOwnOrganizations" | "exportAccount" => {
                Self::in_session(app.sign_up().await.1, Payload::Nothing)
            }
            "updateProfile" => {
                let body = json!({ "bio": "Programs", "preferences": { "theme": "dark" } });
                Self::in_session(app.sign_up().await.1, Payload::Json(body))
            }
            "deleteAccount" => {
                let (browser, _) = pictured(app).await;
                Self::in_session(browser, Payload::Json(json!({ "password": PASSWORD })))
            }
            "changePassword" => {
                let (email, browser) = app.sign_up().await;
                app.bearer_login(&email).await;
                Self::in_session(browser, Payload::Json(passwords))
            }
            "setAvatar" => Self::in_session(app.sign_up().await.1, Payload::Form(picture())),
            "setAvatar: in the place of another" => {
                Self::in_session(pictured(app).await.0, Payload::Form(picture()))
            }
            "removeAvatar" => Self::in_session(pictured(app).await.0, Payload::Nothing),
            "getAvatar" => {
                let (_, picture) = pictured(app).await;
                Self::by(app.caller(), Payload::Nothing).about(picture)
            }
            "readDevelopmentMail" => {
                let id = target.keep_mail().await.to_string();
                Self::by(app.caller(), Payload::Nothing).about(id)
            }
            "getJwks"
            | "getDiscovery"
            | "healthz"
            | "readyz"
            | "getOpenApi"
            | "getDocs"
            | "showAccount"
            | "showVerifyEmail"
            | "showResetPassword"
            | "showNotMe"
            | "listDevelopmentMail" => Self::by(app.caller(), Payload::Nothing),
            _ => panic!("no scenario {name}"),
        }
    }
}

/// Somebody whose address is verified.
async fn proven(app: &App) -> (String, Caller) {
    let (email, browser) = app.sign_up().await;
    let token = json!({ "token": app.mailed(&email, "verify_email").await });
    app.caller().post("/v1/auth/email/verify").json(&token).send().await.assert_status(204);
    (email, browser)
}

const FORM: &str = "multipart/form-data; boundary=BOUNDARY";

/// A form with a picture.
fn picture() -> Vec<u8> {
    let mut png = Cursor::new(vec![]);
    DynamicImage::from(RgbImage::new(8, 8)).write_to(&mut png, ImageFormat::Png).unwrap();
    let head = "--BOUNDARY\r\nContent-Disposition: form-data; name=\"avatar\"; filename=\"me.png\"\r\n\
                Content-Type: image/png\r\n\r\n";
    [head.as_bytes(), png.get_ref(), b"\r\n--BOUNDARY--\r\n"].concat()
}

/// Somebody with a picture, and its name.
async fn pictured(app: &App) -> (Caller, String) {
    let (_, browser) = app.sign_up().await;
    let answer = browser.post("/v1/users/me/avatar").csrf().body(FORM, picture()).send().await;
    let url = answer.assert_status(200).json()["avatar_url"].as_str().unwrap().to_owned();
    (browser, url.rsplit('/').next().unwrap().to_owned())
}
