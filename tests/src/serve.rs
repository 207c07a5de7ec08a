//! The two frameworks behind one face.

use std::net::TcpListener;
use std::sync::Arc;

use identsphere_core::{IdentSphere, MailReader};
use identsphere_crypto::{MasterKey, purpose};
use identsphere_http::{CookieSettings, Drain, HttpConfig, Origin, SameSite, Transport};
use identsphere_kernel::Duration;
use tokio::sync::oneshot;

/// The one foreign origin whose pages may call.
pub const LISTED: &str = "https://app.example.org";

/// Which framework.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framework {
    Actix,
    Axum,
}

/// A running server; it stops when this is dropped.
pub struct Server {
    _stop: oneshot::Sender<()>,
}

impl Server {
    /// Serves everything on this listener.
    pub fn start(
        framework: Framework,
        listener: TcpListener,
        service: Arc<IdentSphere>,
        origin: &str,
        master: &MasterKey,
        development_mail: Arc<dyn MailReader>,
    ) -> Self {
        let app = identsphere_http::App::new(service, config(origin, master, development_mail)).unwrap();
        let (stop, stopped) = oneshot::channel();
        let stopped = async { drop(stopped.await) };
        match framework {
            Framework::Actix => {
                std::thread::spawn(move || {
                    let serving = identsphere_actix::serve(listener, app, 1, stopped);
                    actix_web::rt::System::new().block_on(serving).unwrap();
                });
            }
            Framework::Axum => {
                listener.set_nonblocking(true).unwrap();
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                let router = identsphere_axum::serve_all(app);
                tokio::spawn(identsphere_axum::serve(listener, router, stopped));
            }
        }
        Self { _stop: stop }
    }
}

fn config(origin: &str, master: &MasterKey, development_mail: Arc<dyn MailReader>) -> HttpConfig {
    let transport = if origin.starts_with("https:") { Transport::Secure } else { Transport::Plain };
    HttpConfig {
        base_url: origin.parse().unwrap(),
        app_name: "IdentSphere".to_owned(),
        cookies: CookieSettings::new("identsphere", None, SameSite::Lax, transport).unwrap(),
        csrf_key: master.derive(purpose::CSRF),
        cors_origins: vec![Origin::parse(LISTED).unwrap()],
        trusted_proxies: vec![],
        public_max_age: Duration::from_secs(300),
        drain: Drain::default(),
        development_mail: Some(development_mail),
    }
}
