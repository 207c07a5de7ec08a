//! A whole service in memory, without a socket.

use std::future::Future;
use std::num::NonZeroUsize;
use std::sync::{Arc, OnceLock};

use identsphere_accounts::Password;
use identsphere_blob::{ObjectBlobs, PictureWorkshop};
use identsphere_core::{IdentSphere, Policy, Ports};
use identsphere_crypto::{
    HashScheme, MasterKey, PasskeySignatures, PasswordPool, PoolConfig, RsaSize, RsaVault,
};
use identsphere_factors::passkey::RelyingParty;
use identsphere_http::{
    App, Body, CookieSettings, Drain, ENDPOINTS, Head, HttpConfig, Origin, Reply, SameSite, Transport,
};
use identsphere_kernel::{Duration, OsRandom, SecretBytes, SystemClock};
use identsphere_organizations::RbacConfig;
use identsphere_sessions::RefreshKey;
use identsphere_store_memory::MemoryStore;
use identsphere_testkit::Mailbox;
use identsphere_tokens::KeyPolicy;
use tokio::runtime::{Builder, Runtime};

pub(crate) const BASE: &str = "https://id.example.com";
pub(crate) const LISTED: &str = "https://app.example.org";
const PASSWORD: &str = "correct horse battery staple";

/// A service, and somebody signed in to it.
pub(crate) struct World {
    pub(crate) app: App,
    pub(crate) hasher: Arc<PasswordPool>,
    pub(crate) access: String,
    pub(crate) refresh: String,
    /// The key that made it.
    pub(crate) refresh_key: RefreshKey,
    /// The access token in the cookie of a browser.
    pub(crate) cookie: String,
    /// The token that goes with it.
    pub(crate) csrf: String,
}

/// A request that says nothing but what its target is about.
pub(crate) struct Request<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) fields: &'a [(&'a str, &'a [u8])],
    pub(crate) body: &'a [u8],
}

impl Default for Request<'_> {
    fn default() -> Self {
        Self { method: "GET", path: "/healthz", fields: &[], body: b"" }
    }
}

