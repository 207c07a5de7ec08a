//! What everybody may read, and how the service behaves when it is in trouble.

use std::collections::HashMap;
use std::future::pending;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use base64::Engine as _;
use identsphere_accounts::{Password, PasswordHash};
use identsphere_core::{HashError, PasswordHasher, UnusableHash, Verification};
use identsphere_http::{BEAT, ENDPOINTS, Head, Pace, Route};
use metrics::{Counter, Gauge, Histogram, KeyName, Metadata, SharedString, Unit};
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use crate::request::{Request, code, field, read, sign_up, text};
use crate::world::{BASE, World};

#[tokio::test]
async fn the_key_set_is_public_and_has_nothing_private() {
    let world = World::new().await;
    let reply = world.send(Request::get("/.well-known/jwks.json")).await;
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/json; charset=utf-8")));
    let key = &read(&reply)["keys"][0];
    let mut members: Vec<_> = key.as_object().unwrap().keys().collect();
    members.sort();
    assert_eq!(members, ["alg", "e", "kid", "kty", "n", "use"]);

    let etag = reply.header("etag").unwrap().to_owned();
    for known in [etag.clone(), format!("\"other\", W/{etag}"), "*".to_owned()] {
        let reply = world.send(Request::get("/.well-known/jwks.json").field("if-none-match", &known)).await;
        assert_eq!((reply.status, reply.body.len(), reply.header("etag")), (304, 0, Some(etag.as_str())));
    }
    let reply = world.send(Request::get("/.well-known/jwks.json").field("if-none-match", "\"other\"")).await;
    assert_eq!(reply.status, 200);
}

#[tokio::test]
async fn resource_servers_find_the_keys_by_issuer() {
    let world = World::new().await;
    let discovery = read(&world.send(Request::get("/.well-known/openid-configuration")).await);
    assert_eq!(discovery["issuer"], BASE);
    assert_eq!(discovery["jwks_uri"], format!("{BASE}/.well-known/jwks.json"));
    assert_eq!(discovery["id_token_signing_alg_values_supported"], json!(["RS256"]));
}

#[tokio::test]
async fn the_page_is_whole_and_asks_nobody() {
    let world = World::new().await;
    let reply = world.send(Request::get("/docs")).await;
    let page = text(&reply);
    let style = page.split("<style>").nth(1).unwrap().split("</style>").next().unwrap();
    let hash = base64::engine::general_purpose::STANDARD.encode(Sha256::digest(style));
    let policy = reply.header("content-security-policy").unwrap();
    assert!(policy.contains(&format!("style-src 'sha256-{hash}'")) && policy.contains("default-src 'none'"));
    assert!(!page.contains("<script") && !page.contains("style=\"") && !page.contains("src="));
    let links = page.split("href=\"").skip(1);
    assert!(links.into_iter().all(|link| link.starts_with('#') || link.starts_with("/")));
    for endpoint in ENDPOINTS {
        assert!(page.contains(&format!("<code>{}</code>", endpoint.path)), "{}", endpoint.path);
    }
}

#[tokio::test]
async fn head_is_answered_like_get() {
    let world = World::new().await;
    for path in ["/healthz", "/docs", "/.well-known/jwks.json", "/v1/auth/session"] {
        let (get, head) =
            (world.send(Request::get(path)).await, world.send(Request::new("HEAD", path)).await);
        assert_eq!((get.status, get.body.len()), (head.status, head.body.len()), "{path}");
    }
    assert_eq!(world.send(Request::new("HEAD", "/v1/auth/login")).await.status, 405);
}

#[tokio::test]
async fn a_draining_node_lives_and_is_not_ready() {
    let world = World::new().await;
    assert_eq!(world.send(Request::get("/readyz")).await.status, 200);
    world.drain.begin();
    let reply = world.send(Request::get("/readyz")).await;
    assert_eq!((reply.status, code(&reply).as_str()), (503, "overloaded"));
    assert!(reply.header("retry-after").is_some());
    assert_eq!(world.send(Request::get("/healthz")).await.status, 200);
    assert_eq!(world.send(Request::get("/v1/auth/session")).await.status, 401);
}

/// A hasher with a programming error.
struct Panicking;

#[async_trait]
impl PasswordHasher for Panicking {
    async fn hash(&self, _: Password) -> Result<PasswordHash, HashError> {
        panic!("a bug")
    }

    async fn verify(&self, _: Password, _: Option<PasswordHash>) -> Result<Verification, HashError> {
        panic!("a bug")
    }

    fn judge(&self, _: &PasswordHash) -> Result<(), UnusableHash> {
        panic!("a bug")
    }
}

#[tokio::test]
async fn a_panic_is_an_answer_and_nothing_more() {
    let world = World::with_hasher(Arc::new(Panicking)).await;
    let reply = world.send(Request::post("/v1/auth/register").json(&sign_up("ada"))).await;
    assert_eq!((reply.status, code(&reply).as_str()), (500, "internal_error"));
    assert!(!text(&reply).contains("bug"));
    assert_eq!(world.send(Request::get("/readyz")).await.status, 200);
}

