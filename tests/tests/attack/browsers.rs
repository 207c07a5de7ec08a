//! What hostile pages make a visitor's browser send (CK-03 to CK-08, WB-04), and what strangers put into JSON (WB-07).

use identsphere_e2e::{Caller, LISTED, Request, unique};
use identsphere_http::{CsrfRule, ENDPOINTS, Route};
use reqwest::Method;
use serde_json::{Value, json};

use crate::both;
use crate::world::{World, path, sign_up, with_body};

both! {
    no_csrf_token_but_ones_own_lets_a_write_pass,
    writes_of_other_sites_are_refused,
    only_listed_origins_may_read,
    doubled_and_contradicting_credentials_are_refused,
    no_write_hides_behind_another_method,
    forms_sign_nobody_in,
    fields_that_nobody_asked_for_have_no_effect,
}

/// Every write that a cookie authenticates: method, path and route.
fn cookie_writes() -> Vec<(Method, String, &'static Route)> {
    let routes =
        ENDPOINTS.iter().flat_map(|endpoint| endpoint.routes.iter().map(move |route| (endpoint, route)));
    routes
        .filter(|(_, route)| route.csrf == CsrfRule::CookieWrite)
        .map(|(endpoint, route)| {
            let method = Method::from_bytes(route.method.name().as_bytes()).unwrap();
            (method, path(endpoint), route)
        })
        .collect()
}

fn with_cookies<'a>(request: Request<'a>, browser: &Caller, csrf: &str) -> Request<'a> {
    let line = format!("identsphere_at={}; identsphere_csrf={csrf}", browser.cookie("identsphere_at"));
    request.anonymous().header("cookie", &line)
}

async fn no_csrf_token_but_ones_own_lets_a_write_pass(world: World) {
    let (victim, attacker) = (world.browser().await, world.browser().await);
    let (own, foreign) = (victim.csrf().to_owned(), attacker.csrf().to_owned());
    let (random, tag) = own.split_once('.').unwrap();
    let (foreign_random, foreign_tag) = foreign.split_once('.').unwrap();
    let planted = [
        String::new(),
        ".".into(),
        "x".into(),
        "null".into(),
        foreign.clone(),
        format!("{random}.{foreign_tag}"),
        format!("{foreign_random}.{tag}"),
        format!("{random}."),
        format!(".{tag}"),
        random.to_owned(),
        format!("{own}A"),
        format!("{own}="),
        format!("{own}.{tag}"),
        own.to_lowercase(),
        format!("{}{}", if own.starts_with('A') { 'B' } else { 'A' }, &own[1..]),
        own.replace('.', ""),
        format!("{random}.{}", "A".repeat(tag.len())),
    ];
    let writes = cookie_writes();
    assert!(writes.len() >= 3);
    for (method, path, route) in writes {
        for token in &planted {
            // The same in header and cookie, as a sibling subdomain could plant it, and in one of them only.
            for (header, cookie) in [(token, token), (token, &own), (&own, token)] {
                let request = with_cookies(victim.request(method.clone(), &path), &victim, cookie);
                let answer = with_body(request, route).header("x-csrf-token", header).send().await;
                answer.assert_error(403, "csrf_failed");
            }
        }
        let bare = with_body(victim.request(method.clone(), &path), route).send().await;
        bare.assert_error(403, "csrf_failed");
    }
    victim.get("/v1/auth/session").send().await.assert_status(200);
    victim.delete("/v1/auth/sessions").csrf().send().await.assert_status(204);
    victim.get("/v1/auth/session").send().await.assert_status(401);
}

/// What browsers and liars put into `Origin`: prefixes, suffixes, other schemes and ports, opaque origins.
fn foreign_origins(own: &str) -> Vec<String> {
    let port = own.rsplit(':').next().unwrap();
    let mut origins: Vec<String> = [
        "null",
        "",
        "*",
        "https://evil.example",
        "http://app.example.org",
        "https://app.example.org:8443",
        "https://app.example.org:443",
        "https://app.example.org.evil.example",
        "https://evilapp.example.org",
        "https://evil-app.example.org",
        "https://app.example.org@evil.example",
        "https://app.example.org/",
        "https://app.example.org/path",
        "https://APP.example.org",
        "HTTPS://app.example.org",
        "https://example.org",
        "https://sub.app.example.org",
        "https://app.example.org, https://evil.example",
        "https://app.example.org https://evil.example",
        "https://app.example.org\u{200b}",
        "https://app.example.org%00.evil.example",
        "https://app.example.org.",
        "https://app_example.org",
        "file://",
        "chrome-extension://abcdef",
        "ws://app.example.org",
    ]
    .map(str::to_owned)
    .into();
    origins.extend([
        format!("https://127.0.0.1:{port}"),
        format!("http://localhost:{port}"),
        format!("{own}.evil.example"),
        format!("{own}/"),
    ]);
    origins
}

