//! Everything that makes, takes or guesses a secret.

use std::fs;

use identsphere_factors::totp::TimeStep;
use identsphere_kernel::{Clock as _, SystemClock};
use identsphere_testkit::{CodeApp, SoftAuthenticator};
use serde_json::{Value, json};

use super::witness::Witness;
use crate::machine::Machine;

const ADA: &str = "ada@example.com";
const FIRST: &str = "canary of the first password";
const SECOND: &str = "canary of the second password";
const THIRD: &str = "canary of the third password";

/// Imports a user and exports everybody; what the program said, and the hash that came along.
pub(super) fn bring_along(machine: &Machine) -> (String, String) {
    let hash =
        "$argon2id$v=19$m=1024,t=2,p=1$AAECAwQFBgcICQoLDA0ODw$WHgvyW8Gptf87EcoCZ9qeI7pigT0zY+gonr224t6Rrg";
    let good = json!({ "email": "brought@example.com", "password_hash": hash });
    let bad = json!({ "email": "no address", "password_hash": hash });
    fs::write(machine.path("users.ndjson"), format!("{good}\n{bad}\n")).unwrap();
    let mut output = String::new();
    for arguments in [
        &["migrate", "up"][..],
        &["users", "import", "users.ndjson", "--log", "trace"],
        &["users", "export", "--log", "trace"],
        &["keys", "list", "--log", "trace"],
        &["doctor", "--log", "trace"],
        &["config", "--log", "trace"],
    ] {
        let ended = machine.run(arguments);
        output.push_str(&format!("{}{}", ended.out, ended.err));
    }
    assert!(output.contains("brought@example.com"), "{output}");
    (output, hash.to_owned())
}

fn login(password: &str) -> Value {
    json!({ "email": ADA, "password": password, "token_transport": "bearer" })
}

fn bearer(answer: &Value) -> String {
    format!("Authorization: Bearer {}\r\n", answer["access_token"].as_str().unwrap())
}

/// A session of its own, by the password alone.
fn sign_in(witness: &mut Witness, password: &str) -> (String, Value) {
    let answer = witness.succeed("POST /v1/auth/login", "", &login(password));
    (bearer(&answer), answer)
}

/// Signing up, in and out, with cookies and without, rightly and wrongly.
pub(super) fn password(witness: &mut Witness) {
    for password in [FIRST, SECOND, THIRD] {
        witness.remember("a password", password);
    }
    let mut registration = json!({ "email": ADA, "password": FIRST, "organization_name": "Acme" });
    witness.succeed("POST /v1/auth/register", "", &registration);
    registration["password"] = json!(SECOND);
    witness.refuse(409, "POST /v1/auth/register", "", &registration);
    let weak = witness.remember("a password that is refused", "canary\u{7}12");
    witness.refuse(400, "POST /v1/auth/register", "", &json!({ "email": "b@example.com", "password": weak, "organization_name": "B", "display_name": "x\u{0}" }));
    for wrong in ["canary of a wrong password", "canary of one more password"] {
        witness.remember("a wrong password", wrong);
        witness.refuse(401, "POST /v1/auth/login", "", &login(wrong));
    }
    let (_, tokens) = sign_in(witness, FIRST);
    let refresh = json!({ "refresh_token": tokens["refresh_token"] });
    let next = witness.succeed("POST /v1/auth/refresh", "", &refresh);
    let again = json!({ "refresh_token": next["refresh_token"] });
    witness.succeed("POST /v1/auth/refresh", "", &again);
    witness.refuse(401, "POST /v1/auth/refresh", "", &refresh);
    witness.refuse(401, "GET /v1/auth/session", &bearer(&next), &Value::Null);

    let (bearer, _) = sign_in(witness, FIRST);
    let change = json!({ "current_password": FIRST, "new_password": SECOND });
    witness.succeed("POST /v1/users/me/password", &bearer, &change);
    witness.refuse(401, "POST /v1/users/me/password", &bearer, &change);
    witness.succeed("GET /v1/users/me/export", &bearer, &Value::Null);
    witness.succeed("POST /v1/auth/logout", &bearer, &Value::Null);
}

