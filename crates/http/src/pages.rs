//! Pages for people: the account, and what the links in mails lead to. Made once, in every language.
//!
//! A page changes nothing when it is opened (RC-10): whoever follows a link, a mail scanner too, only sees what a button
//! would do. Its script calls the API as any application could. To add a page: its content beside the others, its words in
//! every language, a member of [`Translation`], and its line in `routes`. Content never carries what a request said.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use identsphere_core::Language;
use sha2::{Digest, Sha256};

use crate::config::HttpConfig;
use crate::docs::Escaped;

const LAYOUT: &str = include_str!("pages/layout.html");
const STYLE: &str = include_str!("pages/style.css");
/// One module, a part a topic: the first ones are used by all others, the last one begins.
const SCRIPT: &str = concat!(
    include_str!("pages/script/page.js"),
    include_str!("pages/script/api.js"),
    include_str!("pages/script/links.js"),
    include_str!("pages/script/sign-in.js"),
    include_str!("pages/script/passkeys.js"),
    include_str!("pages/script/second-factor.js"),
    include_str!("pages/script/step-up.js"),
    include_str!("pages/script/account.js"),
    include_str!("pages/script/start.js"),
);
const ENGLISH: &str = include_str!("pages/en.json");
const GERMAN: &str = include_str!("pages/de.json");

/// Words whose names begin like this are said by the script.
const SAID: &str = "say_";

/// All pages, and the policy under which browsers show them.
pub(crate) struct Pages {
    english: Translation,
    german: Translation,
    pub(crate) content_security_policy: Bytes,
}

/// The pages in one language.
pub(crate) struct Translation {
    pub(crate) account: Bytes,
    pub(crate) verify_email: Bytes,
    pub(crate) reset_password: Bytes,
    pub(crate) not_me: Bytes,
}

impl Pages {
    pub(crate) fn new(config: &HttpConfig) -> Result<Self, serde_json::Error> {
        let [style, script] = [STYLE, SCRIPT].map(|text| STANDARD.encode(Sha256::digest(text)));
        let content_security_policy = format!(
            "default-src 'none'; script-src 'sha256-{script}'; style-src 'sha256-{style}'; connect-src 'self'; \
             base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
        );
        Ok(Self {
            english: Translation::new(config, Language::En)?,
            german: Translation::new(config, Language::De)?,
            content_security_policy: content_security_policy.into(),
        })
    }

    pub(crate) const fn translation(&self, language: Language) -> &Translation {
        match language {
            Language::En => &self.english,
            Language::De => &self.german,
        }
    }
}

/// The words of a language by their names.
type Words = BTreeMap<String, String>;

impl Translation {
    fn new(config: &HttpConfig, language: Language) -> Result<Self, serde_json::Error> {
        let words: Words = serde_json::from_str(match language {
            Language::En => ENGLISH,
            Language::De => GERMAN,
        })?;
        let said: BTreeMap<_, _> =
            words.iter().filter_map(|(name, text)| Some((name.strip_prefix(SAID)?, text))).collect();
        let said = serde_json::to_string(&said)?;
        let page = |title: &str, content: &str| {
            let content = fill(content, |name| words.get(name).map(|text| Escaped(text).to_string()));
            let [_, _, csrf_cookie] = config.cookies.names();
            let html = fill(LAYOUT, |name| {
                let text = match name {
                    "content" => return Some(content.clone()),
                    "style" => return Some(STYLE.to_owned()),
                    "script" => return Some(SCRIPT.to_owned()),
                    "app_name" => &config.app_name,
                    "base" => config.base_url.as_str().trim_end_matches('/'),
                    "csrf_cookie" => csrf_cookie,
                    "language" => language.tag(),
                    "title" => words.get(title)?,
                    "words" => &said,
                    name => words.get(name)?,
                };
                Some(Escaped(text).to_string())
            });
            Bytes::from(html)
        };
        Ok(Self {
            account: page("account", include_str!("pages/account.html")),
            verify_email: page("verify_email", include_str!("pages/verify-email.html")),
            reset_password: page("reset_password", include_str!("pages/reset-password.html")),
            not_me: page("not_me", include_str!("pages/not-me.html")),
        })
    }
}

/// The template with `{{name}}` replaced by what it names; a name that nobody knows stays, for tests to find.
fn fill(template: &str, value: impl Fn(&str) -> Option<String>) -> String {
    let mut filled = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        filled.push_str(before);
        match after.split_once("}}").and_then(|(name, after)| Some((value(name)?, after))) {
            Some((text, after)) => {
                filled.push_str(&text);
                rest = after;
            }
            None => {
                filled.push_str("{{");
                rest = after;
            }
        }
    }
    filled + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_language_has_the_same_words_and_leaves_none_of_them_empty() {
        let [english, german] = [ENGLISH, GERMAN].map(|text| serde_json::from_str::<Words>(text).unwrap());
        assert!(english.keys().eq(german.keys()));
        for (name, text) in english.iter().chain(&german) {
            assert!(!text.is_empty(), "{name}");
        }
        for (name, text) in &english {
            assert_eq!(text.contains("{}"), german[name].contains("{}"), "{name}");
        }
    }

    #[test]
    fn a_template_is_filled_once_and_keeps_what_it_cannot_name() {
        let value = |name: &str| (name == "a").then(|| "{{a}}".to_owned());
        assert_eq!(fill("x{{a}}y{{b}}z{{", value), "x{{a}}y{{b}}z{{");
    }
}
