//! What browsers are told with every answer (WB-01 to WB-04, CK-01): of every route, on every way to be refused that it has.

use identsphere_core::StepUpRule;
use identsphere_e2e::{Answer, App, ENCRYPTED, Engine, Framework, LISTED, SCENARIOS, Scenario, uuid_v7};
use identsphere_http::{AuthRule, BodyRule, CacheRule, Content, CsrfRule, Route};
use identsphere_kernel::Duration;
use reqwest::Method;

use crate::cookies::assert_cookies;
use crate::sweep;

#[test]
fn browsers_are_told_everything_on_actix() {
    sweep(look_at_every_answer(Framework::Actix));
}

#[test]
fn browsers_are_told_everything_on_axum() {
    sweep(look_at_every_answer(Framework::Axum));
}

#[test]
fn nothing_is_said_of_encryption_where_there_is_none() {
    sweep(async {
        let app = App::start(Framework::Axum, Engine::Memory).await;
        for path in ["/healthz", "/nowhere", "/account"] {
            let answer = app.caller().get(path).send().await;
            assert_eq!(answer.header("strict-transport-security"), None, "{path}");
        }
    });
}

/// Another origin, which may call nothing.
const FOREIGN: &str = "https://app.example.org.evil.example";

async fn look_at_every_answer(framework: Framework) {
    let app = App::start_encrypted(framework, Engine::Memory).await;
    let alone = app.another_node().await;
    alone.watch.fail_all();
    let mut statuses = std::collections::BTreeSet::new();
    for name in SCENARIOS {
        app.clock.advance(Duration::from_secs(3_600));
        let scenario = Scenario::on(&app, &app, name).await;
        let seen = Look { app: &app, alone: &alone, scenario: &scenario, name }.everything().await;
        statuses.extend(seen);
    }
    for path in ["/", "/nowhere", "/v1/auth", "/v1/auth/login/", "/account/x", "/v1/auth/%6cogin"] {
        let answer = app.caller().get(path).send().await;
        answer.assert_error(404, "not_found");
        assert_told(&answer, None, path);
    }
    let due = [200, 201, 204, 304, 400, 401, 403, 404, 405, 409, 413, 415, 429, 500, 503];
    assert_eq!(statuses.into_iter().collect::<Vec<_>>(), due);
}

/// One scenario, and all that can be answered on its route.
struct Look<'a> {
    app: &'a App,
    /// A node that everything has left.
    alone: &'a App,
    scenario: &'a Scenario,
    name: &'a str,
}

