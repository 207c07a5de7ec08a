//! What cannot be read gives nobody anything (D-15): credentials and forwarding fields that are no text, cut, or of another
//! make, on every route.

use identsphere_e2e::{App, BearerSession, Engine, Framework, PASSWORD, SCENARIOS, Scenario};
use identsphere_http::AuthRule;
use identsphere_kernel::Duration;
use serde_json::json;

use crate::sweep;

#[test]
fn nobody_gains_by_what_cannot_be_read_on_actix() {
    sweep(send_what_cannot_be_read(Framework::Actix));
}

#[test]
fn nobody_gains_by_what_cannot_be_read_on_axum() {
    sweep(send_what_cannot_be_read(Framework::Axum));
}

/// In the place of a credential that would do. An `Authorization` field speaks for its request alone.
const CREDENTIALS: &[(&str, &[u8])] = &[
    ("authorization", b"\xff\xfe\xfd"),
    ("authorization", b"Bearer"),
    ("authorization", b"Bearer \xff"),
    ("authorization", b"Bearer a.b"),
    ("authorization", b"Basic YTpi"),
    ("cookie", b"identsphere_at=\xff"),
    ("cookie", b"identsphere_at"),
    ("cookie", b"identsphere_at=a.b.c; =; ;;"),
    ("cookie", b"\xff\xff=\xff; identsphere_at=\xc3"),
];

/// Beside everything that is due: who says where the request comes from is believed nothing.
const FORWARDED: &[(&str, &[u8])] = &[
    ("x-forwarded-for", b"\xff\xfe"),
    ("x-forwarded-for", b"203.0.113.7"),
    ("x-forwarded-for", b"127.0.0.1, <script>, ::::, 999.1.1.1"),
    ("forwarded", b"for=\"\xff\";proto"),
    ("forwarded", b"for=unknown;;host=\xff"),
    ("x-real-ip", b"\xff"),
    ("x-forwarded-host", b"evil.example"),
    ("x-forwarded-proto", b"\xff"),
];

/// Beside everything that is due: refused, or read as nothing.
const OTHERS: &[(&str, &[u8])] = &[
    ("accept-language", b"\xff;q=\xff"),
    ("if-none-match", b"\xff"),
    ("user-agent", b"\xff\xfe"),
    ("x-request-id", b"\xff"),
    ("origin", b"\xff"),
    ("sec-fetch-site", b"\xff"),
    ("access-control-request-method", b"\xff"),
];

async fn send_what_cannot_be_read(framework: Framework) {
    let app = App::start(framework, Engine::Memory).await;
    let mut tried = 0;
    for (number, name) in SCENARIOS.iter().enumerate() {
        app.clock.advance(Duration::from_secs(3_600));
        let scenario = Scenario::on(&app, &app, name).await;
        tried += refuse_credentials(&app, &scenario, name).await;
        // A third of them, another one each time: every scenario is good once.
        let fields = FORWARDED.iter().chain(OTHERS).enumerate();
        for (_, (field, value)) in fields.filter(|(at, _)| at % 3 == number % 3) {
            app.clock.advance(Duration::from_secs(3_600));
            let scenario = Scenario::on(&app, &app, name).await;
            let answer = scenario.send_with(app.address, &[(field, value)]).await;
            let hidden = scenario.endpoint.is_for_development() && answer.status == 404;
            let due = scenario.route.success.status;
            let case = format!("{name}, {field}: {}", answer.status);
            let may_be_refused = matches!(*field, "origin" | "sec-fetch-site");
            assert!(answer.status == due || hidden || may_be_refused && answer.status == 403, "{case}");
            tried += 1;
        }
    }
    assert!(tried >= 400, "{tried}");
    no_address_is_believed(&app).await;
}

async fn refuse_credentials(app: &App, scenario: &Scenario, name: &str) -> usize {
    if scenario.route.auth != AuthRule::User {
        return 0;
    }
    for (field, value) in CREDENTIALS {
        let mut nobody = scenario.clone();
        if *field == "cookie" {
            nobody.caller.cookies.remove("identsphere_at");
        }
        let answer = nobody.send_with(app.address, &[(field, value)]).await;
        assert_eq!(answer.status, 401, "{name} with {field} {}", String::from_utf8_lossy(value));
    }
    CREDENTIALS.len()
}

/// Whoever writes down another address than their own is known by their own.
async fn no_address_is_believed(app: &App) {
    let (email, _) = app.sign_up().await;
    let body = json!({ "email": email, "password": PASSWORD, "token_transport": "bearer" });
    for (field, value) in FORWARDED {
        let caller = app.caller();
        let request = caller.post("/v1/auth/login").header_bytes(field, value).json(&body);
        let session = BearerSession::of(&email, request.send().await.assert_status(200));
        let listed = caller.get("/v1/auth/sessions").bearer(&session.access).send().await.json();
        let current = listed.as_array().unwrap().iter().find(|session| session["is_current"] == true);
        assert_eq!(current.unwrap()["ip_address"], "127.0.0.1", "{field}");
    }
}
