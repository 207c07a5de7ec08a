//! The table of settings: one row each, from which values are read, faults are worded, and the reference is written.
//!
//! A row is `name: type = rule, default, secrecy;`. The name is the key in the TOML file; the variable is the same in
//! capitals after [`PREFIX`].

use std::net::SocketAddr;
use std::path::PathBuf;

use identsphere_kernel::{Email, SecretString};
use ipnet::IpNet;
use url::Url;

use crate::load::Reader;
use crate::origin::Origin;
use crate::passkey_origin::PasskeyOrigin;
use crate::rules::{
    Address, Blobs, Choice, CookieDomain, CookiePrefix, Describe, ListenAddress, MailServer, MasterKey,
    Networks, OriginRule, Origins, PasskeyOrigins, PathRule, RpId, SWITCH, Schema, Store, Text, WebAddress,
    Whole, Word,
};
use crate::settings::{LogFormat, SameSite};
use crate::store_location::StoreLocation;

/// What the name of every variable begins with.
pub const PREFIX: &str = "IDENTSPHERE_";

/// One row of the table.
pub struct Setting {
    /// The name in the file and in flags, for example `access_expiry_secs`. A part in angle brackets stands for any text.
    pub key: &'static str,
    /// What it is for.
    pub doc: &'static str,
    pub(crate) default: Preset,
    pub(crate) secrecy: Secrecy,
    /// `None`: what it belongs to is not part of this version.
    pub(crate) rule: Option<&'static dyn Describe>,
}

/// What holds when nothing is set.
#[derive(Clone, Copy)]
pub(crate) enum Preset {
    /// This value.
    Value(&'static str),
    /// A value that follows from other settings or the machine, in words.
    Derived(&'static str),
    /// Nothing.
    Absent,
}

/// How much of a value may be shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Secrecy {
    /// All of it.
    Open,
    /// All but a password inside the URL.
    Location,
    /// Nothing.
    Secret,
}

use self::Preset::{Absent, Derived, Value};
use self::Secrecy::{Location, Open, Secret};

impl Setting {
    /// The environment variable.
    pub fn variable(&self) -> String {
        format!("{PREFIX}{}", self.key.to_ascii_uppercase())
    }

    /// Whether this version does anything with it.
    pub fn has_effect(&self) -> bool {
        self.rule.is_some()
    }

    /// Whether a file may hold the value instead, named by the same variable with `_FILE` at its end.
    pub fn has_file_variant(&self) -> bool {
        self.secrecy != Open
    }

    fn answers_to(&self, key: &str) -> bool {
        match self.key.split_once("<id>") {
            None => self.key == key,
            Some((start, end)) => key
                .strip_prefix(start)
                .and_then(|rest| rest.strip_suffix(end))
                .is_some_and(|id| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric())),
        }
    }
}

/// The row that answers to a key, and whether the key names its `_file` variant.
pub(crate) fn find(key: &str) -> Option<(&'static Setting, bool)> {
    let direct = SETTINGS.iter().find(|setting| setting.answers_to(key)).map(|setting| (setting, false));
    direct.or_else(|| {
        let stem = key.strip_suffix("_file")?;
        let mut rows = SETTINGS.iter().filter(|setting| setting.has_file_variant());
        rows.find(|setting| setting.answers_to(stem)).map(|setting| (setting, true))
    })
}

/// Every name that [`find`] knows, for suggestions.
pub(crate) fn known_keys() -> Vec<String> {
    let variants = SETTINGS.iter().filter(|setting| setting.has_file_variant());
    let variants = variants.map(|setting| format!("{}_file", setting.key));
    SETTINGS.iter().map(|setting| setting.key.to_owned()).chain(variants).collect()
}