/// A hasher that never comes to an end.
struct Stuck;

#[async_trait]
impl PasswordHasher for Stuck {
    async fn hash(&self, _: Password) -> Result<PasswordHash, HashError> {
        pending().await
    }

    async fn verify(&self, _: Password, _: Option<PasswordHash>) -> Result<Verification, HashError> {
        pending().await
    }

    fn judge(&self, _: &PasswordHash) -> Result<(), UnusableHash> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_hangs_is_given_up_after_thirty_seconds() {
    let world = World::with_hasher(Arc::new(Stuck)).await;
    let asked = Instant::now();
    let reply = world.send(Request::post("/v1/auth/register").json(&sign_up("ada"))).await;
    assert_eq!((reply.status, code(&reply).as_str()), (503, "overloaded"));
    assert_eq!(asked.elapsed().as_secs(), 30);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_arrive_is_given_up_after_fifteen_seconds() {
    let world = World::new().await;
    let endpoint = ENDPOINTS.iter().find(|endpoint| endpoint.matches("/v1/auth/login")).unwrap();
    let mut head = Head::new("POST", "/v1/auth/login", None, None);
    head.field("content-type", b"application/json");
    let asked = Instant::now();
    let reply = world.app.answer(endpoint, &head, |_| pending()).await;
    assert_eq!((reply.status, field(&reply).as_str()), (400, "body"));
    assert_eq!(asked.elapsed().as_secs(), 15);
}

/// AU-02. What a store takes to find an account, or nobody, is not to be seen in when the answer leaves.
#[tokio::test]
async fn answers_about_an_address_leave_on_a_beat() {
    let world = World::new().await;
    world.send(Request::post("/v1/auth/register").json(&sign_up("ada"))).await;
    tokio::time::pause();
    let paced = |route: &&Route| route.pace == Pace::OnTheBeat;
    let operations = ENDPOINTS.iter().flat_map(|endpoint| endpoint.routes).filter(paced);
    assert_eq!(
        operations.map(|route| route.operation).collect::<Vec<_>>(),
        [
            "requestEmailCode",
            "signInWithEmailCode",
            "forgotPassword",
            "beginPasskeySignIn",
            "completePasskeySignIn"
        ]
    );
    let paths = [
        "/v1/auth/password/forgot",
        "/v1/auth/email-otp/request",
        "/v1/auth/passkey/login/begin",
        "/v1/auth/email-otp/verify",
    ];
    for path in paths {
        for email in ["ada@example.com", "nobody@example.com"] {
            let question = Request::post(path).json(&json!({ "email": email, "code": "123456" }));
            let asked = Instant::now();
            let reply = world.send(question).await;
            // The clock stands still while anything is done, and goes on when everything waits; timers are good to 1 ms.
            let late = asked.elapsed().checked_sub(BEAT).map(|late| late.as_millis());
            assert!(late.is_some_and(|late| late <= 1), "{path} {email} {}: {late:?}", reply.status);
        }
    }
}

/// Counts what is recorded, under name and labels.
#[derive(Default)]
struct Recorder(Mutex<HashMap<String, Arc<AtomicU64>>>);

impl Recorder {
    fn counter(&self, key: &metrics::Key) -> Arc<AtomicU64> {
        let labels = key.labels().map(|label| format!(" {}={}", label.key(), label.value()));
        let name = key.name().to_owned() + &labels.collect::<String>();
        self.0.lock().unwrap().entry(name).or_default().clone()
    }
}

impl metrics::Recorder for Recorder {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &metrics::Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.counter(key))
    }

    fn register_gauge(&self, _: &metrics::Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, key: &metrics::Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(Arc::new(Samples(self.counter(key))))
    }
}

/// Counts samples.
struct Samples(Arc<AtomicU64>);

impl metrics::HistogramFn for Samples {
    fn record(&self, _: f64) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn requests_are_counted_by_operation_and_never_by_path() {
    let recorder = Recorder::default();
    let _installed = metrics::set_default_local_recorder(&recorder);
    let world = World::new().await;
    for path in ["/healthz", "/healthz", "/v1/auth/session", "/no/such/path"] {
        world.send(Request::get(path)).await;
    }
    let counted = recorder.0.lock().unwrap();
    let count = |key: &str| counted.get(key).map(|count| count.load(Ordering::Relaxed));
    assert_eq!(count("identsphere_http_requests_total operation=healthz status=200"), Some(2));
    assert_eq!(count("identsphere_http_requests_total operation=getSession status=401"), Some(1));
    assert_eq!(count("identsphere_http_requests_total operation=unknown_path status=404"), Some(1));
    assert_eq!(count("identsphere_http_request_duration_seconds operation=healthz"), Some(2));
    assert!(counted.keys().all(|key| !key.contains("/no/such/path")));
}
