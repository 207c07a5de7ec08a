//! Cases of `FactorRepo` and `FactorStore`.

use identsphere_accounts::{User, UserStatus};
use identsphere_core::Store;
use identsphere_factors::Authenticator;
use identsphere_factors::totp::TimeStep;
use identsphere_kernel::{Duration, Timestamp, TokenHash, UserId};
use identsphere_testkit::builders::ends_of_time;

use crate::scene::{Scene, commit};

const MINUTE: Duration = Duration::from_secs(60);

pub(crate) async fn an_authenticator_comes_back_exactly_as_given(scene: &Scene) {
    let user = scene.sign_up().await.user.id;
    let steps = [TimeStep::from_number(0), TimeStep::at(ends_of_time().1).unwrap()];
    for (sealed, step) in scene.world.extreme_sealed_secrets().into_iter().zip(steps.into_iter().cycle()) {
        assert!(set_up(scene, user, &sealed).await);
        let inert = Authenticator { sealed: sealed.clone(), is_confirmed: false, last_step: None };
        assert_eq!(find(scene, user).await.as_ref(), Some(&inert));
        assert!(confirm(scene, user, &sealed, step).await);
        let confirmed = Authenticator { is_confirmed: true, last_step: Some(step), ..inert };
        assert_eq!(find(scene, user).await, Some(confirmed));
        assert!(remove(scene, user).await);
        assert_eq!(find(scene, user).await, None);
    }
}

pub(crate) async fn nobody_has_an_authenticator_at_first(scene: &Scene) {
    let (user, stranger) = (scene.sign_up().await.user, scene.world.account().user);
    for user in [user.id, stranger.id] {
        assert_eq!(find(scene, user).await, None);
        assert_eq!(left(scene, user).await, 0);
        assert!(!confirm(scene, user, &scene.world.sealed_secret(), step(1)).await);
        assert!(!advance(&*scene.store, user, &scene.world.sealed_secret(), step(1)).await);
        assert!(!remove(scene, user).await);
        assert!(!replace(scene, user, &scene.world.recovery_hashes()).await);
        assert_eq!(spend(&*scene.store, user, &scene.world.token_hash()).await, None);
        assert_eq!(left(scene, user).await, 0);
    }
}

pub(crate) async fn only_active_users_set_one_up(scene: &Scene) {
    let stranger = scene.world.account();
    let mut others = vec![stranger];
    for status in UserStatus::ALL.into_iter().filter(|status| *status != UserStatus::Active) {
        let mut account = scene.world.account();
        account.user.status = status;
        account.save(&*scene.store).await.unwrap();
        others.push(account);
    }
    for account in others {
        let (user, sealed) = (account.user.id, scene.world.sealed_secret());
        assert!(!set_up(scene, user, &sealed).await);
        assert!(!confirm(scene, user, &sealed, step(1)).await);
        assert_eq!(find(scene, user).await, None);
        assert!(scene.find_sign_in(&account).await.is_none_or(|found| found.user == account.user));
    }
}

pub(crate) async fn another_takes_the_place_of_one_that_was_not_confirmed(scene: &Scene) {
    let user = scene.sign_up().await.user.id;
    let (first, second) = (scene.world.sealed_secret(), scene.world.sealed_secret());
    assert!(set_up(scene, user, &first).await);
    assert!(set_up(scene, user, &second).await);
    assert!(!confirm(scene, user, &first, step(1)).await);
    assert_eq!(find(scene, user).await, Some(inert(&second)));
    assert!(confirm(scene, user, &second, step(1)).await);
}

pub(crate) async fn a_confirmed_one_stays_until_it_is_removed(scene: &Scene) {
    let (user, sealed) = protected(scene).await;
    let before = find(scene, user.id).await;
    assert!(!set_up(scene, user.id, &scene.world.sealed_secret()).await);
    assert!(!set_up(scene, user.id, &sealed).await);
    assert_eq!(find(scene, user.id).await, before);
    assert!(remove(scene, user.id).await);
    assert!(set_up(scene, user.id, &scene.world.sealed_secret()).await);
}

