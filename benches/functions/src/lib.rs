//! A whole service in memory with one user signed in, to be measured without a socket.

use std::error::Error;
use std::num::NonZeroUsize;
use std::sync::Arc;

use identsphere_blob::{ObjectBlobs, PictureWorkshop};
use identsphere_core::{IdentSphere, Policy, Ports, RateLimits, Secrets};
use identsphere_crypto::{
    HashScheme, MasterKey, PasskeySignatures, PasswordPool, PoolConfig, RsaSize, RsaVault,
};
use identsphere_factors::passkey::{RelyingParty, RelyingPartyError};
use identsphere_http::{
    App, Body, CookieSettings, Drain, ENDPOINTS, Head, HttpConfig, Reply, SameSite, Transport,
};
use identsphere_kernel::{Duration, OsRandom, SecretBytes, SystemClock};
use identsphere_organizations::RbacConfig;
use identsphere_store_memory::MemoryStore;
use identsphere_testkit::Mailbox;
use identsphere_tokens::{KeyPolicy, KeyVault};
use serde_json::{Value, json};

const BASE: &str = "https://id.example.com";
const EMAIL: &str = "measured@example.com";
const PASSWORD: &str = "a password for measuring";
const DAY: Duration = Duration::from_secs(86_400);

/// A service in memory with everything real but the mail, and passwords hashed so cheaply that the hash does not show.
pub struct Service {
    /// The use cases over HTTP.
    pub app: App,
    /// The store below.
    pub store: MemoryStore,
    /// What opens its keys.
    pub vault: Arc<dyn KeyVault>,
    /// The keys of the deployment.
    pub secrets: Secrets,
    /// What the user signed in with: access token and refresh token.
    pub tokens: (String, String),
}

impl Service {
    /// A service with one user, who has signed in.
    ///
    /// # Errors
    /// It could not be put together.
    pub async fn start() -> Result<Self, Box<dyn Error>> {
        let master_key = MasterKey::generate(&OsRandom);
        let pool = PoolConfig {
            scheme: HashScheme::below_floor_for_tests("scrypt:ln=1,r=1,p=1")?,
            memory_mib: 64,
            queue_wait: Duration::from_secs(10),
            threads: 1,
        };
        let (store, secrets) = (MemoryStore::new(), master_key.secrets());
        let vault = Arc::new(RsaVault::new(RsaSize::Bits2048, &master_key, Arc::new(OsRandom)));
        let ports = Ports {
            store: Arc::new(store.clone()),
            hasher: Arc::new(PasswordPool::start(pool, Arc::new(OsRandom))?),
            vault: vault.clone(),
            clock: Arc::new(SystemClock),
            random: Arc::new(OsRandom),
            blobs: Arc::new(ObjectBlobs::memory()),
            signatures: Arc::new(PasskeySignatures),
            pictures: Arc::new(PictureWorkshop::new(NonZeroUsize::MIN)),
            secrets: secrets.clone(),
            mailer: Arc::new(Mailbox::default()),
        };
        let core = Arc::new(IdentSphere::new(ports, policy()?));
        core.prepare().await?;
        let config = HttpConfig {
            base_url: BASE.parse()?,
            cookies: CookieSettings::new("identsphere", None, SameSite::Lax, Transport::Secure)?,
            csrf_key: SecretBytes::new([9; 32]),
            cors_origins: vec![],
            trusted_proxies: vec![],
            public_max_age: Duration::from_secs(300),
            app_name: "Bench".to_owned(),
            drain: Drain::default(),
            development_mail: None,
        };
        let app = App::new(core, config)?;
        let mut service = Self { app, store, vault, secrets, tokens: Default::default() };
        let sign_up = json!({
            "email": EMAIL, "password": PASSWORD, "organization_name": "Measured", "token_transport": "bearer",
        });
        let signed_in: Value =
            serde_json::from_slice(&service.post("/v1/auth/register", &sign_up.to_string()).await.body)?;
        let token = |name: &str| signed_in.get(name).and_then(Value::as_str).map(str::to_owned);
        service.tokens = token("access_token").zip(token("refresh_token")).ok_or("nobody signed in")?;
        Ok(service)
    }

    /// The answer to a request with these fields.
    pub async fn get(&self, path: &str, fields: &[(&str, &str)]) -> Reply {
        let mut head = Head::new("GET", path, None, Some([192, 0, 2, 1].into()));
        fields.iter().for_each(|(name, value)| head.field(name, value.as_bytes()));
        self.answer(path, &head, "").await
    }

    /// The answer to a request with a body of JSON.
    pub async fn post(&self, path: &str, body: &str) -> Reply {
        let mut head = Head::new("POST", path, None, Some([192, 0, 2, 1].into()));
        head.field("content-type", b"application/json");
        self.answer(path, &head, body).await
    }

    /// The answer to a sign-in of the user.
    pub async fn sign_in(&self) -> Reply {
        let body = json!({"email": EMAIL, "password": PASSWORD, "token_transport": "bearer"});
        self.post("/v1/auth/login", &body.to_string()).await
    }

    async fn answer(&self, path: &str, head: &Head<'_>, body: &str) -> Reply {
        match ENDPOINTS.iter().find(|endpoint| endpoint.matches(path)) {
            Some(endpoint) => {
                let body = body.as_bytes().to_vec();
                self.app.answer(endpoint, head, |_| async { Body::Complete(body.into()) }).await
            }
            None => self.app.answer_unknown(head).await,
        }
    }
}

fn policy() -> Result<Policy, RelyingPartyError> {
    Ok(Policy {
        issuer: BASE.to_owned(),
        audience: None,
        access_ttl: Duration::from_secs(900),
        session_ttl: 30 * DAY,
        refresh_grace: Duration::from_secs(10),
        keys: KeyPolicy {
            rotation_interval: 90 * DAY,
            publish_ahead: DAY,
            keep_retired: Duration::from_secs(3_600),
        },
        limits: Some(RateLimits::standard()),
        frontend_url: BASE.to_owned(),
        step_up_ttl: Duration::from_secs(1_800),
        relying_party: RelyingParty::new("id.example.com", "IdentSphere", vec![BASE.to_owned()])?,
        rbac: RbacConfig::default_matrix(),
    })
}
