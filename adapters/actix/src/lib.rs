//! IdentSphere's routes, extractors and guards for actix-web.
//!
//! [`mount`] registers the route table inside a host application, [`mount_pages`] its pages, [`serve_all`] both as everything there is. Each request is
//! translated for `identsphere-http`, which guards and answers it, and its answer is translated back. This crate must
//! never decide anything about a request itself: what is missing here is missing in the table.
//!
//! ```no_run
//! use actix_web::{App, HttpResponse, HttpServer, Responder, get};
//! use identsphere_actix::AuthSession;
//!
//! #[get("/hello")]
//! async fn hello(session: AuthSession) -> impl Responder {
//!     HttpResponse::Ok().body(format!("hello {}", session.0.user.email.as_str()))
//! }
//!
//! # async fn run(identsphere: identsphere_http::App) -> std::io::Result<()> {
//! HttpServer::new(move || App::new().configure(identsphere_actix::mount(identsphere.clone())).service(hello))
//!     .bind("127.0.0.1:4000")?
//!     .run()
//!     .await
//! # }
//! ```

mod extract;
mod guard;
mod server;
mod translate;

use actix_web::HttpRequest;
use actix_web::web::{self, Payload, ServiceConfig};
use identsphere_http::{App, ENDPOINTS, Endpoint};

pub use extract::{AuthSession, OptionalAuthSession, Rejection};
pub use guard::{Guarded, Require};
pub use server::serve;

/// Below this path everything is ours, known or not.
const OWN_SCOPE: [&str; 2] = ["/v1/auth", "/v1/auth/{rest:.*}"];

/// Registers the route table without its pages, for [`configure`](actix_web::App::configure). Of the paths that we do not know only those
/// below `/v1/auth` are answered: the rest are the host's. Register routes of your own below `/v1/auth` before it.
/// The extractors of this crate work in every route of the same application.
pub fn mount(app: App) -> impl FnOnce(&mut ServiceConfig) {
    move |config| {
        register(config, &app, |endpoint| !endpoint.is_page());
        for path in OWN_SCOPE {
            config.service(web::resource(path).route(not_found(app.clone())));
        }
        config.app_data(app);
    }
}

/// Registers the pages for people, `/account` and those that the links in mails lead to, beside [`mount`].
pub fn mount_pages(app: App) -> impl FnOnce(&mut ServiceConfig) {
    move |config| register(config, &app, Endpoint::is_page)
}

/// As [`mount`] and [`mount_pages`], and answers every other path with our 404.
pub fn serve_all(app: App) -> impl FnOnce(&mut ServiceConfig) {
    move |config| {
        config.default_service(not_found(app.clone()));
        mount_pages(app.clone())(config);
        mount(app)(config);
    }
}

fn register(config: &mut ServiceConfig, app: &App, which: impl Fn(&Endpoint) -> bool) {
    for endpoint in ENDPOINTS.iter().filter(|endpoint| which(endpoint)) {
        config.service(web::resource(endpoint.path).route(answering(app.clone(), endpoint)));
    }
}

fn answering(app: App, endpoint: &'static Endpoint) -> actix_web::Route {
    web::route().to(move |request: HttpRequest, payload: Payload| {
        let app = app.clone();
        async move {
            let head = translate::head(&request);
            let reply = app.answer(endpoint, &head, |limit| translate::body(payload, limit)).await;
            translate::response(&reply)
        }
    })
}

fn not_found(app: App) -> actix_web::Route {
    web::route().to(move |request: HttpRequest| {
        let app = app.clone();
        async move { translate::response(&app.answer_unknown(&translate::head(&request)).await) }
    })
}
