//! LG-02 and §23 of what is promised: no secret in a log, in a table, or in an answer to somebody else, at the most
//! talkative level, whatever people and strangers do.

mod flows;
mod witness;

use std::fs;

use identsphere_testkit::{PostgresServer, fresh_schema_name};

use crate::machine::Machine;
use witness::Witness;

const MASTER_KEY: &str = "DelBwWc6182EtBHiERHyp7f+Z/fva6XYFhAdjuPM1kA=";

#[test]
fn no_secret_is_written_down_with_sqlite() {
    let machine = Machine::new();
    let places = [machine.path("identsphere.db"), machine.path("identsphere.db-wal")];
    watch(machine, || places.iter().flat_map(|file| fs::read(file).unwrap_or_default()).collect());
}

#[test]
fn no_secret_is_written_down_with_postgresql() {
    let (server, schema) = (PostgresServer::shared(), fresh_schema_name());
    let machine =
        Machine::new().env("IDENTSPHERE_DATABASE_URL", &server.url()).env("IDENTSPHERE_SCHEMA", &schema);
    watch(machine, || server.dump(&schema));
}

/// Lets everything happen that makes, takes or guesses a secret, then looks wherever something is written down. `dump` is
/// all that the store holds, as bytes.
fn watch(machine: Machine, dump: impl FnOnce() -> Vec<u8>) {
    let machine = machine
        .env("IDENTSPHERE_MASTER_KEY", MASTER_KEY)
        .env("IDENTSPHERE_PASSWORD_HASH", "argon2id:m=19456,t=2,p=1")
        .env("IDENTSPHERE_RATE_LIMITS", "off");
    let (mut output, hash) = flows::bring_along(&machine);
    let mut witness = Witness::at(machine.serve(&["--hello", "--log", "trace", "--set", "drain_secs=0"]));
    witness.remember("the master key", MASTER_KEY);
    flows::password(&mut witness);
    flows::mailbox(&mut witness);
    flows::second_factor(&mut witness);
    flows::passkeys(&mut witness);
    flows::strangers(&mut witness);
    let (server, seen) = witness.end();
    output.push_str(&server.whole_log());
    output.push_str(&server.end().1);

    assert!(output.contains("answerMfaChallenge") && output.contains("\"TRACE\""), "the log is talkative");
    seen.assert_absent("the log", output.as_bytes());
    assert!(
        !output.contains(&hash) && !output.contains("$argon2id$"),
        "the hash of a password is in the log"
    );
    let dump = dump();
    assert!(dump.windows(15).any(|bytes| bytes == b"ada@example.com"), "the dump shows what there is");
    seen.assert_absent("the store", &dump);
    seen.assert_absent("answers to others", seen.told_to_others().as_bytes());
}
