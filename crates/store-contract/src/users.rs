//! Cases of `UserRepo` and of `find_sign_in`, through which users come back.

use std::sync::Arc;

use identsphere_accounts::{PasswordHash, User};
use identsphere_core::SignInRecord;
use identsphere_kernel::{Duration, Email, StoreError};
use identsphere_organizations::Role;
use identsphere_testkit::Account;

use crate::scene::{CONTENDERS, Scene, assert_conflict, race};

pub(crate) async fn a_user_comes_back_exactly_as_given(scene: &Scene) {
    let home = scene.world.organization();
    scene.save_organization(&home).await.unwrap();
    for user in scene.world.extreme_users(&home) {
        let membership = scene.world.membership(&user, &home, Role::MEMBER);
        let mut tx = scene.begin().await;
        tx.users().insert(&user, None).await.unwrap();
        tx.organizations().insert_membership(&membership).await.unwrap();
        tx.commit().await.unwrap();

        let found = scene.store.find_sign_in(user.email.key()).await.unwrap();
        assert_eq!(found, Some(SignInRecord { user, password_hash: None, role: Some(Role::MEMBER) }));
    }
}

pub(crate) async fn a_password_hash_comes_back_exactly_as_given(scene: &Scene) {
    let odd = ["x", "$2b$12$' \" \\ % _", "{SSHA512}пароль🔑"].map(str::to_owned);
    for text in odd.into_iter().chain(["h".repeat(4_096)]) {
        let account =
            Account { password_hash: Some(PasswordHash::new(text.clone())), ..scene.world.account() };
        account.save(&*scene.store).await.unwrap();
        let found = scene.find_sign_in(&account).await.unwrap();
        assert_eq!(found.password_hash.unwrap().as_str(), text);
    }
}

pub(crate) async fn an_unknown_address_is_absent(scene: &Scene) {
    let stranger = scene.world.account();
    assert!(!scene.knows(&stranger).await);
    scene.sign_up().await;
    assert!(!scene.knows(&stranger).await);
}

pub(crate) async fn a_taken_address_is_refused(scene: &Scene) {
    let first = scene.sign_up().await;
    let key = first.user.email.key().as_str().to_owned();
    let mut second = scene.world.account();
    second.user.email = Email::from_stored(key.to_uppercase(), key);

    assert_conflict(second.save(&*scene.store).await, "users_email_key_key");
    assert_eq!(scene.find_sign_in(&first).await.unwrap().user, first.user);
}

pub(crate) async fn a_taken_user_id_is_refused(scene: &Scene) {
    let first = scene.sign_up().await;
    let mut second = scene.world.account();
    second.user.id = first.user.id;
    assert_conflict(insert_user(scene, &second).await, "users_pkey");
    assert!(!scene.knows(&second).await);
}

pub(crate) async fn a_user_needs_a_home_that_exists(scene: &Scene) {
    let homeless = scene.world.account().user;
    let mut tx = scene.begin().await;
    let inserted = tx.users().insert(&homeless, None).await;
    assert!(inserted.is_err() || tx.commit().await.is_err());
    assert_eq!(scene.store.find_sign_in(homeless.email.key()).await.unwrap(), None);
}

/// The rule that decides whose an address is lives in the kernel; a collation must not add one of its own.
pub(crate) async fn addresses_are_compared_byte_for_byte(scene: &Scene) {
    let keys = [
        "ada@example.com",
        "ADA@example.com",
        "ada@example.com ",
        " ada@example.com",
        "ad_@example.com",
        "%@example.com",
        "caf\u{e9}@example.com",
        "cafe\u{301}@example.com",
        "cafe@example.com",
        "stra\u{df}e@example.com",
        "strasse@example.com",
        "ⅰ@example.com",
        "i@example.com",
        "ı@example.com",
    ];
    let mut accounts = Vec::new();
    for key in keys {
        let mut account = scene.world.account();
        account.user.email = Email::from_stored("typed@example.com".to_owned(), key.to_owned());
        account.save(&*scene.store).await.unwrap();
        accounts.push(account);
    }
    for account in &accounts {
        assert_eq!(scene.find_sign_in(account).await.unwrap().user, account.user);
    }
    for key in ["Ada@example.com", "ada@example.com\u{0a}", "ada@example.co", "ada@example.comm", "", "%"] {
        let email = Email::from_stored(String::new(), key.to_owned());
        assert_eq!(scene.store.find_sign_in(email.key()).await.unwrap(), None, "{key:?}");
    }
}

pub(crate) async fn of_many_who_register_one_address_one_wins(scene: &Scene) {
    let email = scene.world.account().user.email;
    let accounts: Vec<Account> = (0..CONTENDERS)
        .map(|_| {
            let account = scene.world.account();
            Account { user: User { email: email.clone(), ..account.user }, ..account }
        })
        .collect();
    let outcomes = race(accounts.clone().into_iter().map(|account| {
        let store = Arc::clone(&scene.store);
        async move {
            let outcome = account.save(&*store).await;
            (account, outcome)
        }
    }))
    .await;

    let mut winners = Vec::new();
    for (account, outcome) in outcomes {
        match outcome {
            Ok(()) => winners.push(account),
            refused => {
                assert_conflict(refused, "users_email_key_key");
                scene.save_organization(&account.organization).await.unwrap();
            }
        }
    }
    assert_eq!(winners.len(), 1);
    let found = scene.store.find_sign_in(email.key()).await.unwrap().unwrap();
    assert_eq!(Some(found.user), winners.pop().map(|winner| winner.user));
}

pub(crate) async fn a_hash_is_upgraded_without_touching_the_rest(scene: &Scene) {
    let (account, bystander) = (scene.sign_up().await, scene.sign_up().await);
    let old = account.password_hash.clone().unwrap();
    let new = scene.world.password_hash();
    scene.world.clock.advance(Duration::from_secs(60));
    upgrade(scene, &account, &old, &new).await;

    let found = scene.find_sign_in(&account).await.unwrap();
    assert_eq!(found.password_hash, Some(new));
    assert_eq!(found.user, User { updated_at: scene.now(), ..account.user });
    assert_eq!(scene.find_sign_in(&bystander).await.unwrap().password_hash, bystander.password_hash);
}

pub(crate) async fn a_hash_that_changed_meanwhile_is_kept(scene: &Scene) {
    let account = scene.sign_up().await;
    let without = Account { password_hash: None, ..scene.world.account() };
    without.save(&*scene.store).await.unwrap();
    let stale = scene.world.password_hash();
    for account in [account, without] {
        scene.world.clock.advance(Duration::from_secs(60));
        upgrade(scene, &account, &stale, &scene.world.password_hash()).await;
        let found = scene.find_sign_in(&account).await.unwrap();
        assert_eq!((found.password_hash, found.user), (account.password_hash, account.user));
    }
}

async fn upgrade(scene: &Scene, account: &Account, old: &PasswordHash, new: &PasswordHash) {
    let mut tx = scene.begin().await;
    tx.users().upgrade_password_hash(account.user.id, old, new, scene.now()).await.unwrap();
    tx.commit().await.unwrap();
}

async fn insert_user(scene: &Scene, account: &Account) -> Result<(), StoreError> {
    let mut tx = scene.begin().await;
    tx.organizations().insert(&account.organization).await?;
    tx.users().insert(&account.user, None).await?;
    tx.commit().await
}
