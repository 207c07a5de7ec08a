//! What follows from several settings together: values derived from others, and rules between them.

use std::collections::BTreeMap;

use identsphere_kernel::Duration;

use crate::load::Reader;
use crate::origin::Origin;
use crate::passkeys;
use crate::registry::Values;
use crate::settings::{
    CookieSettings, KeySettings, MailSettings, PasskeySettings, PasswordSettings, SameSite, Settings,
    StoreSettings, TokenSettings,
};
use crate::store_location::StoreLocation;

/// The texts of derived values, by setting.
pub(crate) type Derived = BTreeMap<&'static str, String>;

/// Derives what is not set, judges the whole, and assembles it; `None` when a value was refused.
pub(crate) fn resolve(
    mut values: Values,
    cores: u32,
    reader: &mut Reader<'_>,
) -> Option<(Settings, Derived)> {
    let derived = derive(&mut values, cores);
    judge_cookies(&values, reader);
    judge_tokens(&values, reader);
    judge_operations(&values, reader);
    judge_mail(&values, reader);
    passkeys::judge(&values, &derived, reader);
    assemble(values).map(|settings| (settings, derived))
}

fn derive(values: &mut Values, cores: u32) -> Derived {
    let mut derived = Derived::new();
    if values.public_base_url.is_none() {
        let port = values.listen.map_or(4000, |listen| listen.port());
        values.public_base_url = Origin::parse(&format!("http://localhost:{port}")).ok();
        derived.extend(values.public_base_url.as_ref().map(|url| ("public_base_url", url.to_string())));
    }
    let Some(base) = &values.public_base_url else { return derived };
    let issuer = values.issuer.get_or_insert_with(|| base.to_string());
    derived.insert("issuer", issuer.clone());
    let frontend = values.frontend_url.get_or_insert_with(|| base.as_url().clone());
    derived.insert("frontend_url", frontend.as_str().trim_end_matches('/').to_owned());
    let secure = *values.cookies_secure.get_or_insert(base.is_https());
    derived.insert("cookies_secure", if secure { "on" } else { "off" }.to_owned());
    let pool = *values.db_pool_size.get_or_insert(cores.saturating_mul(2).saturating_add(4).min(1_000));
    derived.insert("db_pool_size", pool.to_string());
    let workers = *values.workers.get_or_insert(cores.clamp(1, 512));
    derived.insert("workers", workers.to_string());
    passkeys::derive(values, &mut derived);
    derived
}

