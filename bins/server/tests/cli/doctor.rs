//! What the doctor says.

use crate::machine::{Ended, Machine, set_mode};

/// The line about one thing.
fn line<'a>(ended: &'a Ended, about: &str) -> &'a str {
    let mut lines = ended.out.lines();
    lines.find(|line| line.get(6..).is_some_and(|rest| rest.starts_with(about))).unwrap_or("(none)")
}

#[test]
fn a_machine_before_its_first_start_is_fit_and_stays_untouched() {
    let machine = Machine::new();
    let ended = machine.run(&["doctor"]);
    assert_eq!(ended.code, 0, "{}{}", ended.out, ended.err);
    assert!(line(&ended, "store").starts_with("warn"), "{}", ended.out);
    assert!(line(&ended, "hashing").contains("ms for scrypt"), "{}", ended.out);
    assert!(!machine.path("identsphere.db").exists());
}

#[test]
fn a_machine_in_service_is_fit() {
    let machine = Machine::new();
    let _server = machine.serve(&[]);
    let ended = machine.run(&["doctor"]);
    assert_eq!(ended.code, 0, "{}{}", ended.out, ended.err);
    for about in ["settings", "base URL", "store", "migrations", "keys", "key file", "database"] {
        assert!(line(&ended, about).starts_with("ok"), "{about}\n{}", ended.out);
    }
}

#[test]
fn files_that_others_may_read_are_a_fault() {
    let machine = Machine::new();
    machine.serve(&[]);
    set_mode(&machine.path("identsphere.db.key"), 0o644);
    let ended = machine.run(&["doctor"]);
    assert_eq!(ended.code, 1);
    assert!(line(&ended, "key file").starts_with("fail"), "{}", ended.out);
    assert!(ended.out.contains("chmod 600 identsphere.db.key"), "{}", ended.out);
}

#[test]
fn a_lost_key_is_a_fault_with_a_way_out() {
    let machine = Machine::new();
    machine.serve(&[]);
    std::fs::remove_file(machine.path("identsphere.db.key")).unwrap();
    let ended = machine.run(&["doctor"]);
    assert_eq!(ended.code, 1);
    assert!(line(&ended, "keys").starts_with("fail") && ended.out.contains("backup"), "{}", ended.out);
}

#[test]
fn settings_that_do_not_fit_together_are_warned_of() {
    let machine = Machine::new()
        .env("IDENTSPHERE_PUBLIC_BASE_URL", "https://auth.example.com")
        .env("IDENTSPHERE_RATE_LIMITS", "off")
        .env("IDENTSPHERE_METRICS_LISTEN", "0.0.0.0:9400");
    let ended = machine.run(&["doctor"]);
    assert_eq!(ended.code, 0, "{}", ended.err);
    for about in ["proxies", "rate limits", "metrics"] {
        assert!(line(&ended, about).starts_with("warn"), "{about}\n{}", ended.out);
    }
}

#[test]
fn trust_in_everybody_is_warned_of() {
    let ended = Machine::new().env("IDENTSPHERE_TRUSTED_PROXIES", "10.0.0.0/8,::/0").run(&["doctor"]);
    assert!(line(&ended, "proxies").starts_with("warn") && ended.out.contains("::/0"), "{}", ended.out);
}

#[test]
fn wrong_settings_are_all_there_is_to_say() {
    let ended = Machine::new().env("IDENTSPHERE_WORKERS", "0").run(&["doctor"]);
    assert_eq!(ended.code, 1);
    assert!(line(&ended, "settings").starts_with("fail"), "{}", ended.out);
    assert!(ended.out.contains("IDENTSPHERE_WORKERS = \"0\""), "{}", ended.out);
}

#[test]
fn a_database_that_anybody_on_the_way_could_be_is_warned_of() {
    for (parameters, grade, said) in [
        ("", "warn", "in the clear"),
        ("?sslmode=disable", "warn", "in the clear"),
        ("?sslmode=require", "warn", "nothing proves"),
        ("?sslmode=verify-full", "ok", "proves who it is"),
    ] {
        let url = format!("postgres://auth@db.invalid/auth{parameters}");
        let machine = Machine::new()
            .env("IDENTSPHERE_DATABASE_URL", &url)
            .env("IDENTSPHERE_MASTER_KEY", "nxxC1wXoazH6dy7AE4hdtGAp85pM3gFWqzTvfJAbxWg=");
        let ended = machine.run(&["doctor"]);
        let line = line(&ended, "database");
        assert!(line.starts_with(grade) && line.contains(said), "{url}\n{}{}", ended.out, ended.err);
    }
}
