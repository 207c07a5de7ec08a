//! Mail from the transaction that causes it to a mail server that agrees, refuses, hangs up and says nothing. On every
//! framework and store, over real SMTP.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use identsphere_core::{Language, Register, Visitor};
use identsphere_e2e::{App, Engine, PASSWORD, matrix, unique};
use identsphere_kernel::Email;
use identsphere_mail::{Renderer, Sender, SmtpMailer, SmtpUrl, Templates};
use identsphere_sessions::ClientInfo;
use identsphere_testkit::{Behaviour, ReceivedMail, SmtpSink, Stage};
use serde_json::json;

/// After which a mail that was not taken is tried again, the first and the second time.
const WAITS: [Duration; 2] = [Duration::from_secs(10), Duration::from_secs(20)];
/// For how long a node has an entry to itself.
const LEASE: Duration = Duration::from_secs(60);
const INSTANT: Duration = Duration::from_millis(1);

matrix! {
    a_mail_arrives_once_at_its_one_recipient,
    a_mail_that_is_refused_for_now_is_kept_and_sent_later,
    a_mail_that_is_refused_for_good_is_given_up,
    a_server_that_refuses_everybody_costs_no_mail,
    a_mail_whose_connection_breaks_is_the_same_mail_again,
    what_has_expired_meanwhile_is_not_sent,
    two_nodes_send_each_mail_once,
    the_mail_of_a_node_that_died_is_sent_when_its_lease_is_over,
    what_waits_is_not_readable_in_the_store,
}

/// A node that sends by this server.
async fn node_by(app: &App, sink: &SmtpSink) -> App {
    let sender = Sender { app_name: "Acme".to_owned(), site: app.origin() };
    let renderer = Renderer::new(Templates::built_in().unwrap(), sender);
    let from = Email::parse("no-reply@example.com").unwrap();
    let mailer = SmtpMailer::new(SmtpUrl::parse(&sink.url()).unwrap(), &from, renderer).unwrap();
    app.another_node_mailing_by(Arc::new(mailer)).await
}

/// Works on everything that is due; how many attempts that took.
async fn work(node: &App) -> usize {
    let mut attempts = 0;
    loop {
        match node.service.work_outbox().await.unwrap() {
            0 => return attempts,
            some => attempts += some,
        }
    }
}

async fn waiting(node: &App) -> u64 {
    node.service.store().count_outbox().await.unwrap()
}

/// Causes one mail; its recipient. Everybody comes from an address of their own.
async fn sign_up(node: &App, number: u8) -> String {
    let email = unique("ada@example.com");
    let client = ClientInfo::new(Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, number))), None);
    let visitor = Visitor::without_cookies(&client, Language::En);
    let input = Register {
        email: &email,
        password: PASSWORD,
        organization_name: &email,
        organization_slug: None,
        display_name: None,
    };
    node.service.register(input, &visitor).await.unwrap();
    email
}

fn message_id(mail: &ReceivedMail) -> &str {
    mail.data.lines().find_map(|line| line.strip_prefix("Message-ID: ")).unwrap()
}

/// The token of the link in the plain text (RFC 2045 §6.7).
fn token(mail: &ReceivedMail) -> String {
    let text = mail.data.replace("=\r\n", "").replace("=3D", "=");
    let (_, rest) = text.split_once("token=").unwrap();
    rest.chars().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')).collect()
}

async fn a_mail_arrives_once_at_its_one_recipient(app: App) {
    let sink = SmtpSink::start().await;
    let node = node_by(&app, &sink).await;
    let (email, _) = node.sign_up().await;
    assert_eq!((waiting(&node).await, sink.connections()), (1, 0), "kept with the change, sent after it");
    assert_eq!(work(&node).await, 1);
    let received = sink.received();
    let [mail] = received.as_slice() else { panic!("{received:?}") };
    assert_eq!((mail.from.as_str(), mail.to.as_slice()), ("no-reply@example.com", &[email][..]));
    let verify = json!({ "token": token(mail) });
    node.caller().post("/v1/auth/email/verify").json(&verify).send().await.assert_status(204);
    node.clock.advance(Duration::from_secs(3_600));
    assert_eq!((work(&node).await, waiting(&node).await, sink.received().len()), (0, 0, 1));
}

