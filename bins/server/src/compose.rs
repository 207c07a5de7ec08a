//! The composition root: adapters, chosen and joined by settings.

use std::num::NonZeroUsize;
use std::sync::Arc;

use identsphere_blob::{ObjectBlobs, PictureWorkshop};
use identsphere_core::{IdentSphere, MailReader, Mailer, Policy, Ports, RateLimits, Store};
use identsphere_crypto::{
    HashScheme, MasterKey, PasskeySignatures, PasswordPool, PoolConfig, RsaSize, RsaVault, purpose,
};
use identsphere_factors::passkey::RelyingParty;
use identsphere_http::{CookieSettings, Drain, HttpConfig, Origin, SameSite, Transport};
use identsphere_kernel::{Clock, Duration, OsRandom, SystemClock};
use identsphere_organizations::RbacConfig;
use identsphere_settings::{self as settings, Settings, StoreLocation};
use identsphere_store_memory::MemoryStore;
use identsphere_store_postgres::{PgConfig, PgStore, Protection, SchemaName};
use identsphere_store_sqlite::{SqliteOptions, SqliteStore};
use identsphere_tokens::{KeyError, KeyPolicy, KeyVault};

use crate::failure::{Cause, Failure};
pub(crate) use crate::mail::mailer;
use crate::master_key::{self, KeyPlace};

/// How far the clocks of nodes may lie apart.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(300);

/// How many uploaded pictures are made at a time, each in at most 128 MiB.
const PICTURES_AT_A_TIME: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1);

/// The service, ready to be prepared.
pub(crate) struct Composed {
    pub(crate) service: Arc<IdentSphere>,
    pub(crate) master_key: MasterKey,
    pub(crate) key_place: KeyPlace,
}

/// Opens the store that the settings name and asks it for a sign of life.
pub(crate) async fn open_store(settings: &Settings) -> Result<Arc<dyn Store>, Failure> {
    let location = settings.store.location.to_string();
    let open: Result<Arc<dyn Store>, Cause> = match &settings.store.location {
        StoreLocation::Memory => Ok(Arc::new(MemoryStore::new())),
        StoreLocation::Sqlite(path) => match SqliteStore::open(path, SqliteOptions::standard()) {
            Ok(store) => Ok(Arc::new(store)),
            Err(error) => Err(error.into()),
        },
        StoreLocation::Postgres(url) => open_postgres(settings, PgConfig::new(url.clone())),
    };
    let store = open.map_err(|source| Failure::StoreOpen { location: location.clone(), source })?;
    store.ping().await.map_err(|source| Failure::StoreAway { location, source })?;
    Ok(store)
}

/// What protects the connections to the database, if it is reached over a network.
pub(crate) fn protection(settings: &Settings) -> Option<Protection> {
    match &settings.store.location {
        StoreLocation::Postgres(url) => PgConfig::new(url.clone()).protection().ok(),
        StoreLocation::Sqlite(_) | StoreLocation::Memory => None,
    }
}

/// What an operator should know of connections that are protected like this.
pub(crate) fn warning(protection: Protection) -> Option<&'static str> {
    match protection {
        Protection::Local | Protection::Authenticated => None,
        Protection::Encrypted => Some(
            "nothing proves that it is the database that answers: whoever is on the way may read and change everything",
        ),
        Protection::None => Some(
            "connections to the database may cross the network in the clear: whoever is on the way may read and change \
             everything",
        ),
    }
}

/// Refuses a store whose schema is not up to date.
pub(crate) async fn demand_schema(store: &dyn Store) -> Result<(), Failure> {
    match store.schema_state().await?.pending {
        pending if pending.is_empty() => Ok(()),
        pending => Err(Failure::PendingMigrations(pending)),
    }
}

/// Joins the service out of its parts. The schema must be up to date.
///
/// Nothing is written under a master key that does not open what is there: the other nodes could not read it.
pub(crate) async fn compose(
    settings: &Settings,
    store: Arc<dyn Store>,
    mailer: Arc<dyn Mailer>,
) -> Result<Composed, Failure> {
    let (master_key, key_place) = master_key::find_or_draw(settings, &*store, &OsRandom).await?;
    judge_keys(&*store, &vault(settings, &master_key)?, &SystemClock).await?;
    let service = join(settings, store, mailer, &master_key)?;
    Ok(Composed { service, master_key, key_place })
}

