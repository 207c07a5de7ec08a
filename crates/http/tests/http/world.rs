//! A whole service in memory. Shared with the tests of the adapters.

use std::num::NonZeroUsize;
use std::sync::{Arc, OnceLock};

use identsphere_blob::{ObjectBlobs, PictureWorkshop};
use identsphere_core::{IdentSphere, PasswordHasher, Policy, Ports, RateLimits};
use identsphere_crypto::{
    HashScheme, MasterKey, PasskeySignatures, PasswordPool, PoolConfig, RsaSize, RsaVault,
};
use identsphere_factors::passkey::RelyingParty;
use identsphere_http::{App, CookieSettings, Drain, HttpConfig, Origin, SameSite, Transport};
use identsphere_kernel::{Duration, OsRandom, SecretBytes};
use identsphere_organizations::RbacConfig;
use identsphere_store_memory::MemoryStore;
use identsphere_testkit::{Mailbox, ManualClock};
use identsphere_tokens::{
    GeneratedKey, KeyError, KeyPolicy, KeyVault, PublicKey, SigningKey, TokenSigner, TokenVerifier,
};

pub(crate) const BASE: &str = "https://id.example.com";
pub(crate) const LISTED: &str = "https://app.example.org";

/// A service, its clock, and the switch that drains it.
pub(crate) struct World {
    pub(crate) core: Arc<IdentSphere>,
    pub(crate) app: App,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) drain: Drain,
}

impl World {
    pub(crate) async fn new() -> Self {
        let config = PoolConfig {
            scheme: HashScheme::below_floor_for_tests("scrypt:ln=4,r=8,p=1").unwrap(),
            memory_mib: 64,
            queue_wait: Duration::from_secs(10),
            threads: 1,
        };
        Self::with_hasher(Arc::new(PasswordPool::start(config, Arc::new(OsRandom)).unwrap())).await
    }

    pub(crate) async fn with_hasher(hasher: Arc<dyn PasswordHasher>) -> Self {
        let clock = Arc::new(ManualClock::default());
        let ports = Ports {
            store: Arc::new(MemoryStore::new()),
            hasher,
            vault: Arc::new(OneKeyVault::new()),
            clock: clock.clone(),
            random: Arc::new(OsRandom),
            blobs: Arc::new(ObjectBlobs::memory()),
            signatures: Arc::new(PasskeySignatures),
            pictures: Arc::new(PictureWorkshop::new(NonZeroUsize::MIN)),
            secrets: MasterKey::generate(&OsRandom).secrets(),
            mailer: Arc::new(Mailbox::default()),
        };
        let core = Arc::new(IdentSphere::new(ports, policy()));
        core.prepare().await.unwrap();
        let drain = Drain::default();
        let app = App::new(core.clone(), http_config(drain.clone())).unwrap();
        Self { core, app, clock, drain }
    }
}

pub(crate) fn http_config(drain: Drain) -> HttpConfig {
    HttpConfig {
        base_url: BASE.parse().unwrap(),
        app_name: "IdentSphere".to_owned(),
        cookies: CookieSettings::new("identsphere", None, SameSite::Lax, Transport::Secure).unwrap(),
        csrf_key: SecretBytes::new([9; 32]),
        cors_origins: vec![Origin::parse(LISTED).unwrap()],
        trusted_proxies: vec!["192.0.2.0/24".parse().unwrap()],
        public_max_age: Duration::from_secs(300),
        drain,
        development_mail: None,
    }
}

fn policy() -> Policy {
    const DAY: Duration = Duration::from_secs(86_400);
    Policy {
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
        relying_party: RelyingParty::new("id.example.com", "IdentSphere", vec![BASE.to_owned()]).unwrap(),
        rbac: RbacConfig::default_matrix(),
    }
}

/// The real vault, whose one key is made once a program: making keys takes its time.
struct OneKeyVault(RsaVault);

impl OneKeyVault {
    fn new() -> Self {
        static MASTER_KEY: OnceLock<MasterKey> = OnceLock::new();
        let master_key = MASTER_KEY.get_or_init(|| MasterKey::generate(&OsRandom));
        Self(RsaVault::new(RsaSize::Bits2048, master_key, Arc::new(OsRandom)))
    }
}

impl KeyVault for OneKeyVault {
    fn generate(&self) -> Result<GeneratedKey, KeyError> {
        static KEY: OnceLock<GeneratedKey> = OnceLock::new();
        Ok(KEY.get_or_init(|| self.0.generate().unwrap()).clone())
    }

    fn signer(&self, key: &SigningKey) -> Result<Arc<dyn TokenSigner>, KeyError> {
        self.0.signer(key)
    }

    fn verifier(&self, key: &PublicKey) -> Result<Arc<dyn TokenVerifier>, KeyError> {
        self.0.verifier(key)
    }
}
