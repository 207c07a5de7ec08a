//! Cases of `TrustRepo` and `TrustStore`.

use std::cmp::Reverse;
use std::sync::Arc;

use identsphere_accounts::User;
use identsphere_core::Store;
use identsphere_kernel::{Duration, TrustedBrowserId};
use identsphere_sessions::{ClientInfo, TrustRotation, TrustedBrowser};

use crate::scene::{CONTENDERS, INSTANT, Scene, assert_conflict, commit, race};

pub(crate) async fn a_browser_comes_back_exactly_as_given(scene: &Scene) {
    let user = scene.sign_up().await.user;
    let all = scene.world.extreme_trusted_browsers(&user);
    for browser in &all {
        insert(scene, browser).await;
    }
    for browser in &all {
        assert_eq!(find(scene, browser).await.as_ref(), Some(browser));
    }
    assert_eq!(list(scene, &user).await, newest_first(all));
}

pub(crate) async fn a_browser_needs_a_user_that_exists(scene: &Scene) {
    let stranger = scene.world.account().user;
    let browser = scene.world.trusted_browser(&stranger);
    assert!(commit!(scene.store, trust.insert_trusted(&browser)).is_err());
    assert_eq!(list(scene, &stranger).await, []);
}

pub(crate) async fn a_taken_browser_id_or_token_is_refused(scene: &Scene) {
    let (user, other) = (scene.sign_up().await.user, scene.sign_up().await.user);
    let browser = trust(scene, &user).await;
    for somebody in [&user, &other] {
        let namesake = TrustedBrowser { id: browser.id, ..scene.world.trusted_browser(somebody) };
        let twin = TrustedBrowser { hash: browser.hash, ..scene.world.trusted_browser(somebody) };
        assert_conflict(commit!(scene.store, trust.insert_trusted(&namesake)), "trusted_browsers_pkey");
        assert_conflict(commit!(scene.store, trust.insert_trusted(&twin)), "trusted_browsers_token_hash_key");
    }
    assert_eq!(list(scene, &user).await, [browser]);
    assert_eq!(list(scene, &other).await, []);
}

pub(crate) async fn an_unknown_token_is_absent(scene: &Scene) {
    let user = scene.sign_up().await.user;
    let (browser, unknown) = (trust(scene, &user).await, scene.world.trusted_browser(&user));
    assert_eq!(find(scene, &unknown).await, None);
    assert_eq!(rotate(scene, &scene.world.trust_rotation(&unknown)).await, None);
    assert!(!remove(&*scene.store, &unknown).await);
    assert_eq!(list(scene, &user).await, [browser]);
}

pub(crate) async fn the_browser_of_another_user_is_absent(scene: &Scene) {
    let (user, other) = (scene.sign_up().await.user, scene.sign_up().await.user);
    let (browser, bystander) = (trust(scene, &user).await, trust(scene, &other).await);
    let forged = TrustedBrowser { user: other.id, ..browser.clone() };
    assert_eq!(find(scene, &forged).await, None);
    assert_eq!(rotate(scene, &scene.world.trust_rotation(&forged)).await, None);
    assert!(!remove(&*scene.store, &forged).await);
    assert_eq!(list(scene, &user).await, [browser]);
    assert_eq!(list(scene, &other).await, [bystander]);
}

pub(crate) async fn a_browser_is_trusted_until_its_end(scene: &Scene) {
    let user = scene.sign_up().await.user;
    let browser = trust(scene, &user).await;
    scene.world.clock.set(browser.expires_at.minus(INSTANT));
    assert_eq!(find(scene, &browser).await.as_ref(), Some(&browser));
    assert_eq!(list(scene, &user).await, std::slice::from_ref(&browser));
    let rotated = rotate(scene, &scene.world.trust_rotation(&browser)).await.unwrap();
    scene.world.clock.advance(INSTANT);
    assert_eq!(find(scene, &rotated).await, None);
    assert_eq!(list(scene, &user).await, []);
    assert_eq!(rotate(scene, &scene.world.trust_rotation(&rotated)).await, None);
}

