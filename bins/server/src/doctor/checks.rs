//! The checks of the doctor.

use std::path::Path;
use std::time::Instant;

use identsphere_accounts::Password;
use identsphere_core::{PasswordHasher, Store, Verification};
use identsphere_kernel::SystemClock;
use identsphere_mail::SmtpMailer;
use identsphere_settings::{Loaded, Settings, StoreLocation};

use super::Finding;
use crate::compose;
use crate::failure::Failure;
use crate::mail;
use crate::master_key::{self, KeyPlace};

pub(super) fn settings(loaded: &Loaded) -> Finding {
    let file = loaded.settings.config_file.as_ref();
    let read = file.map_or("no settings file".to_owned(), |file| format!("{} read", file.display()));
    match &loaded.warnings[..] {
        [] => Finding::ok("settings", format!("valid, {read}")),
        warnings => Finding::warn("settings", warnings.join(", "), "remove what has no effect"),
    }
}

/// Whether cookies, base URL and listeners fit together.
pub(super) fn exposure(settings: &Settings) -> Vec<Finding> {
    let base = &settings.public_base_url;
    let mut findings = Vec::new();
    findings.push(if base.is_https() {
        Finding::ok("base URL", format!("{base}, secure cookies"))
    } else if !base.is_loopback() {
        let next = "use https: IDENTSPHERE_ALLOW_INSECURE_COOKIES is for networks that nobody else is on";
        Finding::warn("base URL", format!("{base}: tokens cross the network in the clear"), next)
    } else if settings.listen.ip().is_loopback() {
        Finding::ok("base URL", format!("{base}, for this machine alone"))
    } else {
        let found = format!("{base}, but {} is reachable from other machines", settings.listen);
        Finding::warn(
            "base URL",
            found,
            "set IDENTSPHERE_PUBLIC_BASE_URL to the https address that users see",
        )
    });
    if base.is_https() && settings.trusted_proxies.is_empty() {
        let found =
            "none: every request counts as coming from the machine that ends TLS, which rate limits then hit";
        findings.push(Finding::warn("proxies", found, "set IDENTSPHERE_TRUSTED_PROXIES to its address"));
    }
    if let Some(everybody) = settings.trusted_proxies.iter().find(|network| network.prefix_len() == 0) {
        let found = format!(
            "{everybody} is everybody: clients choose the address that rate limits and the audit log see"
        );
        findings.push(Finding::warn(
            "proxies",
            found,
            "let IDENTSPHERE_TRUSTED_PROXIES name the proxies alone",
        ));
    }
    if !settings.rate_limits {
        let next = "set IDENTSPHERE_RATE_LIMITS=on unless something in front limits sign-ins";
        findings.push(Finding::warn("rate limits", "off", next));
    }
    if let Some(listen) = settings.metrics_listen.filter(|listen| listen.ip().is_unspecified()) {
        let next = "let IDENTSPHERE_METRICS_LISTEN name an address of the inner network";
        findings.push(Finding::warn(
            "metrics",
            format!("{listen} is on every network of this machine"),
            next,
        ));
    }
    findings
}

/// Whether the schema is up to date, and the keys open.
pub(super) async fn store(settings: &Settings, store: &dyn Store) -> Vec<Finding> {
    let state = match store.schema_state().await {
        Ok(state) => state,
        Err(error) => return vec![Finding::failure("migrations", &error.into())],
    };
    if !state.pending.is_empty() {
        let found = format!("pending: {}", state.pending.join(", "));
        let next = "run `identsphere-server migrate up`; a plain start does so as well";
        return vec![Finding::warn("migrations", found, next)];
    }
    let applied = if state.newer.is_empty() {
        Finding::ok("migrations", format!("{} applied, none pending", state.applied.len()))
    } else {
        let found = format!("a newer version has applied {}", state.newer.join(", "));
        Finding::warn("migrations", found, "upgrade this program to that version")
    };
    vec![applied, keys(settings, store).await]
}

async fn keys(settings: &Settings, store: &dyn Store) -> Finding {
    match judge_keys(settings, store).await {
        Ok(0) => Finding::warn("keys", "none yet", "the first start of the server makes one"),
        Ok(count) => {
            Finding::ok("keys", format!("{count} open under the master key, and the clock fits them"))
        }
        Err(failure) => Finding::failure("keys", &failure),
    }
}

async fn judge_keys(settings: &Settings, store: &dyn Store) -> Result<usize, Failure> {
    let place = master_key::place(settings);
    let Some(master_key) = master_key::find(settings, &place)? else {
        return match place {
            KeyPlace::File(path) if !store.list_signing_keys().await?.is_empty() => {
                Err(Failure::KeyFileMissing(path))
            }
            KeyPlace::File(_) | KeyPlace::Settings | KeyPlace::Process => Ok(0),
        };
    };
    let vault = compose::vault(settings, &master_key)?;
    compose::judge_keys(store, &vault, &SystemClock).await
}