pub(crate) async fn an_authenticator_is_confirmed_once_by_its_own_secret(scene: &Scene) {
    let (user, other) = (scene.sign_up().await.user.id, scene.sign_up().await.user.id);
    let (sealed, of_other) = (scene.world.sealed_secret(), scene.world.sealed_secret());
    assert!(set_up(scene, user, &sealed).await);
    assert!(set_up(scene, other, &of_other).await);
    let longer = [sealed.as_slice(), &[0]].concat();
    for wrong in [&of_other, &longer, &vec![]] {
        assert!(!confirm(scene, user, wrong, step(1)).await);
    }
    assert_eq!(find(scene, user).await, Some(inert(&sealed)));
    assert!(confirm(scene, user, &sealed, step(5)).await);
    assert!(!confirm(scene, user, &sealed, step(6)).await);
    assert_eq!(find(scene, user).await, Some(confirmed(&sealed, 5)));
    assert_eq!(find(scene, other).await, Some(inert(&of_other)));
}

pub(crate) async fn second_factors_are_on_from_the_confirmation_to_the_removal(scene: &Scene) {
    let (account, session) = scene.visitor().await;
    let (bystander, (user, sealed)) = (scene.visitor().await, (account.user.id, scene.world.sealed_secret()));
    let expect = async |user: User| {
        assert_eq!(scene.find_principal(&session).await.unwrap().user, user);
        assert_eq!(scene.find_sign_in(&account).await.unwrap().user, user);
    };
    scene.world.clock.advance(MINUTE);
    assert!(set_up(scene, user, &sealed).await);
    expect(User { updated_at: scene.now(), ..account.user.clone() }).await;
    scene.world.clock.advance(MINUTE);
    assert!(confirm(scene, user, &sealed, step(1)).await);
    let on = User { mfa_enabled: true, updated_at: scene.now(), ..account.user.clone() };
    expect(on.clone()).await;
    scene.world.clock.advance(MINUTE);
    assert!(!confirm(scene, user, &sealed, step(2)).await);
    assert!(!set_up(scene, user, &sealed).await);
    expect(on).await;
    assert!(remove(scene, user).await);
    expect(User { updated_at: scene.now(), ..account.user.clone() }).await;
    assert_eq!(scene.find_principal(&bystander.1).await.unwrap().user, bystander.0.user);
}

pub(crate) async fn nothing_is_changed_without_the_commit(scene: &Scene) {
    let (user, sealed) = (scene.sign_up().await.user.id, scene.world.sealed_secret());
    let now = scene.now();
    let mut tx = scene.begin().await;
    assert!(tx.factors().set_up_authenticator(user, &sealed, now).await.unwrap());
    drop(tx);
    assert_eq!(find(scene, user).await, None);
    assert!(set_up(scene, user, &sealed).await);
    let mut tx = scene.begin().await;
    assert!(tx.factors().confirm_authenticator(user, &sealed, step(1), now).await.unwrap());
    drop(tx);
    assert_eq!(find(scene, user).await, Some(inert(&sealed)));

    assert!(confirm(scene, user, &sealed, step(1)).await);
    let codes = scene.world.recovery_hashes();
    assert!(replace(scene, user, &codes).await);
    let mut tx = scene.begin().await;
    assert!(tx.factors().advance_step(user, &sealed, step(2)).await.unwrap());
    assert_eq!(tx.factors().take_recovery_code(user, &codes[0]).await.unwrap(), Some(9));
    assert!(tx.factors().replace_recovery_codes(user, &codes[..1], now).await.unwrap());
    assert!(tx.factors().remove_authenticator(user, now).await.unwrap());
    drop(tx);
    assert_eq!(find(scene, user).await, Some(confirmed(&sealed, 1)));
    assert_eq!(spend(&*scene.store, user, &codes[0]).await, Some(9));
}

pub(crate) async fn a_transaction_sees_what_it_has_changed(scene: &Scene) {
    let (account, sealed, codes) =
        (scene.world.account(), scene.world.sealed_secret(), scene.world.recovery_hashes());
    let (user, now) = (account.user.id, scene.now());
    let mut tx = scene.begin().await;
    account.insert(tx.as_mut()).await.unwrap();
    assert!(!tx.factors().replace_recovery_codes(user, &codes, now).await.unwrap());
    assert!(tx.factors().set_up_authenticator(user, &sealed, now).await.unwrap());
    assert!(!tx.factors().advance_step(user, &sealed, step(7)).await.unwrap());
    assert!(tx.factors().confirm_authenticator(user, &sealed, step(7), now).await.unwrap());
    assert!(tx.factors().replace_recovery_codes(user, &codes, now).await.unwrap());
    assert_eq!(tx.factors().take_recovery_code(user, &codes[0]).await.unwrap(), Some(9));
    assert_eq!(tx.factors().take_recovery_code(user, &codes[0]).await.unwrap(), None);
    assert!(!tx.factors().advance_step(user, &sealed, step(7)).await.unwrap());
    assert!(tx.factors().advance_step(user, &sealed, step(8)).await.unwrap());
    tx.commit().await.unwrap();
    assert_eq!(find(scene, user).await, Some(confirmed(&sealed, 8)));
    assert_eq!(left(scene, user).await, 9);
}

