//! Cases of `PasskeyRepo` and of what `PasskeyStore` lists and claims. Ceremonies have a file of their own.

use std::cmp::Reverse;
use std::sync::Arc;

use identsphere_accounts::{User, UserStatus};
use identsphere_core::Store;
use identsphere_factors::PasskeyInsertion;
use identsphere_factors::passkey::{MOST_PASSKEYS, Passkey};
use identsphere_kernel::{Duration, Label, PasskeyId, StoreError, Timestamp};
use identsphere_testkit::factor_records::extreme_labels;

use crate::scene::{INSTANT, Scene, assert_conflict, commit};

const MINUTE: Duration = Duration::from_secs(60);

pub(crate) async fn a_passkey_comes_back_exactly_as_given(scene: &Scene) {
    let user = scene.sign_up().await.user;
    let handle = scene.store.claim_handle(user.id, &scene.world.user_handle()).await.unwrap().unwrap();
    let all = scene.world.extreme_passkeys(&user);
    for passkey in &all {
        add(scene, passkey).await;
    }
    for passkey in &all {
        let found = scene.store.find_passkey_sign_in(&passkey.credential_id).await.unwrap().unwrap();
        assert_eq!((&found.passkey, found.handle), (passkey, handle));
    }
    assert_eq!(list(scene, &user).await, newest_first(all));
}

pub(crate) async fn only_active_users_get_one(scene: &Scene) {
    let stranger = scene.world.account();
    let mut others = vec![stranger];
    for status in UserStatus::ALL.into_iter().filter(|status| *status != UserStatus::Active) {
        let mut account = scene.world.account();
        account.user.status = status;
        account.save(&*scene.store).await.unwrap();
        others.push(account);
    }
    for account in others {
        let passkey = scene.world.passkey(&account.user);
        assert_eq!(insert(&*scene.store, &passkey).await.unwrap(), PasskeyInsertion::NoUser);
        assert_eq!(list(scene, &account.user).await, []);
        let candidate = scene.world.user_handle();
        assert_eq!(scene.store.claim_handle(account.user.id, &candidate).await.unwrap(), None);
        assert!(scene.find_sign_in(&account).await.is_none_or(|found| found.user == account.user));
    }
}

pub(crate) async fn a_taken_passkey_id_or_credential_is_refused(scene: &Scene) {
    let (user, other) = (scene.sign_up().await.user, scene.sign_up().await.user);
    let passkey = scene.world.passkey(&user);
    add(scene, &passkey).await;
    for somebody in [&user, &other] {
        let namesake = Passkey { id: passkey.id, ..scene.world.passkey(somebody) };
        let twin = Passkey { credential_id: passkey.credential_id.clone(), ..scene.world.passkey(somebody) };
        assert_conflict(insert(&*scene.store, &namesake).await, "user_passkeys_pkey");
        assert_conflict(insert(&*scene.store, &twin).await, "user_passkeys_credential_id_key");
    }
    assert_eq!(list(scene, &user).await, [passkey]);
    assert_eq!(list(scene, &other).await, []);
    assert!(!is_enabled(scene, &other).await);
}

pub(crate) async fn nobody_has_more_than_the_most(scene: &Scene) {
    let (user, other) = (scene.sign_up().await.user, scene.sign_up().await.user);
    for _ in 0..MOST_PASSKEYS {
        add(scene, &scene.world.passkey(&user)).await;
    }
    let one_more = scene.world.passkey(&user);
    assert_eq!(insert(&*scene.store, &one_more).await.unwrap(), PasskeyInsertion::TooMany);
    assert_eq!(list(scene, &user).await.len(), MOST_PASSKEYS);
    add(scene, &scene.world.passkey(&other)).await;

    let oldest = list(scene, &user).await.pop().unwrap();
    assert!(remove(&*scene.store, &oldest, scene.now()).await);
    add(scene, &one_more).await;
    assert_eq!(insert(&*scene.store, &oldest).await.unwrap(), PasskeyInsertion::TooMany);
    assert!(list(scene, &user).await.contains(&one_more));
}

