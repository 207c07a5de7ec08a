//! PostgreSQL away, frozen, cut off, read-only, slow, full of connections. Killed it is in `survival`.

use std::net::SocketAddr;
use std::process::Child;
use std::time::{Duration, Instant};

use identsphere_testkit::{Durability, Fault, FaultProxy, PostgresServer};
use tempfile::TempDir;
use tokio::task::block_in_place;

use crate::load::{Kind, Load, Sample, percentile_ms, sign_up};
use crate::node::{Database, Launch, Node, drill, figure, sized};
use crate::survival::assert_nothing_lost;

/// A server of one's own, and one node on it.
struct Scene {
    postgres: PostgresServer,
    node: Node,
    proxy: FaultProxy,
    _directory: TempDir,
}

/// What can still be done while something is broken.
#[derive(PartialEq, Eq)]
enum Meanwhile {
    Nothing,
    Reads,
}

impl Scene {
    async fn new(options: &str, pool_size: u32) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let postgres = PostgresServer::start_with(Durability::Full, options);
        let proxy = FaultProxy::start(SocketAddr::from(([127, 0, 0, 1], postgres.port()))).unwrap();
        let database = Database::on(&postgres).through(proxy.address());
        let launch = Launch::new(&database, directory.path())
            .with("IDENTSPHERE_DB_POOL_SIZE", pool_size)
            .with("IDENTSPHERE_REFRESH_GRACE_SECS", 60);
        let node = launch.start().await;
        Self { postgres, node, proxy, _directory: directory }
    }

    /// Breaks something under load for a while. Everybody is answered in good order and within `patience`, the node
    /// says that it is not ready, comes back by itself, and has lost nothing.
    async fn outage(
        &mut self,
        drill: &str,
        patience: Duration,
        meanwhile: Meanwhile,
        strike: impl FnOnce(&Self),
        mend: impl FnOnce(&Self),
    ) {
        let people = sign_up(&self.node.client(), "load", 8).await;
        let client = self.node.client();
        let load = Load::start(people.into_iter().map(|tokens| (client.clone(), tokens)).collect());
        tokio::time::sleep(Duration::from_millis(500)).await;
        block_in_place(|| strike(self));
        let struck = Instant::now();
        let node = &mut self.node;
        let red = node.wait_until("red", async |node: &Node| node.status("/readyz").await == Some(503)).await;
        assert!(red < Duration::from_secs(5), "not ready only after {red:?}");
        tokio::time::sleep(sized(Duration::from_secs(1), Duration::from_secs(10))).await;
        assert_eq!(node.status("/healthz").await, Some(200), "the process lives");
        let mended = Instant::now();
        block_in_place(|| mend(self));
        let node = &mut self.node;
        let back =
            node.wait_until("back", async |node: &Node| node.status("/readyz").await == Some(200)).await;
        assert!(back < Duration::from_secs(10), "back only after {back:?}");
        tokio::time::sleep(Duration::from_millis(500)).await;
        let (mut ledger, samples) = load.stop().await;
        assert_in_good_order(&samples, patience);
        let asked = samples.iter().filter(|sample| sample.began > struck && sample.began < mended);
        let asked: Vec<_> = asked.collect();
        assert!(!asked.is_empty(), "nobody asked meanwhile");
        for sample in asked.iter().filter(|sample| sample.began + sample.took < mended) {
            let served = meanwhile == Meanwhile::Reads && sample.kind == Kind::Session;
            assert!(if served { sample.is(200) } else { sample.is_turned_away() }, "{sample:?}");
        }
        assert_nothing_lost(&self.node, &mut ledger).await;
        let longest = samples.iter().map(|sample| sample.took).max().unwrap();
        figure(drill, "requests during the outage, in good order", asked.len());
        figure(drill, "longest answer, ms", longest.as_millis());
        figure(drill, "until `/readyz` was red, ms", red.as_millis());
        figure(drill, "until it was green again, ms", back.as_millis());
    }
}

/// Everybody was answered: with success, or told when to come back.
fn assert_in_good_order(samples: &[Sample], patience: Duration) {
    for sample in samples {
        assert!(sample.is(200) || sample.is_turned_away(), "{sample:?}");
        assert!(sample.took < patience, "{sample:?}");
    }
}

/// D-01.
#[test]
fn while_postgres_is_stopped_everybody_is_told_so_and_nothing_is_lost() {
    drill(async {
        let mut scene = Scene::new("", 10).await;
        let patience = Duration::from_secs(5);
        let (stop, start) =
            (|scene: &Scene| scene.postgres.stop(), |scene: &Scene| scene.postgres.start_again());
        scene.outage("D-01", patience, Meanwhile::Nothing, stop, start).await;
    });
}

/// D-03: a request waits for a connection for 2 s, a statement on it for its answer for 3 s.
#[test]
fn while_postgres_is_frozen_everybody_is_told_so_and_nothing_is_lost() {
    drill(async {
        let mut scene = Scene::new("", 4).await;
        let patience = Duration::from_secs(6);
        let (freeze, thaw) = (|scene: &Scene| scene.postgres.freeze(), |scene: &Scene| scene.postgres.thaw());
        scene.outage("D-03", patience, Meanwhile::Nothing, freeze, thaw).await;
    });
}

