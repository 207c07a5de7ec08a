//! A running service and what scenarios do with it.

use std::future::Future;
use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroUsize;
use std::sync::Arc;

use identsphere_blob::PictureWorkshop;
use identsphere_core::{
    BlobStore, IdentSphere, Language, Mail, MailContent, MailSecret, Mailer, PasswordHasher, PictureMaker,
    Policy, Ports, RateLimits,
};
use identsphere_crypto::{HashScheme, PasskeySignatures, PasswordPool, PoolConfig, RsaSize, RsaVault};
use identsphere_factors::passkey::RelyingParty;
use identsphere_kernel::{Clock, Duration, MailId, OsRandom, SystemClock};
use identsphere_mail::{DevelopmentOutbox, Renderer, Sender, Templates};
use identsphere_organizations::RbacConfig;
use identsphere_testkit::{Mailbox, ManualClock};
use identsphere_tokens::{AccessClaims, KeyPolicy, KeyVault, SigningKey, header_segment, sign};
use serde_json::{Value, json};

use crate::keys::RepeatingVault;
use crate::serve::{Framework, Server};
use crate::stores::{Data, Engine};
use crate::watched::{Watch, Watched};
use crate::{Answer, Caller, claims, unique};

/// The password of everybody in the tests.
pub const PASSWORD: &str = "correct horse battery";

/// The origin of a native app that may run ceremonies with passkeys, too.
pub const NATIVE_APP: &str = "android:apk-key-hash:pNiP5iKyQ8JwgGOaKA1zGPUPJIS-0H1xKCQcfIoGLck";

/// Where a service is reached through TLS.
pub const ENCRYPTED: &str = "https://localhost";

const DAY: u64 = 86_400;

/// Runs a scenario on one framework and one store.
pub fn run<S: Future<Output = ()>>(framework: Framework, engine: Engine, scenario: impl FnOnce(App) -> S) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let app = App::start(framework, engine).await;
        scenario(app).await;
    });
}

/// One node of a service.
pub struct App {
    pub framework: Framework,
    pub address: SocketAddr,
    pub service: Arc<IdentSphere>,
    pub clock: Arc<ManualClock>,
    /// The mail of this node, which is kept and can be read at `/dev/mail`.
    pub mail: Arc<DevelopmentOutbox>,
    /// Sees every call of the ports of this node, and can make them fail.
    pub watch: Watch,
    origin: String,
    data: Arc<Data>,
    _server: Server,
}

/// The tokens of a client that uses no cookies.
#[derive(Debug, Clone)]
pub struct BearerSession {
    pub email: String,
    pub access: String,
    pub refresh: String,
}

impl BearerSession {
    /// The claims of the access token.
    pub fn claims(&self) -> Value {
        claims(&self.access)
    }

    /// The tokens in the answer to a sign-in.
    pub fn of(email: &str, answer: &Answer) -> Self {
        let body = answer.json();
        let text = |member: &str| body[member].as_str().unwrap().to_owned();
        Self { email: email.to_owned(), access: text("access_token"), refresh: text("refresh_token") }
    }

    /// The same session with its next tokens.
    pub async fn refreshed(&self, app: &App) -> Self {
        let request = json!({ "refresh_token": self.refresh });
        let answer = app.caller().post("/v1/auth/refresh").json(&request).send().await;
        Self::of(&self.email, answer.assert_status(200))
    }
}

impl App {
    /// A service on an empty store.
    pub async fn start(framework: Framework, engine: Engine) -> Self {
        Self::first(framework, engine, None).await
    }

    /// A service on an empty store which its users reach through TLS, as it ends at a proxy: at [`ENCRYPTED`].
    pub async fn start_encrypted(framework: Framework, engine: Engine) -> Self {
        Self::first(framework, engine, Some(ENCRYPTED.to_owned())).await
    }

    async fn first(framework: Framework, engine: Engine, origin: Option<String>) -> Self {
        let clock = Arc::new(ManualClock::at(SystemClock.now()));
        let data = Arc::new(Data::create(engine, 0));
        let mailer = data.mailbox.clone();
        Self::node(framework, data, clock, mailer, origin).await
    }