pub(crate) async fn passkeys_are_listed_newest_first(scene: &Scene) {
    let (user, other) = (scene.sign_up().await.user, scene.sign_up().await.user);
    let now = scene.now();
    let mut all = Vec::new();
    for created_at in [now, now.plus(INSTANT), now.minus(INSTANT)] {
        for first_byte in [0x80, 0x00, 0x7f] {
            let mut id = [first_byte; 16];
            id[15] = u8::try_from(all.len()).unwrap();
            let id = PasskeyId::from_bytes(id);
            all.push(Passkey { id, created_at, ..scene.world.passkey(&user) });
        }
    }
    for passkey in &all {
        add(scene, passkey).await;
    }
    assert_eq!(list(scene, &user).await, newest_first(all));
    assert_eq!(list(scene, &other).await, []);
}

pub(crate) async fn a_passkey_is_renamed_by_its_owner(scene: &Scene) {
    let (user, other) = (scene.sign_up().await.user, scene.sign_up().await.user);
    let (mut passkey, bystander) = (scene.world.passkey(&user), scene.world.passkey(&user));
    add(scene, &passkey).await;
    add(scene, &bystander).await;
    for label in extreme_labels() {
        let renamed = rename(scene, &passkey, &label).await;
        passkey.label = label;
        assert_eq!(renamed.as_ref(), Some(&passkey));
        let listed = newest_first(vec![passkey.clone(), bystander.clone()]);
        assert_eq!(list(scene, &user).await, listed);
    }
    let label = Label::from_stored("mine");
    let forged = Passkey { user: other.id, ..passkey.clone() };
    assert_eq!(rename(scene, &forged, &label).await, None);
    assert_eq!(rename(scene, &scene.world.passkey(&user), &label).await, None);
    let mut tx = scene.begin().await;
    assert!(tx.passkeys().rename_passkey(passkey.id, user.id, &label).await.unwrap().is_some());
    drop(tx);
    assert!(list(scene, &user).await.contains(&passkey));
}

pub(crate) async fn a_use_counts_if_the_counter_rises_or_is_not_kept(scene: &Scene) {
    let cases = [
        (0, 0, true),
        (0, 1, true),
        (0, u32::MAX, true),
        (1, 2, true),
        (1, u32::MAX, true),
        (5, 5, false),
        (5, 4, false),
        (5, 0, false),
        (i32::MAX.unsigned_abs(), i32::MAX.unsigned_abs() + 1, true),
        (i32::MAX.unsigned_abs() + 1, i32::MAX.unsigned_abs(), false),
        (u32::MAX, u32::MAX, false),
        (u32::MAX, 0, false),
    ];
    for (stored, presented, good) in cases {
        let user = scene.sign_up().await.user;
        let before = Passkey { sign_count: stored, backed_up: false, ..scene.world.passkey(&user) };
        let bystander = scene.world.passkey(&user);
        add(scene, &before).await;
        add(scene, &bystander).await;
        scene.world.clock.advance(MINUTE);
        assert_eq!(count_use(&*scene.store, &before, presented, scene.now()).await, good, "{stored}");
        let used = Passkey {
            sign_count: presented,
            backed_up: true,
            last_used_at: Some(scene.now()),
            ..before.clone()
        };
        let expected = newest_first(vec![if good { used } else { before }, bystander]);
        assert_eq!(list(scene, &user).await, expected, "{stored} -> {presented}");
    }
}

pub(crate) async fn a_use_counts_of_what_is_there_and_with_the_commit(scene: &Scene) {
    let user = scene.sign_up().await.user;
    let (passkey, unknown) = (scene.world.passkey(&user), scene.world.passkey(&user));
    add(scene, &passkey).await;
    assert!(!count_use(&*scene.store, &unknown, 2, scene.now()).await);
    let mut tx = scene.begin().await;
    assert!(tx.passkeys().use_passkey(passkey.id, 2, true, scene.now()).await.unwrap());
    assert!(!tx.passkeys().use_passkey(passkey.id, 2, true, scene.now()).await.unwrap());
    drop(tx);
    assert_eq!(list(scene, &user).await, std::slice::from_ref(&passkey));

    assert!(count_use(&*scene.store, &passkey, 2, scene.now()).await);
    assert!(commit!(scene.store, passkeys.use_passkey(passkey.id, 3, false, scene.now())).unwrap());
    let used = Passkey { sign_count: 3, backed_up: false, last_used_at: Some(scene.now()), ..passkey };
    assert_eq!(list(scene, &user).await, [used]);
}

