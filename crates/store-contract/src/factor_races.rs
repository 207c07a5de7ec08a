//! Cases of `FactorRepo` with many at once: what happens once happens once however many ask.

use std::sync::Arc;

use identsphere_factors::recovery::RECOVERY_CODES;
use identsphere_kernel::TokenHash;

use crate::factors::{advance, confirmed, inert, protected, spend, step};
use crate::scene::{CONTENDERS, Scene, commit, race};

pub(crate) async fn of_many_who_set_one_up_the_secret_of_one_remains(scene: &Scene) {
    let (user, now) = (scene.sign_up().await.user.id, scene.now());
    let rivals: Vec<Vec<u8>> = (0..CONTENDERS).map(|_| scene.world.sealed_secret()).collect();
    let outcomes = race(rivals.clone().into_iter().map(|sealed| {
        let store = Arc::clone(&scene.store);
        async move { commit!(store, factors.set_up_authenticator(user, &sealed, now)).unwrap() }
    }))
    .await;
    assert!(outcomes.into_iter().all(|set_up| set_up));
    let found = scene.store.find_authenticator(user).await.unwrap().unwrap();
    assert!(rivals.contains(&found.sealed));
    assert_eq!(found, inert(&found.sealed));
}

pub(crate) async fn of_many_who_confirm_an_authenticator_one_wins(scene: &Scene) {
    let (user, now) = (scene.sign_up().await.user.id, scene.now());
    let sealed = scene.world.sealed_secret();
    assert!(commit!(scene.store, factors.set_up_authenticator(user, &sealed, now)).unwrap());
    let outcomes = race((1..=CONTENDERS as u64).map(|number| {
        let (store, sealed) = (Arc::clone(&scene.store), sealed.clone());
        async move {
            let won = commit!(store, factors.confirm_authenticator(user, &sealed, step(number), now));
            won.unwrap().then_some(number)
        }
    }))
    .await;
    let winners: Vec<u64> = outcomes.into_iter().flatten().collect();
    assert_eq!(winners.len(), 1);
    let found = scene.store.find_authenticator(user).await.unwrap();
    assert_eq!(found, Some(confirmed(&sealed, winners[0])));
}

/// Else the owner would see one secret in the app and be asked for codes of another.
pub(crate) async fn what_is_confirmed_is_not_replaced_at_the_same_time(scene: &Scene) {
    for _ in 0..8 {
        let (user, now) = (scene.sign_up().await.user.id, scene.now());
        let (first, second) = (scene.world.sealed_secret(), scene.world.sealed_secret());
        assert!(commit!(scene.store, factors.set_up_authenticator(user, &first, now)).unwrap());
        let outcomes = race([true, false].map(|confirms| {
            let (store, first, second) = (Arc::clone(&scene.store), first.clone(), second.clone());
            async move {
                let won = if confirms {
                    commit!(store, factors.confirm_authenticator(user, &first, step(1), now))
                } else {
                    commit!(store, factors.set_up_authenticator(user, &second, now))
                };
                won.unwrap().then_some(confirms)
            }
        }))
        .await;
        let winners: Vec<bool> = outcomes.into_iter().flatten().collect();
        let expected = match winners.as_slice() {
            [true] => confirmed(&first, 1),
            [false] => inert(&second),
            _ => unreachable!("one excludes the other: {winners:?}"),
        };
        assert_eq!(scene.store.find_authenticator(user).await.unwrap(), Some(expected));
    }
}

pub(crate) async fn of_many_who_use_one_step_one_is_let_in(scene: &Scene) {
    let (user, sealed) = protected(scene).await;
    let outcomes = race((0..CONTENDERS).map(|_| {
        let (store, user, sealed) = (Arc::clone(&scene.store), user.id, sealed.clone());
        async move { advance(&*store, user, &sealed, step(2)).await }
    }))
    .await;
    assert_eq!(outcomes.into_iter().filter(|accepted| *accepted).count(), 1);
}

