//! Cases of `PendingRepo` and `PendingStore`.

use std::sync::Arc;

use identsphere_accounts::{Standing, User};
use identsphere_core::Store;
use identsphere_kernel::Timestamp;
use identsphere_sessions::{PendingAttempt, PendingSignIn};
use identsphere_testkit::builders::save_pending;

use crate::scene::{CONTENDERS, INSTANT, Scene, assert_conflict, commit, race};

pub(crate) async fn a_pending_sign_in_comes_back_exactly_as_given(scene: &Scene) {
    let user = scene.sign_up().await.user;
    let all = scene.world.extreme_pending_sign_ins(&user);
    for given in &all {
        put(scene, given).await;
    }
    for given in all {
        assert_eq!(count(scene, &given).await, PendingAttempt::Counted(given));
    }
}

pub(crate) async fn a_pending_sign_in_needs_a_user_that_exists(scene: &Scene) {
    let user = scene.world.account().user;
    let (pending, standing) = (scene.world.pending_sign_in(&user), Standing::of(&user));
    assert!(commit!(scene.store, sign_ins.put_pending(&pending, &standing)).is_err());
    assert_eq!(count(scene, &pending).await, PendingAttempt::Absent);
}

pub(crate) async fn a_taken_hash_is_refused(scene: &Scene) {
    let (user, other) = (scene.sign_up().await.user, scene.sign_up().await.user);
    let pending = begin(scene, &user).await;
    count(scene, &pending).await;
    let twin = PendingSignIn { hash: pending.hash, ..scene.world.pending_sign_in(&other) };
    assert_conflict(save_pending(&*scene.store, &twin).await, "mfa_challenges_pkey");
    assert_eq!(counted_until_locked(scene, &pending).await, PendingSignIn::ATTEMPTS - 1);
}

pub(crate) async fn an_unknown_hash_is_absent(scene: &Scene) {
    let user = scene.sign_up().await.user;
    let (known, unknown) = (begin(scene, &user).await, scene.world.pending_sign_in(&user));
    assert_eq!(count(scene, &unknown).await, PendingAttempt::Absent);
    assert!(!take(scene, &unknown).await);
    assert!(take(scene, &known).await);
}

/// Whoever knows a password must not end what somebody else who knows it has begun.
pub(crate) async fn a_newer_one_leaves_the_older_ones_of_its_user(scene: &Scene) {
    let user = scene.sign_up().await.user;
    let older = begin(scene, &user).await;
    assert_eq!(counted_until_locked(scene, &older).await, PendingSignIn::ATTEMPTS);
    let newer = begin(scene, &user).await;
    assert_eq!(counted_until_locked(scene, &newer).await, PendingSignIn::ATTEMPTS);
    assert!(take(scene, &newer).await);
    assert_eq!(count(scene, &older).await, PendingAttempt::Locked(older));
}

pub(crate) async fn attempts_are_counted_up_to_the_limit(scene: &Scene) {
    let (user, other) = (scene.sign_up().await.user, scene.sign_up().await.user);
    let (pending, bystander) = (begin(scene, &user).await, begin(scene, &other).await);
    for _ in 0..PendingSignIn::ATTEMPTS {
        assert_eq!(count(scene, &pending).await, PendingAttempt::Counted(pending.clone()));
    }
    for _ in 0..3 {
        assert_eq!(count(scene, &pending).await, PendingAttempt::Locked(pending.clone()));
    }
    assert_eq!(count(scene, &bystander).await, PendingAttempt::Counted(bystander));
}

pub(crate) async fn of_many_attempts_at_once_exactly_the_limit_count(scene: &Scene) {
    let pending = begin(scene, &scene.sign_up().await.user).await;
    let now = scene.now();
    let outcomes = race((0..CONTENDERS).map(|_| {
        let (store, hash) = (Arc::clone(&scene.store), pending.hash);
        async move { store.count_pending_attempt(&hash, now).await.unwrap() }
    }))
    .await;
    assert_eq!(counted(&outcomes), PendingSignIn::ATTEMPTS);
    let locked = outcomes.iter().filter(|outcome| **outcome == PendingAttempt::Locked(pending.clone()));
    assert_eq!(locked.count(), CONTENDERS - counted(&outcomes) as usize);
}

