//! From a mail to its words, in plain text and in HTML.

use std::collections::BTreeMap;

use identsphere_core::Mail;
use minijinja::value::Value;

use crate::content::{secret, variables};
use crate::templates::{Fragment, Part, Templates, file_of};
use crate::words;

/// Longest subject in characters.
const MAX_SUBJECT: usize = 200;
/// Longest name of the application in characters.
const MAX_APP_NAME: usize = 100;

/// In whose name mail is written.
#[derive(Debug, Clone)]
pub struct Sender {
    /// The name of the application.
    pub app_name: String,
    /// Where its users find it.
    pub site: String,
}

impl Sender {
    pub(crate) fn sample() -> Self {
        Self { app_name: "Sample".to_owned(), site: "https://id.example.com".to_owned() }
    }
}

/// A mail in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// One line.
    pub subject: String,
    /// Plain text; lines end in `\n`.
    pub text: String,
    /// A whole document, whose styles are inlined.
    pub html: String,
}

/// Why a mail could not be written.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// A template has a fault that the samples did not show.
    #[error("the template has a fault")]
    Template(#[from] minijinja::Error),
    /// There is no such template.
    #[error("there is no template {0}")]
    Missing(String),
    /// The template has no first line, or it comes out empty.
    #[error("has no subject")]
    NoSubject,
    /// What the mail is for is not in it.
    #[error("does not show the link or code")]
    Pointless,
}

impl RenderError {
    pub(crate) fn template_error(&self) -> Option<&minijinja::Error> {
        match self {
            Self::Template(error) => Some(error),
            Self::Missing(_) | Self::NoSubject | Self::Pointless => None,
        }
    }
}

/// Writes mail.
#[derive(Debug)]
pub struct Renderer {
    templates: Templates,
    sender: Sender,
}

impl Renderer {
    /// Writes with these templates, in this name.
    pub fn new(templates: Templates, sender: Sender) -> Self {
        let app_name = words::line(&sender.app_name, MAX_APP_NAME);
        Self { templates, sender: Sender { app_name, ..sender } }
    }

    /// The name of the application, on one line.
    pub fn app_name(&self) -> &str {
        &self.sender.app_name
    }

    /// Writes one mail.
    ///
    /// # Errors
    /// A template has a fault that the samples did not show.
    pub fn render(&self, mail: &Mail) -> Result<Rendered, RenderError> {
        let kind = mail.content.name();
        let file = file_of(mail.language, kind);
        let outline = self.templates.outlines.get(&file).ok_or(RenderError::Missing(file))?;
        let mut values: BTreeMap<&'static str, Value> = variables(mail).into_iter().collect();
        values.insert("app_name", self.sender.app_name.as_str().into());
        values.insert("site", self.sender.site.as_str().into());
        values.insert("lang", mail.language.tag().into());
        values.insert("kind", kind.into());
        if outline.subject.text.is_empty() {
            return Err(RenderError::NoSubject);
        }
        let subject = words::line(&self.fill(&outline.subject, "txt", &values)?, MAX_SUBJECT);
        if subject.is_empty() {
            return Err(RenderError::NoSubject);
        }
        values.insert("subject", subject.as_str().into());
        let text = format!("{}\n", self.lay_out(&outline.parts, "txt", &values)?.trim_end());
        let html = self.lay_out(&outline.parts, "html", &values)?;
        if secret(&mail.content).is_some_and(|secret| !text.contains(secret)) {
            return Err(RenderError::Pointless);
        }
        Ok(Rendered { subject, text, html })
    }

    fn fill(
        &self,
        fragment: &Fragment,
        form: &str,
        values: &BTreeMap<&'static str, Value>,
    ) -> Result<String, minijinja::Error> {
        Ok(self.templates.fill(fragment, form, values)?.trim().to_owned())
    }

