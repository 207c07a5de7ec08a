//! Cases about second factors and passkeys that outlive the handle that wrote them, and that several handles share.

use std::sync::Arc;

use identsphere_accounts::User;
use identsphere_core::Store;
use identsphere_factors::PasskeyInsertion;
use identsphere_factors::passkey::{CeremonyKind, MOST_PASSKEYS};
use identsphere_sessions::{PendingAttempt, PendingSignIn};
use identsphere_testkit::builders::save_pending;

use crate::durability::migrated;
use crate::factors::{advance, confirmed, protect, spend, step};
use crate::passkeys::{count_use, insert};
use crate::pending::counted;
use crate::scene::{CONTENDERS, Place, commit, race};

pub(crate) async fn what_proves_a_person_is_there_after_reopening(place: &Place) {
    let (store, world) = (migrated(place).await, &place.world);
    let (user, now) = (resident(place, &*store).await, world.now());
    let (sealed, codes, handle) = (world.sealed_secret(), world.recovery_hashes(), world.user_handle());
    let (pending, browser) = (world.pending_sign_in(&user), world.trusted_browser(&user));
    let (passkey, ceremony) = (world.passkey(&user), world.ceremony(CeremonyKind::SignIn, Some(&user)));
    protect(&*store, user.id, &sealed, now).await;
    assert!(commit!(store, factors.replace_recovery_codes(user.id, &codes, now)).unwrap());
    assert_eq!(spend(&*store, user.id, &codes[0]).await, Some(9));
    save_pending(&*store, &pending).await.unwrap();
    store.count_pending_attempt(&pending.hash, now).await.unwrap();
    commit!(store, trust.insert_trusted(&browser)).unwrap();
    store.claim_handle(user.id, &handle).await.unwrap();
    insert(&*store, &passkey).await.unwrap();
    store.begin_ceremony(&ceremony).await.unwrap();
    drop(store);

    let store = place.storage.open().await;
    assert_eq!(store.find_authenticator(user.id).await.unwrap(), Some(confirmed(&sealed, 1)));
    assert_eq!(spend(&*store, user.id, &codes[0]).await, None);
    assert_eq!(spend(&*store, user.id, &codes[1]).await, Some(8));
    let mut attempts = Vec::new();
    for _ in 0..PendingSignIn::ATTEMPTS {
        attempts.push(store.count_pending_attempt(&pending.hash, now).await.unwrap());
    }
    assert_eq!(attempts.pop(), Some(PendingAttempt::Locked(pending)), "one was counted before");
    assert_eq!(store.list_trusted(user.id, now).await.unwrap(), [browser]);
    let found = store.find_passkey_sign_in(&passkey.credential_id).await.unwrap().unwrap();
    assert_eq!((found.passkey, found.handle), (passkey, handle));
    assert!(found.owner.user.mfa_enabled && found.owner.user.passkey_enabled);
    assert_eq!(store.end_ceremony(&ceremony.hash, now).await.unwrap(), Some(ceremony));
}

pub(crate) async fn two_handles_share_the_attempts_on_a_pending_sign_in(place: &Place) {
    let handles = [migrated(place).await, place.storage.open().await];
    let (user, now) = (resident(place, &*handles[0]).await, place.world.now());
    let pending = place.world.pending_sign_in(&user);
    save_pending(&*handles[0], &pending).await.unwrap();
    let outcomes = race((0..CONTENDERS).map(|contender| {
        let (store, hash) = (Arc::clone(&handles[contender % 2]), pending.hash);
        async move { store.count_pending_attempt(&hash, now).await.unwrap() }
    }))
    .await;
    assert_eq!(counted(&outcomes), PendingSignIn::ATTEMPTS);
    assert!(!outcomes.contains(&PendingAttempt::Absent));
}

pub(crate) async fn a_step_accepted_by_one_handle_is_refused_by_the_other(place: &Place) {
    let [here, there] = [migrated(place).await, place.storage.open().await];
    let (user, sealed) = (resident(place, &*here).await.id, place.world.sealed_secret());
    protect(&*here, user, &sealed, place.world.now()).await;
    assert!(!advance(&*there, user, &sealed, step(1)).await);
    assert!(advance(&*there, user, &sealed, step(2)).await);
    assert!(!advance(&*here, user, &sealed, step(2)).await);
    let outcomes = race((0..CONTENDERS).map(|contender| {
        let store = Arc::clone(if contender % 2 == 0 { &here } else { &there });
        let sealed = sealed.clone();
        async move { advance(&*store, user, &sealed, step(3)).await }
    }))
    .await;
    assert_eq!(outcomes.into_iter().filter(|accepted| *accepted).count(), 1);
}

pub(crate) async fn of_many_who_spend_one_code_at_two_handles_one_wins(place: &Place) {
    let handles = [migrated(place).await, place.storage.open().await];
    let (user, now) = (resident(place, &*handles[0]).await.id, place.world.now());
    let codes = place.world.recovery_hashes();
    protect(&*handles[0], user, &place.world.sealed_secret(), now).await;
    assert!(commit!(handles[0], factors.replace_recovery_codes(user, &codes, now)).unwrap());
    let outcomes = race((0..CONTENDERS).map(|contender| {
        let (store, code) = (Arc::clone(&handles[contender % 2]), codes[0]);
        async move { spend(&*store, user, &code).await }
    }))
    .await;
    assert_eq!(outcomes.into_iter().flatten().collect::<Vec<u32>>(), [9]);
    assert_eq!(handles[1].count_recovery_codes(user).await.unwrap(), 9);
}

pub(crate) async fn of_many_who_end_a_ceremony_at_two_handles_one_gets_it(place: &Place) {
    let handles = [migrated(place).await, place.storage.open().await];
    let (ceremony, now) = (place.world.ceremony(CeremonyKind::SignIn, None), place.world.now());
    handles[0].begin_ceremony(&ceremony).await.unwrap();
    let outcomes = race((0..CONTENDERS).map(|contender| {
        let (store, hash) = (Arc::clone(&handles[contender % 2]), ceremony.hash);
        async move { store.end_ceremony(&hash, now).await.unwrap() }
    }))
    .await;
    assert_eq!(outcomes.into_iter().flatten().collect::<Vec<_>>(), [ceremony]);
}

pub(crate) async fn two_handles_share_the_passkeys_of_a_user(place: &Place) {
    let handles = [migrated(place).await, place.storage.open().await];
    let (user, now) = (resident(place, &*handles[0]).await, place.world.now());
    let outcomes = race((0..CONTENDERS).map(|contender| {
        let (store, passkey) = (Arc::clone(&handles[contender % 2]), place.world.passkey(&user));
        async move { insert(&*store, &passkey).await.unwrap() }
    }))
    .await;
    let added = outcomes.iter().filter(|outcome| **outcome == PasskeyInsertion::Added);
    assert_eq!(added.count(), MOST_PASSKEYS);
    let passkey = handles[1].list_passkeys(user.id).await.unwrap().remove(0);
    assert!(count_use(&*handles[0], &passkey, 2, now).await);
    assert!(!count_use(&*handles[1], &passkey, 2, now).await);
}

/// Somebody who has signed up.
async fn resident(place: &Place, store: &dyn Store) -> User {
    let account = place.world.account();
    account.save(store).await.unwrap();
    account.user
}