pub(crate) async fn a_passkey_is_removed_once_by_its_owner(scene: &Scene) {
    let (user, other) = (scene.sign_up().await.user, scene.sign_up().await.user);
    let (passkey, kept) = (scene.world.passkey(&user), scene.world.passkey(&user));
    add(scene, &passkey).await;
    add(scene, &kept).await;
    let forged = Passkey { user: other.id, ..passkey.clone() };
    assert!(!remove(&*scene.store, &forged, scene.now()).await);
    assert!(!remove(&*scene.store, &scene.world.passkey(&user), scene.now()).await);
    let mut tx = scene.begin().await;
    assert!(tx.passkeys().remove_passkey(passkey.id, user.id, scene.now()).await.unwrap());
    assert!(!tx.passkeys().remove_passkey(passkey.id, user.id, scene.now()).await.unwrap());
    drop(tx);
    assert!(remove(&*scene.store, &passkey, scene.now()).await, "nothing was removed without the commit");
    assert!(!remove(&*scene.store, &passkey, scene.now()).await);
    assert_eq!(list(scene, &user).await, [kept]);
    assert!(!count_use(&*scene.store, &passkey, 2, scene.now()).await);
    add(scene, &Passkey { user: other.id, ..passkey }).await;
}

pub(crate) async fn passkeys_are_on_while_there_is_one(scene: &Scene) {
    let (account, session) = scene.visitor().await;
    let bystander = scene.visitor().await;
    let expect = async |passkey_enabled, updated_at| {
        let user = User { passkey_enabled, updated_at, ..account.user.clone() };
        assert_eq!(scene.find_principal(&session).await.unwrap().user, user);
        assert_eq!(scene.find_sign_in(&account).await.unwrap().user, user);
    };
    let mut passkeys = Vec::new();
    for _ in 0..2 {
        scene.world.clock.advance(MINUTE);
        passkeys.push(scene.world.passkey(&account.user));
        add(scene, &passkeys[passkeys.len() - 1]).await;
        expect(true, scene.now()).await;
    }
    for (passkey, others_remain) in passkeys.iter().zip([true, false]) {
        scene.world.clock.advance(MINUTE);
        assert!(remove(&*scene.store, passkey, scene.now()).await);
        expect(others_remain, scene.now()).await;
        scene.world.clock.advance(MINUTE);
        assert!(!remove(&*scene.store, passkey, scene.now()).await);
        expect(others_remain, scene.now().minus(MINUTE)).await;
    }
    assert_eq!(scene.find_principal(&bystander.1).await.unwrap().user, bystander.0.user);
}

pub(crate) async fn removing_all_touches_one_user_only(scene: &Scene) {
    let (user, other) = (scene.sign_up().await.user, scene.sign_up().await.user);
    let [handle, bystander, fresh] = std::array::from_fn(|_| scene.world.user_handle());
    let claim = |user: &User, candidate| {
        let (store, user) = (Arc::clone(&scene.store), user.id);
        async move { store.claim_handle(user, &candidate).await.unwrap() }
    };
    assert_eq!(claim(&user, handle).await, Some(handle));
    assert_eq!(claim(&other, bystander).await, Some(bystander));
    let given = newest_first(vec![scene.world.passkey(&user), scene.world.passkey(&user)]);
    let of_other = scene.world.passkey(&other);
    for passkey in given.iter().chain([&of_other]) {
        add(scene, passkey).await;
    }
    let mut tx = scene.begin().await;
    tx.passkeys().remove_all_passkeys(user.id, scene.now()).await.unwrap();
    drop(tx);
    assert_eq!(list(scene, &user).await, given);
    assert_eq!(claim(&user, fresh).await, Some(handle));

    commit!(scene.store, passkeys.remove_all_passkeys(user.id, scene.now())).unwrap();
    assert_eq!(list(scene, &user).await, []);
    assert!(!is_enabled(scene, &user).await);
    for passkey in &given {
        assert_eq!(scene.store.find_passkey_sign_in(&passkey.credential_id).await.unwrap(), None);
    }
    assert_eq!(claim(&user, fresh).await, Some(fresh), "the old handle is gone");
    assert_eq!(list(scene, &other).await, [of_other]);
    assert!(is_enabled(scene, &other).await);
    assert_eq!(claim(&other, fresh).await, Some(bystander));
}