fn judge_cookies(values: &Values, reader: &mut Reader<'_>) {
    let Some(base) = &values.public_base_url else { return };
    let secure = values.cookies_secure.unwrap_or(base.is_https());
    let exposed = !base.is_https() && !base.is_loopback();
    if exposed && values.allow_insecure_cookies == Some(false) {
        let rule = "is plain http on a host other than this machine, so tokens would cross the network in the clear: \
                    use https, or set IDENTSPHERE_ALLOW_INSECURE_COOKIES=on";
        reader.refuse("public_base_url", rule, Some(format!("https://{}", base.host())));
    }
    if base.is_https() && !secure {
        reader.refuse("cookies_secure", "cannot be off with an https base URL", Some("on".to_owned()));
    }
    if !secure && values.cookie_samesite == Some(SameSite::None) {
        let rule = "browsers take SameSite=None with secure cookies only";
        reader.refuse("cookie_samesite", rule, Some("lax".to_owned()));
    }
    let claims_secure =
        values.cookie_prefix.as_deref().and_then(|prefix| prefix.get(..9)).is_some_and(|start| {
            start.eq_ignore_ascii_case("__Secure-") // RFC 6265bis §4.1.3.1
        });
    if !secure && claims_secure {
        let rule = "browsers take the prefix `__Secure-` with secure cookies only";
        reader.refuse("cookie_prefix", rule, Some("identsphere".to_owned()));
    }
    if let Some(domain) = &values.cookie_domain {
        let host = base.host();
        let above =
            host.strip_suffix(domain.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
        // Browsers drop cookies for a top-level domain (RFC 6265 §5.3, step 5).
        let shared_by_strangers = !domain.contains('.') && domain != host;
        if !above || shared_by_strangers || base.is_address() {
            let rule = format!(
                "must be the host of the base URL ({host}) or a domain above it, and not a top-level one"
            );
            reader.refuse("cookie_domain", rule, (!base.is_address()).then(|| host.to_owned()));
        }
    }
}

fn judge_tokens(values: &Values, reader: &mut Reader<'_>) {
    if let (Some(access), Some(refresh)) = (values.access_expiry_secs, values.refresh_expiry_secs)
        && refresh <= access
    {
        let rule = format!("must be longer than the life of an access token ({access})");
        reader.refuse("refresh_expiry_secs", rule, Some((access + 1).to_string()));
    }
    let postgres = matches!(values.database_url, Some(StoreLocation::Postgres(_)));
    if postgres && values.master_key.is_none() && !reader.is_given("master_key") {
        let rule =
            "is required with PostgreSQL, the same on every node: make one with `openssl rand -base64 32`";
        reader.refuse("master_key", rule, None);
    }
}

fn judge_operations(values: &Values, reader: &mut Reader<'_>) {
    if let (Some(listen), Some(metrics)) = (values.listen, values.metrics_listen)
        && listen == metrics
        && listen.port() != 0
    {
        let rule = "must differ from IDENTSPHERE_LISTEN: metrics are not for the public";
        reader.refuse("metrics_listen", rule, Some("127.0.0.1:9400".to_owned()));
    }
}

/// Links in mail carry secrets, so they are protected as cookies are.
fn judge_mail(values: &Values, reader: &mut Reader<'_>) {
    if !reader.is_given("frontend_url") || values.allow_insecure_cookies != Some(false) {
        return;
    }
    let origin =
        values.frontend_url.as_ref().and_then(|url| Origin::parse(&url.origin().ascii_serialization()).ok());
    if let Some(origin) = origin.filter(|origin| !origin.is_https() && !origin.is_loopback()) {
        let rule = "is plain http on a host other than this machine, so the links of mail would cross the network in the \
                    clear: use https, or set IDENTSPHERE_ALLOW_INSECURE_COOKIES=on";
        reader.refuse("frontend_url", rule, Some(format!("https://{}", origin.host())));
    }
}

fn assemble(values: Values) -> Option<Settings> {
    let secs = |seconds: u32| Duration::from_secs(seconds.into());
    Some(Settings {
        config_file: values.config,
        listen: values.listen?,
        metrics_listen: values.metrics_listen,
        workers: usize::try_from(values.workers?).ok()?,
        drain: secs(values.drain_secs?),
        log_filter: values.log?,
        log_format: values.log_format?,
        public_base_url: values.public_base_url?,
        cors_origins: values.cors_origins.unwrap_or_default(),
        trusted_proxies: values.trusted_proxies.unwrap_or_default(),
        rate_limits: values.rate_limits?,
        store: StoreSettings {
            location: values.database_url?,
            schema: values.schema?,
            pool_size: values.db_pool_size?,
        },
        blob_url: values.blob_url?,
        master_key: values.master_key,
        cookies: CookieSettings {
            secure: values.cookies_secure?,
            prefix: values.cookie_prefix?,
            domain: values.cookie_domain,
            same_site: values.cookie_samesite?,
        },
        tokens: TokenSettings {
            issuer: values.issuer?,
            audience: values.audience,
            access_ttl: secs(values.access_expiry_secs?),
            refresh_ttl: secs(values.refresh_expiry_secs?),
            refresh_grace: secs(values.refresh_grace_secs?),
            step_up_ttl: secs(values.step_up_ttl_secs?),
        },
        passkeys: PasskeySettings { rp_id: values.rp_id?, origins: values.rp_origin?, name: values.rp_name? },
        keys: KeySettings {
            rotation_interval: Duration::from_secs(u64::from(values.key_rotation_days?) * 86_400),
            jwks_max_age: secs(values.jwks_cache_secs?),
            rsa_bits: values.rsa_bits?,
        },
        passwords: PasswordSettings {
            scheme: values.password_hash?,
            memory_mib: values.hash_memory_mib?,
            queue_wait: Duration::from_millis(values.hash_queue_ms?.into()),
        },
        mail: MailSettings {
            app_name: values.app_name?,
            frontend_url: values.frontend_url?,
            from: values.from_email?,
            server: values.smtp_url,
            templates: values.mail_templates,
        },
    })
}