impl Look<'_> {
    /// The statuses that were seen.
    async fn everything(&self) -> Vec<u16> {
        let mut seen = self.refusals().await;
        let calls = self.success(&mut seen).await;
        if calls > 0 {
            let refused = self.scenario.send(self.alone.address).await;
            assert!(matches!(refused.status, 500 | 503), "{}: {}", self.name, refused.status);
            seen.push(self.told(&refused, "everything fails"));
        }
        seen
    }

    fn route(&self) -> &'static Route {
        self.scenario.route
    }

    /// Looks at an answer; its status.
    fn told(&self, answer: &Answer, why: &str) -> u16 {
        assert_told(answer, Some(self.route()), &format!("{}, {why}", self.name));
        answer.status
    }

    fn refused(&self, answer: &Answer, status: u16, why: &str) -> u16 {
        assert_eq!(answer.status, status, "{}, {why}: {}", self.name, String::from_utf8_lossy(&answer.body));
        self.told(answer, why)
    }

    /// The answer when all is well, and those that follow from it. How many calls it took.
    async fn success(&self, seen: &mut Vec<u16>) -> usize {
        let (route, node) = (self.route(), self.app.address);
        self.app.watch.pass();
        let fields: &[(&str, &[u8])] = &[("origin", LISTED.as_bytes())];
        let answer = self.scenario.send_with(node, fields).await;
        let calls = self.app.watch.calls().len();
        seen.push(self.refused(&answer, route.success.status, "all is well"));
        assert_eq!(answer.header("access-control-allow-origin"), Some(LISTED), "{}", self.name);
        assert_eq!(answer.header("access-control-allow-credentials"), Some("true"), "{}", self.name);
        assert_cookies(self.app, self.scenario, &answer, self.name).await;

        // Links are used up, sessions have ended, names are taken: whatever it is, it is told alike.
        seen.push(self.told(&self.scenario.send(node).await, "again"));
        if let Some(etag) = answer.header("etag") {
            let known = self.scenario.send_with(node, &[("if-none-match", etag.as_bytes())]).await;
            seen.push(self.refused(&known, 304, "known already"));
        }
        if route.method.name() == "GET" {
            let head = self.scenario.caller.request(Method::HEAD, &self.scenario.path).send().await;
            seen.push(self.refused(&head, route.success.status, "HEAD"));
        }
        calls
    }

    /// Every refusal that the table promises for the route, none of which uses the scenario up.
    async fn refusals(&self) -> Vec<u16> {
        let (route, node, caller) = (self.route(), self.app.address, &self.scenario.caller);
        let path = &self.scenario.path;
        let method = Method::from_bytes(route.method.name().as_bytes()).unwrap();
        let with = async |fields: &[(&str, &[u8])]| self.scenario.send_with(node, fields).await;
        let mut seen = vec![];

        let doubled = with(&[("sec-fetch-site", b"same-origin"), ("sec-fetch-site", b"none")]).await;
        seen.push(self.refused(&doubled, 400, "an ambiguous head"));
        let other = caller.request(Method::PUT, path).send().await;
        seen.push(self.refused(&other, 405, "another method"));
        let below = caller.request(method.clone(), &format!("{path}/below/it")).send().await;
        seen.push(self.refused(&below, 404, "another path"));
        if route.auth == AuthRule::User {
            let stranger = self.app.caller();
            let nobody = stranger.request(method.clone(), path);
            let nobody = match route.body {
                BodyRule::Multipart(..) => nobody.body("multipart/form-data; boundary=b", "--b--\r\n"),
                _ => nobody.body("application/json", "{}"),
            };
            seen.push(self.refused(&nobody.send().await, 401, "nobody"));
        }
        if route.step_up == StepUpRule::Shown {
            let (_, browser) = self.app.sign_up().await;
            let answer = browser.request(method.clone(), path).csrf().send().await;
            seen.push(self.refused(&answer, 401, "no second factor was shown"));
        }
        if route.csrf != CsrfRule::ReadOnly {
            let foreign = with(&[("origin", FOREIGN.as_bytes())]).await;
            seen.push(self.refused(&foreign, 403, "another origin"));
        }
        if !matches!(route.body, BodyRule::None) {
            let small = caller.request(method.clone(), path).body("text/plain", "x");
            seen.push(self.refused(&small.send().await, 415, "another type"));
            let (kind, bytes) = match route.body {
                BodyRule::Multipart(..) => ("multipart/form-data; boundary=b", 6 << 20),
                _ => ("application/json", 65 << 10),
            };
            let large = caller.request(method.clone(), path).body(kind, vec![b' '; bytes]);
            seen.push(self.refused(&large.send().await, 413, "too large"));
        }
        if self.scenario.endpoint.path.contains('{') {
            for nothing in ["nonsense".to_owned(), uuid_v7()] {
                let path = format!("{}{nothing}", self.scenario.endpoint.path.split('{').next().unwrap());
                let request = caller.request(method.clone(), &path);
                let request = if route.auth == AuthRule::User { request.csrf() } else { request };
                let answer = match route.body {
                    BodyRule::None => request.send().await,
                    _ => request.json(&serde_json::json!({ "label": "x" })).send().await,
                };
                assert!(matches!(answer.status, 400 | 404), "{}: {}", self.name, answer.status);
                seen.push(self.told(&answer, "nothing there"));
            }
        }
        if route.rate != identsphere_http::RateClass::Unlimited {
            self.app.watch.exhaust();
            let often = with(&[]).await;
            self.app.watch.pass();
            seen.push(self.refused(&often, 429, "too often"));
            assert!(often.header("retry-after").is_some(), "{}", self.name);
        }
        self.preflights().await;
        seen
    }

    async fn preflights(&self) {
        let listed = self.preflight(LISTED).await;
        self.refused(&listed, 204, "a preflight");
        assert_eq!(listed.header("access-control-allow-origin"), Some(LISTED));
        let allowed = listed.header("access-control-allow-methods").unwrap();
        assert!(allowed.split(", ").any(|name| name == self.route().method.name()), "{allowed}");
        for origin in [FOREIGN, "null", ENCRYPTED] {
            let answer = self.preflight(origin).await;
            self.refused(&answer, 405, "a foreign preflight");
            assert_eq!(answer.header("access-control-allow-origin"), None, "{origin}");
        }
    }

    async fn preflight(&self, origin: &str) -> Answer {
        let caller = self.app.caller();
        let request = caller.request(Method::OPTIONS, &self.scenario.path).header("origin", origin);
        request.header("access-control-request-method", self.route().method.name()).send().await
    }
}