pub(crate) async fn a_step_is_accepted_once_and_none_before_it(scene: &Scene) {
    let (user, sealed) = protected(scene).await;
    let (other, of_other) = protected(scene).await;
    let cases =
        [(1, false), (0, false), (2, true), (2, false), (1, false), (10, true), (9, false), (11, true)];
    for (number, accepted) in cases {
        assert_eq!(advance(&*scene.store, user.id, &sealed, step(number)).await, accepted, "{number}");
    }
    assert_eq!(find(scene, user.id).await, Some(confirmed(&sealed, 11)));
    let last = TimeStep::at(ends_of_time().1).unwrap();
    assert!(advance(&*scene.store, user.id, &sealed, last).await);
    assert_eq!(find(scene, user.id).await.unwrap().last_step, Some(last));
    assert_eq!(find(scene, other.id).await, Some(confirmed(&of_other, 1)));
}

pub(crate) async fn a_step_is_accepted_of_the_confirmed_secret_only(scene: &Scene) {
    let (user, sealed) = protected(scene).await;
    let (_, of_other) = protected(scene).await;
    let newcomer = scene.sign_up().await.user;
    assert!(set_up(scene, newcomer.id, &sealed).await);
    assert!(!advance(&*scene.store, newcomer.id, &sealed, step(2)).await, "not confirmed");
    for wrong in [of_other, vec![], sealed[1..].to_vec()] {
        assert!(!advance(&*scene.store, user.id, &wrong, step(2)).await);
    }
    assert_eq!(find(scene, user.id).await, Some(confirmed(&sealed, 1)));
    assert!(remove(scene, user.id).await);
    assert!(!advance(&*scene.store, user.id, &sealed, step(2)).await, "removed");
}

pub(crate) async fn removing_takes_everything_of_one_user_only(scene: &Scene) {
    let (user, _) = protected(scene).await;
    let (other, of_other) = protected(scene).await;
    let (codes, of_others) = (scene.world.recovery_hashes(), scene.world.recovery_hashes());
    assert!(replace(scene, user.id, &codes).await);
    assert!(replace(scene, other.id, &of_others).await);
    assert!(remove(scene, user.id).await);
    assert!(!remove(scene, user.id).await);
    assert_eq!((find(scene, user.id).await, left(scene, user.id).await), (None, 0));
    assert_eq!(spend(&*scene.store, user.id, &codes[0]).await, None);
    assert_eq!(find(scene, other.id).await, Some(confirmed(&of_other, 1)));
    assert_eq!(left(scene, other.id).await, 10);

    assert!(set_up(scene, user.id, &scene.world.sealed_secret()).await);
    assert!(!remove(scene, user.id).await, "it was not confirmed");
    assert_eq!(find(scene, user.id).await, None);
}

pub(crate) async fn recovery_codes_need_a_confirmed_authenticator(scene: &Scene) {
    let (user, sealed) = (scene.sign_up().await.user.id, scene.world.sealed_secret());
    let codes = scene.world.recovery_hashes();
    assert!(set_up(scene, user, &sealed).await);
    assert!(!replace(scene, user, &codes).await);
    assert_eq!(left(scene, user).await, 0);
    assert!(confirm(scene, user, &sealed, step(1)).await);
    assert!(replace(scene, user, &codes).await);
    assert_eq!(left(scene, user).await, 10);
}

pub(crate) async fn recovery_codes_are_replaced_as_a_whole(scene: &Scene) {
    let (user, _) = protected(scene).await;
    let (first, mut second) = (scene.world.recovery_hashes(), scene.world.recovery_hashes());
    second[0] = TokenHash::from_bytes([0; 32]);
    second[1] = TokenHash::from_bytes([u8::MAX; 32]);
    second[2] = first[2];
    assert!(replace(scene, user.id, &first).await);
    assert_eq!(spend(&*scene.store, user.id, &first[0]).await, Some(9));
    assert!(replace(scene, user.id, &second).await);
    for code in first.iter().filter(|code| !second.contains(code)) {
        assert_eq!(spend(&*scene.store, user.id, code).await, None);
    }
    for (code, left) in second.iter().zip((0..10).rev()) {
        assert_eq!(spend(&*scene.store, user.id, code).await, Some(left));
    }
    assert!(replace(scene, user.id, &first).await);
    assert!(replace(scene, user.id, &[]).await);
    assert_eq!(left(scene, user.id).await, 0);
}

