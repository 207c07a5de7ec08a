//! What the composition root decides about HTTP.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use identsphere_core::MailReader;
use identsphere_kernel::{Duration, SecretBytes};
use ipnet::IpNet;
use url::Url;

use crate::{CookieSettings, Origin};

/// What the composition root decides about HTTP.
#[derive(Clone)]
pub struct HttpConfig {
    /// The address under which browsers reach this service.
    pub base_url: Url,
    /// What the service is called on its pages.
    pub app_name: String,
    /// How cookies are named and where browsers send them.
    pub cookies: CookieSettings,
    /// The key of CSRF tokens; the same on every node.
    pub csrf_key: SecretBytes<32>,
    /// Other origins whose pages may call.
    pub cors_origins: Vec<Origin>,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// How long others may keep the key set and the other public documents.
    pub public_max_age: Duration,
    /// Set when the node begins to shut down.
    pub drain: Drain,
    /// Mail that was kept instead of sent, for whoever sits at this machine; `None`: `/dev/mail` does not exist. Whoever
    /// reads it can sign in as anybody.
    pub development_mail: Option<Arc<dyn MailReader>>,
}

impl fmt::Debug for HttpConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpConfig").field("base_url", &self.base_url.as_str()).finish_non_exhaustive()
    }
}

/// A flag that a node is shutting down: it still answers, and asks its balancer to send nothing more.
#[derive(Debug, Clone, Default)]
pub struct Drain(Arc<AtomicBool>);

impl Drain {
    /// From now on `/readyz` answers 503.
    pub fn begin(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether the node is shutting down.
    pub fn is_draining(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
