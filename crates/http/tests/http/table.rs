//! What holds for every route, because the table says so.

use std::collections::HashSet;

use identsphere_http::{
    AuthRule, BodyRule, CsrfRule, ENDPOINTS, Endpoint, Method, RateClass, Route, openapi_document,
};
use serde_json::Value;

use crate::request::{Request, code, read};
use crate::world::{World, http_config};

fn routes() -> impl Iterator<Item = (&'static Endpoint, &'static Route)> {
    ENDPOINTS.iter().flat_map(|endpoint| endpoint.routes.iter().map(move |route| (endpoint, route)))
}

/// A path of the endpoint.
fn path_of(endpoint: &Endpoint) -> String {
    let picture = "0123456789abcdef0123456789abcdef.png";
    endpoint.path.replace("{id}", "0199b2a4-6c1e-7d30-8f6e-3c0c5a2f9b11").replace("{name}", picture)
}

fn document() -> Value {
    serde_json::from_str(&openapi_document(&http_config(Default::default())).unwrap()).unwrap()
}

#[test]
fn operations_have_one_name_each() {
    let names: Vec<_> = routes().map(|(_, route)| route.operation).collect();
    let unique: HashSet<_> = names.iter().collect();
    assert_eq!(unique.len(), names.len());
    assert!(routes().all(|(_, route)| !route.operation.is_empty() && !route.summary.is_empty()));
    let paths: HashSet<_> = ENDPOINTS.iter().map(|endpoint| endpoint.path).collect();
    assert_eq!(paths.len(), ENDPOINTS.len());
}

#[test]
fn what_changes_something_is_protected_and_what_reads_is_get() {
    for (endpoint, route) in routes() {
        let reads = route.method == Method::Get;
        assert_eq!(reads, route.csrf == CsrfRule::ReadOnly, "{}", route.operation);
        assert!(!reads || matches!(route.body, BodyRule::None), "{}", route.operation);
        // What takes a password or a code, and what sends or redeems mail, must be limited.
        let must_be_limited = matches!(
            route.operation,
            "register"
                | "login"
                | "changePassword"
                | "deleteAccount"
                | "changeEmail"
                | "sendVerification"
                | "verifyEmail"
                | "requestEmailCode"
                | "signInWithEmailCode"
                | "forgotPassword"
                | "resetPassword"
        );
        let is_limited = !matches!(route.rate, RateClass::Unlimited | RateClass::Upload);
        assert!(!must_be_limited || is_limited, "{}", endpoint.path);
    }
}

#[test]
fn the_api_document_has_every_route_with_every_error() {
    let document = document();
    for (endpoint, route) in routes() {
        let operation = &document["paths"][endpoint.path][route.method.name().to_lowercase()];
        assert_eq!(operation["operationId"], route.operation);
        let responses = operation["responses"].as_object().unwrap();
        assert!(responses.contains_key(&route.success.status.to_string()), "{}", route.operation);
        for code in route.errors() {
            let response = &responses[&code.status().to_string()];
            assert!(response["description"].as_str().unwrap().contains(code.code()), "{}", route.operation);
            let schema = &response["content"]["application/json"]["schema"]["$ref"];
            assert_eq!(schema, "#/components/schemas/Error");
        }
        assert!(responses.contains_key("405"));
        assert_eq!(operation["security"].as_array().unwrap().is_empty(), route.auth == AuthRule::Public);
    }
    let documented: usize =
        document["paths"].as_object().unwrap().values().map(|item| item.as_object().unwrap().len()).sum();
    assert_eq!(documented, routes().count());
}