/// What hashes a code knows its user; a store does not rely on that.
pub(crate) async fn a_recovery_code_is_spent_once_and_by_its_user(scene: &Scene) {
    let ((user, _), (other, _), (empty, _)) =
        (protected(scene).await, protected(scene).await, protected(scene).await);
    let codes = scene.world.recovery_hashes();
    assert!(replace(scene, user.id, &codes).await);
    assert!(replace(scene, other.id, &codes[..5]).await);
    assert_eq!(spend(&*scene.store, empty.id, &codes[0]).await, None);
    assert_eq!(spend(&*scene.store, other.id, &codes[9]).await, None);
    assert_eq!(spend(&*scene.store, user.id, &scene.world.token_hash()).await, None);
    assert_eq!(spend(&*scene.store, user.id, &codes[0]).await, Some(9));
    assert_eq!(spend(&*scene.store, user.id, &codes[0]).await, None);
    assert_eq!((left(scene, user.id).await, left(scene, other.id).await), (9, 5));
    assert_eq!(spend(&*scene.store, other.id, &codes[0]).await, Some(4));
}

/// Somebody whose authenticator was confirmed by the first step, and its sealed secret.
pub(crate) async fn protected(scene: &Scene) -> (User, Vec<u8>) {
    let (user, sealed) = (scene.sign_up().await.user, scene.world.sealed_secret());
    protect(&*scene.store, user.id, &sealed, scene.now()).await;
    (user, sealed)
}

/// Sets up an authenticator and confirms it by the first step.
pub(crate) async fn protect(store: &dyn Store, user: UserId, sealed: &[u8], at: Timestamp) {
    assert!(commit!(store, factors.set_up_authenticator(user, sealed, at)).unwrap());
    assert!(commit!(store, factors.confirm_authenticator(user, sealed, step(1), at)).unwrap());
}

/// Accepts a code of a step.
pub(crate) async fn advance(store: &dyn Store, user: UserId, sealed: &[u8], step: TimeStep) -> bool {
    commit!(store, factors.advance_step(user, sealed, step)).unwrap()
}

/// Spends a recovery code; how many are left.
pub(crate) async fn spend(store: &dyn Store, user: UserId, code: &TokenHash) -> Option<u32> {
    commit!(store, factors.take_recovery_code(user, code)).unwrap()
}

pub(crate) fn step(number: u64) -> TimeStep {
    TimeStep::from_number(number)
}

/// An authenticator that was confirmed, and the number of its last step.
pub(crate) fn confirmed(sealed: &[u8], number: u64) -> Authenticator {
    Authenticator { is_confirmed: true, last_step: Some(step(number)), ..inert(sealed) }
}

/// An authenticator that was not confirmed.
pub(crate) fn inert(sealed: &[u8]) -> Authenticator {
    Authenticator { sealed: sealed.to_vec(), is_confirmed: false, last_step: None }
}

async fn set_up(scene: &Scene, user: UserId, sealed: &[u8]) -> bool {
    commit!(scene.store, factors.set_up_authenticator(user, sealed, scene.now())).unwrap()
}

async fn confirm(scene: &Scene, user: UserId, sealed: &[u8], step: TimeStep) -> bool {
    commit!(scene.store, factors.confirm_authenticator(user, sealed, step, scene.now())).unwrap()
}

async fn remove(scene: &Scene, user: UserId) -> bool {
    commit!(scene.store, factors.remove_authenticator(user, scene.now())).unwrap()
}

async fn replace(scene: &Scene, user: UserId, codes: &[TokenHash]) -> bool {
    commit!(scene.store, factors.replace_recovery_codes(user, codes, scene.now())).unwrap()
}

async fn find(scene: &Scene, user: UserId) -> Option<Authenticator> {
    scene.store.find_authenticator(user).await.unwrap()
}

async fn left(scene: &Scene, user: UserId) -> u32 {
    scene.store.count_recovery_codes(user).await.unwrap()
}
