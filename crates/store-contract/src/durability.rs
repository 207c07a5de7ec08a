//! Cases about data that outlives the handle that wrote it, and about several handles at once, as several nodes hold.

use std::sync::Arc;

use identsphere_accounts::CodeChallenge;
use identsphere_core::Store;
use identsphere_kernel::Duration;
use identsphere_testkit::builders::save_session;

use crate::outbox::{begun, ids, lease_from, post_into};
use crate::scene::{CONTENDERS, Place, assert_conflict, race, sign_out, take};

pub(crate) async fn what_was_committed_is_there_after_reopening(place: &Place) {
    let store = migrated(place).await;
    let (account, world) = (place.world.account(), &place.world);
    let (kept, ended) = (world.session(&account.user), world.session(&account.user));
    let key = world.signing_key(None);
    account.save(&*store).await.unwrap();
    save_session(&*store, &kept).await.unwrap();
    save_session(&*store, &ended).await.unwrap();
    let mut tx = store.begin().await.unwrap();
    tx.keys().insert(&key).await.unwrap();
    tx.commit().await.unwrap();
    assert!(sign_out(&*store, &ended, world.now()).await.unwrap());
    let rotated = store.rotate_refresh(&world.rotation(&kept)).await.unwrap();
    drop(store);

    let store = place.storage.open().await;
    assert!(rotated.is_some());
    assert_eq!(store.find_principal(kept.id, world.now()).await.unwrap(), rotated);
    assert_eq!(store.find_principal(ended.id, world.now()).await.unwrap(), None);
    assert_eq!(store.list_signing_keys().await.unwrap(), [key]);
    let found = store.find_sign_in(account.user.email.key()).await.unwrap().unwrap();
    assert_eq!((found.user, found.password_hash), (account.user, account.password_hash));
}

pub(crate) async fn what_was_not_committed_is_gone_after_reopening(place: &Place) {
    let store = migrated(place).await;
    let (resident, newcomer) = (place.world.account(), place.world.account());
    let session = place.world.session(&resident.user);
    resident.save(&*store).await.unwrap();
    save_session(&*store, &session).await.unwrap();
    let mut tx = store.begin().await.unwrap();
    newcomer.insert(tx.as_mut()).await.unwrap();
    let reason = identsphere_sessions::RevocationReason::Logout;
    assert!(tx.sessions().revoke(session.id, resident.user.id, reason, place.world.now()).await.unwrap());
    drop(store);
    drop(tx);

    let store = place.storage.open().await;
    assert_eq!(store.find_sign_in(newcomer.user.email.key()).await.unwrap(), None);
    assert!(store.find_principal(session.id, place.world.now()).await.unwrap().is_some());
    newcomer.save(&*store).await.unwrap();
}

pub(crate) async fn one_handle_sees_what_another_committed(place: &Place) {
    let (here, there) = (migrated(place).await, place.storage.open().await);
    let account = place.world.account();
    assert_eq!(there.find_sign_in(account.user.email.key()).await.unwrap(), None);
    account.save(&*here).await.unwrap();
    assert!(there.find_sign_in(account.user.email.key()).await.unwrap().is_some());

    let mut namesake = place.world.account();
    namesake.user.email = account.user.email.clone();
    assert_conflict(namesake.save(&*there).await, "users_email_key_key");

    let session = place.world.session(&account.user);
    save_session(&*there, &session).await.unwrap();
    assert!(here.find_principal(session.id, place.world.now()).await.unwrap().is_some());
    assert!(sign_out(&*here, &session, place.world.now()).await.unwrap());
    assert_eq!(there.find_principal(session.id, place.world.now()).await.unwrap(), None);
}