impl World {
    /// The one of this process.
    pub(crate) fn get() -> &'static Self {
        static WORLD: OnceLock<World> = OnceLock::new();
        WORLD.get_or_init(Self::new)
    }

    fn new() -> Self {
        let config = PoolConfig {
            scheme: HashScheme::below_floor_for_tests("scrypt:ln=1,r=8,p=1").expect("a scheme"),
            memory_mib: 8,
            queue_wait: Duration::from_secs(10),
            threads: 1,
        };
        let hasher = Arc::new(PasswordPool::start(config, Arc::new(OsRandom)).expect("a pool"));
        let master_key = MasterKey::generate(&OsRandom);
        let secrets = master_key.secrets();
        let refresh_key = secrets.refresh.clone();
        let ports = Ports {
            store: Arc::new(MemoryStore::new()),
            hasher: hasher.clone(),
            vault: Arc::new(RsaVault::new(RsaSize::Bits2048, &master_key, Arc::new(OsRandom))),
            clock: Arc::new(SystemClock),
            random: Arc::new(OsRandom),
            blobs: Arc::new(ObjectBlobs::memory()),
            signatures: Arc::new(PasskeySignatures),
            pictures: Arc::new(PictureWorkshop::new(NonZeroUsize::MIN)),
            secrets,
            mailer: Arc::new(Mailbox::default()),
        };
        let core = Arc::new(IdentSphere::new(ports, policy()));
        runtime(|runtime| runtime.block_on(core.prepare()).expect("a key"));
        let app = App::new(core, http_config()).expect("an app");
        let (access, refresh, cookie, csrf) = Default::default();
        let mut world = Self { app, hasher, access, refresh, refresh_key, cookie, csrf };
        world.sign_somebody_in();
        world
    }

    /// As a client that keeps no cookies, and once more as a browser.
    fn sign_somebody_in(&mut self) {
        let body = format!(
            r#"{{"email":"a@example.com","password":"{PASSWORD}","organization_name":"Acme","token_transport":"bearer"}}"#
        );
        let fields: [(&str, &[u8]); 1] = [("content-type", b"application/json")];
        let (method, path, body) = ("POST", "/v1/auth/register", body.as_bytes());
        let reply = self.answer(&Request { method, path, fields: &fields, body });
        let reply: serde_json::Value = serde_json::from_slice(&reply.body).expect("JSON");
        let text = |member: &str| reply[member].as_str().expect("a token").to_owned();
        (self.access, self.refresh) = (text("access_token"), text("refresh_token"));
        let body = format!(r#"{{"email":"a@example.com","password":"{PASSWORD}"}}"#);
        let (path, body) = ("/v1/auth/login", body.as_bytes());
        let reply = self.answer(&Request { method, path, fields: &fields, body });
        let cookie = |name: &str| {
            let mut lines = reply.headers.iter().filter_map(|(_, value)| std::str::from_utf8(value).ok());
            let value = lines.find_map(|line| line.strip_prefix(name)).expect("a cookie");
            value.split(';').next().unwrap_or_default().to_owned()
        };
        (self.cookie, self.csrf) = (cookie("identsphere_at="), cookie("identsphere_csrf="));
    }

    /// Somebody's password, not that of any stored hash.
    pub(crate) fn password(&self) -> Password {
        Password::present(PASSWORD).expect("a password")
    }

    /// Answers a request as an adapter would. A 500 is what has become of a panic.
    pub(crate) fn answer(&self, request: &Request<'_>) -> Reply {
        let (path, query) = match request.path.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (request.path, None),
        };
        let mut head = Head::new(request.method, path, query, Some([192, 0, 2, 1].into()));
        request.fields.iter().for_each(|(name, value)| head.field(name, value));
        let body = Body::Complete(request.body.to_vec().into());
        let reply = match ENDPOINTS.iter().find(|endpoint| endpoint.matches(path)) {
            Some(endpoint) => self.wait(self.app.answer(endpoint, &head, |_| async { body })),
            None => self.wait(self.app.answer_unknown(&head)),
        };
        assert!(reply.status != 500, "{}", String::from_utf8_lossy(&reply.body));
        reply
    }

    pub(crate) fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        runtime(|runtime| runtime.block_on(future))
    }
}

fn runtime<T>(run: impl FnOnce(&Runtime) -> T) -> T {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    run(RUNTIME.get_or_init(|| Builder::new_current_thread().enable_time().build().expect("a runtime")))
}

fn policy() -> Policy {
    const DAY: Duration = Duration::from_secs(86_400);
    Policy {
        issuer: BASE.to_owned(),
        audience: None,
        access_ttl: Duration::from_secs(3_600),
        session_ttl: 30 * DAY,
        refresh_grace: Duration::from_secs(10),
        keys: KeyPolicy {
            rotation_interval: 90 * DAY,
            publish_ahead: DAY,
            keep_retired: Policy::MAX_ACCESS_TTL,
        },
        limits: None,
        frontend_url: "http://localhost".to_owned(),
        step_up_ttl: Duration::from_secs(1_800),
        relying_party: RelyingParty::new("id.example.com", "IdentSphere", vec![BASE.to_owned()]).unwrap(),
        rbac: RbacConfig::default_matrix(),
    }
}

fn http_config() -> HttpConfig {
    HttpConfig {
        base_url: BASE.parse().expect("a URL"),
        app_name: "IdentSphere".to_owned(),
        cookies: CookieSettings::new("identsphere", None, SameSite::Lax, Transport::Secure)
            .expect("settings"),
        csrf_key: SecretBytes::new([9; 32]),
        cors_origins: vec![Origin::parse(LISTED).expect("an origin")],
        trusted_proxies: vec!["192.0.2.0/24".parse().expect("a network")],
        public_max_age: Duration::from_secs(300),
        drain: Drain::default(),
        development_mail: None,
    }
}
