//! Users who are brought along and taken away.

use std::fs;
use std::thread;

use serde_json::{Value, json};

use crate::machine::{Ended, Machine, code_now, mode};

const PASSWORD: &str = "correct horse battery staple";

/// Hashes of [`PASSWORD`] as other systems keep them, made by argon2-cffi, bcrypt, passlib, Django and hashlib.
const HASHES: [(&str, &str); 11] = [
    ("scrypt", "$scrypt$ln=10,r=8,p=2$AAECAwQFBgcICQoLDA0ODw$wk79EttC618m617oirShLZuxJkXcX6rXHrrS9rQQ/44"),
    (
        "argon2id",
        "$argon2id$v=19$m=1024,t=2,p=1$AAECAwQFBgcICQoLDA0ODw$WHgvyW8Gptf87EcoCZ9qeI7pigT0zY+gonr224t6Rrg",
    ),
    ("argon2i", "$argon2i$v=19$m=256,t=3,p=4$AAECAwQFBgcICQoLDA0ODw$SsVcrpxmKaA4zdv8jEO9mUu7NEqe/AG3"),
    ("bcrypt-2a", "$2a$05$9bRW2cFIza7KlEZLIrhIgeu8t9ncGcmOEfBuDWdxNuK4oc/1.6l5K"),
    ("bcrypt-2b", "$2b$05$vVYL/fNmGafj/jNNcmYKP.I6lK2IpbBBKBT9m163eaxg/.bSsMc4S"),
    ("bcrypt-2y", "$2y$05$1qJgPeWi96AjH2aUyVzAuORUZDI32vgwx8ERCovLSm1Hip4ksVO1W"),
    ("passlib", "$pbkdf2-sha256$2000$AAECAwQFBgcICQoLDA0ODw$dHrv0WO6TTplluvGUzKcNCpMnnwd8jlNMK5NBd.OAA4"),
    (
        "pbkdf2",
        "$pbkdf2-sha256$i=2000,l=32$AAECAwQFBgcICQoLDA0ODw$dHrv0WO6TTplluvGUzKcNCpMnnwd8jlNMK5NBd+OAA4",
    ),
    ("django", "pbkdf2_sha256$2000$Yx4wQ0pVn2$uk8/07Xk6JNylySaRCUAdbXzi9udkMO52GLLFvs1zRc="),
    (
        "django-argon2",
        "argon2$argon2id$v=19$m=256,t=2,p=2$V3owaU15ZGdvSEt0NHFhelpITnU5cw$2Kdun4GT4KfsUo+O/CiEJcMgF8AEuFLTY/LPcP8o+yE",
    ),
    (
        "django-scrypt",
        "scrypt$1024$v7FowKfhdOhjClUlOnxdZG$8$5$RT+5wJ6gyVfx6nV5KMDx+pTwDH1s4sxMsVe+RU7wEWnZliN2stL7es9AtNuK1BNZ2a/B4xpLu3oN7GdgVTtWug==",
    ),
];

/// The project, the user and the password that Firebase publishes as an example.
const FIREBASE: &str = "hash_config {
  algorithm: SCRYPT,
  base64_signer_key: jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA==,
  base64_salt_separator: Bw==,
  rounds: 8,
  mem_cost: 14,
}";
const FIREBASE_HASH: &str =
    "lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZqAjTdn3aoItz+VHjoZilo78198JAdRuid5lQ==";
const FIREBASE_SALT: &str = "42xEC+ixf3L2lw==";

/// A machine with an empty store.
fn machine() -> Machine {
    let machine = Machine::new();
    assert_eq!(machine.run(&["migrate", "up"]).code, 0);
    machine
}

fn import(machine: &Machine, name: &str, content: impl AsRef<[u8]>, more: &[&str]) -> Ended {
    fs::write(machine.path(name), content).unwrap();
    machine.run(&[&["users", "import", name][..], more].concat())
}

