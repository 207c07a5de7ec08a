//! What fails, fails closed (D-15): of every request that succeeds, every call of a port fails once. The request is refused,
//! says nothing of the cause, leaves nothing behind, and succeeds when it is sent again.

use std::collections::BTreeMap;

use identsphere_e2e::{Answer, App, Engine, FAULT, Fault, Framework, SCENARIOS, Scenario};
use identsphere_http::AuthRule;
use identsphere_kernel::Duration;

use crate::sweep;

#[test]
fn no_request_succeeds_when_a_call_fails_on_actix_and_sqlite() {
    sweep(fail_every_call(Framework::Actix, Engine::Sqlite, 0));
}

#[test]
fn no_request_succeeds_when_a_call_fails_on_axum_and_sqlite() {
    sweep(fail_every_call(Framework::Axum, Engine::Sqlite, 1));
}

/// So many scenarios share a world: each has people of its own, and a world costs time.
const SHARING: usize = 8;

/// What is made by a call of its own, outside of a transaction, and so stays when a later call fails: the call, the table
/// where it shows, and why that is right.
const STAYS: &[(&str, &str, &str)] = &[
    ("PendingStore::count_pending_attempt", "mfa_challenges", "attempts count before they are looked at"),
    ("ProofStore::count_code_attempt", "email_otp_challenges", "attempts count before they are looked at"),
    ("PasskeyStore::begin_ceremony", "passkey_challenges", "nobody has got the challenge"),
    ("PasskeyStore::end_ceremony", "passkey_challenges", "a ceremony is ended by its answer (ADR 0011)"),
    ("PasskeyStore::claim_handle", "users", "a handle stands for nothing but its user, for ever"),
    ("RefreshStore::rotate_refresh", "user_sessions", "whoever asks again gets the same successor"),
];

/// Calls after a commit: the operation, the call, what its failure is answered with, and why that is right.
const AFTER_COMMIT: &[(&str, &str, Told, &str)] = &[
    ("updateProfile", "ProfileStore::find_profile", Told::Refused, "sent again, it changes nothing more"),
    ("setAvatar", "BlobStore::delete", Told::Succeeds, "a file that no row names is nobody's picture"),
    ("removeAvatar", "BlobStore::delete", Told::Succeeds, "a file that no row names is nobody's picture"),
    ("deleteAccount", "BlobStore::delete", Told::Succeeds, "a file that no row names is nobody's picture"),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Refused,
    Succeeds,
}

/// What cannot be sent again once this call has been made: the ceremony is over, and the next answer is to another one.
const ENDS: &str = "PasskeyStore::end_ceremony";

/// Calls that may have been made although their answer was lost, beside those of [`STAYS`].
const WRITES: &[&str] = &["Tx::commit", "RateLimitStore::take", "BlobStore::put", "BlobStore::delete"];

fn faults(call: &str) -> &'static [Fault] {
    if WRITES.contains(&call) || STAYS.iter().any(|(write, ..)| *write == call) {
        &[Fault::Unreachable, Fault::AnswerLost]
    } else {
        &[Fault::Unreachable]
    }
}

/// Every second group of scenarios, beginning with the one of this number.
async fn fail_every_call(framework: Framework, engine: Engine, first: usize) {
    let mut runs = 0;
    for names in SCENARIOS.chunks(SHARING).skip(first).step_by(2) {
        let app = App::start(framework, engine).await;
        let target = app.another_node().await;
        for name in names {
            let stage = Stage { app: &app, target: &target, name };
            let whole = stage.succeed().await;
            for (number, call) in whole.calls.iter().enumerate() {
                for fault in faults(call) {
                    stage.fail(number, *fault, &whole).await;
                    runs += 1;
                }
            }
        }
    }
    assert!(runs >= 200, "only {runs} failures were tried");
}

/// One node that prepares, and one whose calls fail: it has seen nobody and remembers nothing.
struct Stage<'a> {
    app: &'a App,
    target: &'a App,
    name: &'static str,
}

/// What a request that succeeds does.
struct Whole {
    calls: Vec<&'static str>,
    change: Change,
}

