//! Settings from every source, right and wrong.

mod passkeys;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use identsphere_kernel::Duration;

use crate::{Check, Faults, Loaded, Rejection, Source, Sources, StoreLocation, load};

const KEY: &str = "nxxC1wXoazH6dy7AE4hdtGAp85pM3gFWqzTvfJAbxWg=";

/// A machine with an environment, flags and files, and no other.
#[derive(Default)]
struct Machine {
    flags: Vec<(String, String)>,
    environment: BTreeMap<String, String>,
    files: BTreeMap<&'static str, &'static str>,
    checks: Vec<Check>,
}

impl Machine {
    fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    fn flag(mut self, name: &str, value: &str) -> Self {
        self.flags.push((name.to_owned(), value.to_owned()));
        self
    }

    fn file(mut self, path: &'static str, text: &'static str) -> Self {
        self.files.insert(path, text);
        self
    }

    fn load(self) -> Result<Loaded, Faults> {
        let Self { flags, environment, files, checks } = self;
        let read_file = move |path: &Path| -> io::Result<String> {
            let text = path.to_str().and_then(|path| files.get(path));
            text.map(|text| (*text).to_owned()).ok_or_else(|| io::ErrorKind::NotFound.into())
        };
        load(&Sources { flags, environment, read_file: &read_file, cores: 4, checks: &checks })
    }

    fn loaded(self) -> Loaded {
        self.load().unwrap_or_else(|faults| panic!("{faults}"))
    }

    fn faults(self) -> Vec<String> {
        let faults = self.load().map(|_| ()).unwrap_err();
        faults.0.iter().map(ToString::to_string).collect()
    }

    /// The one fault there is.
    fn fault(self) -> String {
        let mut faults = self.faults();
        assert_eq!(faults.len(), 1, "{faults:#?}");
        faults.remove(0)
    }
}

fn machine() -> Machine {
    Machine::default()
}

fn refuse(_: &str) -> Result<(), Rejection> {
    Err(Rejection::because("is too weak"))
}

fn shown(loaded: &Loaded, key: &str) -> (Option<String>, Source) {
    let row = loaded.effective.iter().find(|row| row.key == key).unwrap();
    (row.value.clone(), row.source)
}

#[test]
fn nothing_set_is_a_working_set() {
    let loaded = machine().loaded();
    let settings = &loaded.settings;
    assert_eq!(settings.listen.to_string(), "127.0.0.1:4000");
    assert_eq!(settings.public_base_url.to_string(), "http://localhost:4000");
    assert_eq!(settings.tokens.issuer, "http://localhost:4000");
    assert_eq!(settings.store.location.to_string(), "sqlite://identsphere.db");
    assert_eq!(settings.store.pool_size, 12);
    assert_eq!(settings.workers, 4);
    assert!(!settings.cookies.secure);
    assert!(settings.master_key.is_none());
    assert!(loaded.warnings.is_empty());
    assert_eq!(shown(&loaded, "issuer"), (Some("http://localhost:4000".to_owned()), Source::Derived));
    assert_eq!(shown(&loaded, "audience"), (None, Source::Default));
    assert_eq!(settings.tokens.step_up_ttl, Duration::from_secs(1_800));
}

#[test]
fn flags_win_over_the_environment_over_the_file_over_defaults() {
    let machine = machine()
        .file(
            "identsphere.toml",
            "listen = '127.0.0.1:1'\naccess_expiry_secs = 61\nrefresh_grace_secs = 1\nlog = 'warn'",
        )
        .env("IDENTSPHERE_LISTEN", "127.0.0.1:2")
        .env("IDENTSPHERE_ACCESS_EXPIRY_SECS", "62")
        .flag("listen", "127.0.0.1:3");
    let loaded = machine.loaded();
    assert_eq!(shown(&loaded, "listen"), (Some("127.0.0.1:3".to_owned()), Source::Flag));
    assert_eq!(shown(&loaded, "access_expiry_secs"), (Some("62".to_owned()), Source::Environment));
    assert_eq!(shown(&loaded, "refresh_grace_secs"), (Some("1".to_owned()), Source::File));
    assert_eq!(shown(&loaded, "refresh_expiry_secs"), (Some("2592000".to_owned()), Source::Default));
    assert_eq!(loaded.settings.listen.port(), 3);
    assert_eq!(loaded.settings.log_filter, "warn");
    assert_eq!(loaded.settings.public_base_url.to_string(), "http://localhost:3");
}

