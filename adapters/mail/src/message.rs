//! From words to the message that goes over the wire (RFC 5322).

use identsphere_core::Mail;
use identsphere_kernel::{Duration, Email, MailId};
use lettre::Message;
use lettre::address::{Address, Envelope};
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};

use crate::render::{RenderError, Rendered};
use crate::words;

/// The last instant that a `Date` field can tell: the end of the year 9999.
const END_OF_DATES: u64 = 253_402_300_799;

/// Why there is no message.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MessageError {
    /// The words are missing.
    #[error("the mail cannot be written")]
    Render(#[from] RenderError),
    /// The recipient, or the sender, is no address.
    #[error("the address cannot be written to")]
    Address,
    /// The message lacks a part.
    #[error("the message cannot be put together")]
    Build(#[from] lettre::error::Error),
}

/// The message. What it says never gets into its structure: names are encoded, bodies too, and addresses are of the one
/// form that [`Email`] takes.
pub(crate) fn message(
    mail: &Mail,
    words: Rendered,
    from: &Address,
    app_name: &str,
) -> Result<Message, MessageError> {
    let to = address(&mail.to)?;
    let name = mail.name.as_deref().and_then(words::name).map(str::to_owned);
    let sender = Some(app_name.to_owned()).filter(|name| !name.is_empty());
    let mut builder = Message::builder()
        .message_id(Some(format!("<{}@{}>", mail.id, from.domain())))
        .from(Mailbox::new(sender, from.clone()))
        .to(Mailbox::new(name, to.clone()))
        .subject(words.subject)
        // RFC 3834 §5: nobody's automatic answer to this.
        .raw_header(HeaderValue::new(
            HeaderName::new_from_ascii_str("Auto-Submitted"),
            "auto-generated".to_owned(),
        ))
        .envelope(Envelope::new(Some(from.clone()), vec![to])?);
    // The time at which it was caused, so that a second attempt gives the same message.
    if let Some(made) = made_at(mail.id) {
        builder = builder.date(std::time::UNIX_EPOCH + made);
    }
    Ok(builder.multipart(MultiPart::alternative_plain_html(words.text, words.html))?)
}

/// The address byte for byte as it is stored (RC-06), except for what would need SMTPUTF8 on every hop: then its
/// domain, or the whole of it, in the ASCII form that decides whose it is.
pub(crate) fn address(stored: &str) -> Result<Address, MessageError> {
    let email = Email::parse(stored).map_err(|_| MessageError::Address)?;
    let key = email.key().as_str();
    let (local, domain) = email.as_str().split_once('@').ok_or(MessageError::Address)?;
    let (key_local, key_domain) = key.split_once('@').ok_or(MessageError::Address)?;
    let local = if local.is_ascii() { local } else { key_local };
    let domain = if domain.is_ascii() { domain } else { key_domain };
    Address::new(local, domain).map_err(|_| MessageError::Address)
}

/// Since the Unix epoch; ids are UUIDs of version 7 (RFC 9562 §5.7).
fn made_at(id: MailId) -> Option<Duration> {
    let (seconds, _) = id.as_uuid().get_timestamp()?.to_unix();
    (seconds <= END_OF_DATES).then(|| Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use identsphere_core::{Language, MailContent, MailSecret};
    use identsphere_kernel::Timestamp;
    use mail_parser::MessageParser;
    use proptest::prelude::*;

    use super::*;
    use crate::{Renderer, Sender, Templates};

    /// Text of the kind that has broken mailers: line breaks, NUL, dots alone on a line, encoded words, field names.
    fn hostile() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            Just("\r\n".to_owned()),
            Just("\n".to_owned()),
            Just("\r".to_owned()),
            Just("\0".to_owned()),
            Just("\r\n.\r\n".to_owned()),
            Just("\r\nBcc: eve@evil.example\r\n".to_owned()),
            Just("\r\n\r\nMAIL FROM:<eve@evil.example>\r\n".to_owned()),
            Just("=?utf-8?q?=0D=0ABcc:_eve=40evil.example?=".to_owned()),
            Just("\u{2028}\u{85}\u{202e}".to_owned()),
            Just("\", <eve@evil.example>, \"".to_owned()),
            Just("\u{e9}".to_owned()),
            "[ -~]{0,90}",
            ".{0,20}",
        ];
        prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
    }

    fn content() -> impl Strategy<Value = MailContent> {
        let link = || hostile().prop_map(MailSecret::new);
        let valid_for = Duration::from_secs(600);
        prop_oneof![
            link().prop_map(move |link| MailContent::VerifyEmail { link, valid_for }),
            link().prop_map(move |code| MailContent::SignInCode { code, valid_for }),
            hostile().prop_map(|new_email| MailContent::EmailChangeRequested { new_email }),
            hostile().prop_map(|new_email| MailContent::EmailChanged { new_email }),
            (hostile(), link()).prop_map(|(user_agent, link)| MailContent::NewSignIn {
                at: Timestamp::EPOCH,
                user_agent: Some(user_agent),
                ip_address: None,
                link,
            }),
        ]
    }

    const FIELDS: [&str; 8] =
        ["Auto-Submitted", "Content-Type", "Date", "From", "MIME-Version", "Message-ID", "Subject", "To"];

    fn built(mail: &Mail, app_name: &str) -> Option<Message> {
        let sender = Sender { app_name: app_name.to_owned(), site: "https://id.example.com".to_owned() };
        let renderer = Renderer::new(Templates::built_in().unwrap(), sender);
        let from = address("no-reply@example.com").unwrap();
        // A secret is ours and never looks like this; one that is lost on the way is refused.
        let words = renderer.render(mail).ok()?;
        Some(message(mail, words, &from, renderer.app_name()).unwrap())
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

        /// RC-11.
        #[test]
        fn nothing_that_a_mail_says_adds_a_field_or_a_recipient(
            name in proptest::option::of(hostile()),
            app_name in hostile(),
            content in content(),
            german in any::<bool>(),
        ) {
            let language = if german { Language::De } else { Language::En };
            let id = MailId::from_bytes([0x01, 0x99, 0xb2, 0xa4, 0x6c, 0x1e, 0x7d, 0x30, 0x8f, 0x6e, 0x3c, 0x0c, 0x5a, 0x2f, 0x9b, 0x11]);
            let mail = Mail { id, to: "Ada@Example.com".to_owned(), name, language, content };
            let Some(message) = built(&mail, &app_name) else { return Ok(()) };
            prop_assert_eq!(message.envelope().to(), &[address("Ada@Example.com").unwrap()]);
            let raw = message.formatted();
            prop_assert!(raw.is_ascii());
            prop_assert!(!raw.contains(&0));
            let text = String::from_utf8(raw.clone()).unwrap();
            prop_assert!(!text.replace("\r\n", "").contains(['\r', '\n']), "a bare line break");
            let (head, _) = text.split_once("\r\n\r\n").unwrap();
            let mut fields: Vec<_> = head
                .split("\r\n")
                .filter(|line| !line.starts_with([' ', '\t']))
                .map(|line| line.split_once(':').unwrap().0)
                .collect();
            fields.sort_unstable();
            prop_assert_eq!(fields, FIELDS);
            let parsed = MessageParser::default().parse(&raw).unwrap();
            let to = parsed.to().unwrap();
            prop_assert_eq!(to.clone().into_list().len(), 1);
            prop_assert_eq!(to.first().unwrap().address(), Some("Ada@Example.com"));
            let from = parsed.from().unwrap();
            prop_assert_eq!(from.clone().into_list().len(), 1);
            prop_assert_eq!(from.first().unwrap().address(), Some("no-reply@example.com"));
            prop_assert!(parsed.cc().is_none() && parsed.bcc().is_none() && parsed.attachment_count() == 0);
            prop_assert_eq!((parsed.text_body_count(), parsed.html_body_count()), (1, 1));
        }
    }

    #[test]
    fn the_stored_address_is_kept_and_always_writable_in_ascii() {
        for (stored, written) in [
            ("Ada.Lovelace+tag@Example.COM", "Ada.Lovelace+tag@Example.COM"),
            ("ada@bücher.example", "ada@xn--bcher-kva.example"),
            ("ａｄａ@example.com", "ada@example.com"),
        ] {
            assert_eq!(address(stored).unwrap().to_string(), written);
        }
        for bad in [
            "",
            "a@b@example.com",
            "a@example.com\r\nBcc: x@y.zz",
            "\"a b\"@example.com",
            "a@[127.0.0.1]",
            "a,b@example.com",
        ] {
            assert!(address(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_second_attempt_is_the_same_mail() {
        let id: MailId = "0199b2a4-6c1e-7d30-8f6e-3c0c5a2f9b11".parse().unwrap();
        let mail = Mail {
            id,
            to: "ada@example.com".to_owned(),
            name: Some("Ada".to_owned()),
            language: Language::En,
            content: MailContent::AccountDeleted,
        };
        let head = |message: Message| {
            let text = String::from_utf8(message.formatted()).unwrap();
            let head = text.split_once("\r\n\r\n").unwrap().0.to_owned();
            head.split("\r\n")
                .filter(|line| !line.contains("boundary"))
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        let first = head(built(&mail, "Acme").unwrap());
        assert_eq!(first, head(built(&mail, "Acme").unwrap()));
        for field in [
            "Message-ID: <0199b2a4-6c1e-7d30-8f6e-3c0c5a2f9b11@example.com>",
            "Date: Sun, 05 Oct 2025 04:32:24 +0000",
            "From: Acme <no-reply@example.com>",
            "To: Ada <ada@example.com>",
            "Subject: Your Acme account was deleted",
            "Auto-Submitted: auto-generated",
        ] {
            assert!(first.iter().any(|line| line == field), "{field}\n{first:#?}");
        }
    }
}
