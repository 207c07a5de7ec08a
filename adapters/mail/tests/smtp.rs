//! Mail over SMTP to a real server, that agrees, stalls, refuses and hangs up.

use std::sync::Arc;

use identsphere_core::{Language, Mail, MailContent, MailError, MailSecret, Mailer};
use identsphere_kernel::{Duration, Email, MailId};
use identsphere_mail::{Renderer, Sender, SmtpMailer, SmtpUrl, Templates};
use identsphere_testkit::{Behaviour, SmtpSink, Stage};
use mail_parser::MessageParser;

const CODE: &str = "314159";
/// Long enough for this machine, short enough to wait for.
const PATIENCE: Duration = Duration::from_secs(10);
const IMPATIENCE: Duration = Duration::from_millis(300);

#[expect(clippy::unwrap_used, reason = "what is compiled in is known to be good")]
fn mailer(url: &str) -> SmtpMailer {
    let sender = Sender { app_name: "Acme".to_owned(), site: "https://id.example.com".to_owned() };
    let renderer = Renderer::new(Templates::built_in().unwrap(), sender);
    let from = Email::parse("no-reply@example.com").unwrap();
    SmtpMailer::new(SmtpUrl::parse(url).unwrap(), &from, renderer).unwrap().with_timeout(PATIENCE)
}

fn mail(number: u8) -> Mail {
    Mail {
        id: MailId::from_bytes([number; 16]),
        to: "Ada@Example.org".to_owned(),
        name: Some("Ada Lovelace".to_owned()),
        language: Language::En,
        content: MailContent::SignInCode { code: MailSecret::new(CODE), valid_for: Duration::from_secs(600) },
    }
}

fn is_later(result: &Result<(), MailError>) -> bool {
    matches!(result, Err(MailError::Later(_)))
}

fn is_never(result: &Result<(), MailError>) -> bool {
    matches!(result, Err(MailError::Never(_)))
}

#[tokio::test]
async fn a_mail_arrives_once_at_the_stored_address_in_both_forms() {
    let sink = SmtpSink::start().await;
    mailer(&sink.url()).send(&mail(1)).await.unwrap();
    let received = sink.received();
    let [one] = received.as_slice() else { panic!("{received:?}") };
    assert_eq!(
        (one.from.as_str(), &one.to[..]),
        ("no-reply@example.com", &["Ada@Example.org".to_owned()][..])
    );
    let parsed = MessageParser::default().parse(one.data.as_bytes()).unwrap();
    assert_eq!(parsed.subject(), Some("Your code for Acme"));
    assert!(parsed.body_text(0).unwrap().contains(CODE));
    assert!(parsed.body_html(0).unwrap().contains(CODE));
    assert_eq!(parsed.message_id(), Some(format!("{}@example.com", mail(1).id).as_str()));
    assert!(sink.commands().contains(&"EHLO example.com".to_owned()));
}

#[tokio::test]
async fn a_connection_is_used_again_after_success_and_never_after_trouble() {
    let sink = SmtpSink::start().await;
    let mailer = mailer(&sink.url());
    for number in 1..=3 {
        mailer.send(&mail(number)).await.unwrap();
    }
    assert_eq!((sink.received().len(), sink.connections()), (3, 1));

    sink.behave(Behaviour::Reply(Stage::Recipient, "450 4.2.0 later"));
    assert!(is_later(&mailer.send(&mail(4)).await));
    sink.behave(Behaviour::Accept);
    mailer.send(&mail(4)).await.unwrap();
    assert_eq!((sink.received().len(), sink.connections()), (4, 2));
}

#[tokio::test]
async fn a_kept_connection_that_died_is_replaced() {
    let sink = SmtpSink::start().await;
    let mailer = mailer(&sink.url());
    mailer.send(&mail(1)).await.unwrap();
    sink.behave(Behaviour::HangUp(Stage::Sender));
    assert!(is_later(&mailer.send(&mail(2)).await));
    sink.behave(Behaviour::Accept);
    mailer.send(&mail(2)).await.unwrap();
    assert_eq!(sink.received().len(), 2);
}

#[tokio::test]
async fn what_the_server_asks_to_try_again_is_for_later_and_what_it_refuses_is_for_never() {
    let sink = SmtpSink::start().await;
    let mailer = mailer(&sink.url());
    for (stage, reply) in [
        (Stage::Greeting, "421 4.3.2 busy"),
        (Stage::Greeting, "554 5.7.1 we do not know you"),
        (Stage::Hello, "421 4.3.2 busy"),
        (Stage::Sender, "451 4.3.0 later"),
        (Stage::Sender, "530 5.7.0 sign in first"),
        (Stage::Recipient, "450 4.2.1 greylisted"),
        (Stage::Data, "451 4.3.0 later"),
        (Stage::Message, "452 4.3.1 full"),
    ] {
        sink.behave(Behaviour::Reply(stage, reply));
        let result = mailer.send(&mail(1)).await;
        assert!(is_later(&result), "{stage:?} {reply}: {result:?}");
    }
    for (stage, reply) in [
        (Stage::Sender, "550 5.7.1 not from you"),
        (Stage::Recipient, "550 5.1.1 nobody here"),
        (Stage::Data, "554 5.6.0 no"),
        (Stage::Message, "554 5.7.1 spam"),
    ] {
        sink.behave(Behaviour::Reply(stage, reply));
        let result = mailer.send(&mail(1)).await;
        assert!(is_never(&result), "{stage:?} {reply}: {result:?}");
    }
    assert_eq!(sink.received(), []);
}