/// Whether others on this machine can read what only the server should.
pub(super) fn files(settings: &Settings) -> Vec<Finding> {
    let key = match master_key::place(settings) {
        KeyPlace::File(path) => private("key file", &path),
        KeyPlace::Settings | KeyPlace::Process => None,
    };
    let database = match &settings.store.location {
        StoreLocation::Sqlite(path) => private("database", path),
        StoreLocation::Postgres(_) | StoreLocation::Memory => None,
    };
    [key, database].into_iter().flatten().collect()
}

#[cfg(unix)]
fn private(about: &'static str, path: &Path) -> Option<Finding> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = path.metadata().ok()?.permissions().mode() & 0o777;
    let path = path.display();
    Some(if mode & 0o077 == 0 {
        Finding::ok(about, format!("{path} has mode {mode:04o}"))
    } else {
        let found = format!("{path} has mode {mode:04o}: others on this machine may use it");
        Finding::fail(about, found, format!("run `chmod 600 {path}`"))
    })
}

#[cfg(not(unix))]
fn private(_: &'static str, _: &Path) -> Option<Finding> {
    None
}

/// Whether what crosses the network to the database is protected.
pub(super) fn database(settings: &Settings) -> Option<Finding> {
    let protection = compose::protection(settings)?;
    Some(match compose::warning(protection) {
        None => Finding::ok("database", "its connections stay on this machine, or it proves who it is"),
        Some(warning) => Finding::warn(
            "database",
            warning,
            "end IDENTSPHERE_DATABASE_URL with ?sslmode=verify-full, and &sslrootcert=FILE if its authority is your own",
        ),
    })
}

/// Whether a password can be hashed and checked, and how long it takes.
pub(super) async fn hashing(settings: &Settings) -> Finding {
    /// Faster than this, guessing is cheap for whoever steals the table.
    const FLOOR_MS: u128 = 10;
    /// Slower than this, people notice.
    const CEILING_MS: u128 = 1_000;
    let scheme = &settings.passwords.scheme;
    let took = match hash_once(settings).await {
        Ok(took) => took,
        Err(failure) => return Finding::failure("hashing", &failure),
    };
    let found = format!("{took} ms for {scheme}");
    match took {
        ..FLOOR_MS => Finding::warn(
            "hashing",
            found,
            "this machine is fast: raise the parameters of IDENTSPHERE_PASSWORD_HASH",
        ),
        FLOOR_MS..=CEILING_MS => Finding::ok("hashing", found),
        _ => Finding::warn(
            "hashing",
            found,
            "sign-ins are slow: a cheaper scheme above the floor may fit better",
        ),
    }
}

async fn hash_once(settings: &Settings) -> Result<u128, Failure> {
    let hasher = compose::hasher(settings)?;
    let sample =
        || Password::present("a sample for the doctor").map_err(|error| Failure::Compose(error.into()));
    let began = Instant::now();
    let hash = hasher.hash(sample()?).await.map_err(|error| Failure::Compose(error.into()))?;
    let took = began.elapsed().as_millis();
    match hasher.verify(sample()?, Some(hash)).await {
        Ok(Verification::Match) => Ok(took),
        Ok(Verification::MatchOutdated | Verification::Mismatch) => {
            Err(Failure::Compose("a fresh hash does not verify".into()))
        }
        Err(error) => Err(Failure::Compose(error.into())),
    }
}

/// Whether the templates work, and the mail server greets us. Sends nothing.
pub(super) async fn mail(settings: &Settings) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(warning) = mail::warning(settings) {
        findings.push(Finding::warn("mail", warning, "see \"Mail\" in docs/operators.md"));
    }
    match mail::smtp_mailer(settings) {
        Err(failure) => findings.push(Finding::failure("mail", &failure)),
        Ok(None) if findings.is_empty() => {
            findings.push(Finding::ok("mail", "not sent, to be read at /dev/mail on this machine"));
        }
        Ok(None) => {}
        Ok(Some(mailer)) => findings.push(greet(settings, &mailer).await),
    }
    findings
}

async fn greet(settings: &Settings, mailer: &SmtpMailer) -> Finding {
    let server = mailer.server().to_string();
    match mailer.greet().await {
        Ok(()) if settings.mail.server.as_ref().is_some_and(mail::is_exposed) => Finding::warn(
            "mail",
            format!("{server} greets, but links and codes cross the network in the clear"),
            "use smtps:// or ?tls=required unless nobody else is on that network",
        ),
        Ok(()) => Finding::ok("mail", format!("{server} greets")),
        Err(source) => Finding::failure("mail", &Failure::MailServer { server, source: source.into() }),
    }
}
