//! Passkeys, second factors and trusted browsers, as somebody meets them at the pages.

use identsphere_factors::totp::TimeStep;
use identsphere_kernel::{Clock as _, SystemClock};
use identsphere_testkit::CodeApp;

use crate::PASSWORD;
use crate::person::Person;
use crate::server::Server;

const EMAIL: &str = "ada@example.com";

/// An authenticator app. Each time step is used once, as servers want it.
struct App {
    app: CodeApp,
    next: TimeStep,
}

impl App {
    /// Types in what the page shows.
    fn with_secret(base32: &str) -> Self {
        Self { app: CodeApp::with(base32).unwrap(), next: TimeStep::at(SystemClock.now()).unwrap() }
    }

    fn code(&mut self) -> String {
        let code = self.app.code_of(self.next);
        self.next = TimeStep::from_number(self.next.number() + 1);
        code
    }
}

impl Person {
    async fn sign_up(&self) {
        self.open("/account#register").await;
        let account = [("email", EMAIL), ("password", PASSWORD), ("organization_name", "Analytical Engines")];
        self.fill("register", &account).await;
        self.press("register").await;
        self.see("not confirmed").await;
    }

    async fn sign_out(&self) {
        self.browser.run("performance.clearResourceTimings()").await;
        self.press("signOut").await;
        self.see("You are signed out").await;
    }