pub(crate) async fn a_handle_is_claimed_once(scene: &Scene) {
    let (user, other) = (scene.sign_up().await.user, scene.sign_up().await.user);
    let first = scene.world.user_handle();
    for _ in 0..3 {
        let claimed = scene.store.claim_handle(user.id, &first).await.unwrap();
        assert_eq!(claimed, Some(first));
        let late = scene.store.claim_handle(user.id, &scene.world.user_handle()).await.unwrap();
        assert_eq!(late, Some(first));
    }
    let second = scene.world.user_handle();
    assert_eq!(scene.store.claim_handle(other.id, &second).await.unwrap(), Some(second));
}

pub(crate) async fn a_transaction_changes_the_passkey_that_it_adds(scene: &Scene) {
    let account = scene.world.account();
    let (user, now, label) = (account.user.id, scene.now(), Label::from_stored("new"));
    let [gone, removed, kept] = std::array::from_fn(|_| scene.world.passkey(&account.user));
    let mut tx = scene.begin().await;
    account.insert(tx.as_mut()).await.unwrap();
    let passkeys = tx.passkeys();
    assert_eq!(passkeys.insert_passkey(&gone).await.unwrap(), PasskeyInsertion::Added);
    passkeys.remove_all_passkeys(user, now).await.unwrap();
    assert_eq!(passkeys.insert_passkey(&removed).await.unwrap(), PasskeyInsertion::Added);
    assert_eq!(passkeys.insert_passkey(&kept).await.unwrap(), PasskeyInsertion::Added);
    assert!(passkeys.remove_passkey(removed.id, user, now).await.unwrap());
    assert!(passkeys.use_passkey(kept.id, 9, true, now).await.unwrap());
    let expected =
        Passkey { label: label.clone(), sign_count: 9, backed_up: true, last_used_at: Some(now), ..kept };
    let renamed = passkeys.rename_passkey(expected.id, user, &label).await.unwrap();
    assert_eq!(renamed.as_ref(), Some(&expected));
    tx.commit().await.unwrap();
    assert_eq!(list(scene, &account.user).await, [expected]);
    assert!(is_enabled(scene, &account.user).await);
}

/// Adds a passkey that must be taken.
pub(crate) async fn add(scene: &Scene, passkey: &Passkey) {
    assert_eq!(insert(&*scene.store, passkey).await.unwrap(), PasskeyInsertion::Added);
}

pub(crate) async fn insert(store: &dyn Store, passkey: &Passkey) -> Result<PasskeyInsertion, StoreError> {
    commit!(store, passkeys.insert_passkey(passkey))
}

/// Notes a use, backed up.
pub(crate) async fn count_use(store: &dyn Store, passkey: &Passkey, sign_count: u32, at: Timestamp) -> bool {
    commit!(store, passkeys.use_passkey(passkey.id, sign_count, true, at)).unwrap()
}

pub(crate) async fn remove(store: &dyn Store, passkey: &Passkey, at: Timestamp) -> bool {
    commit!(store, passkeys.remove_passkey(passkey.id, passkey.user, at)).unwrap()
}

pub(crate) async fn list(scene: &Scene, user: &User) -> Vec<Passkey> {
    scene.store.list_passkeys(user.id).await.unwrap()
}

/// Whether the user counts as one who has passkeys.
pub(crate) async fn is_enabled(scene: &Scene, user: &User) -> bool {
    scene.store.find_sign_in_of(user.id).await.unwrap().unwrap().user.passkey_enabled
}

async fn rename(scene: &Scene, passkey: &Passkey, label: &Label) -> Option<Passkey> {
    commit!(scene.store, passkeys.rename_passkey(passkey.id, passkey.user, label)).unwrap()
}

fn newest_first(mut passkeys: Vec<Passkey>) -> Vec<Passkey> {
    passkeys.sort_by_key(|passkey| Reverse((passkey.created_at, passkey.id)));
    passkeys
}