/// How many rows of each table came and went.
type Change = BTreeMap<String, (usize, usize)>;

impl Stage<'_> {
    async fn prepare(&self) -> Scenario {
        // The limits of addresses recover.
        self.app.clock.advance(Duration::from_secs(3_600));
        Scenario::on(self.app, self.target, self.name).await
    }

    async fn succeed(&self) -> Whole {
        let scenario = self.prepare().await;
        let before = self.app.dump().await;
        self.target.watch.pass();
        let answer = scenario.send(self.target.address).await;
        assert_eq!(answer.status, scenario.route.success.status, "{}: {}", self.name, text(&answer));
        let calls = self.target.watch.calls();
        Whole { calls, change: change(&before, &self.app.dump().await) }
    }

    async fn fail(&self, number: usize, fault: Fault, whole: &Whole) {
        let scenario = self.prepare().await;
        let before = self.app.dump().await;
        self.target.watch.fail(number, fault);
        let answer = scenario.send(self.target.address).await;
        let calls = self.target.watch.calls();
        self.target.watch.pass();
        let call = whole.calls[number];
        let case = format!("{}, {call} {fault:?}: {} {}", self.name, answer.status, text(&answer));
        // A commit that never was made cannot be refused.
        assert!(calls.get(number).is_some_and(|made| call.starts_with(made)), "{case}: {calls:?}");

        let after = change(&before, &self.app.dump().await);
        let made = &calls[..number + usize::from(fault == Fault::AnswerLost)];
        if made.contains(&"Tx::commit") {
            assert!(after == whole.change, "half was done: {after:?}, {case}");
        } else {
            let stays = |table: &str| STAYS.iter().any(|(write, at, _)| *at == table && made.contains(write));
            let left: Vec<_> = after.iter().filter(|(table, _)| !stays(table)).collect();
            assert!(left.is_empty(), "left behind: {left:?}, {case}");
            self.assert_session_lives(&scenario, &case).await;
        }

        if calls[..number].contains(&"Tx::commit") {
            let known = AFTER_COMMIT
                .iter()
                .find(|(operation, after, ..)| *operation == scenario.route.operation && *after == call);
            let (.., told, _) = known.unwrap_or_else(|| panic!("a call after the commit: {case}"));
            if *told == Told::Succeeds {
                assert_eq!(answer.status, scenario.route.success.status, "{case}");
                return;
            }
        }
        assert_refused(&answer, &case);
        if fault == Fault::AnswerLost && call == "Tx::commit" || made.contains(&ENDS) {
            return;
        }
        let again = scenario.send(self.target.address).await;
        let status = scenario.route.success.status;
        assert_eq!(again.status, status, "sent again: {} after {case}", text(&again));
    }

    async fn assert_session_lives(&self, scenario: &Scenario, case: &str) {
        if scenario.route.auth == AuthRule::User {
            let session = scenario.caller.at(self.app.address).get("/v1/auth/session").send().await;
            assert_eq!(session.status, 200, "the session from before ended: {case}");
        }
    }
}

fn assert_refused(answer: &Answer, case: &str) {
    match answer.status {
        503 => {
            assert_eq!(answer.code(), "overloaded", "{case}");
            assert!(answer.header("retry-after").is_some(), "{case}");
        }
        500 => assert_eq!(answer.code(), "internal_error", "{case}"),
        _ => panic!("not refused: {case}"),
    }
    assert!(answer.cookies().is_empty(), "{case}");
    assert!(!text(answer).contains(FAULT), "{case}");
}

fn change(before: &[String], after: &[String]) -> Change {
    let mut change = Change::new();
    let table = |row: &str| row.split(' ').next().unwrap().to_owned();
    for row in after.iter().filter(|row| before.binary_search(row).is_err()) {
        change.entry(table(row)).or_default().0 += 1;
    }
    for row in before.iter().filter(|row| after.binary_search(row).is_err()) {
        change.entry(table(row)).or_default().1 += 1;
    }
    change
}

fn text(answer: &Answer) -> String {
    String::from_utf8_lossy(&answer.body).into_owned()
}