pub(crate) async fn of_many_steps_at_once_the_newest_remains_the_last(scene: &Scene) {
    let (user, sealed) = protected(scene).await;
    let newest = CONTENDERS as u64 + 1;
    let outcomes = race((2..=newest).map(|number| {
        let (store, user, sealed) = (Arc::clone(&scene.store), user.id, sealed.clone());
        async move { advance(&*store, user, &sealed, step(number)).await.then_some(number) }
    }))
    .await;
    assert!(outcomes.contains(&Some(newest)));
    let found = scene.store.find_authenticator(user.id).await.unwrap();
    assert_eq!(found, Some(confirmed(&sealed, newest)));
}

pub(crate) async fn of_many_who_remove_an_authenticator_one_wins(scene: &Scene) {
    let (user, now) = (protected(scene).await.0.id, scene.now());
    let outcomes = race((0..CONTENDERS).map(|_| {
        let store = Arc::clone(&scene.store);
        async move { commit!(store, factors.remove_authenticator(user, now)).unwrap() }
    }))
    .await;
    assert_eq!(outcomes.into_iter().filter(|removed| *removed).count(), 1);
    assert_eq!(scene.store.find_authenticator(user).await.unwrap(), None);
}

pub(crate) async fn of_many_who_spend_one_recovery_code_one_wins(scene: &Scene) {
    let (user, now, codes) = (protected(scene).await.0.id, scene.now(), scene.world.recovery_hashes());
    assert!(commit!(scene.store, factors.replace_recovery_codes(user, &codes, now)).unwrap());
    let outcomes = race((0..CONTENDERS).map(|_| {
        let (store, code) = (Arc::clone(&scene.store), codes[0]);
        async move { spend(&*store, user, &code).await }
    }))
    .await;
    assert_eq!(outcomes.into_iter().flatten().collect::<Vec<u32>>(), [9]);
    assert_eq!(scene.store.count_recovery_codes(user).await.unwrap(), 9);
}

pub(crate) async fn codes_that_are_spent_at_once_are_counted_one_by_one(scene: &Scene) {
    let (user, now, codes) = (protected(scene).await.0.id, scene.now(), scene.world.recovery_hashes());
    assert!(commit!(scene.store, factors.replace_recovery_codes(user, &codes, now)).unwrap());
    let outcomes = race(codes.into_iter().map(|code| {
        let store = Arc::clone(&scene.store);
        async move { spend(&*store, user, &code).await.unwrap() }
    }))
    .await;
    let mut left = outcomes;
    left.sort_unstable();
    assert_eq!(left, (0..10).collect::<Vec<u32>>());
}

pub(crate) async fn of_many_who_replace_the_codes_one_set_remains(scene: &Scene) {
    let (user, now) = (protected(scene).await.0.id, scene.now());
    let sets: Vec<Vec<TokenHash>> = (0..CONTENDERS).map(|_| scene.world.recovery_hashes()).collect();
    let outcomes = race(sets.clone().into_iter().map(|codes| {
        let store = Arc::clone(&scene.store);
        async move { commit!(store, factors.replace_recovery_codes(user, &codes, now)).unwrap() }
    }))
    .await;
    assert!(outcomes.into_iter().all(|replaced| replaced));
    assert_eq!(scene.store.count_recovery_codes(user).await.unwrap() as usize, RECOVERY_CODES);
    let mut spent_of = Vec::new();
    for codes in &sets {
        let mut spent = 0;
        for code in codes {
            spent += usize::from(spend(&*scene.store, user, code).await.is_some());
        }
        spent_of.push(spent);
    }
    spent_of.sort_unstable();
    assert_eq!(spent_of.pop(), Some(RECOVERY_CODES));
    assert_eq!(spent_of.into_iter().sum::<usize>(), 0);
}

/// A code that outlived its authenticator would come to life with the next one.
pub(crate) async fn no_codes_are_put_beside_a_removal(scene: &Scene) {
    for _ in 0..8 {
        let (user, now) = (protected(scene).await.0.id, scene.now());
        race((0..8).map(|racer| {
            let (store, codes) = (Arc::clone(&scene.store), scene.world.recovery_hashes());
            async move {
                let done = if racer == 0 {
                    commit!(store, factors.remove_authenticator(user, now))
                } else {
                    commit!(store, factors.replace_recovery_codes(user, &codes, now))
                };
                done.unwrap()
            }
        }))
        .await;
        assert_eq!(scene.store.find_authenticator(user).await.unwrap(), None);
        assert_eq!(scene.store.count_recovery_codes(user).await.unwrap(), 0);
    }
}
