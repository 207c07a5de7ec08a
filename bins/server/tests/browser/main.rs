//! What a person does who has a browser, a server started as the README says, and its development outbox: the real
//! program, and a real Chromium. A missing browser is a failure.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "only tests use this")]

mod driver;
mod factors;
mod person;
mod server;

use crate::person::Person;
use crate::server::Server;

const PASSWORD: &str = "the engine weaves patterns";
const OTHER_PASSWORD: &str = "the loom weaves flowers";

#[tokio::test]
async fn a_person_manages_an_account_with_nothing_but_a_browser() {
    let server = Server::start();
    let person = Person::at(&server).await;
    let (old, new) = ("ada@example.com", "ada@example.org");

    person.open("/account#register").await;
    let account = [("email", old), ("password", PASSWORD), ("organization_name", "Analytical Engines")];
    person.fill("register", &account).await;
    person.browser.picture("register").await;
    person.press("register").await;
    person.see("not confirmed").await;
    person.browser.picture("account").await;

    person.follow_mail(old, "Confirm your e-mail address").await;
    person.see("This confirms").await;
    person.assert_at("/verify-email").await;
    person.browser.picture("verify").await;
    person.press("verifyEmail").await;
    person.see("Your address is confirmed").await;

    person.open("/account").await;
    person.browser.text("//span[@class='mark good']").await;
    person.press("signOut").await;
    person.see("You are signed out").await;
    person.browser.picture("sign-in").await;

    person.open("/account#code").await;
    person.fill("requestCode", &[("email", old)]).await;
    person.press("requestCode").await;
    person.see("a code is on its way").await;
    person.browser.picture("code").await;
    let asked = person.browser.tab().await;
    person.browser.new_tab().await;
    let code = person.code_of_mail(old).await;
    person.browser.enter_tab(&asked).await;
    person.fill("enterCode", &[("code", &code)]).await;
    person.press("enterCode").await;
    person.see("a code by e-mail").await;
    person.press("signOut").await;
    person.see("You are signed out").await;

    person.browser.click("//section[@data-view='sign-in']//a[@href='#forgot']").await;
    person.fill("forgot", &[("email", old)]).await;
    person.press("forgot").await;
    person.see("a link is on its way").await;
    person.follow_mail(old, "Choose a new password").await;
    person.assert_at("/reset-password").await;
    person.fill("resetPassword", &[("new_password", OTHER_PASSWORD)]).await;
    person.browser.picture("reset").await;
    person.press("resetPassword").await;
    person.see("Your password is changed").await;

    person.open("/account").await;
    person.fill("signIn", &[("email", old), ("password", PASSWORD)]).await;
    person.press("signIn").await;
    person.see("That is not right").await;
    person.browser.picture("refused").await;
    person.fill("signIn", &[("email", old), ("password", OTHER_PASSWORD)]).await;
    person.press("signIn").await;
    person.see("confirmed").await;

    person.browser.click("//summary").await;
    person.fill("changeEmail", &[("new_email", new), ("password", OTHER_PASSWORD)]).await;
    person.press("changeEmail").await;
    person.see("on its way to the new address").await;
    person.browser.picture("change").await;
    person.follow_mail(new, "Confirm your new e-mail address").await;
    person.press("verifyEmail").await;
    person.see("Your address is confirmed").await;
    person.open("/account").await;
    person.see(new).await;
    person.press("signOut").await;
    person.see("You are signed out").await;
    person.fill("signIn", &[("email", new), ("password", OTHER_PASSWORD)]).await;
    person.press("signIn").await;
    person.see(new).await;

    assert_eq!(person.browser.policy_violations().await, Vec::<String>::new());
    // That none were seen means something: this is one.
    person
        .browser
        .run("document.head.append(Object.assign(document.createElement('style'), {textContent: 'p{}'}))")
        .await;
    assert_eq!(person.browser.policy_violations().await.len(), 1);
}

#[tokio::test]
async fn a_link_works_once_and_only_after_a_button() {
    let server = Server::start();
    let person = Person::at(&server).await;
    person.open("/verify-email").await;
    person.see("This link is not complete").await;
    for path in ["/verify-email", "/reset-password", "/not-me"] {
        person.open(&format!("{path}?token=none")).await;
        person.assert_at(path).await;
        if path == "/reset-password" {
            person.fill("resetPassword", &[("new_password", PASSWORD)]).await;
        }
        person.browser.click("//section[@data-view='ask']//button").await;
        person.see("This link does not work any more").await;
    }
}
