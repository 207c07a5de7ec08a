//! The master key and the keys under it.

use std::fs;

use crate::machine::Machine;

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
fn a_store_in_memory_has_no_keys_to_show() {
    let ended = Machine::new().env("IDENTSPHERE_DATABASE_URL", "memory:").run(&["keys", "list"]);
    assert_eq!(ended.code, 1);
    assert!(ended.err.contains("memory"), "{}", ended.err);
}