#[test]
fn every_fault_is_reported_at_once_with_value_rule_and_nearest() {
    let faults = machine()
        .file("identsphere.toml", "workers = 9000\ncookie = { samesite = 'laks' }")
        .env("IDENTSPHERE_ACCESS_EXPIRY_SECS", "30")
        .env("IDENTSPHERE_LISEN", "127.0.0.1:1")
        .env("IDENTSPHERE_PUBLIC_BASE_URL", "https://auth.example.com/path")
        .env("IDENTSPHERE_TRUSTED_PROXIES", "10.0.0.0/8,ten")
        .flag("jwks-cache-secs", "soon")
        .faults();
    for expected in [
        "IDENTSPHERE_LISEN: is not a setting; try `IDENTSPHERE_LISTEN`",
        "IDENTSPHERE_ACCESS_EXPIRY_SECS = \"30\": must be a whole number from 60 to 3600; try `60`",
        "workers in identsphere.toml = \"9000\": must be a whole number from 1 to 512; try `512`",
        "cookie_samesite in identsphere.toml = \"laks\": must be `lax` or `strict` or `none`; try `lax`",
        "--set jwks-cache-secs = \"soon\": must be a whole number from 60 to 900; try `300`",
        "IDENTSPHERE_TRUSTED_PROXIES = \"10.0.0.0/8,ten\": `ten` is not a network",
    ] {
        assert!(faults.iter().any(|fault| fault == expected), "{expected}\n{faults:#?}");
    }
    let base = "IDENTSPHERE_PUBLIC_BASE_URL = \"https://auth.example.com/path\"";
    assert!(
        faults
            .iter()
            .any(|fault| fault.starts_with(base) && fault.ends_with("try `https://auth.example.com`"))
    );
    assert_eq!(faults.len(), 7);
}

#[test]
fn a_value_that_is_overridden_is_not_judged() {
    let loaded = machine().env("IDENTSPHERE_WORKERS", "many").flag("workers", "2").loaded();
    assert_eq!(loaded.settings.workers, 2);
}

#[test]
fn secrets_are_masked_wherever_they_come_from() {
    let loaded = machine()
        .env("IDENTSPHERE_MASTER_KEY", KEY)
        .env("IDENTSPHERE_DATABASE_URL", "postgres://auth:hunter2@db/auth")
        .loaded();
    let printed = format!("{loaded:?}");
    assert!(!printed.contains("hunter2") && !printed.contains(KEY), "{printed}");
    assert_eq!(shown(&loaded, "master_key").0.as_deref(), Some("***"));
    assert_eq!(shown(&loaded, "database_url").0.as_deref(), Some("postgres://auth:***@db/auth"));
}

#[test]
fn a_refused_secret_is_not_repeated() {
    for (name, value) in
        [("IDENTSPHERE_MASTER_KEY", "hunter2"), ("IDENTSPHERE_DATABASE_URL", "mysql://auth:hunter2@db/auth")]
    {
        let mut machine = machine().env(name, value);
        machine.checks.push(Check { key: "master_key", check: refuse });
        let fault = machine.fault();
        assert!(fault.starts_with(name), "{fault}");
        assert!(!fault.contains("hunter2"), "{fault}");
    }
}

#[test]
fn secrets_on_the_command_line_are_refused() {
    for (name, value) in [("master_key", KEY), ("IDENTSPHERE_DATABASE_URL", "postgres://a:hunter2@db/a")] {
        let fault = machine().flag(name, value).fault();
        assert!(fault.contains("command line") && !fault.contains(value), "{fault}");
    }
    assert!(machine().flag("database-url", "memory:").load().is_ok());
}

#[test]
fn a_secret_may_stand_in_a_file() {
    let file = || machine().file("/run/key", "nxxC1wXoazH6dy7AE4hdtGAp85pM3gFWqzTvfJAbxWg=\n");
    let loaded = file().env("IDENTSPHERE_MASTER_KEY_FILE", "/run/key").loaded();
    assert!(loaded.settings.master_key.is_some());
    assert_eq!(shown(&loaded, "master_key").0.as_deref(), Some("*** (from /run/key)"));
    let both =
        file().env("IDENTSPHERE_MASTER_KEY_FILE", "/run/key").env("IDENTSPHERE_MASTER_KEY", KEY).fault();
    assert!(both.contains("not both"), "{both}");
    let missing = machine().env("IDENTSPHERE_MASTER_KEY_FILE", "/run/absent").fault();
    assert!(missing.contains("/run/absent") && missing.contains("cannot be read"), "{missing}");
}

