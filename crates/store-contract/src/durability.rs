//! Cases about data that outlives the handle that wrote it, and about several handles at once, as several nodes hold.

use std::sync::Arc;

use identsphere_core::Store;
use identsphere_kernel::Duration;
use identsphere_testkit::builders::save_session;

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

async fn migrated(place: &Place) -> Arc<dyn Store> {
    let store = place.storage.open().await;
    store.migrate_up().await.unwrap();
    store
}
