//! What a person does at the pages, in few words.

use crate::driver::Browser;
use crate::server::Server;

/// A person at the pages.
pub(crate) struct Person {
    pub(crate) browser: Browser,
    base: String,
}

impl Person {
    pub(crate) async fn at(server: &Server) -> Self {
        Self { browser: Browser::start().await, base: server.base.clone() }
    }

    pub(crate) async fn open(&self, path: &str) {
        self.browser.open(&format!("{}{path}", self.base)).await;
    }

    /// Follows the link of the newest mail with this subject to this address, in the tab that it opens.
    pub(crate) async fn follow_mail(&self, to: &str, subject: &str) {
        self.open_mail(to, subject).await;
        self.browser.click("//pre//a[contains(@href, 'token=')]").await;
        self.browser.enter_the_other_tab().await;
    }

    /// The page looks again by itself, until the mail is there.
    pub(crate) async fn open_mail(&self, to: &str, subject: &str) {
        self.open("/dev/mail").await;
        self.browser.click(&format!("//tr[td[2]='{to}' and contains(td[1], '{subject}')][1]//a")).await;
    }

    pub(crate) async fn code_of_mail(&self, to: &str) -> String {
        self.open_mail(to, "Your code").await;
        let text = self.browser.text("//pre").await;
        let is_code = |word: &&str| word.len() == 6 && word.bytes().all(|byte| byte.is_ascii_digit());
        text.split_whitespace().find(is_code).unwrap().to_owned()
    }

    pub(crate) async fn fill(&self, form: &str, fields: &[(&str, &str)]) {
        for (name, value) in fields {
            self.browser.write(&format!("//form[@data-action='{form}']//input[@name='{name}']"), value).await;
        }
    }

    pub(crate) async fn press(&self, form: &str) {
        self.browser.click(&format!("//form[@data-action='{form}']//button")).await;
    }

    /// Presses a button that does something else than its form.
    pub(crate) async fn choose(&self, action: &str) {
        self.browser.click(&format!("//button[@data-action='{action}']")).await;
    }

    /// Opens a part of the page that is folded.
    pub(crate) async fn unfold(&self, title: &str) {
        self.browser.click(&format!("//details[not(@open)]/summary[contains(., \"{title}\")]")).await;
    }

    /// Waits until text is shown.
    pub(crate) async fn see(&self, text: &str) {
        self.browser.text(&format!("//main//*[contains(text(), \"{text}\")]")).await;
    }

    /// What the address bar shows: never a token.
    pub(crate) async fn assert_at(&self, path: &str) {
        assert_eq!(self.browser.address().await, format!("{}{path}", self.base));
    }
}