/// Links and codes by mail.
pub(super) fn mailbox(witness: &mut Witness) {
    let (bearer, _) = sign_in(witness, SECOND);
    witness.succeed("POST /v1/auth/email/send-verification", &bearer, &Value::Null);
    witness.mailed("verify-email?token");
    let email = json!({ "email": ADA });
    // The mails of before have been read by now: what comes next is the answer to what is asked next.
    let token = loop {
        witness.succeed("POST /v1/auth/email/send-verification", &bearer, &Value::Null);
        let token = witness.mailed("verify-email?token");
        if witness.send("POST /v1/auth/email/verify", "", &json!({ "token": token })).0 == 204 {
            break token;
        }
    };
    witness.refuse(401, "POST /v1/auth/email/verify", "", &json!({ "token": token }));

    for _ in 0..3 {
        witness.succeed("POST /v1/auth/email-otp/request", "", &email);
        let code = witness.mailed("this is your code");
        let wrong = json!({ "email": ADA, "code": "000000" });
        witness.send("POST /v1/auth/email-otp/verify", "", &wrong);
        let right = json!({ "email": ADA, "code": code, "token_transport": "bearer" });
        witness.succeed("POST /v1/auth/email-otp/verify", "", &right);
    }

    witness.succeed("POST /v1/auth/password/forgot", "", &email);
    let token = witness.mailed("reset-password?token");
    let reset = json!({ "token": token, "new_password": THIRD });
    witness.succeed("POST /v1/auth/password/reset", "", &reset);
    witness.refuse(401, "POST /v1/auth/password/reset", "", &reset);

    let (bearer, _) = sign_in(witness, THIRD);
    let change = json!({ "new_email": "lovelace@example.com", "password": THIRD });
    witness.succeed("POST /v1/users/me/email", &bearer, &change);
    witness.mailed("become the one of your");
    let stranger = "User-Agent: Stranger/1\r\n";
    witness.succeed("POST /v1/auth/login", stranger, &login(THIRD));
    let token = witness.mailed("not-me?token");
    witness.succeed("POST /v1/auth/session/disown", "", &json!({ "token": token }));
}

/// An authenticator, recovery codes, a trusted browser.
pub(super) fn second_factor(witness: &mut Witness) {
    let (bearer_field, _) = sign_in(witness, THIRD);
    let setup = witness.succeed("POST /v1/auth/mfa/setup", &bearer_field, &json!({}));
    let app = CodeApp::with(setup["secret"].as_str().unwrap()).unwrap();
    let now = TimeStep::at(SystemClock.now()).unwrap().number();
    let code = |witness: &mut Witness, step: u64| {
        json!(witness.remember("a code", &app.code_of(TimeStep::from_number(step))))
    };
    let first = code(witness, now - 1);
    let enabled = witness.succeed("POST /v1/auth/mfa/enable", &bearer_field, &json!({ "code": first }));
    let codes: Vec<String> = serde_json::from_value(enabled["recovery_codes"].clone()).unwrap();
    witness.succeed("POST /v1/auth/trusted-browsers", &bearer_field, &json!({ "label": "Laptop" }));

    let asked = witness.succeed("POST /v1/auth/login", "", &login(THIRD));
    let token = asked["mfa_token"].clone();
    let wrong = witness.remember("a code of nobody", "canary-code-of-nobody");
    witness.refuse(400, "POST /v1/auth/mfa/challenge", "", &json!({ "mfa_token": token, "code": wrong }));
    for step in [now - 40, now - 41] {
        let old = code(witness, step);
        witness.refuse(401, "POST /v1/auth/mfa/challenge", "", &json!({ "mfa_token": token, "code": old }));
    }
    let paper = json!({ "mfa_token": token, "recovery_code": codes[0], "token_transport": "bearer" });
    let signed_in = witness.succeed("POST /v1/auth/mfa/challenge", "", &paper);
    witness.refuse(401, "POST /v1/auth/mfa/challenge", "", &paper);
    let shown = code(witness, now + 1);
    witness.succeed("POST /v1/auth/mfa/verify", &bearer(&signed_in), &json!({ "code": shown }));
    let own = json!({ "password": THIRD });
    witness.succeed("POST /v1/auth/mfa/recovery-codes", &bearer(&signed_in), &own);
    witness.succeed("POST /v1/auth/mfa/disable", &bearer(&signed_in), &own);
    // One that is kept, so that there is a row to look into.
    witness.succeed("POST /v1/auth/mfa/setup", &bearer(&signed_in), &json!({}));
}

