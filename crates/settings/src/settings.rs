//! The settings as the composition root wants them.

use std::net::SocketAddr;
use std::path::PathBuf;

use identsphere_kernel::{Duration, Email, SecretString};
use ipnet::IpNet;
use url::Url;

use crate::origin::Origin;
use crate::passkey_origin::PasskeyOrigin;
use crate::store_location::StoreLocation;

/// Every setting, checked on its own and against the others.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The settings file that was read; `None`: there is none.
    pub config_file: Option<PathBuf>,
    /// Where the service listens.
    pub listen: SocketAddr,
    /// Where `/metrics` listens; `None`: nowhere.
    pub metrics_listen: Option<SocketAddr>,
    /// Threads that serve requests.
    pub workers: usize,
    /// After SIGTERM: how long new connections are still taken.
    pub drain: Duration,
    /// Which events are logged, in the syntax of the tracing filter.
    pub log_filter: String,
    /// How they are written.
    pub log_format: LogFormat,
    /// Where browsers meet the service.
    pub public_base_url: Origin,
    /// Other origins whose pages may call the service with cookies.
    pub cors_origins: Vec<Origin>,
    /// Proxies whose forwarding headers are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Whether requests are rate limited.
    pub rate_limits: bool,
    /// Where data lives.
    pub store: StoreSettings,
    /// Where uploaded files live.
    pub blob_url: String,
    /// The key that seals private keys, as text; `None`: the one beside the database.
    pub master_key: Option<SecretString>,
    /// Cookies.
    pub cookies: CookieSettings,
    /// Tokens and sessions.
    pub tokens: TokenSettings,
    /// Passkeys.
    pub passkeys: PasskeySettings,
    /// Signing keys.
    pub keys: KeySettings,
    /// Password hashing.
    pub passwords: PasswordSettings,
    /// Mail.
    pub mail: MailSettings,
}

/// Mail.
#[derive(Debug, Clone)]
pub struct MailSettings {
    /// What the service calls itself.
    pub app_name: String,
    /// Where links lead.
    pub frontend_url: Url,
    /// The sender.
    pub from: Email,
    /// The mail server; `None`: mail is not sent.
    pub server: Option<SecretString>,
    /// The folder with templates of the operator's.
    pub templates: Option<PathBuf>,
}

impl MailSettings {
    /// Where links lead, without a slash at its end.
    pub fn site(&self) -> &str {
        self.frontend_url.as_str().trim_end_matches('/')
    }
}

/// Where data lives.
#[derive(Debug, Clone)]
pub struct StoreSettings {
    /// Which store, and where.
    pub location: StoreLocation,
    /// PostgreSQL schema of all tables.
    pub schema: String,
    /// Most connections to PostgreSQL.
    pub pool_size: u32,
}

/// How cookies are set (RFC 6265).
#[derive(Debug, Clone)]
pub struct CookieSettings {
    /// Sent over https only.
    pub secure: bool,
    /// What their names begin with.
    pub prefix: String,
    /// Their domain; `None`: this host alone.
    pub domain: Option<String>,
    /// With which cross-site requests they are sent.
    pub same_site: SameSite,
}

/// With which cross-site requests a cookie is sent (RFC 6265bis §5.6.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SameSite {
    /// With top-level navigation.
    Lax,
    /// With none.
    Strict,
    /// With all.
    None,
}

/// Tokens and sessions.
#[derive(Debug, Clone)]
pub struct TokenSettings {
    /// The `iss` claim.
    pub issuer: String,
    /// The `aud` claim.
    pub audience: Option<String>,
    /// Life of an access token.
    pub access_ttl: Duration,
    /// Life of a session.
    pub refresh_ttl: Duration,
    /// How long a used refresh token is answered with the same successor.
    pub refresh_grace: Duration,
    /// How long a step-up counts.
    pub step_up_ttl: Duration,
}

/// Who we are to browsers and authenticators (WebAuthn §5.4.2).
#[derive(Debug, Clone)]
pub struct PasskeySettings {
    /// The relying party id: a host name.
    pub rp_id: String,
    /// Where ceremonies may come from; never empty.
    pub origins: Vec<PasskeyOrigin>,
    /// The name, for people.
    pub name: String,
}

/// Signing keys.
#[derive(Debug, Clone)]
pub struct KeySettings {
    /// How long a key signs.
    pub rotation_interval: Duration,
    /// How long others may cache the public keys.
    pub jwks_max_age: Duration,
    /// Size of new keys.
    pub rsa_bits: u32,
}

/// Password hashing.
#[derive(Debug, Clone)]
pub struct PasswordSettings {
    /// Scheme and parameters of new hashes, in the syntax of the hasher.
    pub scheme: String,
    /// Most memory held at once, in MiB.
    pub memory_mib: u32,
    /// Longest wait for that memory.
    pub queue_wait: Duration,
}

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}
