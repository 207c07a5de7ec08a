//! The application: the use cases, and everything that HTTP adds to them.

use std::sync::Arc;

use identsphere_core::{IdentSphere, MailReader};
use ipnet::IpNet;

use crate::config::{Drain, HttpConfig};
use crate::cookies::CookieSettings;
use crate::csrf::CsrfKey;
use crate::documents::Documents;
use crate::metrics::Metrics;
use crate::now_and_then::NowAndThen;
use crate::origins::{Origin, Origins};
use crate::pages::Pages;

/// The application. Cloning it gives another handle on the same one.
#[derive(Clone)]
pub struct App(Arc<Inner>);

struct Inner {
    core: Arc<IdentSphere>,
    cookies: CookieSettings,
    csrf: CsrfKey,
    origins: Origins,
    trusted_proxies: Vec<IpNet>,
    is_encrypted: bool,
    base: String,
    documents: Documents,
    pages: Pages,
    drain: Drain,
    metrics: Metrics,
    development_mail: Option<Arc<dyn MailReader>>,
    turned_away: NowAndThen,
}

/// The documents and pages of the application could not be written.
#[derive(Debug, thiserror::Error)]
#[error("the documents and pages cannot be written")]
pub struct AppError(#[from] serde_json::Error);

impl App {
    /// The application over these use cases. Metrics go to the recorder that is installed by now.
    ///
    /// # Errors
    /// [`AppError`] when a document or a page cannot be written.
    pub fn new(core: Arc<IdentSphere>, config: HttpConfig) -> Result<Self, AppError> {
        let documents = Documents::new(&config, &core.policy().issuer)?;
        let pages = Pages::new(&config)?;
        Ok(Self(Arc::new(Inner {
            core,
            documents,
            pages,
            origins: Origins::new(Origin::of(&config.base_url), config.cors_origins),
            is_encrypted: config.base_url.scheme() == "https",
            base: config.base_url.as_str().trim_end_matches('/').to_owned(),
            cookies: config.cookies,
            csrf: CsrfKey::new(config.csrf_key),
            trusted_proxies: config.trusted_proxies,
            drain: config.drain,
            metrics: Metrics::new(),
            development_mail: config.development_mail,
            turned_away: NowAndThen::new(),
        })))
    }

    /// The use cases.
    pub fn core(&self) -> &IdentSphere {
        &self.0.core
    }

    pub(crate) fn cookies(&self) -> &CookieSettings {
        &self.0.cookies
    }

    pub(crate) fn csrf(&self) -> &CsrfKey {
        &self.0.csrf
    }

    pub(crate) fn origins(&self) -> &Origins {
        &self.0.origins
    }

    pub(crate) fn trusted_proxies(&self) -> &[IpNet] {
        &self.0.trusted_proxies
    }

    /// Whether browsers reach this service through TLS.
    pub(crate) fn is_encrypted(&self) -> bool {
        self.0.is_encrypted
    }

    /// The public base URL, without a slash at its end.
    pub(crate) fn base(&self) -> &str {
        &self.0.base
    }

    pub(crate) fn documents(&self) -> &Documents {
        &self.0.documents
    }

    pub(crate) fn pages(&self) -> &Pages {
        &self.0.pages
    }

    pub(crate) fn drain(&self) -> &Drain {
        &self.0.drain
    }

    /// Mail that was kept instead of sent.
    pub(crate) fn development_mail(&self) -> Option<&dyn MailReader> {
        self.0.development_mail.as_deref()
    }

    /// When to log that somebody was turned away.
    pub(crate) fn turned_away(&self) -> &NowAndThen {
        &self.0.turned_away
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }
}