/// What every answer has, and nothing else.
fn assert_told(answer: &Answer, route: Option<&Route>, case: &str) {
    let case = &format!("{case}: {}", answer.status);
    let is = |name: &str, value: Option<&str>| {
        let values: Vec<_> = answer.headers.get_all(name).iter().map(|v| v.to_str().unwrap()).collect();
        assert_eq!(values, value.into_iter().collect::<Vec<_>>(), "{name} of {case}");
    };
    let good = route.filter(|route| answer.status == route.success.status || answer.status == 304);
    is("x-content-type-options", Some("nosniff"));
    is("referrer-policy", Some("no-referrer"));
    is("strict-transport-security", Some("max-age=31536000; includeSubDomains"));
    is("vary", Some("origin"));
    is("server", None);
    is("x-powered-by", None);
    assert!(answer.header("x-request-id").is_some(), "{case}");
    let picture = good.is_some_and(|route| matches!(route.success.content, Content::Picture));
    let page = good.is_some_and(|route| matches!(route.success.content, Content::Html));
    is("cross-origin-resource-policy", Some(if picture { "cross-origin" } else { "same-origin" }));
    is("cross-origin-opener-policy", page.then_some("same-origin"));
    is("cache-control", Some(caching(good, picture)));
    assert_type(answer, good, case);
    assert_policy(answer.header("content-security-policy").unwrap_or_default(), good, case);
    if answer.status >= 400 {
        assert!(answer.cookies().is_empty(), "a refusal sets cookies: {case}");
        if !answer.body.is_empty() {
            answer.code();
        }
    }
    if !case.contains("all is well") && !case.contains("a preflight") {
        is("access-control-allow-origin", None);
        is("access-control-allow-credentials", None);
    }
}

fn caching(good: Option<&Route>, picture: bool) -> &'static str {
    match good {
        _ if picture => "public, max-age=86400, immutable",
        Some(Route { cache: CacheRule::Public, auth: AuthRule::Public, .. }) => "public, max-age=300",
        Some(_) | None => "no-store",
    }
}

/// The type says how the bytes are written, wherever there are some.
fn assert_type(answer: &Answer, good: Option<&Route>, case: &str) {
    let kind = answer.header("content-type");
    let due = match good.map(|route| &route.success.content) {
        _ if matches!(answer.status, 204 | 304) => None,
        None | Some(Content::Object(_) | Content::List(_) | Content::Document) => {
            Some("application/json; charset=utf-8")
        }
        Some(Content::Html) => Some("text/html; charset=utf-8"),
        Some(Content::Picture) => Some("image/jpeg"),
        Some(Content::Empty) => None,
    };
    assert_eq!(kind, due, "{case}");
}

/// A policy that lets nothing in but what is named by its hash.
fn assert_policy(policy: &str, good: Option<&Route>, case: &str) {
    let directives: Vec<(&str, Vec<&str>)> = policy
        .split(';')
        .map(|directive| {
            let mut words = directive.split_whitespace();
            (words.next().unwrap_or_default(), words.collect())
        })
        .collect();
    let sources =
        |name: &str| directives.iter().find(|(directive, _)| *directive == name).map(|(_, s)| &s[..]);
    assert_eq!(sources("default-src"), Some(&["'none'"][..]), "{case}: {policy}");
    let content = good.map(|route| &route.success.content);
    if matches!(content, Some(Content::Picture)) {
        assert_eq!(sources("sandbox"), Some(&[][..]), "{case}: {policy}");
        return;
    }
    assert_eq!(sources("frame-ancestors"), Some(&["'none'"][..]), "{case}: {policy}");
    if matches!(content, Some(Content::Html)) {
        assert_eq!(sources("base-uri"), Some(&["'none'"][..]), "{case}: {policy}");
        assert!(matches!(sources("form-action"), Some(["'none'" | "'self'"])), "{case}: {policy}");
    }
    let scripts = sources("script-src").unwrap_or_default();
    let hashed = |source: &&str| source.starts_with("'sha256-");
    assert!(scripts.iter().all(hashed), "{case}: {policy}");
    assert!(matches!(sources("object-src"), None | Some(["'none'"])), "{case}: {policy}");
    let other = ["connect-src", "img-src", "style-src"];
    for (name, sources) in directives.iter().filter(|(name, _)| other.contains(name)) {
        // Mail is shown with the styles it came with, to whoever sits at the machine.
        let mail = good.is_some_and(|route| route.operation.ends_with("DevelopmentMail"));
        let inline = mail && *name == "style-src";
        let known = |source: &&str| match *source {
            "'self'" | "data:" => true,
            "'unsafe-inline'" => inline,
            _ => hashed(source),
        };
        assert!(sources.iter().all(known), "{name} of {case}: {policy}");
    }
}
