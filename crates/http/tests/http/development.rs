//! The development outbox: what it shows, and to whom it does not exist.

use std::net::IpAddr;
use std::sync::Arc;

use identsphere_core::{KeptMail, MailReader};
use identsphere_http::{App, Body, Drain, ENDPOINTS, Head, Reply};
use identsphere_kernel::{MailId, Timestamp};

use crate::request::text;
use crate::world::{World, http_config};

const ID: &str = "0199b2a4-6c1e-7d30-8f6e-3c0c5a2f9b11";

/// One mail, of the worst kind.
struct OneMail(Arc<KeptMail>);

impl OneMail {
    fn new() -> Self {
        Self(Arc::new(KeptMail {
            id: ID.parse().unwrap(),
            to: "<b>ada</b>@example.com".to_owned(),
            kind: "reset_password",
            subject: "Choose </title><script>alert(1)</script>".to_owned(),
            text: "Go:\nhttps://id.example.com/reset?a=1&b=\"2\"\n<script>alert(2)</script>\n".to_owned(),
            html: "<html><head></head><body style=\"color:red\"><a href=\"https://id.example.com/reset\">Go</a>\"></iframe><script>alert(3)</script></body></html>".to_owned(),
            at: Timestamp::from_unix_seconds(1_800_000_000),
        }))
    }
}

impl MailReader for OneMail {
    fn list(&self) -> Vec<Arc<KeptMail>> {
        vec![self.0.clone()]
    }

    fn get(&self, id: MailId) -> Option<Arc<KeptMail>> {
        (id == self.0.id).then(|| self.0.clone())
    }
}

/// The world's service with an outbox that can be read.
async fn developing() -> App {
    let world = World::new().await;
    let config = http_config(Drain::default());
    App::new(
        world.core,
        identsphere_http::HttpConfig { development_mail: Some(Arc::new(OneMail::new())), ..config },
    )
    .unwrap()
}

async fn send(app: &App, method: &str, path: &str, peer: &str, fields: &[(&str, &str)]) -> Reply {
    let peer: IpAddr = peer.parse().unwrap();
    let mut head = Head::new(method, path, None, Some(peer));
    head.field("x-request-id", b"r-1");
    fields.iter().for_each(|(name, value)| head.field(name, value.as_bytes()));
    match ENDPOINTS.iter().find(|endpoint| endpoint.matches(path)) {
        Some(endpoint) => app.answer(endpoint, &head, |_| async { Body::Complete(Vec::new().into()) }).await,
        None => app.answer_unknown(&head).await,
    }
}

const HERE: [(&str, &str); 1] = [("host", "localhost:4000")];

#[tokio::test]
async fn whoever_sits_here_reads_mail_and_nothing_of_it_runs() {
    let app = developing().await;
    for peer in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
        let list = send(&app, "GET", "/dev/mail", peer, &HERE).await;
        assert_eq!((list.status, list.header("content-type")), (200, Some("text/html; charset=utf-8")));
        let page = text(&list);
        assert!(
            page.contains(&format!("href=\"/dev/mail/{ID}\"")) && page.contains("&lt;b&gt;ada"),
            "{page}"
        );
        assert!(!page.contains("<script"), "{page}");
    }
    let one = send(&app, "GET", &format!("/dev/mail/{ID}"), "127.0.0.1", &HERE).await;
    assert_eq!((one.status, one.header("cache-control")), (200, Some("no-store")));
    let policy = one.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none';") && !policy.contains("script-src"), "{policy}");
    let page = text(&one);
    assert!(!page.contains("<script") && page.matches("</iframe>").count() == 1, "{page}");
    assert!(page.contains("sandbox=\"allow-popups allow-popups-to-escape-sandbox\""), "{page}");
    let link = "<a href=\"https://id.example.com/reset?a=1&amp;b=&quot;2&quot;\" target=\"_blank\">";
    assert!(page.contains(link), "{page}");

    let other = "/dev/mail/0199b2a4-6c1e-7d30-8f6e-3c0c5a2f9b12";
    for missing in [other, "/dev/mail/x"] {
        assert_eq!(send(&app, "GET", missing, "127.0.0.1", &HERE).await.status, 404);
    }
    assert_eq!(send(&app, "POST", "/dev/mail", "127.0.0.1", &HERE).await.status, 405);
}

#[tokio::test]
async fn for_everybody_else_it_is_a_path_that_does_not_exist() {
    let (app, closed) = (developing().await, World::new().await.app);
    let one = format!("/dev/mail/{ID}");
    let strangers: &[(&str, &[(&str, &str)])] = &[
        ("203.0.113.9", &HERE),
        ("192.0.2.1", &[("host", "localhost"), ("x-forwarded-for", "127.0.0.1")]),
        ("127.0.0.1", &[]),
        ("127.0.0.1", &[("host", "id.example.com")]),
        ("127.0.0.1", &[("host", "localhost"), ("host", "localhost")]),
        ("127.0.0.1", &[("host", "localhost"), ("x-forwarded-for", "127.0.0.1")]),
        ("127.0.0.1", &[("host", "localhost"), ("x-forwarded-host", "localhost")]),
        ("127.0.0.1", &[("host", "localhost"), ("forwarded", "for=127.0.0.1")]),
        ("127.0.0.1", &[("host", "localhost"), ("via", "1.1 proxy")]),
        ("127.0.0.1", &[("host", "localhost"), ("x-real-ip", "127.0.0.1")]),
    ];
    let here: (&str, &[(&str, &str)]) = ("127.0.0.1", &HERE);
    let attempts = strangers.iter().map(|stranger| (&app, *stranger)).chain([(&closed, here)]);
    for (app, (peer, fields)) in attempts {
        for path in ["/dev/mail", one.as_str()] {
            for method in ["GET", "HEAD", "POST", "OPTIONS", "DELETE"] {
                let answer = send(app, method, path, peer, fields).await;
                let unknown = send(app, method, "/dev/nothing", peer, fields).await;
                assert_eq!(
                    (answer.status, &answer.headers, &answer.body),
                    (404, &unknown.headers, &unknown.body),
                    "{method} {path} {peer} {fields:?}"
                );
            }
        }
    }
}