#[test]
fn the_plain_database_url_is_read_when_there_is_no_other() {
    let plain = || machine().env("DATABASE_URL", "sqlite://plain.db");
    assert_eq!(plain().loaded().settings.store.location.to_string(), "sqlite://plain.db");
    let both = plain().env("IDENTSPHERE_DATABASE_URL", "memory:").loaded();
    assert!(matches!(both.settings.store.location, StoreLocation::Memory));
    let fault = machine().env("DATABASE_URL", "mysql://db/app").fault();
    assert!(fault.starts_with("DATABASE_URL ="), "{fault}");
}

#[test]
fn postgres_asks_for_a_master_key() {
    let fault = machine().env("DATABASE_URL", "postgres://db/auth").fault();
    assert!(fault.starts_with("IDENTSPHERE_MASTER_KEY: is required"), "{fault}");
    assert!(
        machine().env("DATABASE_URL", "postgres://db/auth").env("IDENTSPHERE_MASTER_KEY", KEY).load().is_ok()
    );
}

#[test]
fn cookies_follow_the_base_url() {
    let base = |url: &str| machine().env("IDENTSPHERE_PUBLIC_BASE_URL", url);
    assert!(base("https://auth.example.com").loaded().settings.cookies.secure);
    assert!(!base("http://127.0.0.1:4000").loaded().settings.cookies.secure);
    let insecure = base("https://auth.example.com").env("IDENTSPHERE_COOKIES_SECURE", "off").fault();
    assert!(insecure.contains("cannot be off"), "{insecure}");
    let plain = base("http://auth.example.com").fault();
    assert!(plain.ends_with("try `https://auth.example.com`"), "{plain}");
    assert!(base("http://auth.example.com").env("IDENTSPHERE_ALLOW_INSECURE_COOKIES", "on").load().is_ok());
    assert!(base("http://localhost").env("IDENTSPHERE_COOKIE_SAMESITE", "none").load().is_err());
    assert!(base("http://localhost").env("IDENTSPHERE_COOKIE_PREFIX", "__Secure-id").load().is_err());
    assert!(base("https://auth.example.com").env("IDENTSPHERE_COOKIE_PREFIX", "__Secure-id").load().is_ok());
}

#[test]
fn the_cookie_domain_holds_the_base_url() {
    let domain = |domain: &str| {
        machine()
            .env("IDENTSPHERE_PUBLIC_BASE_URL", "https://auth.example.com")
            .env("IDENTSPHERE_COOKIE_DOMAIN", domain)
            .load()
    };
    assert!(domain("example.com").is_ok());
    assert!(domain("auth.example.com").is_ok());
    for other in ["th.example.com", "example.org", "www.auth.example.com", "com"] {
        assert!(domain(other).is_err(), "{other}");
    }
}

#[test]
fn an_issuer_is_kept_to_the_letter() {
    let issuer =
        |url: &str| machine().env("IDENTSPHERE_PUBLIC_BASE_URL", url).loaded().settings.tokens.issuer;
    assert_eq!(issuer("https://auth.example.com/"), "https://auth.example.com");
    let given = machine().env("IDENTSPHERE_ISSUER", "https://id.example.com/").loaded();
    assert_eq!(given.settings.tokens.issuer, "https://id.example.com/");
}

#[test]
fn a_session_outlives_its_access_token() {
    let fault = machine()
        .env("IDENTSPHERE_ACCESS_EXPIRY_SECS", "3600")
        .env("IDENTSPHERE_REFRESH_EXPIRY_SECS", "3600")
        .fault();
    assert!(fault.ends_with("try `3601`"), "{fault}");
}

#[test]
fn metrics_have_a_listener_of_their_own() {
    assert!(machine().env("IDENTSPHERE_METRICS_LISTEN", "127.0.0.1:4000").load().is_err());
    assert!(machine().env("IDENTSPHERE_METRICS_LISTEN", "127.0.0.1:9400").load().is_ok());
}

