//! Commands that read settings and leave again.

use crate::machine::Machine;

const KEY: &str = "nxxC1wXoazH6dy7AE4hdtGAp85pM3gFWqzTvfJAbxWg=";

#[test]
fn every_command_explains_itself() {
    let machine = Machine::new();
    for command in
        ["", "serve", "migrate", "migrate up", "migrate down", "keys rotate", "doctor", "config", "openapi"]
    {
        let arguments: Vec<_> = command.split_whitespace().chain(["--help"]).collect();
        let ended = machine.run(&arguments);
        assert_eq!(ended.code, 0, "{command}");
        assert!(ended.out.contains("Usage: identsphere-server"), "{command}");
    }
    assert_eq!(machine.run(&["--version"]).code, 0);
}

#[test]
fn a_command_that_is_asked_wrongly_exits_with_2() {
    let machine = Machine::new();
    for arguments in [
        &["sreve"][..],
        &["--port", "1"],
        &["migrate", "down"],
        &["migrate", "down", "--steps", "0"],
        &["--set", "a"],
    ] {
        let ended = machine.run(arguments);
        assert_eq!((ended.code, ended.out.as_str()), (2, ""), "{arguments:?}");
    }
}

#[test]
fn every_fault_of_the_settings_is_named_at_once() {
    let machine = Machine::new()
        .env("IDENTSPHERE_ACCESS_EXPIRY_SECS", "30")
        .env("IDENTSPHERE_LISEN", "127.0.0.1:1")
        .env("IDENTSPHERE_PASSWORD_HASH", "scrypt:ln=10,r=8,p=1")
        .env("IDENTSPHERE_LOG", "loud")
        .env("IDENTSPHERE_MASTER_KEY", "hunter2hunter2");
    let ended = machine.run(&["serve", "--set", "cookie_prefix=my app"]);
    assert_eq!(ended.code, 1);
    for expected in [
        "5 settings are wrong",
        "IDENTSPHERE_ACCESS_EXPIRY_SECS = \"30\"",
        "IDENTSPHERE_LISEN: is not a setting; try `IDENTSPHERE_LISTEN`",
        "IDENTSPHERE_PASSWORD_HASH = \"scrypt:ln=10,r=8,p=1\"",
        "IDENTSPHERE_MASTER_KEY: ",
        "--set cookie_prefix = \"my app\"",
    ] {
        assert!(ended.err.contains(expected), "{expected}\n{}", ended.err);
    }
    assert!(!ended.err.contains("hunter2"), "{}", ended.err);
    assert!(!machine.path("identsphere.db").exists(), "nothing is touched");
}

#[test]
fn hashing_needs_the_memory_of_one_hash() {
    let machine = Machine::new().env("IDENTSPHERE_HASH_MEMORY_MIB", "20");
    let ended = machine.run(&["serve"]);
    assert_eq!(ended.code, 1);
    assert!(
        ended.err.contains("IDENTSPHERE_HASH_MEMORY_MIB = \"20\"") && ended.err.contains("try `32`"),
        "{}",
        ended.err
    );
}

