//! Inside of a host application: its routes beside ours, our sessions in its handlers. On both frameworks.

use std::net::{SocketAddr, TcpListener};

use identsphere_e2e::{App as Service, BearerSession, Caller, Engine, Framework};
use identsphere_http::{App, CookieSettings, Drain, HttpConfig, Permission, SameSite, Transport};
use identsphere_kernel::{Duration, SecretBytes};
use tokio::sync::oneshot;

macro_rules! on_both_frameworks {
    ($($scenario:ident),+ $(,)?) => {$(
        mod $scenario {
            #[test]
            fn actix() {
                identsphere_e2e::run(super::Framework::Actix, super::Engine::Memory, super::$scenario);
            }

            #[test]
            fn axum() {
                identsphere_e2e::run(super::Framework::Axum, super::Engine::Memory, super::$scenario);
            }
        }
    )+};
}

on_both_frameworks! {
    a_host_keeps_its_routes_and_its_own_404,
    pages_are_the_hosts_unless_it_asks_for_ours,
    below_our_scope_everything_is_ours,
    handlers_of_the_host_know_who_calls,
    a_permission_guards_routes_of_the_host,
    writes_of_the_host_need_the_csrf_header,
}

/// A host application with routes of its own; it stops when this is dropped.
struct Host {
    address: SocketAddr,
    _stop: oneshot::Sender<()>,
}

impl Host {
    /// Beside the routes of the service there are: `/hello` and `/account` for everybody, `/whoami` (GET and POST) for users,
    /// `/maybe` for both, `/end` for those who may delete the organisation, `/never` for those who may do what nobody may.
    fn start(service: &Service) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let app = App::new(service.service.clone(), config(&service.origin())).unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        match service.framework {
            Framework::Actix => start_actix(listener, app, stopped),
            Framework::Axum => start_axum(listener, app, stopped),
        }
        Self { address, _stop: stop }
    }

    fn caller(&self) -> Caller {
        Caller::new(self.address)
    }
}

/// A permission that no role holds.
const NEVER: &str = "host.never";

fn start_actix(listener: TcpListener, app: App, stopped: oneshot::Receiver<()>) {
    use actix_web::{App as Host, HttpServer, web};
    use identsphere_actix::{AuthSession, OptionalAuthSession, Require, mount};

    async fn whoami(session: AuthSession) -> String {
        session.0.user.email.as_str().to_owned()
    }

    async fn maybe(session: OptionalAuthSession) -> String {
        session.0.map_or("nobody".to_owned(), |principal| principal.user.email.as_str().to_owned())
    }

    let serve = move || {
        HttpServer::new(move || {
            let guarded = |path: &str, permission| {
                web::resource(path).wrap(Require::permission(permission)).route(web::get().to(whoami))
            };
            Host::new()
                .configure(mount(app.clone()))
                .route("/hello", web::get().to(async || "hello"))
                .route("/account", web::get().to(async || "the host's"))
                .route("/whoami", web::get().to(whoami))
                .route("/whoami", web::post().to(whoami))
                .route("/maybe", web::get().to(maybe))
                .service(guarded("/end", Permission::ORG_DELETE))
                .service(guarded("/never", Permission::new(NEVER)))
        })
        .workers(1)
        .shutdown_signal(async { drop(stopped.await) })
        .listen(listener)
        .unwrap()
        .run()
    };
    std::thread::spawn(move || actix_web::rt::System::new().block_on(async { serve().await.unwrap() }));
}

fn start_axum(listener: TcpListener, app: App, stopped: oneshot::Receiver<()>) {
    use axum::Router;
    use axum::extract::FromRef;
    use axum::middleware::from_fn_with_state;
    use axum::routing::get;
    use identsphere_axum::{AuthSession, OptionalAuthSession, Require, mount, require, serve};

    #[derive(Clone)]
    struct State(App);

    impl FromRef<State> for App {
        fn from_ref(state: &State) -> Self {
            state.0.clone()
        }
    }

    async fn whoami(session: AuthSession) -> String {
        session.0.user.email.as_str().to_owned()
    }

    async fn maybe(session: OptionalAuthSession) -> String {
        session.0.map_or("nobody".to_owned(), |principal| principal.user.email.as_str().to_owned())
    }

    let guarded = |path: &str, permission| {
        let guard = Require::permission(app.clone(), permission);
        let router = Router::new().route(path, get(whoami));
        router.route_layer(from_fn_with_state(guard, require))
    };
    let router = Router::new()
        .route("/hello", get(async || "hello"))
        .route("/account", get(async || "the host's"))
        .route("/whoami", get(whoami).post(whoami))
        .route("/maybe", get(maybe))
        .merge(guarded("/end", Permission::ORG_DELETE))
        .merge(guarded("/never", Permission::new(NEVER)))
        .merge(mount(app.clone()))
        .with_state(State(app));
    listener.set_nonblocking(true).unwrap();
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    tokio::spawn(serve(listener, router, async { drop(stopped.await) }));
}

