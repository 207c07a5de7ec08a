//! Several nodes on one PostgreSQL, behind a balancer.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use identsphere_testkit::{Balancer, Fault, FaultProxy};
use tempfile::TempDir;

use crate::load::{Kind, Load, percentile_ms, sign_up};
use crate::node::{Client, Database, Launch, Node, drill, figure, sized, tokens};

/// So many nodes with the same settings on one schema.
async fn cluster(count: usize, environment: &[(&'static str, &str)]) -> (Vec<Node>, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let database = Database::shared_postgres();
    let launches = (0..count).map(|_| {
        let launch = Launch::new(&database, directory.path());
        environment.iter().fold(launch, |launch, (name, value)| launch.with(name, value))
    });
    let launches: Vec<_> = launches.collect();
    (futures::future::join_all(launches.iter().map(Launch::start)).await, directory)
}

/// D-06, RF-01.
#[test]
fn a_hundred_clients_who_refresh_one_token_over_three_nodes_get_one_successor() {
    drill(async {
        let (nodes, _directory) = cluster(3, &[]).await;
        let mut held = nodes[0].client().register("ada@example.com").await.unwrap();
        let rounds = sized(5, 500);
        let (mut times, mut previous) = (vec![], held.clone());
        for _ in 0..rounds {
            let race = (0..100).map(|n| {
                let (client, refresh) = (nodes[n % nodes.len()].client(), held.refresh.clone());
                async move {
                    let asked = Instant::now();
                    (client.try_refresh(&refresh).await.expect("an answer"), asked.elapsed())
                }
            });
            let mut successors = HashSet::new();
            for (answer, took) in futures::future::join_all(race).await {
                assert_eq!(answer.status, 200, "{answer:?}");
                successors.insert(tokens("", &answer.body).refresh);
                times.push(took);
            }
            assert_eq!(successors.len(), 1, "the family has forked");
            previous = held.clone();
            held.refresh = successors.into_iter().next().unwrap();
        }
        held = nodes[1].client().refresh(&held).await.expect("the leaf lives");
        // Its parent is no leaf: whoever shows its grandparent now shows a stolen token.
        assert_eq!(nodes[2].client().refresh(&previous).await.err(), Some(401));
        assert_eq!(nodes[0].client().refresh(&held).await.err(), Some(401), "the family outlived a theft");
        figure("D-06", "rounds of 100 clients over 3 nodes, one successor each", rounds);
        figure("D-06", "p99 of a refresh in the race, ms", percentile_ms(99, times));
    });
}

/// SS-03: every check reads the store, so there is nothing that could be stale.
#[test]
fn what_one_node_revokes_every_other_refuses_within_a_second() {
    drill(async {
        let (nodes, _directory) = cluster(3, &[]).await;
        let trials = sized(10, 300);
        let mut longest = Duration::ZERO;
        for (n, held) in sign_up(&nodes[0].client(), "revoked", trials).await.into_iter().enumerate() {
            for node in &nodes {
                assert_eq!(node.client().session(&held.access).await, 200);
            }
            nodes[n % 3].client().logout(&held.access).await;
            let revoked = Instant::now();
            for node in &nodes {
                while node.client().session(&held.access).await != 401 {
                    assert!(revoked.elapsed() < Duration::from_secs(1), "still valid after a second");
                }
                assert_eq!(node.client().refresh(&held).await.err(), Some(401));
            }
            longest = longest.max(revoked.elapsed());
        }
        figure("SS-03", "sign-outs on one of 3 nodes, refused on all", trials);
        figure("SS-03", "longest until all three had refused session and refresh, ms", longest.as_millis());
    });
}

#[test]
fn wrong_passwords_are_counted_across_processes() {
    drill(async {
        let (nodes, _directory) = cluster(2, &[("IDENTSPHERE_RATE_LIMITS", "on")]).await;
        nodes[0].client().register("ada@example.com").await.unwrap();
        let mut statuses = vec![];
        for n in 0..12 {
            let answer =
                nodes[n % 2].client().login("ada@example.com", Some("not the password")).await.unwrap();
            statuses.push(answer.status);
        }
        assert_eq!(statuses, [[401; 10].as_slice(), &[429; 2]].concat());
    });
}

/// D-10.
#[test]
fn a_rolling_restart_under_load_loses_no_request() {
    drill(async {
        let (mut nodes, _directory) = cluster(3, &[("IDENTSPHERE_REFRESH_GRACE_SECS", "60")]).await;
        let balancer = Balancer::start(nodes.iter().map(|node| node.address)).await.unwrap();
        let client = Client::at(balancer.address());
        let people = sign_up(&client, "rolling", 12).await;
        let load = Load::start(people.into_iter().map(|tokens| (client.clone(), tokens)).collect());
        let rounds = sized(1, 20);
        for _ in 0..rounds {
            for node in &mut nodes {
                node.signal("TERM");
                assert_eq!(node.ended().await.code(), Some(0));
                node.start_again().await;
                // The balancer asks every 100 ms; it must have heard before the next one goes.
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        }
        let (_, samples) = load.stop().await;
        let lost: Vec<_> = samples.iter().filter(|sample| !sample.is(200)).collect();
        assert!(lost.is_empty(), "{} of {}: {:?}", lost.len(), samples.len(), lost.first());
        figure("D-10", "nodes restarted one after the other", rounds * 3);
        figure("D-10", "requests meanwhile, all answered", samples.len());
        figure("D-10", "p99, ms", percentile_ms(99, samples.iter().map(|sample| sample.took)));
    });
}

/// D-07, RF-07: the refresh is committed, its answer is lost, its node dies.
#[test]
fn a_lost_answer_is_given_again_by_another_node_and_never_after_the_grace() {
    drill(async {
        let rounds = sized(2, 50);
        for (grace, retried) in [("10", 200), ("0", 401)] {
            let (mut nodes, _directory) = cluster(2, &[("IDENTSPHERE_REFRESH_GRACE_SECS", grace)]).await;
            for round in 0..rounds {
                let proxy = FaultProxy::start(nodes[0].address).unwrap();
                let held = nodes[1].client().register(&format!("lost.{round}@example.com")).await.unwrap();
                proxy.set(Fault::CutAnswers);
                assert!(Client::at(proxy.address()).try_refresh(&held.refresh).await.is_none());
                nodes[0].signal("KILL");
                let again = nodes[1].client().try_refresh(&held.refresh).await.unwrap();
                assert_eq!(again.status, retried, "grace of {grace} s: {again:?}");
                if retried == 200 {
                    let next = tokens(&held.email, &again.body);
                    assert_eq!(nodes[1].client().session(&next.access).await, 200);
                    nodes[1].client().refresh(&next).await.expect("the successor lives");
                } else {
                    assert_eq!(nodes[1].client().session(&held.access).await, 401, "the family is dead");
                }
                nodes[0].ended().await;
                nodes[0].start_again().await;
            }
        }
        figure("D-07", "nodes killed between commit and answer; the retry got the successor", rounds);
        figure("D-07", "the same without grace; 401 and the family revoked", rounds);
    });
}

/// How long the validators of the drill keep a key set: their quarter of an hour.
const CACHED_FOR: Duration = Duration::from_secs(4);
/// How long a key is published before it signs: twice that, the least that `docs/operators.md` advises; by default it is
/// ninety-six times as long.
const AHEAD: &str = "8";

/// Somebody who checks tokens by themselves, and by nothing but the key set that they fetched last.
struct Validator {
    /// When each set was fetched, and the keys in it.
    sets: Vec<(Instant, HashSet<String>)>,
}

impl Validator {
    /// Fetches the set of a node until told to stop, first after a while of its own.
    async fn watch(client: Client, after: Duration, stop: Arc<AtomicBool>) -> Self {
        let mut sets = vec![(Instant::now(), published(&client).await)];
        tokio::time::sleep(after).await;
        while !stop.load(Ordering::SeqCst) {
            sets.push((Instant::now(), published(&client).await));
            tokio::time::sleep(CACHED_FOR).await;
        }
        Self { sets }
    }

    /// Whether a token of this key that arrived then was accepted, from then to the end.
    fn accepts(&self, kid: &str, arrived: Instant) -> bool {
        let known = self.sets.iter().rposition(|(fetched, _)| *fetched <= arrived).unwrap_or(0);
        self.sets[known..].iter().all(|(_, keys)| keys.contains(kid))
    }
}

async fn published(client: &Client) -> HashSet<String> {
    let set = client.get("/.well-known/jwks.json").await.unwrap().body;
    set["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

/// D-12. Time runs some two hundred times as fast as where keys are cached for a quarter of an hour; tokens are checked from
/// the moment they arrive to the end of the drill.
#[test]
fn validators_that_cache_refuse_no_token_while_a_key_is_rotated_under_load() {
    drill(async {
        let (nodes, _directory) = cluster(3, &[]).await;
        let stop = Arc::new(AtomicBool::new(false));
        let validators: Vec<_> = nodes
            .iter()
            .zip(0..)
            .map(|(node, n)| tokio::spawn(Validator::watch(node.client(), CACHED_FOR * n / 3, stop.clone())))
            .collect();
        let people = sign_up(&nodes[0].client(), "rotated", 6).await;
        let first = kid(&people[0].access);
        let people = people.into_iter().zip(nodes.iter().cycle());
        let load = Load::start(people.map(|(held, node)| (node.client(), held)).collect());
        nodes[0].run(&["keys", "rotate", "--publish-ahead-secs", AHEAD]);
        tokio::time::sleep(CACHED_FOR * 4).await;
        let (_, samples) = load.stop().await;
        stop.store(true, Ordering::SeqCst);
        let validators: Vec<Validator> =
            futures::future::join_all(validators).await.into_iter().map(|v| v.unwrap()).collect();

        let refused = samples.iter().find(|sample| !sample.is(200));
        assert!(refused.is_none(), "refused by ourselves: {refused:?}");
        let (mut signers, mut tokens_seen) = (HashSet::new(), 0_u32);
        for sample in samples.iter().filter(|sample| sample.kind == Kind::Refresh) {
            let token = sample.answer.as_ref().unwrap().body["access_token"].as_str().unwrap();
            let kid = kid(token);
            for validator in &validators {
                assert!(validator.accepts(&kid, sample.began + sample.took), "{kid} is known to nobody yet");
            }
            signers.insert(kid);
            tokens_seen += 1;
        }
        assert!(signers.len() == 2 && signers.contains(&first), "nothing was rotated: {signers:?}");
        figure(
            "D-12",
            "tokens over a rotation on 3 nodes under load, each known to 3 caching validators",
            tokens_seen,
        );
    });
}

/// D-12: what an operator does when keys have got out.
#[test]
fn what_was_signed_by_a_discarded_key_is_refused_on_every_node_at_once() {
    drill(async {
        let (nodes, _directory) = cluster(3, &[]).await;
        let mut longest = Duration::ZERO;
        for round in 0..sized(2, 20) {
            let held = nodes[0].client().register(&format!("discarded.{round}@example.com")).await.unwrap();
            for node in &nodes {
                // One that was made a moment ago by another node may be news.
                while node.client().session(&held.access).await != 200 {}
            }
            nodes[round % 3].run(&["keys", "discard"]);
            let discarded = Instant::now();
            for node in &nodes {
                while node.client().session(&held.access).await != 401 {
                    assert!(discarded.elapsed() < Duration::from_secs(5), "still valid after five seconds");
                }
            }
            longest = longest.max(discarded.elapsed());
            let old = kid(&held.access);
            for node in &nodes {
                assert!(!published(&node.client()).await.contains(&old), "still published");
            }
            // The next key is made while the old one is refused already.
            let deadline = Instant::now() + Duration::from_secs(30);
            let next = loop {
                match nodes[0].client().refresh(&held).await {
                    Ok(next) => break next,
                    Err(status) => assert!(status == 503 && Instant::now() < deadline, "{status}"),
                }
            };
            for node in &nodes {
                while node.client().session(&next.access).await != 200 {
                    assert!(Instant::now() < deadline, "the new key is not known");
                }
            }
        }
        figure(
            "D-12",
            "longest until 3 nodes refused what a discarded key had signed, ms",
            longest.as_millis(),
        );
    });
}

/// Which key signed a token.
fn kid(token: &str) -> String {
    use base64::Engine as _;
    let head = token.split('.').next().unwrap();
    let head = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(head).unwrap();
    let head: serde_json::Value = serde_json::from_slice(&head).unwrap();
    head["kid"].as_str().unwrap().to_owned()
}
