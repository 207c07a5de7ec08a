//! The master key and the keys under it.

use std::fs;

use serde_json::{Value, json};

use crate::machine::{Machine, set_mode};

const LEAKED_KEY: &str = "DelBwWc6182EtBHiERHyp7f+Z/fva6XYFhAdjuPM1kA=";
const OTHER_KEY: &str = "nxxC1wXoazH6dy7AE4hdtGAp85pM3gFWqzTvfJAbxWg=";

/// A machine whose server has run once.
fn used_machine() -> Machine {
    let machine = Machine::new();
    machine.serve(&[]);
    machine
}

#[test]
fn a_new_key_waits_before_it_signs() {
    let machine = used_machine();
    assert!(machine.run(&["keys", "list"]).out.starts_with("active"));
    let rotated = machine.run(&["keys", "rotate"]);
    assert_eq!(rotated.code, 0, "{}", rotated.err);
    let listed = machine.run(&["keys", "list"]).out;
    let stages: Vec<_> = listed.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(stages, ["active", "next"]);
    assert!(machine.run(&["keys", "rotate"]).out.contains("nothing to do"));
    assert_eq!(machine.run(&["keys", "list"]).out, listed);
}

#[test]
fn a_rotation_too_soon_for_caches_is_warned_of() {
    let rotated = used_machine().run(&["keys", "rotate", "--publish-ahead-secs", "1"]);
    assert_eq!(rotated.code, 0);
    assert!(rotated.out.contains("warning: others may cache"), "{}", rotated.out);
}

#[test]
fn looking_at_keys_makes_none() {
    let machine = Machine::new();
    assert_eq!(machine.run(&["migrate", "up"]).code, 0);
    assert!(machine.run(&["keys", "list"]).out.contains("no keys yet"));
    assert!(!machine.path("identsphere.db.key").exists());
}

#[test]
fn a_lost_key_file_is_not_replaced() {
    let machine = used_machine();
    let file = machine.path("identsphere.db.key");
    let listed = machine.run(&["keys", "list"]).out;
    fs::remove_file(&file).unwrap();
    for arguments in [&["serve"][..], &["keys", "rotate"]] {
        let ended = machine.run(arguments);
        assert_eq!(ended.code, 1);
        assert!(ended.err.contains("identsphere.db.key") && ended.err.contains("backup"), "{}", ended.err);
        assert!(!file.exists());
    }
    assert_eq!(machine.run(&["keys", "list"]).out, listed);
}

#[test]
fn nothing_starts_under_a_foreign_master_key() {
    let machine = used_machine();
    let listed = machine.run(&["keys", "list"]).out;
    let machine = machine.env("IDENTSPHERE_MASTER_KEY", OTHER_KEY);
    for arguments in [&["serve"][..], &["keys", "rotate"]] {
        let ended = machine.run(arguments);
        assert_eq!(ended.code, 1);
        assert!(ended.err.contains("do not open under this master key"), "{}", ended.err);
    }
    assert_eq!(machine.run(&["keys", "list"]).out, listed, "no key was added under it");
}

/// What docs/operators.md advises after a leak of the master key.
#[test]
fn after_a_leak_nothing_that_was_issued_stays_valid() {
    let machine = Machine::new().env("IDENTSPHERE_MASTER_KEY", LEAKED_KEY);
    let server = machine.serve(&[]);
    let registration = json!({
        "email": "ada@example.com", "password": "the engine weaves patterns",
        "organization_name": "Analytical Engines", "token_transport": "bearer",
    });
    let (status, signed_in) = server.post("/v1/auth/register", &registration);
    assert_eq!(status, 201, "{signed_in}");
    let signed_in: Value = serde_json::from_str(&signed_in).unwrap();
    let refresh = json!({ "refresh_token": signed_in["refresh_token"] });
    let (_, leaked_jwks) = server.get("/.well-known/jwks.json");
    drop(server);

    let discarded = machine.run(&["keys", "discard"]);
    assert_eq!((discarded.code, &*discarded.err), (0, ""));
    assert!(machine.run(&["keys", "list"]).out.contains("no keys yet"));

    let machine = machine.env("IDENTSPHERE_MASTER_KEY", OTHER_KEY);
    let server = machine.serve(&[]);
    let (_, jwks) = server.get("/.well-known/jwks.json");
    assert_ne!(jwks, leaked_jwks);
    assert_eq!(jwks.matches("\"kid\"").count(), 1, "{jwks}");
    let bearer = format!("Authorization: Bearer {}\r\n", signed_in["access_token"].as_str().unwrap());
    assert_eq!(server.get_with("/v1/auth/session", &bearer).0, 401);
    assert_eq!(server.post("/v1/auth/refresh", &refresh).0, 401);
    let login = json!({ "email": "ada@example.com", "password": "the engine weaves patterns" });
    let (status, answer) = server.post("/v1/auth/login", &login);
    assert_eq!(status, 200, "passwords are not touched: {answer}");
}

#[test]
fn keys_can_be_discarded_without_the_master_key() {
    let machine = used_machine();
    let file = machine.path("identsphere.db.key");
    fs::remove_file(&file).unwrap();
    assert!(machine.run(&["keys", "discard"]).out.contains("discarded"));
    assert!(machine.run(&["keys", "discard"]).out.contains("nothing to do"));
    assert_eq!(machine.serve(&[]).get("/readyz").0, 200);
    assert!(file.exists(), "a new master key was drawn");
}

#[test]
fn the_key_file_holds_what_the_setting_takes() {
    let machine = used_machine();
    let key = fs::read_to_string(machine.path("identsphere.db.key")).unwrap();
    fs::rename(machine.path("identsphere.db.key"), machine.path("elsewhere")).unwrap();
    let by_file = machine.env("IDENTSPHERE_MASTER_KEY_FILE", "elsewhere");
    assert_eq!(by_file.serve(&[]).get("/readyz").0, 200);
    let by_value = by_file.env("IDENTSPHERE_MASTER_KEY_FILE", "").env("IDENTSPHERE_MASTER_KEY", key.trim());
    assert_eq!(by_value.serve(&[]).get("/readyz").0, 200);
}

#[test]
fn a_spoilt_key_file_is_named() {
    let machine = used_machine();
    fs::write(machine.path("identsphere.db.key"), "hunter2").unwrap();
    let ended = machine.run(&["serve"]);
    assert_eq!(ended.code, 1);
    assert!(ended.err.contains("identsphere.db.key") && !ended.err.contains("hunter2"), "{}", ended.err);
}

#[test]
fn a_key_file_that_others_may_read_is_refused() {
    let machine = used_machine();
    for mode in [0o644, 0o640, 0o602] {
        set_mode(&machine.path("identsphere.db.key"), mode);
        let ended = machine.run(&["serve"]);
        assert_eq!(ended.code, 1);
        assert!(ended.err.contains(&format!("{mode:04o}")) && ended.err.contains("0600"), "{}", ended.err);
    }
    set_mode(&machine.path("identsphere.db.key"), 0o400);
    assert_eq!(machine.serve(&[]).get("/readyz").0, 200);
}

#[test]
fn a_store_in_memory_has_no_keys_to_show() {
    let ended = Machine::new().env("IDENTSPHERE_DATABASE_URL", "memory:").run(&["keys", "list"]);
    assert_eq!(ended.code, 1);
    assert!(ended.err.contains("memory"), "{}", ended.err);
}