pub(crate) async fn of_many_who_present_one_leaf_to_two_handles_one_wins(place: &Place) {
    let handles = [migrated(place).await, place.storage.open().await];
    let account = place.world.account();
    let session = place.world.session(&account.user);
    account.save(&*handles[0]).await.unwrap();
    save_session(&*handles[0], &session).await.unwrap();
    let outcomes = race((0..CONTENDERS).map(|contender| {
        let store = Arc::clone(&handles[contender % 2]);
        let rotation = place.world.rotation(&session);
        async move { store.rotate_refresh(&rotation).await.unwrap() }
    }))
    .await;
    let winners: Vec<_> = outcomes.into_iter().filter(Option::is_some).collect();
    assert_eq!(winners.len(), 1);
    let [here, there] = handles;
    for store in [here, there] {
        let found = store.find_principal(session.id, place.world.now()).await.unwrap();
        assert_eq!(Some(&found), winners.first());
    }
}

pub(crate) async fn two_handles_share_the_rate_limits(place: &Place) {
    let handles = [migrated(place).await, place.storage.open().await];
    let (login, now) = (take("login", 10, Duration::from_secs(3_600)), place.world.now());
    let outcomes = race((0..CONTENDERS).map(|contender| {
        let store = Arc::clone(&handles[contender % 2]);
        async move { store.take(&[login], now).await.unwrap() }
    }))
    .await;
    assert_eq!(outcomes.into_iter().flatten().filter(Option::is_none).count(), 10);
}

/// What was handed out when the process ended is handed out again when its time is over.
pub(crate) async fn an_entry_posted_before_reopening_is_handed_out_after(place: &Place) {
    let (store, now) = (migrated(place).await, place.world.now());
    let (begun_with, waiting) = (place.world.outbox_entry(), place.world.outbox_entry());
    post_into(&*store, &begun_with).await.unwrap();
    let handed = lease_from(&*store, now, 10).await;
    assert_eq!(handed, [begun(&begun_with, now)]);
    post_into(&*store, &waiting).await.unwrap();
    drop(store);

    let store = place.storage.open().await;
    assert_eq!(store.count_outbox().await.unwrap(), 2);
    let next = now.plus(Duration::from_secs(1));
    assert_eq!(lease_from(&*store, next, 10).await, [begun(&waiting, next)]);
    let later = handed[0].due_at;
    assert_eq!(lease_from(&*store, later, 1).await, [begun(&handed[0], later)]);
}

pub(crate) async fn of_many_who_ask_two_handles_each_entry_is_handed_to_one(place: &Place) {
    let handles = [migrated(place).await, place.storage.open().await];
    let mut posted = Vec::new();
    for _ in 0..CONTENDERS {
        let entry = place.world.outbox_entry();
        post_into(&*handles[0], &entry).await.unwrap();
        posted.push(entry.id);
    }
    let now = place.world.now();
    let outcomes = race((0..CONTENDERS).map(|contender| {
        let store = Arc::clone(&handles[contender % 2]);
        async move { lease_from(&*store, now, 2).await }
    }))
    .await;
    let mut handed = ids(&outcomes.concat());
    handed.extend(ids(&lease_from(&*handles[1], now, 100).await));
    handed.sort();
    posted.sort();
    assert_eq!(handed, posted);
}

pub(crate) async fn two_handles_share_the_attempts_on_a_code(place: &Place) {
    let handles = [migrated(place).await, place.storage.open().await];
    let (account, now) = (place.world.account(), place.world.now());
    account.save(&*handles[0]).await.unwrap();
    let user = account.user.id;
    let mut tx = handles[0].begin().await.unwrap();
    tx.proofs().put_code(&place.world.code_challenge(&account.user)).await.unwrap();
    tx.commit().await.unwrap();
    let outcomes = race((0..CONTENDERS).map(|contender| {
        let store = Arc::clone(&handles[contender % 2]);
        async move { store.count_code_attempt(user, now).await.unwrap() }
    }))
    .await;
    let counted = outcomes.into_iter().flatten().count();
    assert_eq!(u32::try_from(counted), Ok(CodeChallenge::ATTEMPTS));
}

/// A first handle to the place.
pub(crate) async fn migrated(place: &Place) -> Arc<dyn Store> {
    let store = place.storage.open().await;
    store.migrate_up().await.unwrap();
    store
}