async fn writes_of_other_sites_are_refused(world: World) {
    let victim = world.browser().await;
    let sign_in = json!({ "email": "nobody@example.com", "password": "a wrong password" });
    for origin in foreign_origins(&world.issuer) {
        let answer = victim.post("/v1/auth/logout").csrf().header("origin", &origin).send().await;
        answer.assert_error(403, "forbidden");
        let answer = victim.post("/v1/auth/refresh").header("origin", &origin).send().await;
        answer.assert_error(403, "forbidden");
        let answer =
            world.caller().post("/v1/auth/login").header("origin", &origin).json(&sign_in).send().await;
        answer.assert_error(403, "forbidden");
    }
    for site in ["cross-site", "Cross-Site"] {
        let request = victim.post("/v1/auth/refresh").header("sec-fetch-site", site);
        request.send().await.assert_error(403, "forbidden");
        let own =
            victim.post("/v1/auth/refresh").header("sec-fetch-site", site).header("origin", &world.issuer);
        own.send().await.assert_error(403, "forbidden");
    }
    victim.get("/v1/auth/session").send().await.assert_status(200);
    for origin in [world.issuer.as_str(), LISTED] {
        let answer = victim.post("/v1/auth/refresh").header("origin", origin).send().await;
        assert_ne!(answer.status, 403, "{origin}");
    }
}

async fn only_listed_origins_may_read(world: World) {
    let victim = world.browser().await;
    for origin in foreign_origins(&world.issuer).iter().chain([&world.issuer]) {
        for path in ["/v1/auth/session", "/.well-known/jwks.json", "/nowhere"] {
            let answer = victim.get(path).header("origin", origin).send().await;
            assert_eq!(answer.header("access-control-allow-origin"), None, "{origin} {path}");
            assert_eq!(answer.header("access-control-allow-credentials"), None, "{origin} {path}");
            assert_eq!(answer.header("vary"), Some("origin"), "{origin} {path}");
        }
        let preflight = victim.request(Method::OPTIONS, "/v1/auth/login").header("origin", origin);
        let answer = preflight.header("access-control-request-method", "POST").send().await;
        answer.assert_error(405, "method_not_allowed");
        assert_eq!(answer.header("access-control-allow-origin"), None, "{origin}");
    }
    let listed = victim.get("/v1/auth/session").header("origin", LISTED).send().await;
    assert_eq!(listed.header("access-control-allow-origin"), Some(LISTED));
    assert_eq!(listed.header("access-control-allow-credentials"), Some("true"));
}

async fn doubled_and_contradicting_credentials_are_refused(world: World) {
    let (mine, yours) = (world.victim().await, world.victim().await);
    for name in ["identsphere_at", "identsphere_rt", "identsphere_csrf"] {
        for line in [
            format!("{name}={0}; {name}={0}", mine.access),
            format!("{name}=; {name}={}", mine.access),
            format!("{name}=a;{name}=b"),
        ] {
            let answer = world.caller().get("/v1/auth/session").header("cookie", &line).send().await;
            answer.assert_error(400, "invalid_input");
        }
        let two = world
            .caller()
            .get("/v1/auth/session")
            .header("cookie", &format!("{name}=a"))
            .header("cookie", &format!("{name}=b"))
            .send()
            .await;
        two.assert_error(400, "invalid_input");
    }
    for field in ["authorization", "x-csrf-token", "origin", "content-type", "sec-fetch-site"] {
        let answer =
            world.caller().post("/v1/auth/logout").header(field, "a").header(field, "b").send().await;
        answer.assert_error(400, "invalid_input");
    }
    // Names that only resemble ours are other people's cookies.
    for name in [
        "Identsphere_at",
        "identsphere_at ",
        " identsphere_at[]",
        "xidentsphere_at",
        "identsphere_at2",
        "__Host-identsphere_at",
        "$identsphere_at",
        "identsphere%5fat",
    ] {
        let line = format!("a=1;{name}={}", mine.access);
        let answer = world.caller().get("/v1/auth/session").header("cookie", &line).send().await;
        assert_eq!(answer.status, 401, "{name:?}");
    }
    // An Authorization field speaks for the request alone, even a useless one.
    for authorization in ["Bearer x", "Basic YTpi", "Bearer", "", "bearer"] {
        let request = world.caller();
        let request =
            request.get("/v1/auth/session").header("cookie", &format!("identsphere_at={}", mine.access));
        request
            .header("authorization", authorization)
            .send()
            .await
            .assert_error(401, "authentication_required");
    }
    let body = json!({ "refresh_token": mine.refresh });
    let caller = world.caller();
    let mixed = caller
        .post("/v1/auth/refresh")
        .json(&body)
        .header("cookie", &format!("identsphere_rt={}", yours.refresh));
    mixed.send().await.assert_error(400, "invalid_input");
    for victim in [&mine, &yours] {
        world.session(&victim.access).await.assert_status(200);
    }
}