#[test]
fn placeholders_are_refused_as_master_keys() {
    for key in ["AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "changeme", &"00".repeat(32), "c2hvcnQga2V5"]
    {
        let ended = Machine::new().env("IDENTSPHERE_MASTER_KEY", key).run(&["serve"]);
        assert_eq!(ended.code, 1, "{key}");
        assert!(
            ended.err.contains("IDENTSPHERE_MASTER_KEY") && ended.err.contains("openssl rand"),
            "{}",
            ended.err
        );
        assert!(!ended.err.contains(key), "{}", ended.err);
    }
}

#[test]
fn secrets_are_refused_on_the_command_line() {
    let set = format!("master_key={KEY}");
    let ended = Machine::new().run(&["config", "--set", &set]);
    assert_eq!(ended.code, 1);
    assert!(ended.err.contains("command line") && !ended.err.contains(KEY), "{}", ended.err);
}

#[test]
fn the_effective_settings_are_printed_with_secrets_masked() {
    let machine = Machine::new()
        .env("IDENTSPHERE_MASTER_KEY", KEY)
        .env("DATABASE_URL", "postgres://auth:hunter2@db/auth")
        .env("IDENTSPHERE_SMTP_URL", "smtp://ada:hunter2@localhost")
        .env("IDENTSPHERE_REDIS_URL", "redis://cache");
    let ended = machine.run(&["config", "--log", "debug"]);
    assert_eq!(ended.code, 0);
    assert!(!ended.out.contains("hunter2") && !ended.out.contains(KEY), "{}", ended.out);
    let line = |start: &str| {
        let line = ended.out.lines().find(|line| line.starts_with(start)).unwrap();
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(line("master_key"), "master_key = \"***\" # environment");
    assert_eq!(line("database_url"), "database_url = \"postgres://auth:***@db/auth\" # environment");
    assert_eq!(line("log "), "log = \"debug\" # flag");
    assert_eq!(line("workers").rsplit_once(' ').unwrap().1, "derived");
    assert_eq!(line("schema"), "schema = \"identsphere\" # default");
    assert!(ended.err.contains("IDENTSPHERE_REDIS_URL has no effect"), "{}", ended.err);
}

#[test]
fn what_is_printed_is_a_settings_file() {
    let machine = Machine::new().env("IDENTSPHERE_TRUSTED_PROXIES", "10.0.0.0/8");
    let printed = machine.run(&["config"]).out;
    std::fs::write(machine.path("printed.toml"), &printed).unwrap();
    let again = Machine::new().run(&["config", "--config", machine.path("printed.toml").to_str().unwrap()]);
    assert_eq!(again.code, 0, "{}", again.err);
    assert!(again.out.contains("trusted_proxies = \"10.0.0.0/8\""), "{}", again.out);
}

#[test]
fn the_reference_and_the_interface_are_printed() {
    let machine = Machine::new();
    assert!(machine.run(&["config", "--reference"]).out.contains("| `IDENTSPHERE_LISTEN` |"));
    let document: serde_json::Value = serde_json::from_str(&machine.run(&["openapi"]).out).unwrap();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    assert!(document["paths"]["/v1/auth/login"].is_object());
}

#[test]
fn migrations_go_up_and_down() {
    let machine = Machine::new();
    let lines = |arguments: &[&str]| -> Vec<String> {
        let ended = machine.run(arguments);
        assert_eq!(ended.code, 0, "{}", ended.err);
        ended.out.lines().map(str::to_owned).collect()
    };
    let count =
        |state: &str| lines(&["migrate", "status"]).iter().filter(|line| line.starts_with(state)).count();
    let all = count("pending");
    assert!(all > 0 && count("applied") == 0);
    assert_eq!(lines(&["migrate", "up"]).len(), all);
    assert_eq!(count("applied"), all);
    assert_eq!(lines(&["migrate", "up"]), ["nothing to do"]);
    assert_eq!(lines(&["migrate", "down", "--steps", "1"]).len(), 1);
    assert_eq!((count("applied"), count("pending")), (all - 1, 1));
}

#[test]
fn a_database_that_is_away_is_an_error_without_its_password() {
    let machine = Machine::new()
        .env("IDENTSPHERE_DATABASE_URL", "postgres://auth:hunter2@127.0.0.1:1/auth")
        .env("IDENTSPHERE_MASTER_KEY", KEY);
    for arguments in [&["serve"][..], &["migrate", "status"], &["keys", "list"], &["doctor"]] {
        let ended = machine.run(arguments);
        assert_eq!(ended.code, 1, "{arguments:?}");
        let said = format!("{}{}", ended.out, ended.err);
        assert!(said.contains("does not answer") && said.contains("IDENTSPHERE_DATABASE_URL"), "{said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
}