pub(crate) async fn browsers_are_listed_newest_first(scene: &Scene) {
    let user = scene.sign_up().await.user;
    let now = scene.now();
    let mut all = Vec::new();
    for (index, created_at) in [now, now.plus(INSTANT), now.minus(INSTANT), now].into_iter().enumerate() {
        for first_byte in [0x00, 0x7f, 0x80, 0xff] {
            let mut id = [first_byte; 16];
            id[15] = u8::try_from(index).unwrap();
            let id = TrustedBrowserId::from_bytes(id);
            all.push(TrustedBrowser { id, created_at, ..scene.world.trusted_browser(&user) });
        }
    }
    for browser in &all {
        insert(scene, browser).await;
    }
    assert_eq!(list(scene, &user).await, newest_first(all));
}

pub(crate) async fn a_token_is_replaced_once(scene: &Scene) {
    let user = scene.sign_up().await.user;
    let (mut browser, bystander) = (trust(scene, &user).await, trust(scene, &user).await);
    let clients = identsphere_testkit::builders::extreme_clients();
    for client in clients.into_iter().chain([ClientInfo::default()]) {
        scene.world.clock.advance(Duration::from_secs(60));
        let rotation = TrustRotation { client, ..scene.world.trust_rotation(&browser) };
        let expected = rotated(&browser, &rotation);
        assert_eq!(rotate(scene, &rotation).await.as_ref(), Some(&expected));
        assert_eq!(rotate(scene, &rotation).await, None);
        assert_eq!(find(scene, &browser).await, None);
        assert_eq!(find(scene, &expected).await.as_ref(), Some(&expected));
        browser = expected;
    }
    assert_eq!(list(scene, &user).await, newest_first(vec![browser, bystander]));
}

pub(crate) async fn a_token_is_not_replaced_without_the_commit(scene: &Scene) {
    let browser = trust(scene, &scene.sign_up().await.user).await;
    let rotation = scene.world.trust_rotation(&browser);
    let mut tx = scene.begin().await;
    assert!(tx.trust().rotate_trusted(&rotation).await.unwrap().is_some());
    assert_eq!(tx.trust().rotate_trusted(&rotation).await.unwrap(), None);
    drop(tx);
    assert_eq!(find(scene, &browser).await, Some(browser));
}

pub(crate) async fn of_many_who_present_one_token_one_wins(scene: &Scene) {
    let browser = trust(scene, &scene.sign_up().await.user).await;
    let outcomes = race((0..CONTENDERS).map(|_| {
        let store = Arc::clone(&scene.store);
        let rotation = scene.world.trust_rotation(&browser);
        async move { commit!(store, trust.rotate_trusted(&rotation)).unwrap() }
    }))
    .await;
    let winners: Vec<TrustedBrowser> = outcomes.into_iter().flatten().collect();
    assert_eq!(winners.len(), 1);
    assert_eq!(find(scene, &winners[0]).await.as_ref(), winners.first());
    assert_eq!(find(scene, &browser).await, None);
}

pub(crate) async fn a_browser_is_removed_once(scene: &Scene) {
    let user = scene.sign_up().await.user;
    let (browser, other) = (trust(scene, &user).await, trust(scene, &user).await);
    let mut tx = scene.begin().await;
    assert!(tx.trust().remove_trusted(browser.id, user.id).await.unwrap());
    assert!(!tx.trust().remove_trusted(browser.id, user.id).await.unwrap());
    drop(tx);
    assert!(remove(&*scene.store, &browser).await, "nothing was removed without the commit");
    assert!(!remove(&*scene.store, &browser).await);
    assert_eq!(find(scene, &browser).await, None);
    assert_eq!(list(scene, &user).await, [other]);
}

pub(crate) async fn of_many_who_remove_a_browser_one_wins(scene: &Scene) {
    let browser = trust(scene, &scene.sign_up().await.user).await;
    let outcomes = race((0..CONTENDERS).map(|_| {
        let (store, browser) = (Arc::clone(&scene.store), browser.clone());
        async move { remove(&*store, &browser).await }
    }))
    .await;
    assert_eq!(outcomes.into_iter().filter(|won| *won).count(), 1);
}

pub(crate) async fn removing_all_touches_one_user_only(scene: &Scene) {
    let (user, other) = (scene.sign_up().await.user, scene.sign_up().await.user);
    let given = newest_first(vec![trust(scene, &user).await, trust(scene, &user).await]);
    let bystander = trust(scene, &other).await;
    let mut tx = scene.begin().await;
    tx.trust().remove_all_trusted(user.id).await.unwrap();
    drop(tx);
    assert_eq!(list(scene, &user).await, given);
    commit!(scene.store, trust.remove_all_trusted(user.id)).unwrap();
    assert_eq!(list(scene, &user).await, []);
    for browser in &given {
        assert_eq!(find(scene, browser).await, None);
        assert_eq!(rotate(scene, &scene.world.trust_rotation(browser)).await, None);
    }
    assert_eq!(list(scene, &other).await, [bystander]);
}

