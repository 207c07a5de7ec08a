//! IdentSphere's routes, extractors and guards for axum.
//!
//! [`mount`] makes a router of the route table for a host application, [`mount_pages`] one of its pages, [`serve_all`] one
//! that is everything there is.
//! Each request is translated for `identsphere-http`, which guards and answers it, and its answer is translated back.
//! This crate must never decide anything about a request itself: what is missing here is missing in the table.
//!
//! ```no_run
//! use axum::Router;
//! use axum::extract::FromRef;
//! use axum::routing::get;
//! use identsphere_axum::AuthSession;
//!
//! #[derive(Clone)]
//! struct Host {
//!     identsphere: identsphere_http::App,
//! }
//!
//! impl FromRef<Host> for identsphere_http::App {
//!     fn from_ref(host: &Host) -> Self {
//!         host.identsphere.clone()
//!     }
//! }
//!
//! async fn hello(session: AuthSession) -> String {
//!     format!("hello {}", session.0.user.email.as_str())
//! }
//!
//! # async fn run(host: Host) -> std::io::Result<()> {
//! let ours = identsphere_axum::mount(host.identsphere.clone());
//! let router = Router::new().route("/hello", get(hello)).merge(ours).with_state(host);
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:4000").await?;
//! identsphere_axum::serve(listener, router, std::future::pending()).await;
//! # Ok(())
//! # }
//! ```

mod extract;
mod guard;
mod server;
mod translate;

use axum::Router;
use axum::extract::Request;
use axum::routing::{MethodRouter, any};
use identsphere_http::{App, ENDPOINTS, Endpoint};

pub use extract::{AuthSession, OptionalAuthSession, Rejection};
pub use guard::{Require, require};
pub use server::serve;

/// Below this path everything is ours, known or not.
const OWN_SCOPE: [&str; 3] = ["/v1/auth", "/v1/auth/", "/v1/auth/{*rest}"];

/// The route table as a router, without its pages. Of the paths that we do not know only those below `/v1/auth` are answered: the rest are
/// the host's. Merge it; nesting would change its paths, which are part of the contract.
pub fn mount<S>(app: App) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    let ours = router(&app, |endpoint| !endpoint.is_page());
    OWN_SCOPE.into_iter().fold(ours, |router, path| router.route(path, not_found(app.clone())))
}

/// The pages for people, `/account` and those that the links in mails lead to, to be merged beside [`mount`].
pub fn mount_pages<S>(app: App) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    router(&app, Endpoint::is_page)
}

/// As [`mount`] and [`mount_pages`], and answers every other path with our 404.
pub fn serve_all(app: App) -> Router {
    mount(app.clone()).merge(mount_pages(app.clone())).fallback_service(not_found::<()>(app))
}

fn router<S>(app: &App, which: impl Fn(&Endpoint) -> bool) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    ENDPOINTS
        .iter()
        .filter(|endpoint| which(endpoint))
        .fold(Router::new(), |router, endpoint| router.route(endpoint.path, answering(app.clone(), endpoint)))
}

fn answering<S>(app: App, endpoint: &'static Endpoint) -> MethodRouter<S>
where
    S: Clone + Send + Sync + 'static,
{
    any(move |request: Request| {
        let app = app.clone();
        async move {
            let (parts, body) = request.into_parts();
            let head = translate::head(&parts);
            let mut body = body.into_data_stream();
            let reply = app.answer(endpoint, &head, |limit| translate::body(&mut body, limit)).await;
            translate::discard(body);
            translate::response(reply)
        }
    })
}

fn not_found<S>(app: App) -> MethodRouter<S>
where
    S: Clone + Send + Sync + 'static,
{
    any(move |request: Request| {
        let app = app.clone();
        async move {
            let (parts, body) = request.into_parts();
            translate::discard(body.into_data_stream());
            translate::response(app.answer_unknown(&translate::head(&parts)).await)
        }
    })
}
