//! Cases of `RateLimitStore` and `RateLimitRepo`: every store counts as [`Take::advance`] does.

use std::collections::HashMap;
use std::sync::Arc;

use identsphere_core::{BucketKey, Take};
use identsphere_kernel::{Duration, Timestamp};

use crate::scene::{CONTENDERS, Scene, race, take};

const HOUR: Duration = Duration::from_secs(3_600);
const MINUTE: Duration = Duration::from_secs(60);

/// Random sequences against the pure function: several buckets, quotas that do not divide evenly, time that stands
/// still, jumps, and now and then goes back, as between nodes whose clocks differ.
pub(crate) async fn tokens_are_counted_as_the_rule_says(scene: &Scene) {
    let quotas = [(1, MINUTE), (3, Duration::from_millis(1_000)), (7, HOUR), (100, HOUR)];
    for round in 0..8 {
        let takes = quotas.map(|(burst, per)| take(&format!("{round}/{burst}"), burst, per));
        let mut arrivals = HashMap::new();
        for _ in 0..40 {
            let [jump, direction, chosen] = scene.world.bytes::<3>();
            let by = Duration::from_micros(1_307 * 2_u64.pow(u32::from(jump % 20)));
            match direction % 8 {
                0 => scene.world.clock.set(scene.now().minus(by)),
                1..4 => scene.world.clock.advance(by),
                _ => {}
            }
            let asked: Vec<Take> = (0..4).filter(|bit| chosen & (1 << bit) != 0).map(|i| takes[i]).collect();
            let expected: Vec<_> =
                asked.iter().map(|take| advance(&mut arrivals, take, scene.now())).collect();
            assert_eq!(scene.store.take(&asked, scene.now()).await.unwrap(), expected);
        }
    }
}

pub(crate) async fn a_bucket_gives_its_burst_and_then_waits(scene: &Scene) {
    let login = take("login", 4, HOUR);
    assert_eq!(take_all(scene, &login).await, 4);
    let quarter = Duration::from_secs(900);
    assert_eq!(take_one(scene, &login).await, Some(quarter));
    scene.world.clock.advance(quarter - Duration::from_micros(1));
    assert_eq!(take_one(scene, &login).await, Some(Duration::from_micros(1)));
    scene.world.clock.advance(Duration::from_micros(1));
    assert_eq!(take_one(scene, &login).await, None);
    assert_eq!(take_one(scene, &login).await, Some(quarter));
    scene.world.clock.advance(HOUR * 10);
    assert_eq!(take_all(scene, &login).await, 4);
}

pub(crate) async fn buckets_in_one_call_are_independent(scene: &Scene) {
    let (narrow, wide) = (take("narrow", 1, HOUR), take("wide", 3, HOUR));
    let both = |takes: [Take; 2]| async move { scene.store.take(&takes, scene.now()).await.unwrap() };
    assert_eq!(both([narrow, wide]).await, [None, None]);
    assert_eq!(both([narrow, wide]).await, [Some(HOUR), None]);
    assert_eq!(both([wide, narrow]).await, [None, Some(HOUR)]);
    assert_eq!(both([wide, narrow]).await, [Some(MINUTE * 20), Some(HOUR)]);
}

pub(crate) async fn a_bucket_named_twice_gives_two_tokens(scene: &Scene) {
    let (twice, other) = (take("twice", 3, HOUR), take("other", 1, HOUR));
    let takes = [twice, other, twice];
    let first = scene.store.take(&takes, scene.now()).await.unwrap();
    assert_eq!(first, [None, None, None]);
    let second = scene.store.take(&takes, scene.now()).await.unwrap();
    assert_eq!(second, [None, Some(HOUR), Some(MINUTE * 20)]);
}

pub(crate) async fn no_buckets_are_no_work(scene: &Scene) {
    assert_eq!(scene.store.take(&[], scene.now()).await.unwrap(), []);
}

pub(crate) async fn of_many_who_take_at_once_only_the_burst_succeeds(scene: &Scene) {
    let (narrow, wide) = (take("narrow", 50, HOUR), take("wide", 500, HOUR));
    let now = scene.now();
    let outcomes = race((0..CONTENDERS).map(|_| {
        let store = Arc::clone(&scene.store);
        async move {
            let mut waits = Vec::new();
            for _ in 0..32 {
                waits.extend(store.take(&[narrow, wide], now).await.unwrap());
            }
            waits
        }
    }))
    .await;
    let waits = outcomes.concat();
    for (place, burst) in [(0, 50), (1, 500)] {
        assert_eq!(waits.iter().skip(place).step_by(2).filter(|wait| wait.is_none()).count(), burst);
    }
}

/// Two callers that name the same buckets in opposite order must not wait for each other for ever.
pub(crate) async fn buckets_may_be_named_in_any_order_at_once(scene: &Scene) {
    let takes: Vec<Take> = (0..6).map(|name| take(&format!("{name}"), 1_000, HOUR)).collect();
    let now = scene.now();
    let outcomes = race((0..CONTENDERS * 2).map(|contender| {
        let (store, mut takes) = (Arc::clone(&scene.store), takes.clone());
        takes.rotate_left(contender % 6);
        if contender % 2 == 0 {
            takes.reverse();
        }
        async move { store.take(&takes, now).await.unwrap() }
    }))
    .await;
    assert!(outcomes.into_iter().flatten().all(|wait| wait.is_none()));
}

