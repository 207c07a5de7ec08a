//! People with authenticators, and forgers.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use identsphere_testkit::SoftAuthenticator;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{Answer, App, Caller};

const BEGIN: &str = "/v1/users/me/passkeys/register/begin";
const COMPLETE: &str = "/v1/users/me/passkeys/register/complete";

/// Somebody with an authenticator and a browser that is signed in.
pub struct Holder {
    pub email: String,
    pub browser: Caller,
    pub authenticator: SoftAuthenticator,
    page: String,
}

impl Holder {
    /// Somebody without a passkey yet.
    pub async fn sign_up(app: &App, authenticator: SoftAuthenticator) -> Self {
        let (email, browser) = app.sign_up().await;
        Self { email, browser, authenticator, page: app.page() }
    }

    /// Somebody with a passkey that verifies them, and its id.
    pub async fn with_passkey(app: &App) -> (Self, String) {
        Self::with_passkey_on(app, SoftAuthenticator::new()).await
    }

    /// Somebody with a passkey on this authenticator, and its id.
    pub async fn with_passkey_on(app: &App, authenticator: SoftAuthenticator) -> (Self, String) {
        let holder = Self::sign_up(app, authenticator).await;
        let id = holder.add_passkey().await;
        (holder, id)
    }

    /// The creation options of a new ceremony.
    pub async fn begin(&self) -> Value {
        let answer = self.browser.post(BEGIN).csrf().send().await;
        answer.assert_status(200);
        answer.json()
    }

    /// What the browser says to creation options.
    pub async fn create(&self, options: &Value) -> Value {
        self.authenticator.register(options, &self.page).await.unwrap()
    }

    /// What the browser says to request options.
    pub async fn assert(&self, options: &Value) -> Value {
        self.authenticator.assert(options, &self.page).await.unwrap()
    }

    /// Hands a new credential in.
    pub async fn keep(&self, credential: &Value, label: Option<&str>) -> Answer {
        let mut body = json!({ "credential": credential });
        if let Some(label) = label {
            body["label"] = json!(label);
        }
        self.browser.post(COMPLETE).csrf().json(&body).send().await
    }

    /// Makes a passkey, on another authenticator if this one has one already: its id.
    pub async fn add_passkey(&self) -> String {
        let answer = self.keep(&self.create(&self.begin().await).await, None).await;
        answer.assert_status(200);
        answer.json()["id"].as_str().unwrap().to_owned()
    }

    /// The same person with another authenticator.
    pub fn on(&self, authenticator: SoftAuthenticator) -> Self {
        Self {
            email: self.email.clone(),
            browser: self.browser.clone(),
            authenticator,
            page: self.page.clone(),
        }
    }

    /// The same person in another browser.
    pub fn in_browser(self, browser: Caller) -> Self {
        Self { browser, ..self }
    }

    /// The passkeys as they are listed.
    pub async fn passkeys(&self) -> Value {
        let answer = self.browser.get("/v1/users/me/passkeys").send().await;
        answer.assert_status(200);
        answer.json()
    }

    /// An answer to a new sign-in with this person's address, in this browser.
    pub async fn named_assertion(&self, caller: &Caller) -> Value {
        self.assert(&begin_sign_in(caller, Some(&self.email)).await).await
    }

    /// An answer to a new sign-in without an address.
    pub async fn nameless_assertion(&self, caller: &Caller) -> Value {
        self.assert(&begin_sign_in(caller, None).await).await
    }

    /// Signs in with the passkey in a browser that has no cookies yet.
    pub async fn sign_in(&self, app: &App) -> Caller {
        let mut browser = app.caller();
        let body = json!({ "credential": self.named_assertion(&browser).await });
        browser.follow(|c| c.post("/v1/auth/passkey/login/complete").json(&body)).await.assert_status(200);
        browser
    }

    /// Shows the passkey in a session of this person's.
    pub async fn step_up(&self, browser: &Caller) -> Answer {
        let options = browser.post("/v1/auth/passkey/verify/begin").csrf().send().await;
        options.assert_status(200);
        let body = json!({ "credential": self.assert(&options.json()).await });
        browser.post("/v1/auth/passkey/verify/complete").csrf().json(&body).send().await
    }

    /// Signs what stands in an answer with the key that it names, so that nothing but a change made before is wrong with it.
    pub fn sign_again(&self, answer: &mut Value) {
        let response = &answer["response"];
        let hash = Sha256::digest(bytes(&response["clientDataJSON"]));
        let signed = [bytes(&response["authenticatorData"]), hash.to_vec()].concat();
        let signature = self.authenticator.sign(&bytes(&answer["rawId"]), &signed);
        answer["response"]["signature"] = with_bytes(&signature.unwrap());
    }
}

/// The request options of a new sign-in.
pub async fn begin_sign_in(caller: &Caller, email: Option<&str>) -> Value {
    let request = caller.post("/v1/auth/passkey/login/begin");
    let request = match email {
        Some(email) => request.json(&json!({ "email": email })),
        None => request,
    };
    let answer = request.send().await;
    answer.assert_status(200);
    answer.json()
}

/// Hands an assertion in.
pub async fn end_sign_in(caller: &Caller, credential: &Value) -> Answer {
    let body = json!({ "credential": credential });
    caller.post("/v1/auth/passkey/login/complete").json(&body).send().await
}

fn bytes(text: &Value) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text.as_str().unwrap()).unwrap()
}

/// Bytes as JSON carries them.
pub fn with_bytes(bytes: &[u8]) -> Value {
    json!(URL_SAFE_NO_PAD.encode(bytes))
}

/// Changes bytes that JSON carries.
pub fn change_bytes(value: &mut Value, change: impl FnOnce(&mut Vec<u8>)) {
    let mut content = bytes(value);
    change(&mut content);
    *value = with_bytes(&content);
}

/// Replaces a part of the client data, which must be there.
pub fn change_client_data(answer: &mut Value, from: &str, to: &str) {
    change_bytes(&mut answer["response"]["clientDataJSON"], |json| {
        let before = String::from_utf8(json.clone()).unwrap();
        assert!(before.contains(from), "{from} stands in {before}");
        *json = before.replacen(from, to, 1).into_bytes();
    });
}
