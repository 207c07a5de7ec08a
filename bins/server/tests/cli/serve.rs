//! The server from start to stop.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::machine::{Machine, code_now, get, mode};

#[test]
fn the_first_start_needs_nothing_and_keeps_its_files_private() {
    let machine = Machine::new();
    let server = machine.serve(&[]);
    assert_eq!(server.get("/readyz").0, 200);
    assert_eq!(server.get("/healthz").0, 200);
    assert_eq!(server.serving("store"), "sqlite://identsphere.db");
    assert_eq!(server.serving("master_key"), "identsphere.db.key");
    assert_eq!(mode(&machine.path("identsphere.db.key")), 0o600);
    assert_eq!(mode(&machine.path("identsphere.db")), 0o600);
}

#[test]
fn a_second_start_signs_with_the_same_key() {
    let machine = Machine::new();
    let keys = || machine.serve(&[]).get("/.well-known/jwks.json").1;
    let first = keys();
    assert!(first.contains("\"kid\""));
    assert_eq!(keys(), first);
}

#[test]
fn a_greeting_is_given_when_asked_for() {
    let machine = Machine::new().env("IDENTSPHERE_DATABASE_URL", "memory:");
    for (arguments, greets) in [(&["--hello"][..], true), (&[], false)] {
        let server = machine.serve(arguments);
        server.signal("INT");
        let (code, out) = server.end();
        assert_eq!((code, out.contains("curl -sS http://localhost")), (0, greets), "{out}");
    }
}

#[test]
fn a_server_that_is_told_to_stop_first_tells_its_balancer() {
    let machine = Machine::new().env("IDENTSPHERE_DATABASE_URL", "memory:");
    let mut server = machine.serve(&["--set", "drain_secs=2"]);
    server.signal("TERM");
    server.wait_for("draining");
    assert_eq!(server.get("/readyz").0, 503);
    assert_eq!(server.wait_for("a request was turned away")["error"], "this node is shutting down");
    assert_eq!(server.get("/healthz").0, 200, "requests are still taken");
    server.wait_for("stopped");
    assert_eq!(server.end().0, 0);
}

#[test]
fn a_request_in_flight_is_answered_before_the_end() {
    let machine = Machine::new().env("IDENTSPHERE_DATABASE_URL", "memory:");
    let mut server = machine.serve(&["--set", "drain_secs=0"]);
    let mut stream = TcpStream::connect(server.serving("address")).unwrap();
    let body = r#"{"email":"ada@example.com","password":"wrong"}"#;
    write!(
        stream,
        "POST /v1/auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Expect: 100-continue\r\n\r\n",
        body.len()
    )
    .unwrap();
    let mut begun = [0; 25];
    stream.read_exact(&mut begun).unwrap();
    assert_eq!(&begun, b"HTTP/1.1 100 Continue\r\n\r\n");
    server.signal("TERM");
    server.wait_for("finishing");
    stream.write_all(body.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    assert_eq!(server.end().0, 0);
}

#[test]
fn a_second_signal_ends_the_wait() {
    let machine = Machine::new().env("IDENTSPHERE_DATABASE_URL", "memory:");
    let mut server = machine.serve(&["--set", "drain_secs=9"]);
    server.signal("TERM");
    server.wait_for("draining");
    server.signal("INT");
    assert_eq!(server.end().0, 1);
}

#[test]
fn metrics_are_served_on_their_own_listener_only() {
    let machine = Machine::new().env("IDENTSPHERE_DATABASE_URL", "memory:");
    let server = machine.serve(&["--set", "metrics_listen=127.0.0.1:0"]);
    assert_eq!(server.get("/healthz").0, 200);
    assert_eq!(server.get("/metrics").0, 404);
    let (status, body) = get(server.serving("metrics"), "/metrics");
    assert_eq!(status, 200);
    assert!(
        body.contains("identsphere_http_requests_total{operation=\"healthz\",status=\"200\"} 1"),
        "{body}"
    );
}

#[test]
fn a_port_that_is_taken_is_an_error() {
    let machine = Machine::new().env("IDENTSPHERE_DATABASE_URL", "memory:");
    let server = machine.serve(&[]);
    let ended = machine.run(&["serve", "--listen", server.serving("address")]);
    assert_eq!(ended.code, 1);
    assert!(ended.err.contains("cannot listen on") && ended.err.contains("hint:"), "{}", ended.err);
}

#[test]
fn pending_migrations_may_be_left_alone() {
    let machine = Machine::new();
    let ended = machine.run(&["serve", "--no-migrate"]);
    assert_eq!(ended.code, 1);
    assert!(
        ended.err.contains("migrations are pending") && ended.err.contains("migrate up"),
        "{}",
        ended.err
    );
    assert_eq!(machine.run(&["migrate", "up"]).code, 0);
    assert_eq!(machine.serve(&["--no-migrate"]).get("/readyz").0, 200);
}

/// D-11: whoever takes the schema back under a running server takes it out of service.
#[test]
fn a_server_whose_schema_was_taken_back_is_not_ready_until_it_is_there_again() {
    let machine = Machine::new();
    let server = machine.serve(&[]);
    assert_eq!(server.get("/readyz").0, 200);
    assert_eq!(machine.run(&["migrate", "down", "--steps", "1"]).code, 0);
    assert_eq!(server.get("/readyz").0, 503);
    assert_eq!(server.get("/healthz").0, 200);
    assert_eq!(machine.run(&["migrate", "up"]).code, 0);
    assert_eq!(server.get("/readyz").0, 200);
}

/// LG-02: at the most talkative level, with a canary in every place where a secret may come.
#[test]
fn no_secret_reaches_the_log() {
    let machine =
        Machine::new().env("IDENTSPHERE_MASTER_KEY", "DelBwWc6182EtBHiERHyp7f+Z/fva6XYFhAdjuPM1kA=");
    let mut server = machine.serve(&["--log", "trace", "--set", "drain_secs=0"]);
    let register = json!({
        "email": "ada@example.com", "password": "canary in a password",
        "organization_name": "Acme", "token_transport": "bearer",
    });
    let (_, signed_in) = server.post("/v1/auth/register", &register);
    let signed_in: Value = serde_json::from_str(&signed_in).unwrap();
    let (access, refresh) =
        (signed_in["access_token"].as_str().unwrap(), signed_in["refresh_token"].as_str().unwrap());
    let fields = format!(
        "Authorization: Bearer {access}\r\nCookie: identsphere_at=canary-a; identsphere_rt=canary-r\r\n\
         X-CSRF-Token: canary-c\r\nX-Request-Id: known\r\n"
    );
    assert_eq!(server.get_with("/v1/auth/session?token=canary-q", &fields).0, 200);
    assert_eq!(server.get_with("/canary-path?token=canary-q", &fields).0, 404);
    server.post("/v1/auth/refresh", &json!({ "refresh_token": refresh }));
    server.post("/v1/auth/refresh", &json!({ "refresh_token": "canary-refresh" }));
    server.post("/v1/auth/login", &json!({ "email": "canary@example.com", "password": "canary password" }));
    server.post("/v1/auth/login", &json!({ "email": ["canary"], "password": { "canary": 1 } }));
    server.signal("INT");
    let log = server.rest_of_log();
    assert!(log.contains("\"request.id\":\"known\""), "requests are in the log under their id\n{log}");
    let secrets = ["canary", access, refresh, "DelBwWc6182EtBHi"];
    for secret in secrets {
        let line = log.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "{secret}");
    }
}

