//! More requests than there are cores for.

use std::time::{Duration, Instant};

use crate::load::{Kind, Load, percentile_ms, sign_up};
use crate::node::{Client, Database, Launch, drill, figure, sized};

/// What one password hash takes with the settings of the drills, in MiB.
const HASH_MIB: u64 = 19;

/// D-20.
#[test]
fn a_flood_of_sign_ins_holds_bounded_memory_and_leaves_others_room() {
    drill(async {
        let directory = tempfile::tempdir().unwrap();
        let permits = std::thread::available_parallelism().unwrap().get() as u64;
        let launch = Launch::new(&Database::shared_postgres(), directory.path());
        let node = launch.with("IDENTSPHERE_HASH_QUEUE_MS", 500).start().await;
        let mut held = node.client().register("ada@example.com").await.unwrap();
        let before = node.peak_memory_mib();

        let count = sized(300, 2_000);
        let flood = (0..count).map(|n| {
            let client = node.client();
            tokio::spawn(async move {
                let email =
                    if n % 2 == 0 { "ada@example.com".to_owned() } else { format!("nobody.{n}@example.com") };
                let login = client.login(&email, None);
                // Half of them do not wait for the answer.
                let patience = if n % 4 < 2 { Duration::from_millis(200) } else { Duration::from_secs(60) };
                tokio::time::timeout(patience, login).await.ok()
            })
        });
        let flood: Vec<_> = flood.collect();
        let (mut refreshes, mut keys) = (vec![], vec![]);
        while flood.iter().any(|login| !login.is_finished()) || refreshes.len() < 20 {
            let asked = Instant::now();
            held = node.client().refresh(&held).await.expect("a flood of sign-ins stops no refresh");
            refreshes.push(asked.elapsed());
            let asked = Instant::now();
            assert_eq!(node.status("/.well-known/jwks.json").await, Some(200));
            keys.push(asked.elapsed());
        }
        let (mut served, mut shed) = (0, 0);
        for login in flood {
            let Some(answer) = login.await.unwrap() else { continue };
            let answer = answer.expect("an answer");
            assert!(matches!(answer.status, 200 | 401) || answer.is_turned_away(), "{answer:?}");
            if answer.status == 503 { shed += 1 } else { served += 1 }
        }
        let grown = node.peak_memory_mib() - before;
        assert!(shed > 0, "nobody was turned away");
        assert!(grown <= permits * HASH_MIB + 64, "{grown} MiB for {permits} hashes at once");
        let (refresh, keys) = (percentile_ms(99, refreshes), percentile_ms(99, keys));
        // Time is judged at full size, on a machine with nothing else to do.
        let longest = sized(u128::MAX, 2_000);
        assert!(refresh < longest && keys < longest, "refresh {refresh} ms, key set {keys} ms");
        figure("D-20", "sign-ins at once, half given up early", count);
        figure("D-20", "of those who waited: answered, turned away", format!("{served}, {shed}"));
        figure(
            "D-20",
            "memory at the peak above rest, MiB (bound)",
            format!("{grown} ({})", permits * HASH_MIB + 64),
        );
        figure("D-20", "p99 of a refresh meanwhile, ms", refresh);
        figure("D-20", "p99 of the key set meanwhile, ms", keys);
    });
}

/// D-24, for seconds instead of minutes.
#[test]
fn five_times_too_many_sign_ins_leave_most_of_the_goodput_and_nothing_afterwards() {
    drill(async {
        let directory = tempfile::tempdir().unwrap();
        let launch = Launch::new(&Database::shared_postgres(), directory.path());
        let node = launch.with("IDENTSPHERE_HASH_QUEUE_MS", 200).start().await;
        let client = node.client();
        client.register("ada@example.com").await.unwrap();
        let length = sized(Duration::from_secs(2), Duration::from_secs(30));
        let (peak, _) = sign_ins(&client, 8, length).await;
        // A queue of 200 ms is as long as what is served in that time; this is many times more.
        let (goodput, mut shed) = sign_ins(&client, 120, length).await;
        assert!(!shed.is_empty(), "nobody was turned away");
        let least = sized(1, peak / 2);
        assert!(goodput >= least, "{goodput} instead of {peak} sign-ins");
        shed.sort();
        let asked = Instant::now();
        assert_eq!(client.login("ada@example.com", None).await.unwrap().status, 200);
        assert!(asked.elapsed() < Duration::from_secs(5), "the service has not recovered");
        figure("D-24", "sign-ins in the overload per 100 at the peak", goodput * 100 / peak.max(1));
        figure("D-24", "turned away with Retry-After", shed.len());
        figure("D-24", "p99 until turned away, ms (they queue for 200)", percentile_ms(99, shed));
    });
}

/// How many sign-ins so many clients get done, and how long the others waited to be turned away.
async fn sign_ins(client: &Client, clients: u32, length: Duration) -> (usize, Vec<Duration>) {
    let end = Instant::now() + length;
    let crowd = (0..clients).map(|_| {
        let client = client.clone();
        tokio::spawn(async move {
            let (mut served, mut shed) = (0, vec![]);
            while Instant::now() < end {
                let asked = Instant::now();
                let answer = client.login("ada@example.com", None).await.expect("an answer");
                assert!(answer.status == 200 || answer.is_turned_away(), "{answer:?}");
                if answer.status == 200 { served += 1 } else { shed.push(asked.elapsed()) }
            }
            (served, shed)
        })
    });
    let crowd: Vec<_> = crowd.collect();
    let (mut served, mut shed) = (0, vec![]);
    for person in crowd {
        let (theirs, mut refused) = person.await.unwrap();
        served += theirs;
        shed.append(&mut refused);
    }
    (served, shed)
}

/// D-25, with fewer people and for less than an hour.
#[test]
fn in_mixed_traffic_everybody_gets_their_own_answers() {
    drill(async {
        let directory = tempfile::tempdir().unwrap();
        let node = Launch::new(&Database::shared_postgres(), directory.path()).start().await;
        let people = sign_up(&node.client(), "crowd", sized(30, 1_000)).await;
        let count = people.len();
        // The load itself compares each answer with who asked.
        let load = Load::start(people.into_iter().map(|tokens| (node.client(), tokens)).collect());
        tokio::time::sleep(sized(Duration::from_secs(3), Duration::from_secs(120))).await;
        let (_, samples) = load.stop().await;
        assert!(samples.iter().all(|sample| sample.is(200)), "{:?}", samples.iter().find(|s| !s.is(200)));
        let p99 = |kind| {
            percentile_ms(99, samples.iter().filter(|sample| sample.kind == kind).map(|sample| sample.took))
        };
        figure("D-25", "people (of 10,000) who ask without a pause", count);
        figure("D-25", "requests, each answered with the asker's own account", samples.len());
        figure("D-25", "p99 of a session check, ms", p99(Kind::Session));
        figure("D-25", "p99 of a refresh, ms", p99(Kind::Refresh));
    });
}
