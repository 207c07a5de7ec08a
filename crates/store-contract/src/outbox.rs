//! Cases of `OutboxRepo` and `OutboxStore`.

use std::sync::Arc;

use identsphere_accounts::User;
use identsphere_core::{OutboxEntry, Store};
use identsphere_kernel::{Duration, MailId, StoreError, Timestamp, TokenHash};

use crate::scene::{CONTENDERS, INSTANT, Scene, assert_conflict, race};

/// How long whoever is handed an entry has.
const LEASE: Duration = Duration::from_secs(60);
/// More than there ever are.
const ALL: u32 = 1_000;

pub(crate) async fn an_entry_comes_back_exactly_as_given(scene: &Scene) {
    for given in scene.world.extreme_outbox_entries() {
        post(scene, &given).await;
        let handed = lease(scene, ALL).await;
        assert_eq!(handed, [begun(&given, scene.now())]);
        assert!(settle(&*scene.store, given.id).await);
    }
}

pub(crate) async fn a_taken_entry_id_is_refused(scene: &Scene) {
    let user = scene.sign_up().await.user;
    let (first, browser) = (scene.world.outbox_entry(), scene.world.token_hash());
    let second = OutboxEntry { id: first.id, ..scene.world.outbox_entry() };
    post(scene, &first).await;
    assert_conflict(post_into(&*scene.store, &second).await, "outbox_pkey");
    let greeted = greet_at(&*scene.store, &user, &browser, scene.now(), Some(&second)).await;
    assert_conflict(greeted, "outbox_pkey");
    assert_eq!(lease(scene, ALL).await, [begun(&first, scene.now())]);
    assert!(posts(scene, &user, &browser).await, "a browser became known that nobody was told of");
}

pub(crate) async fn an_entry_is_handed_out_from_the_time_on_that_it_is_due(scene: &Scene) {
    let entry = OutboxEntry { due_at: scene.now().plus(LEASE), ..scene.world.outbox_entry() };
    post(scene, &entry).await;
    assert_eq!(lease(scene, ALL).await, []);
    scene.world.clock.set(entry.due_at.minus(INSTANT));
    assert_eq!(lease(scene, ALL).await, []);
    scene.world.clock.advance(INSTANT);
    assert_eq!(ids(&lease(scene, ALL).await), [entry.id]);
}

/// Whether it still makes sense is not the store's to judge: somebody has to settle it.
pub(crate) async fn an_entry_that_has_become_pointless_is_handed_out(scene: &Scene) {
    let entry = scene.world.outbox_entry();
    post(scene, &entry).await;
    scene.world.clock.set(entry.expires_at.plus(LEASE));
    assert_eq!(ids(&lease(scene, ALL).await), [entry.id]);
}

pub(crate) async fn those_due_first_are_handed_out_first_and_no_more_than_asked_for(scene: &Scene) {
    let mut entries = Vec::new();
    for late_by in [3, 1, 6, 0, 4, 2, 5] {
        let due_at = scene.now().minus(Duration::from_secs(late_by));
        entries.push(OutboxEntry { due_at, ..scene.world.outbox_entry() });
    }
    for entry in &entries {
        post(scene, entry).await;
    }
    entries.sort_by_key(|entry| entry.due_at);
    let expected = ids(&entries);
    assert_eq!(lease(scene, 0).await, []);
    assert_eq!(ids(&lease(scene, 2).await), expected[..2]);
    assert_eq!(ids(&lease(scene, 4).await), expected[2..6]);
    assert_eq!(ids(&lease(scene, 4).await), expected[6..]);
    assert_eq!(lease(scene, 4).await, []);
}

pub(crate) async fn an_entry_is_handed_out_again_when_its_time_is_over(scene: &Scene) {
    let given = scene.world.outbox_entry();
    post(scene, &given).await;
    let mut expected = given;
    for _ in 0..3 {
        expected = begun(&expected, scene.now());
        assert_eq!(lease(scene, ALL).await, std::slice::from_ref(&expected));
        assert_eq!(lease(scene, ALL).await, []);
        scene.world.clock.advance(LEASE - INSTANT);
        assert_eq!(lease(scene, ALL).await, []);
        scene.world.clock.advance(INSTANT);
    }
    assert_eq!(expected.attempts, 3);
}

