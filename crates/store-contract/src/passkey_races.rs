//! Cases of `PasskeyRepo` and `PasskeyStore` with many at once.

use std::sync::Arc;

use identsphere_factors::PasskeyInsertion;
use identsphere_factors::passkey::{MOST_PASSKEYS, Passkey};

use crate::passkeys::{add, count_use, insert, is_enabled, list, remove};
use crate::scene::{CONTENDERS, Scene, assert_conflict, race};

pub(crate) async fn of_many_passkeys_at_once_no_more_than_the_most_are_added(scene: &Scene) {
    let user = scene.sign_up().await.user;
    let outcomes = race((0..CONTENDERS).map(|_| {
        let (store, passkey) = (Arc::clone(&scene.store), scene.world.passkey(&user));
        async move { (insert(&*store, &passkey).await.unwrap(), passkey) }
    }))
    .await;
    let of = |insertion| {
        let outcomes = outcomes.iter().filter(move |(outcome, _)| *outcome == insertion);
        outcomes.map(|(_, passkey)| passkey)
    };
    assert_eq!(of(PasskeyInsertion::Added).count(), MOST_PASSKEYS);
    assert_eq!(of(PasskeyInsertion::TooMany).count(), CONTENDERS - MOST_PASSKEYS);
    let listed = list(scene, &user).await;
    assert_eq!(listed.len(), MOST_PASSKEYS);
    assert!(of(PasskeyInsertion::Added).all(|passkey| listed.contains(passkey)));
}

pub(crate) async fn of_many_users_with_one_credential_one_keeps_it(scene: &Scene) {
    let mut rivals: Vec<Passkey> = Vec::new();
    for _ in 0..8 {
        let passkey = scene.world.passkey(&scene.sign_up().await.user);
        let credential_id = rivals.first().unwrap_or(&passkey).credential_id.clone();
        rivals.push(Passkey { credential_id, ..passkey });
    }
    let outcomes = race(rivals.clone().into_iter().map(|passkey| {
        let store = Arc::clone(&scene.store);
        async move { insert(&*store, &passkey).await }
    }))
    .await;
    let (won, lost): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
    assert!(matches!(won.as_slice(), [Ok(PasskeyInsertion::Added)]));
    for outcome in lost {
        assert_conflict(outcome, "user_passkeys_credential_id_key");
    }
    let mut kept = Vec::new();
    for passkey in &rivals {
        kept.extend(scene.store.list_passkeys(passkey.user).await.unwrap());
    }
    assert!(matches!(kept.as_slice(), [passkey] if rivals.contains(passkey)), "{kept:?}");
}

pub(crate) async fn of_many_uses_with_one_count_one_is_let_in(scene: &Scene) {
    let (user, now) = (scene.sign_up().await.user, scene.now());
    let passkey = scene.world.passkey(&user);
    add(scene, &passkey).await;
    let outcomes = race((0..CONTENDERS).map(|_| {
        let (store, passkey) = (Arc::clone(&scene.store), passkey.clone());
        async move { count_use(&*store, &passkey, 2, now).await }
    }))
    .await;
    assert_eq!(outcomes.into_iter().filter(|counted| *counted).count(), 1);
}

pub(crate) async fn of_many_counts_at_once_the_highest_remains(scene: &Scene) {
    let (user, now) = (scene.sign_up().await.user, scene.now());
    let passkey = scene.world.passkey(&user);
    add(scene, &passkey).await;
    let highest = u32::try_from(CONTENDERS).unwrap() + 1;
    let outcomes = race((2..=highest).map(|sign_count| {
        let (store, passkey) = (Arc::clone(&scene.store), passkey.clone());
        async move { count_use(&*store, &passkey, sign_count, now).await.then_some(sign_count) }
    }))
    .await;
    assert!(outcomes.contains(&Some(highest)));
    assert_eq!(list(scene, &user).await[0].sign_count, highest);
}

/// Authenticators that sync count nothing, and may be used in two places.
pub(crate) async fn of_many_uses_without_a_count_all_are_let_in(scene: &Scene) {
    let (user, now) = (scene.sign_up().await.user, scene.now());
    let passkey = Passkey { sign_count: 0, ..scene.world.passkey(&user) };
    add(scene, &passkey).await;
    let outcomes = race((0..CONTENDERS).map(|_| {
        let (store, passkey) = (Arc::clone(&scene.store), passkey.clone());
        async move { count_use(&*store, &passkey, 0, now).await }
    }))
    .await;
    assert!(outcomes.into_iter().all(|counted| counted));
}

pub(crate) async fn of_many_who_remove_a_passkey_one_wins(scene: &Scene) {
    let (user, now) = (scene.sign_up().await.user, scene.now());
    let passkey = scene.world.passkey(&user);
    add(scene, &passkey).await;
    let outcomes = race((0..CONTENDERS).map(|_| {
        let (store, passkey) = (Arc::clone(&scene.store), passkey.clone());
        async move { remove(&*store, &passkey, now).await }
    }))
    .await;
    assert_eq!(outcomes.into_iter().filter(|removed| *removed).count(), 1);
    assert!(!is_enabled(scene, &user).await);
}

pub(crate) async fn whoever_loses_all_at_once_has_none(scene: &Scene) {
    for _ in 0..4 {
        let (user, now) = (scene.sign_up().await.user, scene.now());
        for _ in 0..MOST_PASSKEYS {
            add(scene, &scene.world.passkey(&user)).await;
        }
        let outcomes = race(list(scene, &user).await.into_iter().map(|passkey| {
            let store = Arc::clone(&scene.store);
            async move { remove(&*store, &passkey, now).await }
        }))
        .await;
        assert!(outcomes.into_iter().all(|removed| removed));
        assert_eq!(list(scene, &user).await, []);
        assert!(!is_enabled(scene, &user).await);
    }
}

pub(crate) async fn whoever_gets_one_while_losing_another_has_one(scene: &Scene) {
    for _ in 0..8 {
        let (user, now) = (scene.sign_up().await.user, scene.now());
        let (old, new) = (scene.world.passkey(&user), scene.world.passkey(&user));
        add(scene, &old).await;
        race([(old, true), (new.clone(), false)].map(|(passkey, goes)| {
            let store = Arc::clone(&scene.store);
            async move {
                if goes {
                    assert!(remove(&*store, &passkey, now).await);
                } else {
                    assert_eq!(insert(&*store, &passkey).await.unwrap(), PasskeyInsertion::Added);
                }
            }
        }))
        .await;
        assert_eq!(list(scene, &user).await, [new]);
        assert!(is_enabled(scene, &user).await);
    }
}

pub(crate) async fn of_many_who_claim_a_handle_all_get_the_same(scene: &Scene) {
    let user = scene.sign_up().await.user.id;
    let outcomes = race((0..CONTENDERS).map(|_| {
        let (store, candidate) = (Arc::clone(&scene.store), scene.world.user_handle());
        async move { (store.claim_handle(user, &candidate).await.unwrap().unwrap(), candidate) }
    }))
    .await;
    let claimed = outcomes[0].0;
    assert!(outcomes.iter().all(|(handle, _)| *handle == claimed));
    assert_eq!(outcomes.iter().filter(|(_, candidate)| *candidate == claimed).count(), 1);
    let late = scene.store.claim_handle(user, &scene.world.user_handle()).await.unwrap();
    assert_eq!(late, Some(claimed));
}