#[test]
fn every_reference_in_the_api_document_leads_somewhere() {
    fn check(value: &Value, document: &Value) {
        match value {
            Value::Object(map) => {
                if let Some(Value::String(reference)) = map.get("$ref") {
                    assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
                }
                map.values().for_each(|value| check(value, document));
            }
            Value::Array(list) => list.iter().for_each(|value| check(value, document)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let document = document();
    check(&document, &document);
}

#[tokio::test]
async fn routes_for_users_refuse_everybody_else() {
    let world = World::new().await;
    let credentials = [
        None,
        Some(("authorization", "Bearer")),
        Some(("authorization", "Bearer a.b.c")),
        Some(("authorization", "Basic YTpi")),
        Some(("cookie", "identsphere_at=a.b.c")),
    ];
    for (endpoint, route) in routes().filter(|(_, route)| route.auth == AuthRule::User) {
        for credential in credentials {
            let mut request = Request::new(route.method.name(), &path_of(endpoint));
            match route.body {
                BodyRule::Required(..) => request = request.body("application/json", "{}"),
                BodyRule::Multipart(..) => request = request.body("multipart/form-data; boundary=x", ""),
                BodyRule::None | BodyRule::Optional(..) => {}
            }
            if let Some((name, value)) = credential {
                request = request.field(name, value);
            }
            let reply = world.send(request).await;
            assert_eq!(
                (reply.status, code(&reply).as_str()),
                (401, "authentication_required"),
                "{}",
                route.operation
            );
            assert_eq!(reply.header("www-authenticate"), Some("Bearer"));
        }
    }
}

#[tokio::test]
async fn bodies_that_are_not_json_are_refused() {
    let world = World::new().await;
    let kinds = ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"];
    let takes_json = |route: &Route| matches!(route.body, BodyRule::Required(..) | BodyRule::Optional(..));
    for (endpoint, route) in routes().filter(|(_, route)| takes_json(route)) {
        for kind in kinds {
            let reply = world.send(Request::new(route.method.name(), endpoint.path).body(kind, "{}")).await;
            assert_eq!(reply.status, 415, "{} {kind}", route.operation);
        }
        let json = Request::new(route.method.name(), endpoint.path).body("application/json", "{}");
        assert_eq!(world.send(json.clone().field("content-encoding", "gzip")).await.status, 415);
        assert_eq!(world.send(json.field("content-length", "65537")).await.status, 413);
        let large = Request::new(route.method.name(), endpoint.path)
            .body("application/json", vec![b' '; 64 * 1_024 + 1]);
        // What a stranger sends is not read where a user is due.
        let refused = if route.auth == AuthRule::User { 401 } else { 413 };
        assert_eq!(world.send(large).await.status, refused, "{}", route.operation);
    }
}

#[tokio::test]
async fn bodies_that_are_no_forms_are_refused_where_a_form_is_due() {
    let world = World::new().await;
    for (endpoint, route) in routes().filter(|(_, route)| matches!(route.body, BodyRule::Multipart(..))) {
        for kind in ["application/json", "text/plain", "multipart/form-data", "multipart/mixed; boundary=x"] {
            let request = Request::new(route.method.name(), endpoint.path).body(kind, "{}");
            assert_eq!(world.send(request).await.status, 415, "{} {kind}", route.operation);
        }
        let form =
            Request::new(route.method.name(), endpoint.path).body("multipart/form-data; boundary=x", "");
        assert_eq!(world.send(form.clone().field("content-encoding", "gzip")).await.status, 415);
        assert_eq!(world.send(form.field("content-length", "20000000")).await.status, 413);
    }
}

#[tokio::test]
async fn a_wrong_method_is_told_the_right_ones() {
    let world = World::new().await;
    for endpoint in ENDPOINTS.iter().filter(|endpoint| !endpoint.is_for_development()) {
        for method in ["PUT", "LINK", "OPTIONS", "TRACE", "PROPFIND"] {
            let reply = world
                .send(Request::new(method, &path_of(endpoint)).field("x-http-method-override", "GET"))
                .await;
            assert_eq!(
                (reply.status, code(&reply).as_str()),
                (405, "method_not_allowed"),
                "{}",
                endpoint.path
            );
            for route in endpoint.routes {
                assert!(reply.header("allow").unwrap().contains(route.method.name()));
            }
        }
    }
}

#[tokio::test]
async fn no_second_spelling_of_a_path_is_known() {
    let world = World::new().await;
    for endpoint in ENDPOINTS {
        let path = path_of(endpoint);
        let spellings = [
            format!("/{path}"),
            format!("{path}/"),
            format!("/.{path}"),
            format!("/%2e{path}"),
            path.replace('/', "//"),
            path.replacen('/', "/;x/", 1),
            path.to_uppercase(),
            format!("/%{:02x}{}", path.as_bytes()[1], &path[2..]),
        ];
        for spelling in spellings {
            let reply =
                world.app.answer_unknown(&identsphere_http::Head::new("GET", &spelling, None, None)).await;
            assert_eq!(reply.status, 404);
            assert!(!endpoint.matches(&spelling), "{spelling}");
        }
        assert!(endpoint.matches(&path));
    }
}

#[tokio::test]
async fn every_answer_has_the_headers_that_protect_it() {
    let world = World::new().await;
    let known = routes().map(|(endpoint, route)| Request::new(route.method.name(), &path_of(endpoint)));
    let unknown = [Request::get("/nothing"), Request::new("PUT", "/healthz")];
    for request in known.chain(unknown) {
        let reply = world.send(request.clone().field("x-request-id", "my.id_1-2")).await;
        let path = &request.path;
        assert_eq!(reply.header("x-request-id"), Some("my.id_1-2"), "{path}");
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(reply.header("cross-origin-resource-policy"), Some("same-origin"), "{path}");
        assert_eq!(reply.header("referrer-policy"), Some("no-referrer"), "{path}");
        assert_eq!(
            reply.header("strict-transport-security"),
            Some("max-age=31536000; includeSubDomains"),
            "{path}"
        );
        assert!(reply.header("content-security-policy").unwrap().starts_with("default-src 'none'"), "{path}");
        let is_public = reply.status == 200 && reply.header("etag").is_some();
        let expected = if is_public { "public, max-age=300" } else { "no-store" };
        assert_eq!(reply.header("cache-control"), Some(expected), "{path}");
        if reply.status >= 400 {
            assert_eq!(reply.header("content-type"), Some("application/json; charset=utf-8"), "{path}");
            assert_eq!(read(&reply)["error"]["request_id"], "my.id_1-2", "{path}");
        }
    }
}

#[tokio::test]
async fn a_harmful_request_id_is_replaced() {
    let world = World::new().await;
    for id in ["", "a b", "a\"b", "<x>", &"a".repeat(129)] {
        let reply = world.send(Request::get("/healthz").field("x-request-id", id)).await;
        assert_eq!(reply.header("x-request-id").unwrap().len(), 36, "{id}");
    }
    let longest = "a".repeat(128);
    let reply = world.send(Request::get("/healthz").field("x-request-id", &longest)).await;
    assert_eq!(reply.header("x-request-id"), Some(longest.as_str()));
}