/// LG-02, for second factors.
#[test]
fn no_secret_of_a_second_factor_reaches_the_log() {
    let machine = Machine::new();
    let mut server = machine.serve(&["--log", "trace", "--set", "drain_secs=0"]);
    let send = |path: &str, fields: &str, body: Value| -> Value {
        let (status, answer) = server.post_with(path, fields, &body);
        assert!(status < 300, "{path} {answer}");
        serde_json::from_str(&answer).unwrap()
    };
    let login = json!({ "email": "ada@example.com", "password": "correct horse battery" });
    let mut register = login.clone();
    register["organization_name"] = json!("Acme");
    let signed_in = send("/v1/auth/register", "", register);
    let bearer = format!("Authorization: Bearer {}\r\n", signed_in["access_token"].as_str().unwrap());
    let setup = send("/v1/auth/mfa/setup", &bearer, json!({}));
    let secret = setup["secret"].as_str().unwrap();
    let codes = send("/v1/auth/mfa/enable", &bearer, json!({ "code": code_now(secret) }));
    let codes: Vec<String> = serde_json::from_value(codes["recovery_codes"].clone()).unwrap();
    send("/v1/auth/trusted-browsers", &bearer, json!({ "label": "Laptop" }));
    let cookies = "Cookie: identsphere_trust=canary-trust; identsphere_device=canary-device\r\n";
    let asked = send("/v1/auth/login", cookies, login);
    let token = asked["mfa_token"].as_str().unwrap();
    for body in [
        json!({ "mfa_token": token, "code": "canary" }),
        json!({ "mfa_token": token, "recovery_code": "canary-code" }),
        json!({ "mfa_token": "canary-token", "code": "123456" }),
    ] {
        assert!(matches!(server.post("/v1/auth/mfa/challenge", &body).0, 400 | 401));
    }
    send("/v1/auth/mfa/challenge", "", json!({ "mfa_token": token, "recovery_code": codes[0] }));
    server.signal("INT");
    let log = server.rest_of_log();
    assert!(log.contains("answerMfaChallenge"), "requests are in the log\n{log}");
    for secret in ["canary", secret, token].into_iter().chain(codes.iter().map(String::as_str)) {
        let line = log.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "{secret}");
    }
}