    fn lay_out(
        &self,
        parts: &[Part],
        form: &str,
        values: &BTreeMap<&'static str, Value>,
    ) -> Result<String, minijinja::Error> {
        // What a fragment gave is escaped already.
        let fill = |fragment| self.fill(fragment, form, values).map(Value::from_safe_string);
        let mut laid = Vec::with_capacity(parts.len());
        for part in parts {
            let members = match part {
                Part::Text(text) => vec![("kind", "text".into()), ("text", fill(text)?)],
                Part::Code(text) => vec![("kind", "code".into()), ("text", fill(text)?)],
                Part::Button { label, address } => {
                    vec![("kind", "button".into()), ("label", fill(label)?), ("address", fill(address)?)]
                }
            };
            let is_empty = members.iter().any(|(_, value)| value.as_str() == Some(""));
            if !is_empty {
                laid.push(Value::from(members.into_iter().collect::<BTreeMap<&'static str, Value>>()));
            }
        }
        let mut values = values.clone();
        values.insert("parts", laid.into());
        self.templates.lay_out(form, &values)
    }

    pub(crate) fn templates(&self) -> &Templates {
        &self.templates
    }

    pub(crate) fn into_templates(self) -> Templates {
        self.templates
    }
}

#[cfg(test)]
mod tests {
    use identsphere_core::{Language, MailContent, MailSecret};
    use identsphere_kernel::{Duration, MailId, Timestamp};

    use super::*;
    use crate::content::samples;

    fn renderer() -> Renderer {
        let sender =
            Sender { app_name: "Acme & Sons".to_owned(), site: "https://id.acme.example".to_owned() };
        Renderer::new(Templates::built_in().unwrap(), sender)
    }

    fn mail(language: Language, name: Option<&str>, content: MailContent) -> Mail {
        let to = "ada@example.com".to_owned();
        Mail { id: MailId::from_bytes([1; 16]), to, name: name.map(str::to_owned), language, content }
    }

    #[test]
    fn every_kind_is_written_in_every_language() {
        let renderer = renderer();
        for mail in samples() {
            let Rendered { subject, text, html } = renderer.render(&mail).unwrap();
            let kind = mail.content.name();
            assert!(subject.contains("Acme & Sons"), "{kind}: {subject}");
            assert!(text.contains("https://id.acme.example") && text.ends_with('\n'), "{kind}: {text}");
            assert!(html.contains("Acme &amp; Sons") && !html.contains("Acme & Sons"), "{kind}: {html}");
            assert!(html.contains(&format!("<html lang=\"{}\">", mail.language.tag())));
            assert!(!html.contains("<script") && !html.contains("<style") && !html.contains("src="));
            for leftover in ["{{", "{%", "undefined", "Some("] {
                assert!(!text.contains(leftover) && !html.contains(leftover), "{kind}: {leftover}\n{text}");
            }
            assert!(!text.contains("\n\n\n"), "{kind}: {text}");
        }
    }

    #[test]
    fn a_reset_mail_says_what_where_how_long_and_what_if_not() {
        let link = "https://id.acme.example/reset?token=abc&x=1";
        let content =
            MailContent::ResetPassword { link: MailSecret::new(link), valid_for: Duration::from_secs(1_800) };
        let written = renderer().render(&mail(Language::En, Some("Ada"), content)).unwrap();
        assert_eq!(written.subject, "Choose a new password for Acme & Sons");
        assert_eq!(
            written.text,
            "Hello Ada,\n\nsomebody asked to reset the password of your Acme & Sons account. Here you can choose a \
             new one:\n\nChoose a new password:\nhttps://id.acme.example/reset?token=abc&x=1\n\nThe link works once, \
             for 30 minutes.\n\nWas it not you? Then ignore this mail: your password stays as it is.\n\n-- \n\
             Acme & Sons\nhttps://id.acme.example\n"
        );
        assert!(written.html.contains("token=abc&amp;x=1\""), "{}", written.html);
    }

    #[test]
    fn what_strangers_chose_stays_text() {
        let content = MailContent::EmailChangeRequested {
            new_email: "\"><script>alert(1)</script>\r\n\r\n[win](https://evil)".to_owned(),
        };
        let written =
            renderer().render(&mail(Language::De, Some("<b>see http://evil.example</b>"), content)).unwrap();
        assert!(!written.html.contains("<script") && !written.html.contains("<b>"), "{}", written.html);
        assert!(!written.html.contains("href=\"https:&#x2f;&#x2f;evil"), "{}", written.html);
        assert!(written.text.starts_with("Guten Tag,\n"), "{}", written.text);
    }

    #[test]
    fn a_passkey_is_named_unless_its_name_says_something_else() {
        let added = |label: &str| {
            let at = Timestamp::from_unix_seconds(1_800_000_000);
            let content = MailContent::PasskeyAdded { at, label: label.to_owned() };
            renderer().render(&mail(Language::En, None, content)).unwrap().text
        };
        assert!(added("Ada's laptop").contains("\n\nIts name: Ada's laptop\n\n"));
        let silent = added("call https://evil.example");
        assert!(!silent.contains("evil") && !silent.contains("Its name"), "{silent}");
    }

    #[test]
    fn whoever_runs_out_of_recovery_codes_is_told_so() {
        let used = |language, left| {
            let content =
                MailContent::RecoveryCodeUsed { at: Timestamp::from_unix_seconds(1_800_000_000), left };
            renderer().render(&mail(language, None, content)).unwrap().text
        };
        for (left, english, german) in [
            (0, "That was the last one.", "Es war der letzte."),
            (1, "One code is left.", "Ein Code ist übrig."),
            (9, "9 codes are left.", "9 Codes sind übrig."),
        ] {
            let (en, de) = (used(Language::En, left), used(Language::De, left));
            assert!(en.contains(english) && de.contains(german), "{en}\n{de}");
            assert_eq!(en.contains("nothing to do"), left > 1, "{en}");
        }
    }
}