pub(crate) async fn it_is_over_from_its_end_on(scene: &Scene) {
    let user = scene.sign_up().await.user;
    let (pending, locked) = (begin(scene, &user).await, begin(scene, &user).await);
    counted_until_locked(scene, &locked).await;
    scene.world.clock.set(pending.expires_at.minus(INSTANT));
    assert!(is_there(scene, &pending).await);
    assert_eq!(count(scene, &pending).await, PendingAttempt::Counted(pending.clone()));
    assert_eq!(count(scene, &locked).await, PendingAttempt::Locked(locked.clone()));
    scene.world.clock.advance(INSTANT);
    for over in [pending, locked] {
        assert_eq!(count(scene, &over).await, PendingAttempt::Absent);
        assert!(!take(scene, &over).await);
    }
}

pub(crate) async fn what_is_taken_is_gone(scene: &Scene) {
    let user = scene.sign_up().await.user;
    let (pending, other) = (begin(scene, &user).await, begin(scene, &user).await);
    assert!(take(scene, &pending).await);
    assert!(!take(scene, &pending).await);
    assert_eq!(count(scene, &pending).await, PendingAttempt::Absent);
    assert!(is_there(scene, &other).await);
}

/// The right second factor may have been the last one that could be tried.
pub(crate) async fn one_is_taken_whatever_was_counted(scene: &Scene) {
    let pending = begin(scene, &scene.sign_up().await.user).await;
    counted_until_locked(scene, &pending).await;
    assert!(take(scene, &pending).await);
    assert_eq!(count(scene, &pending).await, PendingAttempt::Absent);
}

pub(crate) async fn what_was_taken_is_back_without_the_commit(scene: &Scene) {
    let pending = begin(scene, &scene.sign_up().await.user).await;
    count(scene, &pending).await;
    let mut tx = scene.begin().await;
    assert!(tx.pending().take_pending(&pending.hash, scene.now()).await.unwrap());
    assert!(!tx.pending().take_pending(&pending.hash, scene.now()).await.unwrap());
    drop(tx);
    assert_eq!(counted_until_locked(scene, &pending).await, PendingSignIn::ATTEMPTS - 1);
}

pub(crate) async fn a_transaction_takes_what_it_has_put(scene: &Scene) {
    let account = scene.world.account();
    let (taken, voided) =
        (scene.world.pending_sign_in(&account.user), scene.world.pending_sign_in(&account.user));
    let (kept, standing) = (scene.world.pending_sign_in(&account.user), Standing::of(&account.user));
    let mut tx = scene.begin().await;
    account.insert(tx.as_mut()).await.unwrap();
    tx.sign_ins().put_pending(&taken, &standing).await.unwrap();
    assert!(tx.pending().take_pending(&taken.hash, scene.now()).await.unwrap());
    tx.sign_ins().put_pending(&voided, &standing).await.unwrap();
    tx.pending().void_pending(account.user.id).await.unwrap();
    tx.sign_ins().put_pending(&kept, &standing).await.unwrap();
    tx.commit().await.unwrap();
    assert!(!is_there(scene, &taken).await);
    assert!(!is_there(scene, &voided).await);
    assert!(is_there(scene, &kept).await);
}

pub(crate) async fn of_many_who_take_one_one_wins(scene: &Scene) {
    let pending = begin(scene, &scene.sign_up().await.user).await;
    let now = scene.now();
    let outcomes = race((0..CONTENDERS).map(|_| {
        let (store, pending) = (Arc::clone(&scene.store), pending.clone());
        async move { take_from(&*store, &pending, now).await }
    }))
    .await;
    assert_eq!(outcomes.into_iter().filter(|won| *won).count(), 1);
}

