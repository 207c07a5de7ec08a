//! A service of our own making: we hold its signing key, see every call of its store, and can make the store fail.

use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroUsize;
use std::sync::{Arc, OnceLock};

use identsphere_blob::{ObjectBlobs, PictureWorkshop};
use identsphere_core::{IdentSphere, Policy, Ports, Store};
use identsphere_crypto::{
    HashScheme, MasterKey, PasskeySignatures, PasswordPool, PoolConfig, RsaSize, RsaVault,
};
use identsphere_e2e::{
    Answer, Caller, Framework, LISTED, PASSWORD, Request, Watch, Watched, unique, uuid_v7,
};
use identsphere_factors::passkey::RelyingParty;
use identsphere_http::{
    BodyRule, CookieSettings, Drain, Endpoint, HttpConfig, Origin, Route, SameSite, Transport,
};
use identsphere_kernel::{Clock, Duration, OsRandom, SecretBytes, SystemClock};
use identsphere_organizations::RbacConfig;
use identsphere_store_memory::MemoryStore;
use identsphere_testkit::{Mailbox, ManualClock};
use identsphere_tokens::{
    GeneratedKey, KeyError, KeyPolicy, KeyVault, PublicKey, SigningKey, TokenSigner, TokenVerifier,
};
use serde_json::{Value, json};
use tokio::sync::oneshot;

/// A path of this endpoint that leads to nothing of anybody.
pub fn path(endpoint: &Endpoint) -> String {
    endpoint.path.replace("{id}", &uuid_v7()).replace("{name}", &uuid_v7())
}

/// With a body of the type that is due, so that it is not for the type that the request is refused.
pub fn with_body<'a>(request: Request<'a>, route: &Route) -> Request<'a> {
    match route.body {
        BodyRule::None | BodyRule::Optional(..) => request,
        BodyRule::Required(..) => request.body("application/json", "{}"),
        BodyRule::Multipart(..) => request.body("multipart/form-data; boundary=b", "--b--\r\n"),
    }
}

/// A running service and the means of its attackers' dreams.
pub struct World {
    pub address: SocketAddr,
    /// Sees every call of the store.
    pub watch: Watch,
    pub clock: Arc<ManualClock>,
    pub issuer: String,
    vault: KnownKeys,
    _stop: oneshot::Sender<()>,
}

/// Somebody signed in, and all that they hold.
pub struct Victim {
    pub email: String,
    pub access: String,
    pub refresh: String,
}

impl World {
    pub async fn start(framework: Framework) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let issuer = format!("http://{address}");
        let clock = Arc::new(ManualClock::at(SystemClock.now()));
        let watch = Watch::default();
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let ports = ports(Arc::new(Watched::new(store, watch.clone())), clock.clone());
        let service = Arc::new(IdentSphere::new(ports, policy(&issuer)));
        service.prepare().await.unwrap();
        let app = identsphere_http::App::new(service, config(&issuer)).unwrap();
        let (stop, stopped) = oneshot::channel();
        let stopped = async { drop(stopped.await) };
        match framework {
            Framework::Actix => {
                std::thread::spawn(move || {
                    let serving = identsphere_actix::serve(listener, app, 1, stopped);
                    actix_web::rt::System::new().block_on(serving).unwrap();
                });
            }
            Framework::Axum => {
                listener.set_nonblocking(true).unwrap();
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                tokio::spawn(identsphere_axum::serve(listener, identsphere_axum::serve_all(app), stopped));
            }
        }
        Self { address, watch, clock, issuer, vault: KnownKeys::new(), _stop: stop }
    }

    pub fn caller(&self) -> Caller {
        Caller::new(self.address)
    }

    /// Somebody new with a browser.
    pub async fn browser(&self) -> Caller {
        let mut browser = self.caller();
        let request = sign_up(&unique("user@example.com"));
        browser.follow(|c| c.post("/v1/auth/register").json(&request)).await.assert_status(201);
        browser
    }

    /// Somebody new who keeps tokens.
    pub async fn victim(&self) -> Victim {
        let email = unique("victim@example.com");
        let mut request = sign_up(&email);
        request["token_transport"] = json!("bearer");
        let answer = self.caller().post("/v1/auth/register").json(&request).send().await;
        let body = answer.assert_status(201).json();
        let text = |member: &str| body[member].as_str().unwrap().to_owned();
        Victim { email, access: text("access_token"), refresh: text("refresh_token") }
    }

    pub async fn session(&self, access: &str) -> Answer {
        self.caller().get("/v1/auth/session").bearer(access).send().await
    }

    /// What signs the service's own tokens.
    pub fn signer(&self) -> Arc<dyn TokenSigner> {
        self.vault.open(0)
    }

    /// A key that the service has never heard of.
    pub fn foreign_signer(&self) -> Arc<dyn TokenSigner> {
        self.vault.open(1)
    }

    /// The public parts of the service's key and of the foreign one.
    pub fn public_keys(&self) -> [PublicKey; 2] {
        [KnownKeys::made(0).public, KnownKeys::made(1).public]
    }
}