pub(crate) async fn a_token_given_back_can_be_taken_again(scene: &Scene) {
    let (login, other) = (take("login", 4, HOUR), take("other", 1, HOUR));
    assert_eq!((take_all(scene, &login).await, take_all(scene, &other).await), (4, 1));
    give_back(scene, &login, 1).await;
    assert_eq!(take_all(scene, &login).await, 1);
    give_back(scene, &login, 3).await;
    assert_eq!(take_all(scene, &login).await, 3);
    assert_eq!(take_all(scene, &other).await, 0);
}

pub(crate) async fn giving_back_never_overfills(scene: &Scene) {
    let (unseen, full) = (take("unseen", 4, HOUR), take("full", 4, HOUR));
    give_back(scene, &unseen, 3).await;
    assert_eq!(scene.store.sweep_limits(scene.now(), 100).await.unwrap(), 0, "an absent bucket stays absent");
    assert_eq!(take_all(scene, &unseen).await, 4);

    assert_eq!(take_one(scene, &full).await, None);
    give_back(scene, &full, 3).await;
    assert_eq!(take_all(scene, &full).await, 4);

    scene.world.clock.advance(HOUR * 2);
    give_back(scene, &full, 1).await;
    assert_eq!(take_all(scene, &full).await, 4);
}

pub(crate) async fn a_token_given_back_is_back_only_after_the_commit(scene: &Scene) {
    let login = take("login", 1, HOUR);
    assert_eq!(take_all(scene, &login).await, 1);
    let mut tx = scene.begin().await;
    tx.limits().give_back(&login).await.unwrap();
    drop(tx);
    assert_eq!(take_all(scene, &login).await, 0);
    give_back(scene, &login, 1).await;
    assert_eq!(take_all(scene, &login).await, 1);
}

pub(crate) async fn no_token_given_back_at_once_is_lost(scene: &Scene) {
    let login = take("login", 50, HOUR);
    let now = scene.now();
    race((0..CONTENDERS).map(|_| {
        let store = Arc::clone(&scene.store);
        async move {
            assert_eq!(store.take(&[login], now).await.unwrap(), [None]);
            let mut tx = store.begin().await.unwrap();
            tx.limits().give_back(&login).await.unwrap();
            tx.commit().await.unwrap();
        }
    }))
    .await;
    assert_eq!(take_all(scene, &login).await, 50);
}

pub(crate) async fn a_sweep_forgets_full_buckets_only(scene: &Scene) {
    let (slow, quick) = (take("slow", 1, HOUR), take("quick", 1, MINUTE));
    assert_eq!((take_all(scene, &slow).await, take_all(scene, &quick).await), (1, 1));
    assert_eq!(scene.store.sweep_limits(scene.now(), 100).await.unwrap(), 0);

    scene.world.clock.advance(MINUTE * 2);
    assert_eq!(scene.store.sweep_limits(scene.now(), 100).await.unwrap(), 1);
    assert_eq!(scene.store.sweep_limits(scene.now(), 100).await.unwrap(), 0);
    assert_eq!((take_all(scene, &slow).await, take_all(scene, &quick).await), (0, 1));
}

pub(crate) async fn a_sweep_forgets_no_more_than_its_limit(scene: &Scene) {
    let takes: Vec<Take> = (0..5).map(|name| take(&format!("{name}"), 1, MINUTE)).collect();
    scene.store.take(&takes, scene.now()).await.unwrap();
    scene.world.clock.advance(MINUTE * 2);
    for swept in [2, 2, 1, 0] {
        assert_eq!(scene.store.sweep_limits(scene.now(), 2).await.unwrap(), swept);
    }
}

/// What the rule answers, and where it leaves the bucket.
fn advance(arrivals: &mut HashMap<BucketKey, Timestamp>, take: &Take, now: Timestamp) -> Option<Duration> {
    match take.advance(arrivals.get(&take.bucket).copied(), now) {
        Ok(next) => {
            arrivals.insert(take.bucket, next);
            None
        }
        Err(wait) => Some(wait),
    }
}

async fn take_one(scene: &Scene, take: &Take) -> Option<Duration> {
    let waits = scene.store.take(&[*take], scene.now()).await.unwrap();
    assert_eq!(waits.len(), 1);
    waits[0]
}

/// Takes until the bucket is empty; how many tokens there were.
async fn take_all(scene: &Scene, take: &Take) -> u32 {
    let mut taken = 0;
    while take_one(scene, take).await.is_none() {
        taken += 1;
    }
    taken
}

async fn give_back(scene: &Scene, take: &Take, tokens: u32) {
    let mut tx = scene.begin().await;
    for _ in 0..tokens {
        tx.limits().give_back(take).await.unwrap();
    }
    tx.commit().await.unwrap();
}