pub(crate) async fn an_entry_is_postponed(scene: &Scene) {
    let (entry, other) = (scene.world.outbox_entry(), scene.world.outbox_entry());
    post(scene, &entry).await;
    post(scene, &other).await;
    lease(scene, ALL).await;
    let later = scene.now().plus(LEASE * 10);
    scene.store.postpone_outbox(entry.id, 1, later).await.unwrap();
    scene.world.clock.advance(LEASE);
    assert_eq!(ids(&lease(scene, ALL).await), [other.id]);
    assert!(settle(&*scene.store, other.id).await);
    scene.world.clock.set(later.minus(INSTANT));
    assert_eq!(lease(scene, ALL).await, []);
    scene.world.clock.set(later);
    assert_eq!(lease(scene, ALL).await, [OutboxEntry { attempts: 2, ..begun(&entry, later) }]);

    scene.store.postpone_outbox(entry.id, 2, later).await.unwrap();
    assert_eq!(ids(&lease(scene, ALL).await), [entry.id], "postponed to an earlier time");
}

pub(crate) async fn an_entry_that_somebody_else_has_been_handed_is_not_postponed(scene: &Scene) {
    let (entry, never) = (scene.world.outbox_entry(), scene.now().plus(LEASE * 100));
    post(scene, &entry).await;
    lease(scene, ALL).await;
    scene.world.clock.advance(LEASE);
    assert_eq!(lease(scene, ALL).await.len(), 1);
    for attempts in [0, 1, 3] {
        scene.store.postpone_outbox(entry.id, attempts, never).await.unwrap();
    }
    scene.store.postpone_outbox(scene.world.outbox_entry().id, 2, never).await.unwrap();
    assert_eq!(scene.store.count_outbox().await.unwrap(), 1);
    scene.world.clock.advance(LEASE);
    assert_eq!(ids(&lease(scene, ALL).await), [entry.id]);
}

pub(crate) async fn an_entry_is_settled_once(scene: &Scene) {
    let (entry, other) = (scene.world.outbox_entry(), scene.world.outbox_entry());
    post(scene, &entry).await;
    post(scene, &other).await;
    let mut tx = scene.begin().await;
    assert!(tx.outbox().settle(entry.id).await.unwrap());
    drop(tx);
    assert!(settle(&*scene.store, entry.id).await, "settled without the commit");
    assert!(!settle(&*scene.store, entry.id).await);
    assert!(!settle(&*scene.store, scene.world.outbox_entry().id).await);
    assert_eq!(ids(&lease(scene, ALL).await), [other.id]);
    assert!(settle(&*scene.store, other.id).await, "whoever was handed an entry settles it");
    scene.world.clock.advance(LEASE);
    assert_eq!(lease(scene, ALL).await, []);
}

pub(crate) async fn of_many_who_settle_an_entry_one_wins(scene: &Scene) {
    let entry = scene.world.outbox_entry();
    post(scene, &entry).await;
    let outcomes = race((0..CONTENDERS).map(|_| {
        let (store, id) = (Arc::clone(&scene.store), entry.id);
        async move { settle(&*store, id).await }
    }))
    .await;
    assert_eq!(outcomes.into_iter().filter(|won| *won).count(), 1);
}

/// Whoever asks at once may be handed fewer than there are, but nothing is lost and nothing is handed out twice.
pub(crate) async fn of_many_who_ask_at_once_each_entry_is_handed_to_one(scene: &Scene) {
    const ENTRIES: usize = 80;
    let mut posted = Vec::new();
    for _ in 0..ENTRIES {
        let entry = scene.world.outbox_entry();
        post(scene, &entry).await;
        posted.push(entry.id);
    }
    let now = scene.now();
    let outcomes = race((0..CONTENDERS).map(|_| {
        let store = Arc::clone(&scene.store);
        async move { store.lease_outbox(now, now.plus(LEASE), 3).await.unwrap() }
    }))
    .await;
    assert!(outcomes.iter().all(|handed| handed.len() <= 3));
    let mut handed = ids(&outcomes.concat());
    handed.extend(ids(&lease(scene, ALL).await));
    handed.sort();
    posted.sort();
    assert_eq!(handed, posted);
}