pub(crate) async fn a_transaction_changes_the_browser_that_it_adds(scene: &Scene) {
    let account = scene.world.account();
    let (kept, removed) =
        (scene.world.trusted_browser(&account.user), scene.world.trusted_browser(&account.user));
    let rotation = scene.world.trust_rotation(&kept);
    let expected = rotated(&kept, &rotation);
    let mut tx = scene.begin().await;
    account.insert(tx.as_mut()).await.unwrap();
    tx.trust().insert_trusted(&scene.world.trusted_browser(&account.user)).await.unwrap();
    tx.trust().remove_all_trusted(account.user.id).await.unwrap();
    tx.trust().insert_trusted(&kept).await.unwrap();
    tx.trust().insert_trusted(&removed).await.unwrap();
    assert_eq!(tx.trust().rotate_trusted(&rotation).await.unwrap().as_ref(), Some(&expected));
    assert!(tx.trust().remove_trusted(removed.id, account.user.id).await.unwrap());
    tx.commit().await.unwrap();
    assert_eq!(list(scene, &account.user).await, [expected]);
}

pub(crate) async fn a_sweep_forgets_only_whose_time_is_over(scene: &Scene) {
    let user = scene.sign_up().await.user;
    let first = trust(scene, &user).await;
    scene.world.clock.advance(INSTANT);
    let second = trust(scene, &user).await;
    let sweep = |now| scene.store.sweep_trusted(now, 100);
    assert_eq!(sweep(first.expires_at).await.unwrap(), 0);
    assert_eq!(sweep(second.expires_at).await.unwrap(), 1);
    assert_eq!(list(scene, &user).await, std::slice::from_ref(&second));
    assert_eq!(sweep(second.expires_at.plus(INSTANT)).await.unwrap(), 1);
    assert_eq!(list(scene, &user).await, []);
}

pub(crate) async fn a_sweep_forgets_no_more_than_its_limit(scene: &Scene) {
    let user = scene.sign_up().await.user;
    for _ in 0..5 {
        trust(scene, &user).await;
    }
    let over = scene.now().plus(TrustedBrowser::LIFETIME + INSTANT);
    for swept in [2, 2, 1, 0] {
        assert_eq!(scene.store.sweep_trusted(over, 2).await.unwrap(), swept);
    }
}

/// A browser as it is after a rotation.
fn rotated(browser: &TrustedBrowser, rotation: &TrustRotation) -> TrustedBrowser {
    let TrustRotation { successor, client, at, .. } = rotation.clone();
    TrustedBrowser { hash: successor, client, last_seen_at: at, ..browser.clone() }
}

fn newest_first(mut browsers: Vec<TrustedBrowser>) -> Vec<TrustedBrowser> {
    browsers.sort_by_key(|browser| Reverse((browser.created_at, browser.id)));
    browsers
}

async fn trust(scene: &Scene, user: &User) -> TrustedBrowser {
    let browser = scene.world.trusted_browser(user);
    insert(scene, &browser).await;
    browser
}

async fn insert(scene: &Scene, browser: &TrustedBrowser) {
    commit!(scene.store, trust.insert_trusted(browser)).unwrap();
}

async fn rotate(scene: &Scene, rotation: &TrustRotation) -> Option<TrustedBrowser> {
    commit!(scene.store, trust.rotate_trusted(rotation)).unwrap()
}

async fn remove(store: &dyn Store, browser: &TrustedBrowser) -> bool {
    commit!(store, trust.remove_trusted(browser.id, browser.user)).unwrap()
}

async fn find(scene: &Scene, browser: &TrustedBrowser) -> Option<TrustedBrowser> {
    scene.store.find_trusted(browser.user, &browser.hash, scene.now()).await.unwrap()
}

async fn list(scene: &Scene, user: &User) -> Vec<TrustedBrowser> {
    scene.store.list_trusted(user.id, scene.now()).await.unwrap()
}
