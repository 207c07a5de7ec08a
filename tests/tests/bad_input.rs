//! Whatever strangers send: the envelope, never a 5xx. On every framework and store.

use identsphere_e2e::{App, matrix, raw_exchange, unique};
use identsphere_kernel::{Clock, SystemClock};
use serde_json::json;

matrix! {
    broken_json_is_refused_in_the_envelope,
    only_json_is_taken_where_json_is_due,
    deep_nesting_is_refused,
    large_bodies_are_refused,
    unknown_paths_and_methods_are_answered_in_the_envelope,
    odd_spellings_of_a_path_reach_no_handler,
    a_request_id_is_echoed_when_it_is_valid,
    members_given_twice_are_refused,
    operations_answer_without_a_session,
    malformed_requests_do_not_disturb_the_next_ones,
}

async fn broken_json_is_refused_in_the_envelope(app: App) {
    for body in [
        "",
        "{",
        "nul",
        "[]",
        "\"text\"",
        "7",
        "{\"email\":}",
        "{\"email\":\"a@example.com\",}",
        "\u{feff}{}",
        "{}{}",
        "{\"email\":\"\\ud800\"}",
    ] {
        let answer =
            app.caller().post("/v1/auth/login").body("application/json", body.to_owned()).send().await;
        answer.assert_error(400, "invalid_input");
    }
    let answer =
        app.caller().post("/v1/auth/login").body("application/json", vec![0xff, 0xfe, b'{']).send().await;
    answer.assert_error(400, "invalid_input");
}

/// CK-06.
async fn only_json_is_taken_where_json_is_due(app: App) {
    let body = json!({ "email": "a@example.com", "password": "x" }).to_string();
    for content_type in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/jsonp",
        "application/json-patch+json",
        "garbage",
    ] {
        let answer = app.caller().post("/v1/auth/login").body(content_type, body.clone()).send().await;
        answer.assert_error(415, "unsupported_media_type");
    }
    let plain = app
        .caller()
        .post("/v1/auth/login")
        .body("application/json; charset=utf-8", body.clone())
        .send()
        .await;
    plain.assert_error(401, "invalid_credentials");
    let packed = app
        .caller()
        .post("/v1/auth/login")
        .header("content-encoding", "gzip")
        .body("application/json", body)
        .send()
        .await;
    packed.assert_error(415, "unsupported_media_type");
}

async fn deep_nesting_is_refused(app: App) {
    for open in ["[", "{\"a\":"] {
        let body = format!("{{\"email\":{}", open.repeat(10_000));
        app.caller()
            .post("/v1/auth/login")
            .body("application/json", body)
            .send()
            .await
            .assert_error(400, "invalid_input");
    }
    let ignored = format!(
        "{{\"email\":\"{}\",\"password\":\"x\",\"extra\":{}{}}}",
        unique("a@example.com"),
        "[".repeat(9_000),
        "]".repeat(9_000)
    );
    app.caller()
        .post("/v1/auth/login")
        .body("application/json", ignored)
        .send()
        .await
        .assert_error(400, "invalid_input");
}

async fn large_bodies_are_refused(app: App) {
    for size in [70_000, 10 * 1_024 * 1_024] {
        let body = format!("{{\"email\":\"{}\"}}", "a".repeat(size));
        let answer = app.caller().post("/v1/auth/register").body("application/json", body).send().await;
        answer.assert_error(413, "payload_too_large");
    }
    let large = || "a".repeat(10 * 1_024 * 1_024);
    app.caller().post("/nowhere").body("text/plain", large()).send().await.assert_error(404, "not_found");
    let unasked = app.caller().delete("/v1/auth/sessions").body("text/plain", large()).send().await;
    unasked.assert_error(401, "authentication_required");
}