/// Passkeys, made and used.
pub(super) fn passkeys(witness: &mut Witness) {
    let (bearer, _) = sign_in(witness, THIRD);
    let authenticator = SoftAuthenticator::new();
    let page = witness.server.serving("base_url").trim_end_matches('/').to_owned();
    let begun = witness.succeed("POST /v1/users/me/passkeys/register/begin", &bearer, &Value::Null);
    let made = block_on(authenticator.register(&begun, &page)).unwrap();
    let made = json!({ "credential": made });
    witness.succeed("POST /v1/users/me/passkeys/register/complete", &bearer, &made);
    witness.refuse(400, "POST /v1/users/me/passkeys/register/complete", &bearer, &made);
    let begun = witness.succeed("POST /v1/auth/passkey/login/begin", "", &json!({ "email": ADA }));
    let used = json!({ "credential": block_on(authenticator.assert(&begun, &page)).unwrap() });
    witness.succeed("POST /v1/auth/passkey/login/complete", "", &used);
    witness.refuse(401, "POST /v1/auth/passkey/login/complete", "", &used);
    // One that waits for its answer.
    witness.succeed("POST /v1/auth/passkey/login/begin", "", &Value::Null);
}

/// What nobody asked for, in every place where something can stand.
pub(super) fn strangers(witness: &mut Witness) {
    const FIELDS: [&str; 16] = [
        "Authorization: Bearer {}",
        "Authorization: Basic {}",
        "Proxy-Authorization: Basic {}",
        "X-Api-Key: {}",
        "X-CSRF-Token: {}",
        "X-Request-Id: {}",
        "Cookie: identsphere_at={}; identsphere_rt={}2; identsphere_csrf={}3",
        "Cookie: identsphere_trust={}; identsphere_device={}2; session={}3",
        "Origin: https://{}.example",
        "Referer: https://id.example.com/reset?token={}",
        "Accept-Language: {}",
        "If-None-Match: \"{}\"",
        "X-Forwarded-For: {}",
        "Forwarded: for={}",
        "Content-Encoding: {}",
        "Sec-Fetch-Site: {}",
    ];
    for (number, field) in FIELDS.iter().enumerate() {
        // No harmless request id: those are written down, as their senders want it.
        let canary = witness.remember("an invented header field", &format!("canary/of/field/{number}"));
        let field = format!("{}\r\n", field.replace("{}", &canary));
        for line in
            ["GET /v1/auth/session", "POST /v1/auth/refresh", "DELETE /v1/auth/sessions", "GET /nowhere"]
        {
            let (status, _) = witness.send(line, &field, &Value::Null);
            assert!(matches!(status, 400..=415), "{line} {field}: {status}");
        }
    }
    let canary = witness.remember("an invented token", "canary-of-a-token-in-a-body");
    for (path, member) in [
        ("/v1/auth/refresh", "refresh_token"),
        ("/v1/auth/email/verify", "token"),
        ("/v1/auth/session/disown", "token"),
    ] {
        witness.refuse(401, &format!("POST {path}"), "", &json!({ member: canary }));
        witness.refuse(400, &format!("POST {path}"), "", &json!({ member: { "nested": canary } }));
    }
    let reset = json!({ "token": canary, "new_password": THIRD });
    witness.refuse(401, "POST /v1/auth/password/reset", "", &reset);
    for path in ["/canary-of-a-path", "/v1/auth/session?token=canary-of-a-query", "/dev/mail/canary-of-an-id"]
    {
        witness.send(&format!("GET {path}"), "", &Value::Null);
    }
    for canary in ["canary-of-a-path", "canary-of-a-query", "canary-of-an-id", "canary-of-broken-json"] {
        witness.remember("a canary", canary);
    }
    for broken in [
        "{\"password\": \"canary-of-broken-json\"",
        "[\"canary-of-broken-json\"]",
        "\"canary-of-broken-json\"",
    ] {
        for path in ["/v1/auth/login", "/v1/auth/register", "/v1/auth/mfa/challenge"] {
            let (status, _) = witness.send_text(&format!("POST {path}"), "", broken);
            assert_eq!(status, 400, "{path} {broken}");
        }
    }
}

/// The answer of an authenticator, which waits for nobody.
fn block_on<T>(answer: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(answer)
}
