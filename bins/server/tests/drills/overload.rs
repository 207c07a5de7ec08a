//! More requests than there are cores for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::load::{Kind, Load, percentile_ms, sign_up};
use crate::node::{Client, Database, Launch, Node, Tokens, drill, figure, sized};

/// What one password hash takes with the settings of the drills, in MiB.
const HASH_MIB: u64 = 19;

/// D-20.
#[test]
fn a_flood_of_sign_ins_holds_bounded_memory_and_leaves_others_room() {
    drill(async {
        let directory = tempfile::tempdir().unwrap();
        let permits = std::thread::available_parallelism().unwrap().get() as u64;
        let node = Launch::new(&Database::shared_postgres(), directory.path()).start().await;
        let held = node.client().register("ada@example.com").await.unwrap();
        let before = node.peak_memory_mib();

        let probe = Probe::start(Client::at(node.address), held);
        let count = sized(300, 2_000);
        let flood = (0..count).map(|n| {
            let client = node.client();
            tokio::spawn(async move {
                let email =
                    if n % 2 == 0 { "ada@example.com".to_owned() } else { format!("nobody.{n}@example.com") };
                let asked = Instant::now();
                let login = client.login(&email, None);
                // Half of them do not wait for the answer.
                let patience = if n % 4 < 2 { Duration::from_millis(200) } else { Duration::from_secs(60) };
                Some((tokio::time::timeout(patience, login).await.ok()?, asked.elapsed()))
            })
        });
        let flood: Vec<_> = flood.collect();
        let (mut served, mut shed) = (0, vec![]);
        for login in flood {
            let Some((answer, took)) = login.await.unwrap() else { continue };
            let answer = answer.expect("an answer");
            assert!(matches!(answer.status, 200 | 401) || answer.is_turned_away(), "{answer:?}");
            if answer.status == 503 { shed.push(took) } else { served += 1 }
        }
        let (refreshes, keys) = probe.stop();
        let grown = node.peak_memory_mib() - before;
        assert!(!shed.is_empty(), "nobody was turned away");
        assert!(grown <= permits * HASH_MIB + 64, "{grown} MiB for {permits} hashes at once");
        let (refresh, keys) = (percentile_ms(99, refreshes), percentile_ms(99, keys));
        figure("D-20", "sign-ins at once, half given up early", count);
        figure("D-20", "of those who waited: answered, turned away", format!("{served}, {}", shed.len()));
        figure(
            "D-20",
            "memory at the peak above rest, MiB (bound)",
            format!("{grown} ({})", permits * HASH_MIB + 64),
        );
        figure("D-20", "p99 until turned away, ms", percentile_ms(99, shed));
        figure("D-20", "p99 of a refresh meanwhile, ms", refresh);
        figure("D-20", "p99 of the key set meanwhile, ms", keys);
        // Time is judged at full size, on a machine with nothing else to do.
        let longest = sized(u128::MAX, 100);
        assert!(refresh < longest && keys < longest, "refresh {refresh} ms, key set {keys} ms");
    });
}

/// D-24, for seconds instead of minutes.
#[test]
fn five_times_too_many_sign_ins_leave_most_of_the_goodput_and_nothing_afterwards() {
    drill(async {
        let directory = tempfile::tempdir().unwrap();
        let node = Launch::new(&Database::shared_postgres(), directory.path()).start().await;
        let client = node.client();
        client.register("ada@example.com").await.unwrap();
        let (rounds, length) = sized((1, Duration::from_secs(2)), (6, Duration::from_secs(10)));
        let (mut peak, mut goodput, mut shed, mut refreshes) = (0, 0, vec![], vec![]);
        // In turns, so that whatever else the machine does falls on both.
        for round in 0..rounds {
            // Somebody refreshes without a pause beside either: what they take is not what the overload costs.
            let probe = Probe::register(&node, &format!("peak.{round}@example.com")).await;
            let at_peak = sign_ins_in_turn(&client, 8, length).await;
            probe.stop();
            let probe = Probe::register(&node, &format!("overload.{round}@example.com")).await;
            let (served, mut refused) = sign_ins_on_time(&client, at_peak * 5, length).await;
            refreshes.append(&mut probe.stop().0);
            peak += at_peak;
            goodput += served;
            shed.append(&mut refused);
        }
        assert!(!shed.is_empty(), "nobody was turned away");
        let asked = Instant::now();
        assert_eq!(client.login("ada@example.com", None).await.unwrap().status, 200);
        assert!(asked.elapsed() < Duration::from_secs(5), "the service has not recovered");
        let (turned_away, late) = (shed.len(), percentile_ms(99, shed));
        let per_cent = goodput * 100 / peak.max(1);
        figure("D-24", "sign-ins in the overload per 100 at the peak", per_cent);
        figure("D-24", "turned away with Retry-After", turned_away);
        figure("D-24", "p99 until turned away, ms", late);
        figure("D-24", "p99 of a refresh meanwhile, ms", percentile_ms(99, refreshes));
        let (least, latest) = sized((1, u128::MAX), (80, 50));
        assert!(per_cent >= least, "{goodput} instead of {peak} sign-ins");
        assert!(late < latest, "turned away after {late} ms");
    });
}