    /// The kind of store.
    pub fn engine(&self) -> Engine {
        self.data.engine()
    }

    /// The one text column, called `line`, of a query as a host application may make it (contract §8).
    pub async fn select(&self, query: &str) -> Vec<String> {
        self.data.select(query).await
    }

    /// A change of one row that no route can make yet, in SQL.
    pub async fn change(&self, statement: &str) {
        assert_eq!(self.select(&format!("{statement} RETURNING 'done' AS line")).await, ["done"]);
    }

    /// Another deployment that calls itself by this one's name: same issuer, other data, other keys.
    pub async fn impostor(&self) -> Self {
        let data = Arc::new(Data::create(Engine::Memory, 3));
        let mailer = data.mailbox.clone();
        Self::node(self.framework, data, self.clock.clone(), mailer, Some(self.origin.clone())).await
    }

    /// Another node on the same store, with connections of its own.
    pub async fn another_node(&self) -> Self {
        self.another_node_mailing_by(self.data.mailbox.clone()).await
    }

    /// A mail that this node keeps instead of sending it.
    pub async fn keep_mail(&self) -> MailId {
        let mail = Mail {
            id: MailId::new(&*self.clock, &OsRandom),
            to: "ada@example.com".to_owned(),
            name: None,
            language: Language::En,
            content: MailContent::VerifyEmail {
                link: MailSecret::new("https://id.example.com/verify?token=abc"),
                valid_for: Duration::from_secs(86_400),
            },
        };
        self.mail.send(&mail).await.unwrap();
        mail.id
    }

    /// Another node that hands its mail to somebody else than the mailbox.
    pub async fn another_node_mailing_by(&self, mailer: Arc<dyn Mailer>) -> Self {
        let (data, clock) = (self.data.clone(), self.clock.clone());
        Self::node(self.framework, data, clock, mailer, Some(self.origin.clone())).await
    }

    async fn node(
        framework: Framework,
        data: Arc<Data>,
        clock: Arc<ManualClock>,
        mailer: Arc<dyn Mailer>,
        origin: Option<String>,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let origin = origin.unwrap_or_else(|| format!("http://{address}"));
        let watch = Watch::default();
        let ports = ports(&data, mailer, clock.clone(), &watch);
        let service = Arc::new(IdentSphere::new(ports, policy(&origin)));
        service.store().migrate_up().await.unwrap();
        service.prepare().await.unwrap();
        let mail = Arc::new(outbox(&origin, clock.clone()));
        let server = Server::start(framework, listener, service.clone(), &origin, &data.master, mail.clone());
        Self { framework, address, service, clock, mail, watch, origin, data, _server: server }
    }

    /// The public base URL, which is the issuer too.
    pub fn origin(&self) -> String {
        self.origin.clone()
    }

    /// The origin of the pages that run ceremonies with passkeys.
    pub fn page(&self) -> String {
        page_of(&self.origin)
    }

    /// Every cell of every table but those of the limits, a line a row that begins with the table's name, sorted.
    pub async fn dump(&self) -> Vec<String> {
        self.data.dump().await
    }

    /// Changes data behind the service's back, as an operator could.
    pub async fn execute(&self, statements: &str) {
        self.data.execute(statements).await;
    }

    /// Does what lies in the outbox, and what that puts there; then every mail has arrived.
    pub async fn deliver(&self) -> &Mailbox {
        while self.service.work_outbox().await.unwrap() > 0 {}
        &self.data.mailbox
    }

    /// The code, or the token of the link, in the newest mail of a kind to an address.
    pub async fn mailed(&self, email: &str, kind: &str) -> String {
        let secret = self.deliver().await.secret(email, kind);
        secret.unwrap_or_else(|| panic!("no mail `{kind}` to {email}"))
    }

    /// A token of this key, as whoever has got hold of its private half can make it.
    pub fn sign_with(&self, key: &SigningKey, claims: &AccessClaims) -> String {
        let vault = RsaVault::new(RsaSize::Bits2048, &self.data.master, Arc::new(OsRandom));
        sign(&header_segment(&key.kid), claims, &*vault.signer(key).unwrap()).unwrap()
    }

    /// Somebody without cookies.
    pub fn caller(&self) -> Caller {
        Caller::new(self.address)
    }