/// Joins the service out of its parts, whatever the master key opens.
pub(crate) fn join(
    settings: &Settings,
    store: Arc<dyn Store>,
    mailer: Arc<dyn Mailer>,
    master_key: &MasterKey,
) -> Result<Arc<IdentSphere>, Failure> {
    let ports = Ports {
        store,
        hasher: Arc::new(hasher(settings)?),
        vault: Arc::new(vault(settings, master_key)?),
        clock: Arc::new(SystemClock),
        random: Arc::new(OsRandom),
        blobs: Arc::new(blobs(settings)?),
        signatures: Arc::new(PasskeySignatures),
        pictures: Arc::new(PictureWorkshop::new(PICTURES_AT_A_TIME)),
        secrets: master_key.secrets(),
        mailer,
    };
    Ok(Arc::new(IdentSphere::new(ports, policy(settings)?)))
}

/// Where uploaded pictures are kept.
fn blobs(settings: &Settings) -> Result<ObjectBlobs, Failure> {
    ObjectBlobs::open(&settings.blob_url).map_err(|error| Failure::Compose(error.into()))
}

/// What makes and opens signing keys.
pub(crate) fn vault(settings: &Settings, master_key: &MasterKey) -> Result<RsaVault, Failure> {
    let size = RsaSize::from_bits(settings.keys.rsa_bits)
        .ok_or_else(|| Failure::Compose("no such key size".into()))?;
    Ok(RsaVault::new(size, master_key, Arc::new(OsRandom)))
}

/// Opens every signing key that is there, and compares the clock with the newest.
pub(crate) async fn judge_keys(
    store: &dyn Store,
    vault: &dyn KeyVault,
    clock: &dyn Clock,
) -> Result<usize, Failure> {
    let keys = store.list_signing_keys().await?;
    for key in &keys {
        match vault.signer(key) {
            Ok(_) => {}
            Err(error @ KeyError::Sealed { .. }) => return Err(Failure::ForeignKeys(error)),
            Err(error) => return Err(Failure::Compose(error.into())),
        }
    }
    let newest = keys.iter().map(|key| key.created_at).max();
    match newest.map(|at| at.since(clock.now())) {
        Some(behind) if behind > CLOCK_TOLERANCE => {
            Err(Failure::ClockBehind { behind_secs: behind.as_secs() })
        }
        _ => Ok(keys.len()),
    }
}

/// What hashes passwords.
pub(crate) fn hasher(settings: &Settings) -> Result<PasswordPool, Failure> {
    let refused = |error: Cause| Failure::Compose(error);
    let scheme = HashScheme::parse(&settings.passwords.scheme).map_err(|error| refused(error.into()))?;
    let config = PoolConfig {
        scheme,
        memory_mib: settings.passwords.memory_mib,
        queue_wait: settings.passwords.queue_wait,
        threads: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
    };
    PasswordPool::start(config, Arc::new(OsRandom)).map_err(|error| refused(error.into()))
}

/// What HTTP needs to know.
pub(crate) fn http_config(
    settings: &Settings,
    master_key: &MasterKey,
    drain: Drain,
    development_mail: Option<Arc<dyn MailReader>>,
) -> Result<HttpConfig, Failure> {
    let refused = |error: Cause| Failure::Compose(error);
    let cookies = &settings.cookies;
    let same_site = match cookies.same_site {
        settings::SameSite::Lax => SameSite::Lax,
        settings::SameSite::Strict => SameSite::Strict,
        settings::SameSite::None => SameSite::None,
    };
    let transport = if cookies.secure { Transport::Secure } else { Transport::Plain };
    let cookies = CookieSettings::new(&cookies.prefix, cookies.domain.as_deref(), same_site, transport);
    Ok(HttpConfig {
        base_url: settings.public_base_url.as_url().clone(),
        app_name: settings.mail.app_name.clone(),
        cookies: cookies.map_err(|error| refused(error.into()))?,
        csrf_key: master_key.derive(purpose::CSRF),
        cors_origins: settings.cors_origins.iter().map(|origin| Origin::of(origin.as_url())).collect(),
        trusted_proxies: settings.trusted_proxies.clone(),
        public_max_age: settings.keys.jwks_max_age,
        drain,
        development_mail,
    })
}

fn policy(settings: &Settings) -> Result<Policy, Failure> {
    let tokens = &settings.tokens;
    Ok(Policy {
        issuer: tokens.issuer.clone(),
        audience: tokens.audience.clone(),
        access_ttl: tokens.access_ttl,
        session_ttl: tokens.refresh_ttl,
        refresh_grace: tokens.refresh_grace,
        keys: key_policy(settings),
        limits: settings.rate_limits.then(RateLimits::standard),
        frontend_url: settings.mail.site().to_owned(),
        step_up_ttl: tokens.step_up_ttl,
        relying_party: relying_party(settings)?,
        rbac: RbacConfig::default_matrix(),
    })
}

/// Who we are to browsers and authenticators.
fn relying_party(settings: &Settings) -> Result<RelyingParty, Failure> {
    let passkeys = &settings.passkeys;
    let origins = passkeys.origins.iter().map(ToString::to_string).collect();
    RelyingParty::new(&passkeys.rp_id, &passkeys.name, origins)
        .map_err(|error| Failure::Compose(error.into()))
}

