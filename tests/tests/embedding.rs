//! Inside of a host application: its routes beside ours, our sessions in its handlers. On both frameworks.

use std::net::{SocketAddr, TcpListener};

use identsphere_e2e::{App as Service, BearerSession, Caller, Engine, Framework, PASSWORD};
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
    a_step_up_guards_routes_of_the_host,
}

/// A host application with routes of its own; it stops when this is dropped.
struct Host {
    address: SocketAddr,
    _stop: oneshot::Sender<()>,
}

impl Host {
    /// Beside the routes of the service there are: `/hello` and `/account` for everybody, `/whoami` (GET and POST) for users,
    /// `/maybe` for both, `/end` for those who may delete the organisation, `/never` for those who may do what nobody may,
    /// `/payouts` for those who have lately shown a second factor, `/payees` for them and for those who have none.
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
            let guarded = |path: &str, guard| web::resource(path).wrap(guard).route(web::get().to(whoami));
            Host::new()
                .configure(mount(app.clone()))
                .route("/hello", web::get().to(async || "hello"))
                .route("/account", web::get().to(async || "the host's"))
                .route("/whoami", web::get().to(whoami))
                .route("/whoami", web::post().to(whoami))
                .route("/maybe", web::get().to(maybe))
                .service(guarded("/end", Require::permission(Permission::ORG_DELETE)))
                .service(guarded("/never", Require::permission(Permission::new(NEVER))))
                .service(guarded("/payouts", Require::step_up()))
                .service(guarded("/payees", Require::step_up_if_enrolled()))
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

    let guarded = |path: &str, guard| {
        let router = Router::new().route(path, get(whoami));
        router.route_layer(from_fn_with_state(guard, require))
    };
    let router = Router::new()
        .route("/hello", get(async || "hello"))
        .route("/account", get(async || "the host's"))
        .route("/whoami", get(whoami).post(whoami))
        .route("/maybe", get(maybe))
        .merge(guarded("/end", Require::permission(app.clone(), Permission::ORG_DELETE)))
        .merge(guarded("/never", Require::permission(app.clone(), Permission::new(NEVER))))
        .merge(guarded("/payouts", Require::step_up(app.clone())))
        .merge(guarded("/payees", Require::step_up_if_enrolled(app.clone())))
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
    let request = serde_json::json!({ "email": email, "password": PASSWORD });
    let mut browser = host.caller();
    browser.follow(|caller| caller.post("/v1/auth/login").json(&request)).await.assert_status(200);
    assert_eq!(browser.get("/whoami").send().await.body, email.as_bytes());
    browser.post("/whoami").send().await.assert_error(403, "csrf_failed");
    assert_eq!(browser.post("/whoami").csrf().send().await.body, email.as_bytes());
}

async fn a_step_up_guards_routes_of_the_host(service: Service) {
    let host = Host::start(&service);
    let (email, browser) = service.sign_up().await;
    let mut session = service.bearer_login(&email).await;
    let stranger = host.caller();
    let get = async |path: &str, access: &str| stranger.get(path).bearer(access).send().await;
    get("/payouts", &session.access).await.assert_error(401, "mfa_required");
    assert_eq!(get("/payees", &session.access).await.assert_status(200).body, email.as_bytes());
    for path in ["/payouts", "/payees"] {
        stranger.get(path).send().await.assert_error(401, "authentication_required");
    }

    let person = service.enrol(email, browser).await;
    for path in ["/payouts", "/payees"] {
        let refused = get(path, &session.access).await;
        refused.assert_error(401, "mfa_required");
        assert_eq!(refused.json()["error"]["type"], "mfa_required");
        let by_cookie = stranger.get(path).header("cookie", &access_cookie(&person.browser)).send().await;
        assert_eq!(by_cookie.assert_status(200).body, person.email.as_bytes(), "just set up");
    }
    let request = serde_json::json!({ "code": person.authenticator.next_code(&service) });
    let verify = stranger.post("/v1/auth/mfa/verify").bearer(&session.access).json(&request);
    verify.send().await.assert_status(200);
    for path in ["/payouts", "/payees"] {
        assert_eq!(get(path, &session.access).await.assert_status(200).body, person.email.as_bytes());
    }
    service.clock.advance(Duration::from_secs(1_799));
    session = session.refreshed(&service).await;
    get("/payouts", &session.access).await.assert_status(200);
    service.clock.advance(Duration::from_secs(1));
    for path in ["/payouts", "/payees"] {
        get(path, &session.access).await.assert_error(401, "mfa_required");
    }
}

fn access_cookie(browser: &Caller) -> String {
    format!("identsphere_at={}", browser.cookie("identsphere_at"))
}