async fn a_mail_that_is_refused_for_now_is_kept_and_sent_later(app: App) {
    let sink = SmtpSink::start().await;
    let node = node_by(&app, &sink).await;
    sink.behave(Behaviour::Reply(Stage::Recipient, "450 4.2.1 come back later"));
    sign_up(&node, 1).await;
    assert_eq!(work(&node).await, 1);
    for wait in WAITS {
        node.clock.advance(wait - INSTANT);
        assert_eq!((work(&node).await, waiting(&node).await), (0, 1), "before {wait:?} are over");
        if wait == WAITS[1] {
            sink.behave(Behaviour::Accept);
        }
        node.clock.advance(INSTANT);
        assert_eq!(work(&node).await, 1, "after {wait:?}");
    }
    assert_eq!((waiting(&node).await, sink.received().len()), (0, 1));
}

async fn a_mail_that_is_refused_for_good_is_given_up(app: App) {
    let sink = SmtpSink::start().await;
    let node = node_by(&app, &sink).await;
    for (number, stage) in (1..).zip([Stage::Sender, Stage::Recipient, Stage::Data, Stage::Message]) {
        sink.behave(Behaviour::Reply(stage, "550 5.1.1 nobody here"));
        sign_up(&node, number).await;
        assert_eq!((work(&node).await, waiting(&node).await), (1, 0), "{stage:?}");
    }
    sink.behave(Behaviour::Accept);
    node.clock.advance(Duration::from_secs(3_600));
    assert_eq!((work(&node).await, sink.received().len()), (0, 0));
}

/// What a server says before it was told of the mail says nothing about the mail.
async fn a_server_that_refuses_everybody_costs_no_mail(app: App) {
    let sink = SmtpSink::start().await;
    for (number, (stage, reply)) in (1..).zip([
        (Stage::Greeting, "554 5.3.2 closed"),
        (Stage::Greeting, "421 4.3.2 closing"),
        (Stage::Hello, "550 5.7.1 not you"),
        (Stage::Sender, "530 5.7.0 sign in first"),
    ]) {
        // One that has no connection yet.
        let node = node_by(&app, &sink).await;
        sink.behave(Behaviour::Reply(stage, reply));
        sign_up(&node, number).await;
        assert_eq!((work(&node).await, waiting(&node).await), (1, 1), "{reply}");
        sink.behave(Behaviour::Accept);
        node.clock.advance(WAITS[0]);
        assert_eq!((work(&node).await, waiting(&node).await), (1, 0), "{reply}");
        assert_eq!(sink.received().len(), usize::from(number), "{reply}");
    }
}

async fn a_mail_whose_connection_breaks_is_the_same_mail_again(app: App) {
    let sink = SmtpSink::start().await;
    let stages = [
        Stage::Greeting,
        Stage::Hello,
        Stage::Sender,
        Stage::Recipient,
        Stage::Data,
        Stage::Message,
        Stage::Kept,
    ];
    for (number, stage) in (1..).zip(stages) {
        let node = node_by(&app, &sink).await;
        sink.behave(Behaviour::HangUp(stage));
        let email = sign_up(&node, number).await;
        assert_eq!((work(&node).await, waiting(&node).await), (1, 1), "{stage:?}");
        sink.behave(Behaviour::Accept);
        node.clock.advance(WAITS[0]);
        assert_eq!((work(&node).await, waiting(&node).await), (1, 0), "{stage:?}");
        let received: Vec<_> =
            sink.received().into_iter().filter(|mail| mail.to == [email.clone()]).collect();
        // Nobody can know that a server kept a mail that it did not acknowledge: the id lets it tell.
        assert_eq!(received.len(), if stage == Stage::Kept { 2 } else { 1 }, "{stage:?}");
        let ids: BTreeSet<_> = received.iter().map(message_id).collect();
        assert_eq!(ids.len(), 1, "{stage:?}");
        let tokens: BTreeSet<_> = received.iter().map(token).collect();
        assert_eq!(tokens.len(), 1, "{stage:?}");
    }
}

async fn what_has_expired_meanwhile_is_not_sent(app: App) {
    let sink = SmtpSink::start().await;
    let node = node_by(&app, &sink).await;
    let (email, _) = node.sign_up().await;
    work(&node).await;
    assert_eq!(sink.received().len(), 1);

    sink.behave(Behaviour::Reply(Stage::Recipient, "450 4.2.1 come back later"));
    let body = json!({ "email": email });
    node.caller().post("/v1/auth/email-otp/request").json(&body).send().await.assert_status(204);
    // The question, and the mail that answers it.
    assert_eq!((work(&node).await, waiting(&node).await), (2, 1));
    // A question that nobody has got to in time.
    node.caller().post("/v1/auth/password/forgot").json(&body).send().await.assert_status(204);
    sink.behave(Behaviour::Accept);
    let commands = sink.commands().len();
    node.clock.advance(Duration::from_secs(600));
    assert_eq!((work(&node).await, waiting(&node).await), (2, 0));
    assert_eq!(
        (sink.received().len(), sink.commands().len()),
        (1, commands),
        "the server hears nothing of it"
    );
}