#[tokio::test]
async fn a_server_that_hangs_up_or_is_away_is_for_later() {
    let sink = SmtpSink::start().await;
    let mailer = mailer(&sink.url());
    for stage in [Stage::Greeting, Stage::Hello, Stage::Sender, Stage::Recipient, Stage::Data, Stage::Message]
    {
        sink.behave(Behaviour::HangUp(stage));
        let result = mailer.send(&mail(1)).await;
        assert!(is_later(&result), "{stage:?}: {result:?}");
    }
    assert_eq!(sink.received(), []);
    let url = sink.url();
    drop(sink);
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let away = format!("smtp://{}", closed.local_addr().unwrap());
    drop(closed);
    assert!(is_later(&self::mailer(&away).send(&mail(1)).await), "{url}");
}

#[tokio::test]
async fn a_server_that_stalls_is_given_up_in_time_and_its_late_words_are_not_heard() {
    let sink = SmtpSink::start().await;
    let mailer = mailer(&sink.url()).with_timeout(IMPATIENCE);
    for stage in [Stage::Greeting, Stage::Hello, Stage::Sender, Stage::Message] {
        sink.behave(Behaviour::Stall(stage));
        let result = tokio::time::timeout(PATIENCE, mailer.send(&mail(1))).await.unwrap();
        assert!(is_later(&result), "{stage:?}: {result:?}");
    }
    let before = sink.connections();
    sink.behave(Behaviour::Accept);
    mailer.send(&mail(2)).await.unwrap();
    assert_eq!((sink.received().len(), sink.connections()), (1, before + 1));
}

#[tokio::test]
async fn a_reply_that_is_lost_makes_the_same_mail_come_twice() {
    let sink = SmtpSink::start().await;
    let mailer = mailer(&sink.url());
    sink.behave(Behaviour::HangUp(Stage::Kept));
    assert!(is_later(&mailer.send(&mail(1)).await));
    sink.behave(Behaviour::Accept);
    mailer.send(&mail(1)).await.unwrap();
    let ids: Vec<_> = sink
        .received()
        .iter()
        .map(|mail| {
            MessageParser::default().parse(mail.data.as_bytes()).unwrap().message_id().unwrap().to_owned()
        })
        .collect();
    assert_eq!((ids.len(), &ids[0]), (2, &ids[1]));
}

#[tokio::test]
async fn user_and_password_are_sent_and_a_refusal_does_not_cost_the_mail() {
    let sink = SmtpSink::start().await;
    let mailer = mailer(&format!("smtp://user:pass@{}", sink.address()));
    mailer.send(&mail(1)).await.unwrap();
    // "\0user\0pass" in base64 (RFC 4616).
    assert!(sink.commands().contains(&"AUTH PLAIN AHVzZXIAcGFzcw==".to_owned()));

    let mailer = self::mailer(&format!("smtp://user:pass@{}", sink.address()));
    sink.behave(Behaviour::Reply(Stage::Auth, "535 5.7.8 wrong password"));
    assert!(is_later(&mailer.send(&mail(2)).await));
    assert!(is_later(&mailer.greet().await));
}

#[tokio::test]
async fn without_the_encryption_that_was_asked_for_nothing_is_said() {
    let sink = SmtpSink::start().await;
    let url = format!("smtp://user:pass@{}?tls=required", sink.address());
    assert!(is_later(&mailer(&url).send(&mail(1)).await));
    assert_eq!(sink.commands(), ["EHLO example.com"]);
    let url = format!("smtps://user:pass@{}", sink.address());
    let mailer = mailer(&url).with_timeout(IMPATIENCE);
    assert!(is_later(&mailer.send(&mail(1)).await));
    assert!(!sink.commands().iter().any(|line| line.contains("AUTH") || line.contains("MAIL")));
}

#[tokio::test]
async fn a_greeting_sends_nothing() {
    let sink = SmtpSink::start().await;
    mailer(&sink.url()).greet().await.unwrap();
    assert_eq!(sink.commands(), ["EHLO example.com", "QUIT"]);
    sink.behave(Behaviour::Reply(Stage::Greeting, "554 5.7.1 no"));
    assert!(is_later(&mailer(&sink.url()).greet().await));
}

#[tokio::test]
async fn many_mails_at_once_all_arrive() {
    let sink = SmtpSink::start().await;
    let mailer = Arc::new(mailer(&sink.url()));
    let sending: Vec<_> = (0..40)
        .map(|number| {
            let mailer = mailer.clone();
            tokio::spawn(async move { mailer.send(&mail(number)).await })
        })
        .collect();
    for sent in sending {
        sent.await.unwrap().unwrap();
    }
    assert_eq!(sink.wait_for(40).await.len(), 40);
}

#[tokio::test]
async fn an_address_that_cannot_be_written_to_is_for_never() {
    let sink = SmtpSink::start().await;
    for to in [
        "",
        "a@b@example.com",
        "ada@example.org>\r\nRCPT TO:<eve@evil.example",
        "ada@example.org, eve@evil.example",
    ] {
        let mail = Mail { to: to.to_owned(), ..mail(1) };
        assert!(is_never(&mailer(&sink.url()).send(&mail).await), "{to:?}");
    }
    assert_eq!(sink.connections(), 0);
}