/// How many sign-ins so many clients get done, each of whom begins anew when the last is answered.
async fn sign_ins_in_turn(client: &Client, clients: u32, length: Duration) -> usize {
    let end = Instant::now() + length;
    let crowd = (0..clients).map(|_| {
        let client = client.clone();
        tokio::spawn(async move {
            let mut served = 0;
            while Instant::now() < end {
                let answer = client.login("ada@example.com", None).await.expect("an answer");
                assert_eq!(answer.status, 200, "{answer:?}");
                served += 1;
            }
            served
        })
    });
    let crowd: Vec<_> = crowd.collect();
    let mut served = 0;
    for person in crowd {
        served += person.await.unwrap();
    }
    served
}

/// How many of so many sign-ins, evenly spread over the time whatever becomes of them, were answered within it, and how
/// long the others waited to be turned away.
async fn sign_ins_on_time(client: &Client, count: usize, length: Duration) -> (usize, Vec<Duration>) {
    let start = tokio::time::Instant::now();
    let mut crowd = vec![];
    for n in 0..count {
        tokio::time::sleep_until(start + length.mul_f64(n as f64 / count as f64)).await;
        let client = client.clone();
        crowd.push(tokio::spawn(async move {
            let asked = Instant::now();
            let answer = client.login("ada@example.com", None).await.expect("an answer");
            assert!(answer.status == 200 || answer.is_turned_away(), "{answer:?}");
            (answer.status == 200, start.elapsed() <= length, asked.elapsed())
        }));
    }
    let (mut served, mut shed) = (0, vec![]);
    for person in crowd {
        let (is_served, in_time, took) = person.await.unwrap();
        if !is_served {
            shed.push(took);
        }
        served += usize::from(is_served && in_time);
    }
    (served, shed)
}

/// Somebody else, on a thread of their own, who refreshes their session and asks for the key set in turn.
struct Probe {
    stop: Arc<AtomicBool>,
    asking: JoinHandle<(Vec<Duration>, Vec<Duration>)>,
}

impl Probe {
    /// Somebody new.
    async fn register(node: &Node, email: &str) -> Self {
        Self::start(Client::at(node.address), node.client().register(email).await.unwrap())
    }

    fn start(client: Client, mut held: Tokens) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let told = stop.clone();
        let asking = async move {
            let (mut refreshes, mut keys) = (vec![], vec![]);
            while !told.load(Ordering::SeqCst) || refreshes.len() < 20 {
                let asked = Instant::now();
                held = client.refresh(&held).await.expect("a flood of sign-ins stops no refresh");
                refreshes.push(asked.elapsed());
                let asked = Instant::now();
                assert_eq!(client.get("/.well-known/jwks.json").await.map(|answer| answer.status), Some(200));
                keys.push(asked.elapsed());
            }
            (refreshes, keys)
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { stop, asking: std::thread::spawn(move || runtime.block_on(asking)) }
    }

    /// How long each refresh and each key set took.
    fn stop(self) -> (Vec<Duration>, Vec<Duration>) {
        self.stop.store(true, Ordering::SeqCst);
        self.asking.join().unwrap()
    }
}

/// D-25, with half of the people and for less than an hour.
#[test]
fn in_mixed_traffic_everybody_gets_their_own_answers() {
    drill(async {
        let directory = tempfile::tempdir().unwrap();
        let node = Launch::new(&Database::shared_postgres(), directory.path()).start().await;
        let people = sign_up(&node.client(), "crowd", sized(30, 5_000)).await;
        let count = people.len();
        let clients: Vec<_> = (0..32).map(|_| node.client()).collect();
        // The load itself compares each answer with who asked.
        let pause = sized(Duration::ZERO, Duration::from_secs(10));
        let load = Load::with_pauses(clients.into_iter().cycle().zip(people).collect(), pause);
        tokio::time::sleep(sized(Duration::from_secs(3), Duration::from_secs(120))).await;
        let (_, samples) = load.stop().await;
        assert!(samples.iter().all(|sample| sample.is(200)), "{:?}", samples.iter().find(|s| !s.is(200)));
        let p99 = |kind| {
            percentile_ms(99, samples.iter().filter(|sample| sample.kind == kind).map(|sample| sample.took))
        };
        let (session, refresh) = (p99(Kind::Session), p99(Kind::Refresh));
        figure("D-25", "people (of 10,000), who pause for ten seconds after each turn", count);
        figure("D-25", "requests, each answered with the asker's own account", samples.len());
        figure("D-25", "p99 of a session check, ms", session);
        figure("D-25", "p99 of a refresh, ms", refresh);
        // Time is judged at full size, on a machine with nothing else to do.
        let (longest_check, longest_refresh) = sized((u128::MAX, u128::MAX), (50, 150));
        assert!(session < longest_check && refresh < longest_refresh, "{session} and {refresh} ms");
    });
}