pub(crate) async fn voiding_ends_everything_of_one_user_only(scene: &Scene) {
    let (user, other) = (scene.sign_up().await.user, scene.sign_up().await.user);
    let given = [begin(scene, &user).await, begin(scene, &user).await];
    let bystander = begin(scene, &other).await;
    let mut tx = scene.begin().await;
    tx.pending().void_pending(user.id).await.unwrap();
    drop(tx);
    for pending in &given {
        assert!(is_there(scene, pending).await);
    }
    commit!(scene.store, pending.void_pending(user.id)).unwrap();
    for pending in &given {
        assert_eq!(count(scene, pending).await, PendingAttempt::Absent);
    }
    assert!(is_there(scene, &bystander).await);
}

pub(crate) async fn a_sweep_deletes_only_what_is_over(scene: &Scene) {
    let user = scene.sign_up().await.user;
    let first = begin(scene, &user).await;
    scene.world.clock.advance(INSTANT);
    let second = begin(scene, &user).await;
    let sweep = |now| scene.store.sweep_pending(now, 100);
    assert_eq!(sweep(first.expires_at).await.unwrap(), 0);
    assert_eq!(sweep(second.expires_at).await.unwrap(), 1);
    // Looked at by what holds no row: a sweep passes over those that somebody holds.
    assert_eq!(count(scene, &first).await, PendingAttempt::Absent);
    assert_eq!(count(scene, &second).await, PendingAttempt::Counted(second.clone()));
    assert_eq!(sweep(second.expires_at.plus(INSTANT)).await.unwrap(), 1);
}

pub(crate) async fn a_sweep_deletes_no_more_than_its_limit(scene: &Scene) {
    let user = scene.sign_up().await.user;
    for _ in 0..5 {
        begin(scene, &user).await;
    }
    let over = scene.now().plus(PendingSignIn::LIFETIME + INSTANT);
    for swept in [2, 2, 1, 0] {
        assert_eq!(scene.store.sweep_pending(over, 2).await.unwrap(), swept);
    }
}

/// How many of these attempts count.
pub(crate) fn counted(outcomes: &[PendingAttempt]) -> u32 {
    outcomes.iter().map(|outcome| u32::from(matches!(outcome, PendingAttempt::Counted(_)))).sum()
}

async fn begin(scene: &Scene, user: &User) -> PendingSignIn {
    let pending = scene.world.pending_sign_in(user);
    put(scene, &pending).await;
    pending
}

async fn put(scene: &Scene, pending: &PendingSignIn) {
    save_pending(&*scene.store, pending).await.unwrap();
}

async fn count(scene: &Scene, pending: &PendingSignIn) -> PendingAttempt {
    scene.store.count_pending_attempt(&pending.hash, scene.now()).await.unwrap()
}

async fn counted_until_locked(scene: &Scene, pending: &PendingSignIn) -> u32 {
    let mut outcomes = Vec::new();
    for _ in 0..=PendingSignIn::ATTEMPTS {
        outcomes.push(count(scene, pending).await);
    }
    assert_eq!(outcomes.last(), Some(&PendingAttempt::Locked(pending.clone())));
    counted(&outcomes)
}

async fn take(scene: &Scene, pending: &PendingSignIn) -> bool {
    take_from(&*scene.store, pending, scene.now()).await
}

async fn take_from(store: &dyn Store, pending: &PendingSignIn, now: Timestamp) -> bool {
    commit!(store, pending.take_pending(&pending.hash, now)).unwrap()
}

/// Whether one could be taken: takes it and thinks better of it.
async fn is_there(scene: &Scene, pending: &PendingSignIn) -> bool {
    let mut tx = scene.begin().await;
    tx.pending().take_pending(&pending.hash, scene.now()).await.unwrap()
}