pub(crate) async fn what_waits_is_counted(scene: &Scene) {
    assert_eq!(scene.store.count_outbox().await.unwrap(), 0);
    let later = OutboxEntry { due_at: scene.now().plus(LEASE), ..scene.world.outbox_entry() };
    let entry = scene.world.outbox_entry();
    post(scene, &entry).await;
    post(scene, &later).await;
    assert_eq!(scene.store.count_outbox().await.unwrap(), 2);
    lease(scene, ALL).await;
    assert_eq!(scene.store.count_outbox().await.unwrap(), 2);
    settle(&*scene.store, entry.id).await;
    assert_eq!(scene.store.count_outbox().await.unwrap(), 1);
}

/// A mail about a change that was not made must not leave.
pub(crate) async fn what_is_not_committed_is_not_posted(scene: &Scene) {
    let account = scene.sign_up().await;
    let impostor = User { email: scene.world.account().user.email, ..account.user.clone() };
    let (entry, notice) = (scene.world.outbox_entry(), scene.world.outbox_entry());
    let browser = scene.world.token_hash();
    for fails_late in [false, true] {
        let mut tx = scene.begin().await;
        tx.outbox().post(&entry).await.unwrap();
        let now = scene.now();
        tx.outbox().greet_browser(account.user.id, &browser, now, Some(&notice)).await.unwrap();
        if fails_late {
            let outcome = match tx.users().insert(&impostor, None).await {
                Ok(()) => tx.commit().await,
                refused => {
                    drop(tx);
                    refused
                }
            };
            assert_conflict(outcome, "users_pkey");
        } else {
            drop(tx);
        }
        assert_eq!(scene.store.count_outbox().await.unwrap(), 0);
        assert_eq!(lease(scene, ALL).await, []);
    }
    post(scene, &entry).await;
    assert!(posts(scene, &account.user, &browser).await);
}

pub(crate) async fn a_transaction_settles_what_it_has_posted(scene: &Scene) {
    let entry = scene.world.outbox_entry();
    let mut tx = scene.begin().await;
    tx.outbox().post(&entry).await.unwrap();
    assert!(tx.outbox().settle(entry.id).await.unwrap());
    assert!(!tx.outbox().settle(entry.id).await.unwrap());
    tx.commit().await.unwrap();
    assert_eq!(scene.store.count_outbox().await.unwrap(), 0);
}

pub(crate) async fn an_unknown_browser_posts_the_notice_once(scene: &Scene) {
    let user = scene.sign_up().await.user;
    let (browser, notice) = (scene.world.token_hash(), scene.world.outbox_entry());
    greet_at(&*scene.store, &user, &browser, scene.now(), Some(&notice)).await.unwrap();
    assert_eq!(lease(scene, ALL).await, [begun(&notice, scene.now())]);
    assert!(!posts(scene, &user, &browser).await);
    assert!(posts(scene, &user, &scene.world.token_hash()).await, "another browser");
}

pub(crate) async fn a_browser_becomes_known_without_a_notice(scene: &Scene) {
    let user = scene.sign_up().await.user;
    let browser = scene.world.token_hash();
    for _ in 0..2 {
        greet_at(&*scene.store, &user, &browser, scene.now(), None).await.unwrap();
        assert_eq!(scene.store.count_outbox().await.unwrap(), 0);
    }
    assert!(!posts(scene, &user, &browser).await);
}

pub(crate) async fn the_browser_of_another_user_is_unknown(scene: &Scene) {
    let (user, other) = (scene.sign_up().await.user, scene.sign_up().await.user);
    let browser = scene.world.token_hash();
    assert!(posts(scene, &user, &browser).await);
    assert!(posts(scene, &other, &browser).await);
    assert!(!posts(scene, &user, &browser).await);
}

pub(crate) async fn the_browsers_of_a_user_are_forgotten_and_no_others(scene: &Scene) {
    let (user, other) = (scene.sign_up().await.user, scene.sign_up().await.user);
    let browser = scene.world.token_hash();
    assert!(posts(scene, &user, &browser).await);
    assert!(posts(scene, &other, &browser).await);
    let mut tx = scene.begin().await;
    tx.outbox().forget_browsers(user.id).await.unwrap();
    tx.commit().await.unwrap();
    assert!(posts(scene, &user, &browser).await);
    assert!(!posts(scene, &other, &browser).await);
}