/// D-32.
#[test]
fn a_node_cut_off_from_postgres_is_not_ready_and_comes_back() {
    drill(async {
        let mut scene = Scene::new("", 4).await;
        let patience = Duration::from_secs(6);
        let set = |fault| move |scene: &Scene| scene.proxy.set(fault);
        scene.outage("D-32", patience, Meanwhile::Nothing, set(Fault::Silence), set(Fault::None)).await;
    });
}

/// D-05.
#[test]
fn on_a_read_only_postgres_reads_go_on_and_no_write_is_acknowledged() {
    drill(async {
        let mut scene = Scene::new("", 10).await;
        let patience = Duration::from_secs(5);
        let set = |value: &'static str| {
            move |scene: &Scene| {
                let set = format!("ALTER SYSTEM SET default_transaction_read_only = {value}");
                scene.postgres.run_sql(&[&set, "SELECT pg_reload_conf()"]);
            }
        };
        scene.outage("D-05", patience, Meanwhile::Reads, set("on"), set("off")).await;
    });
}

/// D-19: 200 ms there and back.
#[test]
fn a_slow_network_to_postgres_slows_answers_and_fails_none() {
    drill(async {
        let scene = Scene::new("", 10).await;
        let client = scene.node.client();
        let people = sign_up(&client, "slow", 8).await;
        scene.proxy.set(Fault::Delay(Duration::from_millis(100)));
        let load = Load::start(people.into_iter().map(|tokens| (client.clone(), tokens)).collect());
        tokio::time::sleep(sized(Duration::from_secs(3), Duration::from_secs(30))).await;
        let (mut ledger, samples) = load.stop().await;
        assert!(samples.iter().all(|sample| sample.is(200)));
        assert_nothing_lost(&scene.node, &mut ledger).await;
        assert_eq!(scene.node.status("/readyz").await, Some(200), "a slow clock is no wrong clock");
        figure("D-19", "requests with 200 ms to PostgreSQL, all answered", samples.len());
        figure("D-19", "p99, ms", percentile_ms(99, samples.iter().map(|sample| sample.took)));
    });
}

/// D-04.
#[test]
fn when_every_connection_is_busy_the_rest_is_told_so_and_keys_are_served() {
    drill(async {
        let scene = Scene::new("", 4).await;
        let client = scene.node.client();
        let held = client.register("ada@example.com").await.unwrap();
        let Database::Postgres { schema, .. } = scene.node.database() else { panic!("no schema") };
        let lock = format!("LOCK TABLE {schema}.user_sessions IN ACCESS EXCLUSIVE MODE");
        let mut locker = scene.postgres.spawn_sql(&["BEGIN", &lock, "SELECT pg_sleep(60)"]);
        while client.session(&held.access).await != 503 {}

        let crowd = (0..sized(100, 500)).map(|_| {
            let (client, access) = (client.clone(), held.access.clone());
            tokio::spawn(async move {
                let began = Instant::now();
                let answer = client.try_session(&access).await;
                Sample { kind: Kind::Session, began, took: began.elapsed(), answer }
            })
        });
        let crowd: Vec<_> = crowd.collect();
        let mut aside = vec![];
        while crowd.iter().any(|asked| !asked.is_finished()) {
            for path in ["/.well-known/jwks.json", "/healthz"] {
                let asked = Instant::now();
                assert_eq!(scene.node.status(path).await, Some(200));
                aside.push(asked.elapsed());
            }
        }
        let mut refused = vec![];
        for asked in crowd {
            let sample = asked.await.unwrap();
            assert!(sample.is_turned_away(), "{sample:?}");
            refused.push(sample.took);
        }
        end(&mut locker);
        let waited = percentile_ms(90, refused.iter().copied());
        // Beyond this they hang; how quick it is, is judged at full size, on a machine with nothing else to do.
        assert!(waited < sized(15_000, 3_000), "without a connection they waited {waited} ms");
        let beside = percentile_ms(99, aside);
        assert!(beside < sized(15_000, 500), "keys took {beside} ms");
        while client.session(&held.access).await != 200 {}
        figure("D-04", "requests on 4 connections that are all stuck, each answered 503", refused.len());
        figure("D-04", "p90 of those answers, ms", waited);
        figure("D-04", "p99 of the key set and of `/healthz` meanwhile, ms", beside);
    });
}

#[test]
fn when_postgres_has_no_connection_left_requests_are_told_so_until_it_has() {
    drill(async {
        let options = "-c max_connections=12 -c client_connection_check_interval=100";
        let mut scene = Scene::new(options, 10).await;
        let client = scene.node.client();
        let held = client.register("ada@example.com").await.unwrap();
        let mut hogs: Vec<_> = (0..12).map(|_| scene.postgres.spawn_sql(&["SELECT pg_sleep(60)"])).collect();
        let ask = async || {
            let crowd = (0..30).map(|_| client.try_session(&held.access));
            futures::future::join_all(crowd).await.into_iter().map(|answer| answer.expect("an answer"))
        };
        let mut refused = 0;
        let deadline = Instant::now() + Duration::from_secs(20);
        while refused == 0 {
            assert!(Instant::now() < deadline, "nobody was refused");
            for answer in ask().await {
                assert!(answer.status == 200 || answer.is_turned_away(), "{answer:?}");
                refused += u32::from(answer.status != 200);
            }
        }
        hogs.iter_mut().for_each(end);
        let all_served = async |_: &Node| ask().await.all(|answer| answer.status == 200);
        scene.node.wait_until("free again", all_served).await;
    });
}

fn end(client: &mut Child) {
    client.kill().unwrap();
    client.wait().unwrap();
}