fn exported(machine: &Machine) -> Vec<Value> {
    let ended = machine.run(&["users", "export", "--with-password-hashes"]);
    assert_eq!(ended.code, 0, "{}", ended.err);
    ended.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn report(machine: &Machine, name: &str) -> Vec<(u64, String, String)> {
    let text = fs::read_to_string(machine.path(name)).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    lines
        .map(|line| (line["line"].as_u64().unwrap(), text(&line["outcome"]), text(&line["reason"])))
        .collect()
}

#[test]
fn imported_users_sign_in_with_their_old_password_and_are_hashed_anew() {
    let machine = machine();
    let mut lines: Vec<Value> = HASHES
        .iter()
        .map(|(name, hash)| json!({ "email": format!("{name}@example.com"), "password_hash": hash }))
        .collect();
    lines.push(json!({
        "email": "firebase@example.com", "password_hash": FIREBASE_HASH, "password_salt": FIREBASE_SALT,
    }));
    let file: String = lines.iter().map(|line| format!("{line}\n")).collect();
    fs::write(machine.path("firebase.txt"), FIREBASE).unwrap();
    let ended = import(&machine, "users.ndjson", file, &["--firebase-config", "firebase.txt"]);
    assert_eq!((ended.code, ended.out.trim(), &*ended.err), (0, "12 created, 0 unchanged, 0 refused", ""));
    for user in exported(&machine) {
        let hash = user["password_hash"].as_str().unwrap();
        assert!(!hash.starts_with("$scrypt$ln=15") && !hash.contains("jxspr8Ki0RYy"), "{hash}");
    }

    let server = machine.serve(&["--set", "rate_limits=false"]);
    let sign_in = |email: &Value, password: &str| {
        let body = json!({ "email": email, "password": password, "token_transport": "bearer" });
        server.post("/v1/auth/login", &body).0
    };
    let password_of =
        |email: &Value| if email == "firebase@example.com" { "user1password" } else { PASSWORD };
    for line in &lines {
        let email = &line["email"];
        assert_eq!(sign_in(email, "incorrect horse battery staple"), 401, "{email}");
        assert_eq!(sign_in(email, password_of(email)), 200, "{email}");
    }
    for user in exported(&machine) {
        let (email, hash) = (&user["email"], user["password_hash"].as_str().unwrap());
        assert!(hash.starts_with("$scrypt$ln=15,r=8,p=3$"), "{email}: {hash}");
        assert_eq!(sign_in(email, password_of(email)), 200, "{email} once more");
    }
}

#[test]
fn a_disabled_user_and_one_without_a_password_cannot_sign_in() {
    let machine = machine();
    let hash = HASHES[0].1;
    let file =
        format!("email,status,password_hash\noff@example.com,disabled,\"{hash}\"\nnone@example.com,,\n");
    assert_eq!(import(&machine, "users.csv", file, &[]).code, 0);
    let server = machine.serve(&[]);
    for email in ["off@example.com", "none@example.com"] {
        assert_eq!(server.post("/v1/auth/login", &json!({ "email": email, "password": PASSWORD })).0, 401);
    }
}

#[test]
fn no_line_stops_the_others_and_each_says_why() {
    let machine = machine();
    let id = "0190a1b2-0000-7000-8000-000000000001";
    let mut file = b"\xef\xbb\xbf".to_vec();
    let long = format!(r#"{{"email":"long@example.com","display_name":"{}"}}"#, "x".repeat(1 << 20));
    for line in [
        &format!(r#"{{"email":"ada@example.com","id":"{id}","bio":"x"}}"#),
        r#"{"email":"ＡＤＡ@Example.COM"}"#,
        r#"{"email":"ada@example.com\r\nBcc: eve@example.com"}"#,
        r#"{"email":"b@example.com","display_name":"B\r\nSet-Cookie: x"}"#,
        r#"{"email":"c@example.com","password_hash":"$2b$31$vVYL/fNmGafj/jNNcmYKP.I6lK2IpbBBKBT9m163eaxg/.bSsMc4S"}"#,
        r#"{"email":"c@example.com","password_hash":"$6$salt$hash","status":"deleted","role":"king"}"#,
        &long,
        "not json",
        r#"{"email":["d@example.com"],"bio":"again"}"#,
        r#"{"display_name":"Nobody"}"#,
        &format!(r#"{{"email":"e@example.com","id":"{id}"}}"#),
        r#"{"email":"f@example.com","organization_slug":"nowhere"}"#,
        r#"{"email":"g@example.com","created_at":"2999-01-01T00:00:00Z"}"#,
        r#"{"email":"h@example.com","role":"admin"}"#,
        r#"{"email":"i@example.com","password_hash":"AAAA","password_salt":"AAAA"}"#,
    ] {
        file.extend(line.as_bytes());
        file.extend(b"\r\n");
    }
    file.extend(b"{\"email\":\"\xff@example.com\"}\n{\"email\":\"last@example.com\"}");

    let dry = import(&machine, "users.ndjson", &file, &["--dry-run", "--report", "dry"]);
    assert_eq!((dry.code, dry.out.trim()), (1, "dry run: 2 would be created, 0 unchanged, 15 refused"));
    assert!(exported(&machine).is_empty(), "nothing was written");
    let real = import(&machine, "users.ndjson", &file, &["--report", "real"]);
    assert_eq!((real.code, real.out.trim()), (1, "2 created, 0 unchanged, 15 refused"));
    assert_eq!(real.err.matches("the column \"bio\"").count(), 1, "{}", real.err);
    assert!(real.err.contains("15 lines were refused") && real.err.contains("hint:"), "{}", real.err);
    assert_eq!(report(&machine, "dry"), report(&machine, "real"), "a dry run says what a run says");
    assert_eq!(mode(&machine.path("real")), 0o600);

    let said = report(&machine, "real");
    for (line, why) in [
        (2, "email is that of line 1"),
        (3, "email must be an e-mail address"),
        (4, "display_name must not contain control characters"),
        (5, "password_hash cannot be verified: the parameters cost more than is allowed"),
        (
            6,
            "status must be active or disabled; password_hash cannot be verified: the scheme is not known; role is not",
        ),
        (7, "longer than"),
        (8, "not a JSON object"),
        (9, "email must be text"),
        (10, "email is missing"),
        (11, "id is that of line 1"),
        (12, "organization_slug is not known"),
        (13, "created_at must be a time in the past"),
        (14, "role needs organization_slug"),
        (15, "Firebase"),
        (16, "not UTF-8"),
    ] {
        let found = said.iter().find(|(number, ..)| *number == line).unwrap();
        assert!(found.1 == "refused" && found.2.contains(why), "{found:?}");
    }
    assert_eq!(said[16].1, "created");

    let again = import(&machine, "users.ndjson", &file, &[]);
    assert_eq!((again.code, again.out.trim()), (1, "0 created, 2 unchanged, 15 refused"));
    assert!(
        again.err.contains(r#"line 3 "ada@example.com\r\nBcc: eve@example.com": email must"#),
        "{}",
        again.err
    );
}

#[test]
fn members_of_an_organization_come_together() {
    let machine = machine();
    let file = "email,organization_slug,organization_name,role,display_name\n\
                boss@example.com,acme,\"Acme, Inc.\",owner,\"Grace \"\"the boss\"\" Hopper\"\n\
                clerk@example.com,acme,,,\n\
                alone@example.com,,,,Ada Lovelace\n";
    for (more, out) in [
        (&["--dry-run"][..], "dry run: 3 would be created, 0 unchanged, 0 refused"),
        (&[], "3 created, 0 unchanged, 0 refused"),
        (&["--dry-run"], "dry run: 0 would be created, 3 unchanged, 0 refused"),
    ] {
        let ended = import(&machine, "users.csv", file, more);
        assert_eq!((ended.code, ended.out.trim(), &*ended.err), (0, out, ""));
    }
    let users = exported(&machine);
    let of = |email: &str| users.iter().find(|user| user["email"] == email).unwrap();
    let (boss, clerk, alone) = (of("boss@example.com"), of("clerk@example.com"), of("alone@example.com"));
    assert_eq!((&boss["organization_name"], &boss["role"]), (&json!("Acme, Inc."), &json!("owner")));
    assert_eq!(boss["display_name"], "Grace \"the boss\" Hopper");
    assert_eq!((&clerk["organization_slug"], &clerk["role"]), (&json!("acme"), &json!("member")));
    assert_eq!((&alone["organization_name"], &alone["role"]), (&json!("Ada Lovelace"), &json!("owner")));
    assert!(alone["organization_slug"].as_str().unwrap().starts_with("ada-lovelace-"));
}

#[test]
fn an_export_is_an_import() {
    let machine = machine();
    let file: String = (0..1_203)
        .map(|number| {
            let hash = HASHES[number % HASHES.len()].1;
            let line = json!({
                "email": format!("User.{number}@Example.com"), "password_hash": hash,
                "email_verified": number % 2 == 0, "created_at": format!("2024-05-21T09:30:00.{number:06}Z"),
                "organization_slug": format!("team-{}", number % 7), "organization_name": "Team",
                "role": if number < 7 { "owner" } else { "viewer" },
                "display_name": if number % 3 == 0 { "Zoë \"=1+1\", Ünïcödé" } else { "" },
                "status": if number % 5 == 0 { "disabled" } else { "active" },
            });
            format!("{line}\n")
        })
        .collect();
    let ended = import(&machine, "users.jsonl", file, &[]);
    assert_eq!(ended.out.trim(), "1203 created, 0 unchanged, 0 refused", "{}", ended.err);

    let expected = exported(&machine);
    for name in ["out.csv", "out.ndjson"] {
        let ended = machine.run(&["users", "export", name, "--with-password-hashes"]);
        assert_eq!(ended.code, 0, "{}", ended.err);
        assert_eq!(mode(&machine.path(name)), 0o600);
        assert_eq!(machine.run(&["users", "export", name]).code, 1, "a file that is there is not replaced");
        let other = self::machine();
        let content = fs::read(machine.path(name)).unwrap();
        let ended = import(&other, name, content, &[]);
        assert_eq!(
            (ended.code, ended.out.trim()),
            (0, "1203 created, 0 unchanged, 0 refused"),
            "{}",
            ended.err
        );
        assert_eq!(exported(&other), expected);
    }
    let without = machine.run(&["users", "export", "--format", "csv"]);
    assert!(without.out.starts_with("id,email,email_verified,") && !without.out.contains("password_hash"));
    assert_eq!(without.out.lines().count(), 1_204);
    assert!(HASHES.iter().all(|(_, hash)| !without.out.contains(hash)));
}

#[test]
fn of_two_imports_at_once_each_user_is_made_by_one() {
    let machine = machine();
    let file: String =
        (0..1_500).map(|number| format!("{{\"email\":\"user-{number}@example.com\"}}\n")).collect();
    fs::write(machine.path("users.ndjson"), file).unwrap();
    let outs: Vec<String> = thread::scope(|scope| {
        let runs = [0, 1].map(|_| scope.spawn(|| machine.run(&["users", "import", "users.ndjson"])));
        runs.into_iter()
            .map(|run| {
                let ended = run.join().unwrap();
                assert_eq!(ended.code, 0, "{}", ended.err);
                ended.out
            })
            .collect()
    });
    let created = |out: &String| out.split(' ').next().unwrap().parse::<u64>().unwrap();
    assert_eq!(outs.iter().map(created).sum::<u64>(), 1_500, "{outs:?}");
    assert_eq!(exported(&machine).len(), 1_500);
}

#[test]
fn what_cannot_be_imported_at_all_is_said_with_a_hint() {
    let machine = machine();
    let missing = machine.run(&["users", "import", "missing.csv"]);
    assert!(missing.code == 1 && missing.err.contains("missing.csv"), "{}", missing.err);
    let unnamed = import(&machine, "users.txt", "", &[]);
    assert!(unnamed.code == 1 && unnamed.err.contains("--format"), "{}", unnamed.err);
    let headless = import(&machine, "users.csv", "ada@example.com,Ada\n", &[]);
    assert!(headless.code == 1 && headless.err.contains("no column `email`"), "{}", headless.err);
    let empty = import(&machine, "users.ndjson", "", &[]);
    assert_eq!((empty.code, empty.out.trim()), (0, "0 created, 0 unchanged, 0 refused"));
    let foreign = import(&machine, "firebase.json", "{}", &["--firebase-config", "firebase.json"]);
    assert!(foreign.code == 1 && foreign.err.contains("`algorithm`"), "{}", foreign.err);
    let pending = Machine::new().run(&["users", "export"]);
    assert!(pending.code == 1 && pending.err.contains("migrate up"), "{}", pending.err);
    let memory = Machine::new().env("IDENTSPHERE_DATABASE_URL", "memory:").run(&["users", "export"]);
    assert!(memory.code == 1 && memory.err.contains("memory"), "{}", memory.err);
}

#[test]
fn an_operator_removes_the_second_factor_of_a_user_who_is_locked_out() {
    let machine = machine();
    let server = machine.serve(&[]);
    let body = |text: &(u16, String)| serde_json::from_str::<Value>(&text.1).unwrap();
    let registered = server.post(
        "/v1/auth/register",
        &json!({
            "email": "ada@example.com", "password": PASSWORD, "organization_name": "Acme",
            "token_transport": "bearer",
        }),
    );
    let bearer = format!("Authorization: Bearer {}\r\n", body(&registered)["access_token"].as_str().unwrap());
    let setup = server.post_with("/v1/auth/mfa/setup", &bearer, &json!({}));
    let code = code_now(body(&setup)["secret"].as_str().unwrap());
    let enabled = server.post_with("/v1/auth/mfa/enable", &bearer, &json!({ "code": code }));
    assert_eq!(enabled.0, 200, "{}", enabled.1);
    let sign_in = || {
        let answer =
            server.post("/v1/auth/login", &json!({ "email": "ada@example.com", "password": PASSWORD }));
        body(&answer)["status"].as_str().unwrap().to_owned()
    };
    assert_eq!(sign_in(), "mfa_required");

    let ended = machine.run(&["users", "disable-mfa", "Ada@example.com"]);
    assert_eq!(ended.code, 0, "{}", ended.err);
    assert_eq!(sign_in(), "success");
    assert_eq!(server.get_with("/v1/auth/session", &bearer).0, 401, "the session rested on the factor");
    let again = machine.run(&["users", "disable-mfa", "ada@example.com"]);
    assert!(again.code == 0 && again.out.contains("nothing to do"), "{}", again.out);
    let unknown = machine.run(&["users", "disable-mfa", "bob@example.com"]);
    assert!(unknown.code == 1 && unknown.err.contains("no active user"), "{}", unknown.err);
}