macro_rules! registry {
    (
        now { $($(#[doc = $doc:literal])+ $key:ident: $type:ty = $rule:expr, $default:expr, $secrecy:expr;)+ }
        later { $($(#[doc = $later_doc:literal])+ $later_key:literal, $later_secrecy:expr;)+ }
    ) => {
        /// Every setting there is, in the order of the reference.
        pub static SETTINGS: &[Setting] = &[
            $(Setting {
                key: stringify!($key),
                doc: concat!($($doc),+).trim_ascii_start(),
                default: $default,
                secrecy: $secrecy,
                rule: Some(&$rule),
            },)+
            $(Setting {
                key: $later_key,
                doc: concat!($($later_doc),+).trim_ascii_start(),
                default: Absent,
                secrecy: $later_secrecy,
                rule: None,
            },)+
        ];

        /// The values as read, each `None` when nothing is set or the text was refused.
        pub(crate) struct Values { $(pub(crate) $key: Option<$type>,)+ }

        impl Values {
            pub(crate) fn read(reader: &mut Reader<'_>) -> Self {
                Self { $($key: reader.read(stringify!($key), &$rule),)+ }
            }
        }
    };
}

registry! {
    now {
        /// Address and port of the service.
        listen: SocketAddr = ListenAddress, Value("127.0.0.1:4000"), Open;
        /// Where browsers meet the service. Cookies are secure by it, and writes from other origins are refused.
        public_base_url: Origin = OriginRule, Derived("`http://localhost:4000`, with the port of `LISTEN`"), Open;
        /// Where data lives. The plain variable `DATABASE_URL` is read when this one is not set.
        database_url: StoreLocation = Store, Value("sqlite://identsphere.db"), Location;
        /// Where uploaded pictures live. `s3:` needs a server that was built with the feature `s3`.
        blob_url: String = Blobs, Value("file://./identsphere-data"), Open;
        /// PostgreSQL schema of all tables.
        schema: String = Schema, Value("identsphere"), Open;
        /// Most connections to PostgreSQL.
        db_pool_size: u32 = Whole { min: 1, max: 1_000 }, Derived("2 × cores + 4"), Open;
        /// Key that seals the private signing keys. Required with PostgreSQL: every node needs the same one.
        master_key: SecretString = MasterKey, Derived("drawn on the first start and kept beside the SQLite database, mode 0600"), Secret;
        /// The `iss` of every token, compared byte for byte by those who check it.
        issuer: String = Word, Derived("the base URL, without a slash at its end"), Open;
        /// The `aud` of every token.
        audience: String = Word, Absent, Open;
        /// Life of an access token.
        access_expiry_secs: u32 = Whole { min: 60, max: 3_600 }, Value("900"), Open;
        /// Life of a session: its refresh tokens never outlive it.
        refresh_expiry_secs: u32 = Whole { min: 120, max: 31_536_000 }, Value("2592000"), Open;
        /// How long a refresh token that was just used is answered with the same successor (two tabs, a lost response).
        refresh_grace_secs: u32 = Whole { min: 0, max: 60 }, Value("10"), Open;
        /// How long a second factor or passkey that was shown in a session lets it do what asks for one.
        step_up_ttl_secs: u32 = Whole { min: 60, max: 86_400 }, Value("1800"), Open;
        /// How long a key signs before the next takes over.
        key_rotation_days: u32 = Whole { min: 1, max: 3_650 }, Value("90"), Open;
        /// How long others may cache the public keys. A new key is published for longer than this before it signs.
        jwks_cache_secs: u32 = Whole { min: 60, max: 900 }, Value("300"), Open;
        /// Size of new signing keys.
        rsa_bits: u32 = Choice(&[("2048", 2_048), ("3072", 3_072), ("4096", 4_096)]), Value("2048"), Open;
        /// The relying party id: the host name that passkeys are bound to. Another one makes all of them useless.
        rp_id: String = RpId, Derived("the host of the base URL; `localhost` if that is an address"), Open;
        /// Origins of the pages and apps that may use passkeys. Those on hosts outside of `RP_ID` need related origins.
        rp_origin: Vec<PasskeyOrigin> = PasskeyOrigins, Derived("the base URL"), Open;
        /// Name of the service in the dialogues of passkeys.
        rp_name: String = Text { max: 100 }, Derived("`APP_NAME`"), Open;
        /// How new passwords are hashed: also `argon2id:m=19456,t=2,p=1`. Anything under the OWASP floor is refused.
        password_hash: String = Word, Value("scrypt:ln=15,r=8,p=3"), Open;
        /// Most memory that password hashing holds at once.
        hash_memory_mib: u32 = Whole { min: 16, max: 1_048_576 }, Value("512"), Open;
        /// Longest wait for a password hash to begin before a request is answered 503. Whoever would wait for more than half of it is answered so at once.
        hash_queue_ms: u32 = Whole { min: 0, max: 30_000 }, Value("2000"), Open;
        /// Whether browsers send cookies over https only. Cannot be off with an https base URL.
        cookies_secure: bool = SWITCH, Derived("on with an https base URL"), Open;
        /// What the names of cookies begin with.
        cookie_prefix: String = CookiePrefix, Value("identsphere"), Open;
        /// Domain of cookies, to share them with sibling hosts.
        cookie_domain: String = CookieDomain, Absent, Open;
        /// `SameSite` of cookies. `none` needs secure cookies.
        cookie_samesite: SameSite = Choice(&[("lax", SameSite::Lax), ("strict", SameSite::Strict), ("none", SameSite::None)]), Value("lax"), Open;
        /// Allows an http base URL on a host other than this machine. Tokens then cross the network in the clear.
        allow_insecure_cookies: bool = SWITCH, Value("off"), Open;
        /// Other origins whose pages may call the service with cookies.
        cors_origins: Vec<Origin> = Origins, Absent, Open;
        /// Proxies whose `X-Forwarded-For` is believed.
        trusted_proxies: Vec<IpNet> = Networks, Absent, Open;
        /// Whether requests are rate limited.
        rate_limits: bool = SWITCH, Value("on"), Open;
        /// Address and port of `/metrics`, which is served nowhere else.
        metrics_listen: SocketAddr = ListenAddress, Absent, Open;
        /// What is logged: a level, or filters such as `info,identsphere_core=debug`.
        log: String = Text { max: 1_000 }, Value("info,actix_server=warn"), Open;
        /// Form of the log, on standard error.
        log_format: LogFormat = Choice(&[("text", LogFormat::Text), ("json", LogFormat::Json)]), Value("text"), Open;
        /// Threads that serve requests.
        workers: u32 = Whole { min: 1, max: 512 }, Derived("cores"), Open;
        /// After SIGTERM: how long new connections are still taken while `/readyz` already answers 503. Requests in flight then get 20 s more.
        drain_secs: u32 = Whole { min: 0, max: 9 }, Value("5"), Open;
        /// Name of the service in mail.
        app_name: String = Text { max: 100 }, Value("IdentSphere"), Open;
        /// Where mail links and redirects after sign-in lead.
        frontend_url: Url = WebAddress, Derived("the base URL"), Open;
        /// Sender of mail.
        from_email: Email = Address, Value("no-reply@example.com"), Open;
        /// Mail server. Without one no mail is sent: with a base URL on this machine it can be read at `/dev/mail`, with any other it is lost.
        smtp_url: SecretString = MailServer, Absent, Location;
        /// Folder with templates of mail that stand for the built-in ones of the same name.
        mail_templates: PathBuf = PathRule, Absent, Open;
        /// The TOML file with settings. Not a setting inside that file.
        config: PathBuf = PathRule, Derived("`identsphere.toml`, if there is one"), Open;
    }
    later {
        /// Redis server.
        "redis_url", Location;
        /// Google sign-in: client id.
        "oauth_google_client_id", Open;
        /// Google sign-in: client secret.
        "oauth_google_client_secret", Secret;
        /// Google sign-in: another issuer.
        "oauth_google_issuer", Open;
        /// GitHub sign-in: client id.
        "oauth_github_client_id", Open;
        /// GitHub sign-in: client secret.
        "oauth_github_client_secret", Secret;
        /// GitHub sign-in: another server.
        "oauth_github_base_url", Open;
        /// OpenID Connect provider: issuer.
        "oidc_<id>_issuer", Open;
        /// OpenID Connect provider: client id.
        "oidc_<id>_client_id", Open;
        /// OpenID Connect provider: client secret.
        "oidc_<id>_client_secret", Secret;
        /// OpenID Connect provider: name on the button.
        "oidc_<id>_name", Open;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn keys_are_unique() {
        let keys: HashSet<_> = known_keys().into_iter().collect();
        assert_eq!(keys.len(), known_keys().len());
    }

    #[test]
    fn secrets_have_a_file_variant_and_providers_any_id() {
        assert!(find("master_key_file").is_some_and(|(setting, file)| setting.key == "master_key" && file));
        assert!(find("listen_file").is_none());
        assert!(find("oidc_acme_client_secret").is_some());
        assert!(find("oidc_acme_client_secret_file").is_some_and(|(_, file)| file));
        assert!(find("oidc__issuer").is_none());
    }
}