/// A body that registers this address.
pub fn sign_up(email: &str) -> Value {
    json!({ "email": email, "password": PASSWORD, "organization_name": "Acme" })
}

fn ports(store: Arc<dyn Store>, clock: Arc<ManualClock>) -> Ports {
    let scheme = HashScheme::below_floor_for_tests("scrypt:ln=4,r=8,p=1").unwrap();
    let pool = PoolConfig { scheme, memory_mib: 64, queue_wait: Duration::from_secs(30), threads: 2 };
    Ports {
        store,
        hasher: Arc::new(PasswordPool::start(pool, Arc::new(OsRandom)).unwrap()),
        vault: Arc::new(KnownKeys::new()),
        clock,
        random: Arc::new(OsRandom),
        blobs: Arc::new(ObjectBlobs::memory()),
        signatures: Arc::new(PasskeySignatures),
        pictures: Arc::new(PictureWorkshop::new(NonZeroUsize::MIN)),
        secrets: MasterKey::generate(&OsRandom).secrets(),
        mailer: Arc::new(Mailbox::default()),
    }
}

fn policy(issuer: &str) -> Policy {
    const DAY: Duration = Duration::from_secs(86_400);
    Policy {
        issuer: issuer.to_owned(),
        audience: None,
        access_ttl: Duration::from_secs(900),
        session_ttl: 30 * DAY,
        refresh_grace: Duration::from_secs(10),
        keys: KeyPolicy {
            rotation_interval: 90 * DAY,
            publish_ahead: DAY,
            keep_retired: Policy::MAX_ACCESS_TTL,
        },
        limits: None,
        frontend_url: issuer.to_owned(),
        step_up_ttl: Duration::from_secs(1_800),
        relying_party: RelyingParty::new("localhost", "IdentSphere", vec![issuer.to_owned()]).unwrap(),
        rbac: RbacConfig::default_matrix(),
    }
}

fn config(issuer: &str) -> HttpConfig {
    HttpConfig {
        base_url: issuer.parse().unwrap(),
        app_name: "IdentSphere".to_owned(),
        cookies: CookieSettings::new("identsphere", None, SameSite::Lax, Transport::Plain).unwrap(),
        csrf_key: SecretBytes::new([9; 32]),
        cors_origins: vec![Origin::parse(LISTED).unwrap()],
        trusted_proxies: vec![],
        public_max_age: Duration::from_secs(300),
        drain: Drain::default(),
        development_mail: None,
    }
}

/// The real vault, whose keys are made once a program: the first is the services', the second is nobody's.
struct KnownKeys(RsaVault);

impl KnownKeys {
    fn new() -> Self {
        Self(RsaVault::new(RsaSize::Bits2048, Self::master(), Arc::new(OsRandom)))
    }

    fn master() -> &'static MasterKey {
        static MASTER: OnceLock<MasterKey> = OnceLock::new();
        MASTER.get_or_init(|| MasterKey::generate(&OsRandom))
    }

    fn made(which: usize) -> GeneratedKey {
        static MADE: [OnceLock<GeneratedKey>; 2] = [const { OnceLock::new() }; 2];
        MADE[which].get_or_init(|| Self::new().0.generate().unwrap()).clone()
    }

    fn open(&self, which: usize) -> Arc<dyn TokenSigner> {
        let GeneratedKey { kid, public, private } = Self::made(which);
        let now = SystemClock.now();
        let key = SigningKey { kid, public, private, predecessor: None, created_at: now, activates_at: now };
        self.0.signer(&key).unwrap()
    }
}

impl KeyVault for KnownKeys {
    fn generate(&self) -> Result<GeneratedKey, KeyError> {
        Ok(Self::made(0))
    }

    fn signer(&self, key: &SigningKey) -> Result<Arc<dyn TokenSigner>, KeyError> {
        self.0.signer(key)
    }

    fn verifier(&self, key: &PublicKey) -> Result<Arc<dyn TokenVerifier>, KeyError> {
        self.0.verifier(key)
    }
}