/// A new key signs only when everybody can know it: other nodes, which look every few seconds, and whoever cached
/// the key set just before it was published. The contract (4.1) promises a day, which also serves libraries that ignore
/// how long they may cache. An old key stays for the longest token there can be, whatever the settings were when it was
/// issued.
pub(crate) fn key_policy(settings: &Settings) -> KeyPolicy {
    const DAY: Duration = Duration::from_secs(86_400);
    KeyPolicy {
        rotation_interval: settings.keys.rotation_interval,
        publish_ahead: DAY,
        keep_retired: Policy::MAX_ACCESS_TTL + CLOCK_TOLERANCE,
    }
}

fn open_postgres(settings: &Settings, config: PgConfig) -> Result<Arc<dyn Store>, Cause> {
    let pool_size = usize::try_from(settings.store.pool_size)?;
    let schema = SchemaName::parse(&settings.store.schema)?;
    let config = PgConfig { schema, pool_size, workers: settings.workers, ..config };
    Ok(Arc::new(PgStore::open(&config)?))
}

#[cfg(test)]
mod tests {
    use std::io;

    use identsphere_settings::{Sources, load};
    use identsphere_testkit::ManualClock;
    use identsphere_tokens::SigningKey;

    use super::*;

    /// D-13.
    #[tokio::test]
    async fn a_clock_that_is_an_hour_behind_is_noticed_by_the_newest_key() {
        let store = MemoryStore::new();
        let vault = RsaVault::new(RsaSize::Bits2048, &MasterKey::generate(&OsRandom), Arc::new(OsRandom));
        let clock = ManualClock::at(identsphere_kernel::Timestamp::from_unix_seconds(1_800_000_000));
        let made = vault.generate().unwrap();
        let key = SigningKey {
            kid: made.kid,
            public: made.public,
            private: made.private,
            predecessor: None,
            created_at: clock.now().plus(Duration::from_secs(3_600)),
            activates_at: clock.now().plus(Duration::from_secs(3_600)),
        };
        let mut tx = store.begin().await.unwrap();
        tx.keys().insert(&key).await.unwrap();
        tx.commit().await.unwrap();

        let judged = judge_keys(&store, &vault, &clock).await;
        assert!(matches!(judged, Err(Failure::ClockBehind { behind_secs: 3_600 })), "{judged:?}");
        clock.advance(Duration::from_secs(3_500));
        assert_eq!(judge_keys(&store, &vault, &clock).await.unwrap(), 1);
    }

    /// Every combination of what an operator may write, nearly right or not: what the settings accept is a relying party.
    #[test]
    fn settings_of_passkeys_that_are_accepted_are_a_relying_party() {
        let long = format!("https://{}", "a.".repeat(126) + "a");
        let bases = [
            "",
            "http://localhost:4000",
            "http://127.0.0.1:4000",
            "https://[::1]/",
            "https://Auth.Example.com",
            "https://exämple.com",
            "https://my_host",
            "https://a!b$c;d.example",
            "https://example.com.",
            &long,
        ];
        let ids =
            ["", "example.com", "Example.com", "localhost", "127.0.0.1", "my_host", "a..b", "com", "-a.b"];
        let origins = [
            "",
            "https://Example.com/",
            "http://localhost:3000,https://example.com",
            "https://my_host",
            "https://*.example.com",
            "null",
            "android:apk-key-hash:pNiP5iKyQ8JwgGOaKA1zGPUPJIS-0H1xKCQcfIoGLck,ios:bundle-id:com.example",
            "android:apk-key-hash:A",
            &long,
            ",",
        ];
        let read_file = |_: &std::path::Path| Err(io::ErrorKind::NotFound.into());
        let mut accepted = 0;
        for (base, id, origin) in bases
            .iter()
            .flat_map(|base| ids.iter().map(move |id| (base, id)))
            .flat_map(|(base, id)| origins.iter().map(move |origin| (*base, *id, *origin)))
        {
            let flags = [("public_base_url", base), ("rp_id", id), ("rp_origin", origin)]
                .map(|(name, text)| (name.to_owned(), text.to_owned()));
            let (flags, environment) = (flags.to_vec(), std::collections::BTreeMap::new());
            let sources = Sources { flags, environment, read_file: &read_file, cores: 1, checks: &[] };
            if let Ok(loaded) = load(&sources) {
                let party = relying_party(&loaded.settings);
                assert!(party.is_ok(), "{base} {id} {origin}: {party:?}");
                accepted += 1;
            }
        }
        assert!(accepted > 50, "{accepted}");
    }
}