async fn two_nodes_send_each_mail_once(app: App) {
    const MAILS: u8 = 50;
    let sink = SmtpSink::start().await;
    let nodes = [Arc::new(node_by(&app, &sink).await), Arc::new(node_by(&app, &sink).await)];
    let mut people = BTreeSet::new();
    for number in 0..MAILS {
        people.insert(sign_up(&app, number).await);
    }
    let workers = nodes.map(|node| tokio::spawn(async move { work(&node).await }));
    let mut done = 0;
    for worker in workers {
        done += worker.await.unwrap();
    }
    let received = sink.received();
    assert_eq!((done, received.len()), (usize::from(MAILS), usize::from(MAILS)));
    assert_eq!(received.iter().map(message_id).collect::<BTreeSet<_>>().len(), usize::from(MAILS));
    assert_eq!(received.into_iter().flat_map(|mail| mail.to).collect::<BTreeSet<_>>(), people);
    app.clock.advance(LEASE);
    assert_eq!((work(&app).await, waiting(&app).await), (0, 0));
}

async fn the_mail_of_a_node_that_died_is_sent_when_its_lease_is_over(app: App) {
    let sink = SmtpSink::start().await;
    let (dying, other) = (Arc::new(node_by(&app, &sink).await), node_by(&app, &sink).await);
    let email = sign_up(&app, 1).await;
    sink.behave(Behaviour::Stall(Stage::Data));
    let worker = tokio::spawn({
        let dying = dying.clone();
        async move { work(&dying).await }
    });
    while !sink.commands().iter().any(|command| command == "DATA") {
        tokio::task::yield_now().await;
    }
    worker.abort();
    assert!(worker.await.unwrap_err().is_cancelled());

    sink.behave(Behaviour::Accept);
    app.clock.advance(LEASE - INSTANT);
    assert_eq!((work(&other).await, waiting(&other).await), (0, 1), "it is still the other one's");
    app.clock.advance(INSTANT);
    assert_eq!((work(&other).await, waiting(&other).await), (1, 0));
    let received = sink.received();
    assert_eq!(received.iter().map(|mail| mail.to.as_slice()).collect::<Vec<_>>(), [[email]]);
}

async fn what_waits_is_not_readable_in_the_store(app: App) {
    let (columns, sealed) = match app.engine() {
        Engine::Memory => return,
        Engine::Sqlite => (
            "SELECT name AS line FROM pragma_table_info('outbox')",
            "SELECT lower(hex(sealed)) AS line FROM outbox",
        ),
        Engine::Postgres => (
            "SELECT column_name::text AS line FROM information_schema.columns
             WHERE table_schema = current_schema() AND table_name = 'outbox'",
            "SELECT encode(sealed, 'hex') AS line FROM outbox",
        ),
    };
    let columns: BTreeSet<_> = app.select(columns).await.into_iter().collect();
    let expected = ["attempts", "created_at", "due_at", "expires_at", "id", "sealed"];
    assert_eq!(columns, expected.map(str::to_owned).into(), "whatever else is kept is kept in the clear");

    let sink = SmtpSink::start().await;
    let node = node_by(&app, &sink).await;
    let mut rows = vec![];
    sink.behave(Behaviour::Reply(Stage::Recipient, "450 4.2.1 come back later"));
    let (email, _) = node.sign_up().await;
    rows.extend(app.select(sealed).await);
    let body = json!({ "email": email });
    for path in ["/v1/auth/email-otp/request", "/v1/auth/password/forgot"] {
        node.caller().post(path).json(&body).send().await.assert_status(204);
        rows.extend(app.select(sealed).await);
    }
    work(&node).await;
    rows.extend(app.select(sealed).await);
    assert_eq!(rows.len(), 1 + 2 + 3 + 3);

    app.clock.advance(WAITS[0]);
    let mut secrets = vec![email.clone(), "example.com".to_owned(), "token".to_owned(), "errand".to_owned()];
    for (kind, length) in [("verify_email", 43), ("sign_in_code", 6), ("reset_password", 43)] {
        let secret = app.mailed(&email, kind).await;
        assert_eq!(secret.len(), length, "{kind}");
        secrets.push(secret);
    }
    for secret in secrets {
        let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
        assert!(rows.iter().all(|row| !row.contains(&hex)), "{secret:?} can be read");
    }
}