async fn unknown_paths_and_methods_are_answered_in_the_envelope(app: App) {
    for path in [
        "/",
        "/v1",
        "/v1/auth",
        "/v1/auth/nothing",
        "/.env",
        "/favicon.ico",
        "/v1/auth/sessions/a/b",
        "/metrics",
    ] {
        app.caller().get(path).send().await.assert_error(404, "not_found");
    }
    for (method, path, allow) in [
        ("PUT", "/v1/auth/login", "POST"),
        ("PATCH", "/v1/auth/session", "GET, HEAD"),
        ("GET", "/v1/auth/register", "POST"),
        ("TRACE", "/healthz", "GET, HEAD"),
        ("BREW", "/v1/auth/sessions", "DELETE, GET, HEAD"),
    ] {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let answer = app.caller().request(method, path).send().await;
        answer.assert_error(405, "method_not_allowed");
        let mut allowed: Vec<&str> = answer.header("allow").unwrap().split(',').map(str::trim).collect();
        allowed.sort_unstable();
        assert_eq!(allowed.join(", "), allow, "{path}");
    }
}

/// WB-06.
async fn odd_spellings_of_a_path_reach_no_handler(app: App) {
    for path in [
        "//v1/auth/session",
        "/v1//auth/session",
        "/v1/auth/session/",
        "/v1/auth/Session",
        "/V1/auth/session",
        "/v1/auth/session;x=1",
        "/v1/auth/%73ession/",
        "/v1/auth/session%00",
        "/v1/auth/sessions/%2e%2e",
        "/v1%2fauth%2fsession",
    ] {
        let answer = raw_exchange(
            app.address,
            &format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"),
        )
        .await;
        let status: u16 = answer[9..12].parse().unwrap();
        assert!([400, 401, 404, 405].contains(&status), "{path}: {answer}");
        assert!(answer.contains("\"error\""), "{path}: {answer}");
    }
}

async fn a_request_id_is_echoed_when_it_is_valid(app: App) {
    let echoed = app.caller().get("/healthz").header("x-request-id", "order-66_a.b").send().await;
    assert_eq!(echoed.header("x-request-id"), Some("order-66_a.b"));
    let long = "x".repeat(200);
    for invalid in ["has space", "<script>", "", long.as_str(), "ünicode"] {
        let answer = app.caller().get("/v1/auth/session").header("x-request-id", invalid).send().await;
        let id = answer.header("x-request-id").unwrap().to_owned();
        assert_ne!(id, invalid);
        assert!(id.len() == 36, "{id}");
        answer.assert_error(401, "authentication_required");
    }
}

async fn members_given_twice_are_refused(app: App) {
    let body = r#"{"email":"a@example.com","email":"b@example.com","password":"x"}"#;
    app.caller()
        .post("/v1/auth/login")
        .body("application/json", body)
        .send()
        .await
        .assert_error(400, "invalid_input");
}

async fn operations_answer_without_a_session(app: App) {
    app.clock.set(SystemClock.now());
    for path in [
        "/healthz",
        "/readyz",
        "/openapi.json",
        "/docs",
        "/.well-known/jwks.json",
        "/.well-known/openid-configuration",
    ] {
        app.caller().get(path).send().await.assert_status(200);
        let head = app.caller().request(reqwest::Method::HEAD, path).send().await;
        head.assert_status(200);
        assert!(head.body.is_empty(), "{path}");
    }
    let discovery = app.caller().get("/.well-known/openid-configuration").send().await.json();
    assert_eq!(discovery["issuer"], app.origin());
    assert_eq!(discovery["jwks_uri"], format!("{}/.well-known/jwks.json", app.origin()));
}

async fn malformed_requests_do_not_disturb_the_next_ones(app: App) {
    for request in [
        "GET\r\n\r\n",
        "GARBAGE\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nhost: a\r\ncontent-length: x\r\n\r\n",
        "POST /v1/auth/login HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST /v1/auth/login HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n\r\n",
        "\0\0\0\0\r\n\r\n",
    ] {
        let answer = raw_exchange(app.address, request).await;
        assert!(!answer.starts_with("HTTP/1.1 5"), "{request:?}: {answer}");
    }
    app.caller().get("/healthz").send().await.assert_status(200);
}