fn config(origin: &str) -> HttpConfig {
    HttpConfig {
        base_url: origin.parse().unwrap(),
        app_name: "IdentSphere".to_owned(),
        cookies: CookieSettings::new("identsphere", None, SameSite::Lax, Transport::Plain).unwrap(),
        csrf_key: SecretBytes::new([3; 32]),
        cors_origins: vec![],
        trusted_proxies: vec![],
        public_max_age: Duration::from_secs(300),
        drain: Drain::default(),
        development_mail: None,
    }
}

async fn a_host_keeps_its_routes_and_its_own_404(service: Service) {
    let host = Host::start(&service);
    assert_eq!(host.caller().get("/hello").send().await.body, b"hello"[..]);
    let unknown = host.caller().get("/nothing").send().await;
    unknown.assert_status(404);
    assert!(unknown.body.is_empty());
    host.caller().get("/healthz").send().await.assert_status(200);
}

async fn pages_are_the_hosts_unless_it_asks_for_ours(service: Service) {
    let host = Host::start(&service);
    assert_eq!(host.caller().get("/account").send().await.body, b"the host's"[..]);
    for path in ["/verify-email", "/reset-password", "/not-me"] {
        host.caller().get(path).send().await.assert_status(404);
    }
}

async fn below_our_scope_everything_is_ours(service: Service) {
    let host = Host::start(&service);
    for path in ["/v1/auth", "/v1/auth/", "/v1/auth/nothing", "/v1/auth/session/", "/v1/auth//session"] {
        host.caller().get(path).send().await.assert_error(404, "not_found");
    }
    host.caller().get("/v1/auth/login").send().await.assert_error(405, "method_not_allowed");
}

async fn handlers_of_the_host_know_who_calls(service: Service) {
    let (host, BearerSession { email, access, .. }) = (Host::start(&service), service.bearer().await);
    assert_eq!(host.caller().get("/whoami").bearer(&access).send().await.body, email.as_bytes());
    assert_eq!(host.caller().get("/maybe").bearer(&access).send().await.body, email.as_bytes());
    assert_eq!(host.caller().get("/maybe").send().await.body, b"nobody"[..]);
    assert_eq!(host.caller().get("/maybe").bearer("garbage").send().await.body, b"nobody"[..]);
    host.caller().get("/whoami").send().await.assert_error(401, "authentication_required");

    host.caller().post("/v1/auth/logout").bearer(&access).send().await.assert_status(204);
    host.caller().get("/whoami").bearer(&access).send().await.assert_error(401, "authentication_required");
}

async fn a_permission_guards_routes_of_the_host(service: Service) {
    let (host, BearerSession { email, access, .. }) = (Host::start(&service), service.bearer().await);
    assert_eq!(host.caller().get("/end").bearer(&access).send().await.body, email.as_bytes());
    host.caller().get("/end").send().await.assert_error(401, "authentication_required");
    host.caller().get("/never").bearer(&access).send().await.assert_error(403, "forbidden");
}

async fn writes_of_the_host_need_the_csrf_header(service: Service) {
    let host = Host::start(&service);
    let (email, _) = service.sign_up().await;
    let request = serde_json::json!({ "email": email, "password": identsphere_e2e::PASSWORD });
    let mut browser = host.caller();
    browser.follow(|caller| caller.post("/v1/auth/login").json(&request)).await.assert_status(200);
    assert_eq!(browser.get("/whoami").send().await.body, email.as_bytes());
    browser.post("/whoami").send().await.assert_error(403, "csrf_failed");
    assert_eq!(browser.post("/whoami").csrf().send().await.body, email.as_bytes());
}