#[test]
fn settings_of_later_versions_are_known_and_said_to_do_nothing() {
    let loaded = machine()
        .env("IDENTSPHERE_REDIS_URL", "redis://cache")
        .env("IDENTSPHERE_OIDC_ACME_CLIENT_SECRET", "x")
        .env("IDENTSPHERE_OAUTH_GITHUB_CLIENT_ID", "")
        .loaded();
    assert_eq!(
        loaded.warnings,
        [
            "IDENTSPHERE_OIDC_ACME_CLIENT_SECRET has no effect in this version",
            "IDENTSPHERE_REDIS_URL has no effect in this version"
        ]
    );
}

#[test]
fn empty_variables_and_service_links_are_no_settings() {
    let loaded = machine()
        .env("IDENTSPHERE_AUDIENCE", "")
        .env("IDENTSPHERE_SERVICE_HOST", "10.0.0.11")
        .env("IDENTSPHERE_SERVICE_PORT_HTTP", "4000")
        .env("IDENTSPHERE_PORT", "tcp://10.0.0.11:4000")
        .env("IDENTSPHERE_PORT_4000_TCP_ADDR", "10.0.0.11")
        .loaded();
    assert_eq!(loaded.settings.tokens.audience, None);
    assert!(machine().env("IDENTSPHERE_PORT", "4000").load().is_err());
}

#[test]
fn the_settings_file_is_found_and_judged() {
    let named =
        machine().file("/etc/auth.toml", "trusted_proxies = ['10.0.0.0/8', '::1']\nrate_limits = false");
    let loaded = named.env("IDENTSPHERE_CONFIG", "/etc/auth.toml").loaded();
    assert_eq!(loaded.settings.trusted_proxies.len(), 2);
    assert_eq!(loaded.settings.config_file.as_deref(), Some(Path::new("/etc/auth.toml")));
    let found = machine().file("identsphere.toml", "").loaded();
    assert_eq!(shown(&found, "config"), (Some("identsphere.toml".to_owned()), Source::Derived));
    assert!(!loaded.settings.rate_limits);
    let missing = machine().flag("config", "/etc/none.toml").fault();
    assert!(missing.contains("cannot be read"), "{missing}");
    let broken = machine().file("identsphere.toml", "listen = '127.0.0.1:1'\nmaster_key = hunter2").fault();
    assert!(broken.starts_with("identsphere.toml: is not TOML at line 2"), "{broken}");
    assert!(!broken.contains("hunter2"), "{broken}");
    let unknown = machine().file("identsphere.toml", "acess_expiry_secs = 60").fault();
    assert!(unknown.ends_with("try `access_expiry_secs`"), "{unknown}");
    assert!(machine().file("identsphere.toml", "config = 'x'").load().is_err());
}

#[test]
fn rules_of_other_crates_are_reported_with_the_rest() {
    let mut machine = machine().env("IDENTSPHERE_PASSWORD_HASH", "md5").env("IDENTSPHERE_WORKERS", "0");
    machine.checks.push(Check { key: "password_hash", check: refuse });
    let faults = machine.faults();
    assert!(faults.contains(
        &"IDENTSPHERE_PASSWORD_HASH = \"md5\": is too weak; try `scrypt:ln=15,r=8,p=3`".to_owned()
    ));
    assert_eq!(faults.len(), 2);
}

#[test]
fn mail_has_a_sender_a_name_and_a_place_to_lead_to() {
    let mail = machine().loaded().settings.mail;
    assert_eq!((mail.app_name.as_str(), mail.from.as_str()), ("IdentSphere", "no-reply@example.com"));
    assert_eq!((mail.site(), mail.server.is_none()), ("http://localhost:4000", true));

    let loaded = machine()
        .env("IDENTSPHERE_SMTP_URL", "smtps://user:hunter2@mail.example.com")
        .env("IDENTSPHERE_FRONTEND_URL", "https://app.example.com/account/")
        .loaded();
    assert_eq!(loaded.settings.mail.site(), "https://app.example.com/account");
    assert_eq!(shown(&loaded, "smtp_url").0.as_deref(), Some("smtps://user:***@mail.example.com"));
    assert!(!format!("{loaded:?}").contains("hunter2"));

    let plain = machine().env("IDENTSPHERE_FRONTEND_URL", "http://app.example.com").fault();
    assert!(plain.ends_with("try `https://app.example.com`"), "{plain}");
    assert!(machine().env("IDENTSPHERE_FRONTEND_URL", "http://localhost:3000").load().is_ok());
    let sender = machine().env("IDENTSPHERE_FROM_EMAIL", "Acme <a@example.com>").fault();
    assert!(sender.contains("must be an e-mail address"), "{sender}");
}
