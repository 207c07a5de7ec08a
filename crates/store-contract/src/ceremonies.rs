//! Cases of the ceremonies of `PasskeyStore`.

use std::sync::Arc;

use identsphere_accounts::User;
use identsphere_factors::passkey::{BegunCeremony, CeremonyKind};

use crate::scene::{CONTENDERS, INSTANT, Scene, assert_conflict, commit, race};

pub(crate) async fn a_ceremony_comes_back_exactly_as_given(scene: &Scene) {
    let user = scene.sign_up().await.user;
    let all = scene.world.extreme_ceremonies(&user);
    for ceremony in &all {
        keep(scene, ceremony).await;
    }
    for ceremony in all {
        assert_eq!(end(scene, &ceremony).await, Some(ceremony));
    }
}

pub(crate) async fn a_ceremony_of_a_user_needs_that_they_exist(scene: &Scene) {
    let stranger = scene.world.account().user;
    for kind in CeremonyKind::ALL {
        let ceremony = scene.world.ceremony(kind, Some(&stranger));
        assert!(scene.store.begin_ceremony(&ceremony).await.is_err());
        assert_eq!(end(scene, &ceremony).await, None);
    }
}

pub(crate) async fn a_taken_challenge_is_refused(scene: &Scene) {
    let user = scene.sign_up().await.user;
    let ceremony = begin(scene, Some(&user)).await;
    let twin =
        BegunCeremony { hash: ceremony.hash, ..scene.world.ceremony(CeremonyKind::Registration, None) };
    assert_conflict(scene.store.begin_ceremony(&twin).await, "passkey_challenges_pkey");
    assert_eq!(end(scene, &ceremony).await, Some(ceremony));
}

pub(crate) async fn an_unknown_challenge_is_absent(scene: &Scene) {
    let (ceremony, unknown) = (begin(scene, None).await, scene.world.ceremony(CeremonyKind::SignIn, None));
    assert_eq!(end(scene, &unknown).await, None);
    assert_eq!(end(scene, &ceremony).await, Some(ceremony));
}

pub(crate) async fn a_ceremony_is_over_from_its_end_on(scene: &Scene) {
    let (first, second) = (begin(scene, None).await, begin(scene, None).await);
    scene.world.clock.set(first.expires_at.minus(INSTANT));
    assert_eq!(end(scene, &first).await, Some(first));
    scene.world.clock.advance(INSTANT);
    assert_eq!(end(scene, &second).await, None);
}

pub(crate) async fn a_ceremony_ends_once(scene: &Scene) {
    let user = scene.sign_up().await.user;
    let (ceremony, other) = (begin(scene, Some(&user)).await, begin(scene, Some(&user)).await);
    assert_eq!(end(scene, &ceremony).await.as_ref(), Some(&ceremony));
    assert_eq!(end(scene, &ceremony).await, None);
    assert_eq!(end(scene, &other).await, Some(other));
}

pub(crate) async fn of_many_who_end_a_ceremony_one_gets_it(scene: &Scene) {
    let (ceremony, now) = (begin(scene, None).await, scene.now());
    let outcomes = race((0..CONTENDERS).map(|_| {
        let (store, hash) = (Arc::clone(&scene.store), ceremony.hash);
        async move { store.end_ceremony(&hash, now).await.unwrap() }
    }))
    .await;
    assert_eq!(outcomes.into_iter().flatten().collect::<Vec<_>>(), [ceremony]);
}

pub(crate) async fn those_of_one_user_go_with_their_passkeys(scene: &Scene) {
    let (user, other) = (scene.sign_up().await.user, scene.sign_up().await.user);
    let [first, second] = [begin(scene, Some(&user)).await, begin(scene, Some(&user)).await];
    let (bystander, of_nobody) = (begin(scene, Some(&other)).await, begin(scene, None).await);
    let mut tx = scene.begin().await;
    tx.passkeys().remove_all_passkeys(user.id, scene.now()).await.unwrap();
    drop(tx);
    assert_eq!(end(scene, &first).await, Some(first));
    commit!(scene.store, passkeys.remove_all_passkeys(user.id, scene.now())).unwrap();
    assert_eq!(end(scene, &second).await, None);
    assert_eq!(end(scene, &bystander).await, Some(bystander));
    assert_eq!(end(scene, &of_nobody).await, Some(of_nobody));
}

pub(crate) async fn a_sweep_deletes_only_what_is_over(scene: &Scene) {
    let first = begin(scene, None).await;
    scene.world.clock.advance(INSTANT);
    let second = begin(scene, None).await;
    let sweep = |now| scene.store.sweep_ceremonies(now, 100);
    assert_eq!(sweep(first.expires_at).await.unwrap(), 0);
    assert_eq!(sweep(second.expires_at).await.unwrap(), 1);
    assert_eq!(end(scene, &first).await, None);
    assert_eq!(sweep(second.expires_at.plus(INSTANT)).await.unwrap(), 1);
    assert_eq!(end(scene, &second).await, None);
}

pub(crate) async fn a_sweep_deletes_no_more_than_its_limit(scene: &Scene) {
    for _ in 0..5 {
        begin(scene, None).await;
    }
    let over = scene.now().plus(BegunCeremony::LIFETIME + INSTANT);
    for swept in [2, 2, 1, 0] {
        assert_eq!(scene.store.sweep_ceremonies(over, 2).await.unwrap(), swept);
    }
}

async fn begin(scene: &Scene, user: Option<&User>) -> BegunCeremony {
    let ceremony = scene.world.ceremony(CeremonyKind::SignIn, user);
    keep(scene, &ceremony).await;
    ceremony
}

async fn keep(scene: &Scene, ceremony: &BegunCeremony) {
    scene.store.begin_ceremony(ceremony).await.unwrap();
}

async fn end(scene: &Scene, ceremony: &BegunCeremony) -> Option<BegunCeremony> {
    scene.store.end_ceremony(&ceremony.hash, scene.now()).await.unwrap()
}