    /// Waits until the page has asked the browser to offer passkeys, since the last sign-out. Whoever touches the
    /// authenticator before that is signed in by it.
    async fn wait_for_the_offer(&self) {
        let offered = "return new Promise(offered => {
            const look = () => performance.getEntriesByType('resource')
                .some(({ name, responseEnd }) => responseEnd && name.endsWith('/v1/auth/passkey/login/begin'))
                ? setTimeout(offered) : setTimeout(look, 5);
            look();
        })";
        self.browser.run(offered).await;
    }

    async fn enter_password(&self) {
        self.fill("signIn", &[("email", EMAIL), ("password", PASSWORD)]).await;
        self.press("signIn").await;
    }

    /// Waits until the account is shown.
    async fn see_signed_in_by(&self, method: &str) {
        self.browser.text(&format!("//dd[@data-of='method' and .='{method}']")).await;
    }

    async fn add_passkey(&self, label: &str) {
        self.unfold("Passkeys").await;
        self.fill("addPasskey", &[("label", label)]).await;
        self.press("addPasskey").await;
        self.browser.text(&format!("//summary/span[.='{label}']")).await;
    }

    /// Sets up what the page shows, up to the code that confirms it.
    async fn begin_app(&self) -> App {
        self.unfold("Second factor").await;
        self.press("setUpFactor").await;
        App::with_secret(&self.browser.text("//p[@data-of='secret' and text()]").await)
    }

    async fn confirm_app(&self, code: &str) {
        self.fill("confirmFactor", &[("code", code)]).await;
        self.press("confirmFactor").await;
    }

    async fn assurance(&self) -> String {
        let script = "return fetch('/v1/auth/sessions').then((answer) => answer.json())";
        let sessions = self.browser.run(script).await;
        let current = sessions.as_array().unwrap().iter().find(|session| session["is_current"] == true);
        current.unwrap()["aal"].as_str().unwrap().to_owned()
    }

    async fn assert_policy_kept(&self) {
        assert_eq!(self.browser.policy_violations().await, Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_passkey_is_made_and_signs_in_when_asked_for_and_when_offered() {
    let server = Server::start();
    let person = Person::at(&server).await;
    let authenticator = person.browser.plug_in_authenticator().await;
    person.sign_up().await;

    person.add_passkey("Phone").await;
    person.see("not used yet").await;
    person.browser.click("//details//details/summary").await;
    person.fill("renamePasskey", &[("label", "Ada's phone")]).await;
    person.browser.picture("passkeys").await;
    person.press("renamePasskey").await;
    person.browser.text("//summary/span[.=\"Ada's phone\"]").await;
    authenticator.set_touched(false).await;
    person.sign_out().await;

    person.wait_for_the_offer().await;
    authenticator.set_touched(true).await;
    person.fill("signIn", &[("email", EMAIL)]).await;
    person.choose("signInWithPasskey").await;
    person.see_signed_in_by("a passkey").await;
    assert_eq!(person.assurance().await, "aal2");
    person.unfold("Ada's phone").await;
    person.see("last used").await;
    authenticator.set_touched(false).await;
    person.sign_out().await;
    person.browser.picture("signed-out").await;

    // Nobody presses anything: the browser offers it, and it is taken.
    authenticator.set_touched(true).await;
    person.open("/account").await;
    person.see_signed_in_by("a passkey").await;
    assert_eq!(person.assurance().await, "aal2");

    person.assert_policy_kept().await;
}

/// The script of the guide for pages of one's own.
fn script_of_the_guide() -> &'static str {
    let guide = include_str!("../../../../docs/integrators.md");
    let section =
        guide.split("\n## ").find(|section| section.starts_with("Passkeys on your own pages")).unwrap();
    section.split("```js").nth(1).unwrap().split("```").next().unwrap()
}

#[tokio::test]
async fn the_guide_for_passkeys_on_pages_of_ones_own_works_as_it_stands() {
    let server = Server::start();
    let person = Person::at(&server).await;
    let authenticator = person.browser.plug_in_authenticator().await;
    person.sign_up().await;
    let guide = script_of_the_guide();
    let made = person.browser.run(&format!("{guide} return addPasskey('Phone')")).await;
    assert_eq!(made["label"], "Phone");
    authenticator.set_touched(false).await;
    person.sign_out().await;
    // The page itself asks for passkeys: there is none of it on pages of one's own.
    person.open("/verify-email").await;
    authenticator.set_touched(true).await;
    for options in ["", "{ email: 'ada@example.com' }", "{ mediation: 'conditional' }"] {
        let signed_in = person.browser.run(&format!("{guide} return signInWithPasskey({options})")).await;
        assert_eq!((&signed_in["status"], &signed_in["user"]["email"]), (&"success".into(), &EMAIL.into()));
    }
}

#[tokio::test]
async fn an_authenticator_app_is_set_up_asked_for_and_stood_in_for() {
    let server = Server::start();
    let person = Person::at(&server).await;
    let authenticator = person.browser.plug_in_authenticator().await;
    person.sign_up().await;
    person.add_passkey("Phone").await;
    authenticator.set_touched(false).await;

    let mut app = person.begin_app().await;
    let width = person.browser.run("return document.querySelector('canvas').width").await;
    assert!(width.as_u64().unwrap() > 100, "there is a picture to scan");
    person.browser.picture("authenticator").await;
    person.confirm_app("000000").await;
    person.see("This code does not work").await;
    person.confirm_app(&app.code()).await;
    person.see("Recovery codes left: 10").await;
    person.browser.picture("recovery-codes").await;
    let recovery_code = person.browser.text("//ul[@data-list='codes']/li[1]").await;
    person.sign_out().await;

    person.enter_password().await;
    person.fill("answerChallenge", &[("code", &app.code())]).await;
    person.browser.click("//input[@name='trust']").await;
    person.browser.picture("challenge").await;
    person.press("answerChallenge").await;
    person.see_signed_in_by("password and second factor").await;
    assert_eq!(person.assurance().await, "aal2");
    person.unfold("Trusted browsers").await;
    person.see("until").await;
    person.sign_out().await;

    person.enter_password().await;
    person.see_signed_in_by("password and second factor").await;

    // A trusted browser does not stand for what asks for a fresh second factor.
    person.browser.click("//details//details/summary").await;
    person.choose("removePasskey").await;
    person.browser.picture("step-up").await;
    person.choose("cancelStepUp").await;
    person.see("Nothing was changed").await;
    authenticator.set_touched(true).await;
    person.choose("removePasskey").await;
    person.choose("stepUpWithPasskey").await;
    person.browser.text("//ul[@data-list='passkeys' and not(li)]").await;
    person.assert_policy_kept().await;

    let elsewhere = Person::at(&server).await;
    elsewhere.open("/account").await;
    elsewhere.enter_password().await;
    elsewhere.browser.click("//a[@href='#recovery']").await;
    elsewhere.fill("answerChallenge", &[("recovery_code", &recovery_code)]).await;
    elsewhere.press("answerChallenge").await;
    elsewhere.unfold("Second factor").await;
    elsewhere.see("Recovery codes left: 9").await;
    elsewhere.fill("replaceCodes", &[("password", PASSWORD)]).await;
    elsewhere.choose("removeFactor").await;
    elsewhere.browser.text("//span[@data-of='factor' and .='off']").await;
    elsewhere.assert_policy_kept().await;
}

#[tokio::test]
async fn a_session_without_a_second_factor_shows_one_and_goes_on_where_it_was() {
    let server = Server::start();
    let person = Person::at(&server).await;
    person.sign_up().await;
    let earlier = Person::at(&server).await;
    earlier.open("/account").await;
    earlier.enter_password().await;
    earlier.see_signed_in_by("password").await;

    let mut app = person.begin_app().await;
    person.confirm_app(&app.code()).await;
    person.see("Recovery codes left: 10").await;

    earlier.unfold("Change the e-mail address").await;
    earlier.fill("changeEmail", &[("new_email", "ada@example.org"), ("password", PASSWORD)]).await;
    earlier.press("changeEmail").await;
    earlier.fill("answerStepUp", &[("code", "000000")]).await;
    earlier.press("answerStepUp").await;
    earlier.see("This code does not work").await;
    earlier.fill("answerStepUp", &[("code", &app.code())]).await;
    earlier.press("answerStepUp").await;
    earlier.see("on its way to the new address").await;
    earlier.assert_policy_kept().await;
}