    /// A new account and a browser signed in to it.
    pub async fn sign_up(&self) -> (String, Caller) {
        let email = unique("user@example.com");
        let request = json!({ "email": email, "password": PASSWORD, "organization_name": "Acme" });
        let mut browser = self.caller();
        browser.follow(|c| c.post("/v1/auth/register").json(&request)).await.assert_status(201);
        (email, browser)
    }

    /// A browser signed in to an account.
    pub async fn login(&self, email: &str) -> Caller {
        let mut browser = self.caller();
        let request = json!({ "email": email, "password": PASSWORD });
        browser.follow(|c| c.post("/v1/auth/login").json(&request)).await.assert_status(200);
        browser
    }

    /// A new account and the tokens of a client that uses no cookies.
    pub async fn bearer(&self) -> BearerSession {
        let (email, _) = self.sign_up().await;
        self.bearer_login(&email).await
    }

    /// Tokens of a client that uses no cookies.
    pub async fn bearer_login(&self, email: &str) -> BearerSession {
        let request = json!({ "email": email, "password": PASSWORD, "token_transport": "bearer" });
        let answer = self.caller().post("/v1/auth/login").json(&request).send().await;
        BearerSession::of(email, answer.assert_status(200))
    }
}

/// The origin by name: authenticators take no addresses for hosts.
fn page_of(origin: &str) -> String {
    origin.replace("127.0.0.1", "localhost")
}

fn ports(data: &Data, mailer: Arc<dyn Mailer>, clock: Arc<ManualClock>, watch: &Watch) -> Ports {
    let scheme = HashScheme::below_floor_for_tests("scrypt:ln=4,r=8,p=1").unwrap();
    let pool = PoolConfig { scheme, memory_mib: 64, queue_wait: Duration::from_secs(30), threads: 2 };
    let hasher: Arc<dyn PasswordHasher> = Arc::new(PasswordPool::start(pool, Arc::new(OsRandom)).unwrap());
    let vault: Arc<dyn KeyVault> = Arc::new(RepeatingVault::new(
        Arc::new(RsaVault::new(RsaSize::Bits2048, &data.master, Arc::new(OsRandom))),
        data.next_key.clone(),
    ));
    let blobs: Arc<dyn BlobStore> = data.blobs.clone();
    let pictures: Arc<dyn PictureMaker> = Arc::new(PictureWorkshop::new(NonZeroUsize::MIN.saturating_add(1)));
    Ports {
        store: Arc::new(Watched::new(data.open(), watch.clone())),
        hasher: Arc::new(Watched::new(hasher, watch.clone())),
        vault: Arc::new(Watched::new(vault, watch.clone())),
        clock,
        random: Arc::new(OsRandom),
        blobs: Arc::new(Watched::new(blobs, watch.clone())),
        signatures: Arc::new(PasskeySignatures),
        pictures: Arc::new(Watched::new(pictures, watch.clone())),
        secrets: data.master.secrets(),
        mailer,
    }
}

fn outbox(origin: &str, clock: Arc<ManualClock>) -> DevelopmentOutbox {
    let sender = Sender { app_name: "IdentSphere".to_owned(), site: origin.to_owned() };
    DevelopmentOutbox::new(Renderer::new(Templates::built_in().unwrap(), sender), clock)
}

fn policy(origin: &str) -> Policy {
    Policy {
        issuer: origin.to_owned(),
        audience: None,
        access_ttl: Duration::from_secs(900),
        session_ttl: Duration::from_secs(30 * DAY),
        refresh_grace: Duration::from_secs(10),
        keys: KeyPolicy {
            rotation_interval: Duration::from_secs(90 * DAY),
            publish_ahead: Duration::from_secs(DAY),
            keep_retired: Policy::MAX_ACCESS_TTL,
        },
        limits: Some(RateLimits::standard()),
        frontend_url: origin.to_owned(),
        step_up_ttl: Duration::from_secs(1_800),
        relying_party: RelyingParty::new(
            "localhost",
            "IdentSphere",
            vec![page_of(origin), NATIVE_APP.to_owned()],
        )
        .unwrap(),
        rbac: RbacConfig::default_matrix(),
    }
}