pub(crate) async fn a_browser_needs_a_user_that_exists(scene: &Scene) {
    let stranger = scene.world.account().user;
    for notice in [None, Some(scene.world.outbox_entry())] {
        let browser = scene.world.token_hash();
        let greeted = greet_at(&*scene.store, &stranger, &browser, scene.now(), notice.as_ref()).await;
        assert!(greeted.is_err());
        assert_eq!(scene.store.count_outbox().await.unwrap(), 0);
    }
}

pub(crate) async fn of_many_greetings_from_an_unknown_browser_one_posts(scene: &Scene) {
    let (user, browser, now) = (scene.sign_up().await.user, scene.world.token_hash(), scene.now());
    race((0..CONTENDERS).map(|_| {
        let (store, user, notice) = (Arc::clone(&scene.store), user.clone(), scene.world.outbox_entry());
        async move { greet_at(&*store, &user, &browser, now, Some(&notice)).await.unwrap() }
    }))
    .await;
    assert_eq!(scene.store.count_outbox().await.unwrap(), 1);
}

pub(crate) async fn a_sweep_forgets_browsers_that_were_not_seen_since(scene: &Scene) {
    let user = scene.sign_up().await.user;
    let (old, seen_again) = (scene.world.token_hash(), scene.world.token_hash());
    let first_seen = scene.now();
    assert!(posts(scene, &user, &old).await);
    assert!(posts(scene, &user, &seen_again).await);
    scene.world.clock.advance(INSTANT);
    assert!(!posts(scene, &user, &seen_again).await);

    assert_eq!(scene.store.sweep_browsers(first_seen, ALL).await.unwrap(), 0);
    assert_eq!(scene.store.sweep_browsers(scene.now(), ALL).await.unwrap(), 1);
    assert!(!posts(scene, &user, &seen_again).await);
    assert!(posts(scene, &user, &old).await);
}

pub(crate) async fn a_sweep_forgets_no_more_browsers_than_its_limit(scene: &Scene) {
    let user = scene.sign_up().await.user;
    for _ in 0..5 {
        assert!(posts(scene, &user, &scene.world.token_hash()).await);
    }
    for swept in [2, 2, 1, 0] {
        assert_eq!(scene.store.sweep_browsers(scene.now().plus(INSTANT), 2).await.unwrap(), swept);
    }
}

/// An entry as it is handed out at `now`.
pub(crate) fn begun(entry: &OutboxEntry, now: Timestamp) -> OutboxEntry {
    OutboxEntry { attempts: entry.attempts + 1, due_at: now.plus(LEASE), ..entry.clone() }
}

/// Posts an entry in a transaction of its own.
pub(crate) async fn post_into(store: &dyn Store, entry: &OutboxEntry) -> Result<(), StoreError> {
    let mut tx = store.begin().await?;
    tx.outbox().post(entry).await?;
    tx.commit().await
}

/// Asks for what is due at `now`.
pub(crate) async fn lease_from(store: &dyn Store, now: Timestamp, limit: u32) -> Vec<OutboxEntry> {
    store.lease_outbox(now, now.plus(LEASE), limit).await.unwrap()
}

pub(crate) fn ids(entries: &[OutboxEntry]) -> Vec<MailId> {
    entries.iter().map(|entry| entry.id).collect()
}

async fn post(scene: &Scene, entry: &OutboxEntry) {
    post_into(&*scene.store, entry).await.unwrap();
}

async fn lease(scene: &Scene, limit: u32) -> Vec<OutboxEntry> {
    lease_from(&*scene.store, scene.now(), limit).await
}

async fn settle(store: &dyn Store, id: MailId) -> bool {
    let mut tx = store.begin().await.unwrap();
    let settled = tx.outbox().settle(id).await.unwrap();
    tx.commit().await.unwrap();
    settled
}

async fn greet_at(
    store: &dyn Store,
    user: &User,
    browser: &TokenHash,
    at: Timestamp,
    notice: Option<&OutboxEntry>,
) -> Result<(), StoreError> {
    let mut tx = store.begin().await?;
    tx.outbox().greet_browser(user.id, browser, at, notice).await?;
    tx.commit().await
}

/// Greets a browser now; whether that posts a notice.
async fn posts(scene: &Scene, user: &User, browser: &TokenHash) -> bool {
    let before = scene.store.count_outbox().await.unwrap();
    let notice = scene.world.outbox_entry();
    greet_at(&*scene.store, user, browser, scene.now(), Some(&notice)).await.unwrap();
    scene.store.count_outbox().await.unwrap() > before
}