/// CK-08.
async fn no_write_hides_behind_another_method(world: World) {
    let victim = world.victim().await;
    for (name, value) in [
        ("x-http-method-override", "DELETE"),
        ("x-http-method", "DELETE"),
        ("x-method-override", "DELETE"),
        ("_method", "DELETE"),
    ] {
        for path in ["/v1/auth/sessions", "/v1/auth/sessions?_method=DELETE"] {
            let answer = world.caller().get(path).bearer(&victim.access).header(name, value).send().await;
            answer.assert_status(200);
        }
    }
    for endpoint in ENDPOINTS {
        for method in ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "PATCH", "PROPFIND", "delete", "Post"] {
            let path = path(endpoint);
            let is_write = |route: &Route| route.csrf != CsrfRule::ReadOnly && route.method.name() == method;
            let expected: &[u16] = if endpoint.is_for_development() {
                // What is for development alone does not exist here.
                &[404]
            } else if endpoint.routes.iter().any(is_write) {
                // Its own write, without a body.
                &[415]
            } else if endpoint.path.contains('{') {
                &[404, 405]
            } else {
                &[200, 405]
            };
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let answer = world.caller().request(method, &path).bearer(&victim.access).send().await;
            assert!(expected.contains(&answer.status), "{path}: {}", answer.status);
        }
    }
    world.session(&victim.access).await.assert_status(200);
}

/// CK-06: what a form of another site can send without asking first.
async fn forms_sign_nobody_in(world: World) {
    let body = sign_up(&unique("form@example.com")).to_string();
    for content_type in [
        "text/plain",
        "text/plain; charset=utf-8; application/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=json",
        "text/json",
        "application/json, text/plain",
        "text/plain, application/json",
        "application/json; charset=utf-16",
        "application/vnd.api+json",
        "",
    ] {
        for path in ["/v1/auth/register", "/v1/auth/login"] {
            let answer = world.caller().post(path).body(content_type, body.clone()).send().await;
            answer.assert_error(415, "unsupported_media_type");
            assert!(answer.cookies().is_empty());
        }
    }
}

/// WB-07.
async fn fields_that_nobody_asked_for_have_no_effect(world: World) {
    let someone = world.victim().await;
    let sub = identsphere_e2e::claims(&someone.access)["sub"].clone();
    let org = identsphere_e2e::claims(&someone.access)["org"].clone();
    let wishes = [
        ("id", sub.clone()),
        ("user_id", sub.clone()),
        ("sub", sub.clone()),
        ("organization_id", org.clone()),
        ("org", org.clone()),
        ("role", json!("superadmin")),
        ("roles", json!(["admin"])),
        ("is_admin", json!(true)),
        ("permissions", json!(["*"])),
        ("capabilities", json!({ "everything": true })),
        ("email_verified", json!(true)),
        ("status", json!("active")),
        ("aal", json!("aal2")),
        ("auth_time", json!(0)),
        ("created_at", json!("1970-01-01T00:00:00Z")),
        ("password_hash", json!("$scrypt$ln=1,r=1,p=1$AAAA$AAAA")),
        ("__proto__", json!({ "role": "admin" })),
        ("constructor", json!({ "prototype": { "role": "admin" } })),
        ("user", json!({ "id": sub, "role": "admin", "email_verified": true })),
        ("organization", json!({ "id": org })),
    ];
    let mut body = sign_up(&unique("wishful@example.com"));
    body["token_transport"] = json!("bearer");
    for (name, value) in wishes {
        body[name] = value;
    }
    let answer = world.caller().post("/v1/auth/register").json(&body).send().await;
    let claims = identsphere_e2e::claims(answer.assert_status(201).json()["access_token"].as_str().unwrap());
    assert!(claims["sub"] != sub && claims["org"] != org, "{claims}");
    assert_eq!((&claims["role"], &claims["aal"]), (&json!("owner"), &json!("aal1")));
    assert!(claims.get("email").is_none(), "an address that nobody verified");
    let seen = world.session(answer.json()["access_token"].as_str().unwrap()).await.json();
    let text = seen.to_string();
    assert!(
        !text.contains("superadmin")
            && !text.contains("everything")
            && !text.contains("\"email_verified\":true"),
        "{text}"
    );

    // Known fields take their own type only.
    for field in
        ["email", "password", "organization_name", "organization_slug", "display_name", "token_transport"]
    {
        for value in
            [json!(1), json!(true), json!([]), json!({ "$ne": null }), json!(["a@example.com"]), json!(1e308)]
        {
            let mut body = sign_up(&unique("typed@example.com"));
            body[field] = value;
            let answer = world.caller().post("/v1/auth/register").json(&body).send().await;
            answer.assert_error(400, "invalid_input");
        }
    }
    for token in [Value::Bool(true), json!(["isr_"]), json!({ "$gt": "" })] {
        let answer =
            world.caller().post("/v1/auth/refresh").json(&json!({ "refresh_token": token })).send().await;
        answer.assert_error(400, "invalid_input");
    }
}
