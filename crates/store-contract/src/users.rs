//! Cases of `UserRepo` and of `find_sign_in`, through which users come back.

use std::sync::Arc;

use identsphere_accounts::{MailboxProof, PasswordHash, User, UserStatus};
use identsphere_core::{SignInRecord, Store};
use identsphere_kernel::{Duration, Email, EmailKey, StoreError, Timestamp, UserId};
use identsphere_organizations::Role;
use identsphere_testkit::Account;

use crate::scene::{CONTENDERS, Scene, assert_conflict, race};

const MINUTE: Duration = Duration::from_secs(60);

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
    scene.world.clock.advance(MINUTE);
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
        scene.world.clock.advance(MINUTE);
        upgrade(scene, &account, &stale, &scene.world.password_hash()).await;
        let found = scene.find_sign_in(&account).await.unwrap();
        assert_eq!((found.password_hash, found.user), (account.password_hash, account.user));
    }
}

pub(crate) async fn a_mailbox_is_proven_for_the_first_time_once(scene: &Scene) {
    let (account, bystander) = (scene.sign_up().await, scene.sign_up().await);
    let (id, key) = (account.user.id, account.user.email.key());
    scene.world.clock.advance(MINUTE);
    let first_proven = scene.now();
    let mut tx = scene.begin().await;
    assert_eq!(tx.users().prove_mailbox(id, key, first_proven).await.unwrap(), Some(MailboxProof::First));
    drop(tx);
    assert_eq!(prove(scene, id, key).await, Some(MailboxProof::First), "the first one was not committed");
    for _ in 0..2 {
        scene.world.clock.advance(MINUTE);
        assert_eq!(prove(scene, id, key).await, Some(MailboxProof::Again));
        let proven = User { email_verified: true, updated_at: first_proven, ..account.user.clone() };
        assert_eq!(scene.find_sign_in(&account).await.unwrap().user, proven);
    }
    assert_eq!(scene.find_sign_in(&bystander).await.unwrap().user, bystander.user);
}

pub(crate) async fn a_mailbox_that_is_not_the_users_is_not_proven(scene: &Scene) {
    let (account, other) = (scene.sign_up().await, scene.sign_up().await);
    let (stranger, shouted) = (scene.world.account(), account.user.email.key().as_str().to_uppercase());
    for (user, key) in [
        (account.user.id, other.user.email.key()),
        (account.user.id, stranger.user.email.key()),
        (account.user.id, &EmailKey::from_stored(shouted)),
        (stranger.user.id, account.user.email.key()),
        (stranger.user.id, stranger.user.email.key()),
    ] {
        assert_eq!(prove(scene, user, key).await, None);
    }
    for account in [account, other] {
        assert_eq!(scene.find_sign_in(&account).await.unwrap().user, account.user);
    }
}

pub(crate) async fn of_the_inactive_nothing_is_proven_or_changed(scene: &Scene) {
    let taken = scene.sign_up().await.user.email;
    for status in UserStatus::ALL.into_iter().filter(|status| *status != UserStatus::Active) {
        let account = scene.world.account();
        let account = Account { user: User { status, ..account.user }, ..account };
        account.save(&*scene.store).await.unwrap();
        scene.world.clock.advance(MINUTE);
        let (id, own) = (account.user.id, &account.user.email);
        assert_eq!(prove(scene, id, own.key()).await, None, "{status:?}");
        for email in [own, &taken, &scene.world.account().user.email] {
            let changed = change_email(&*scene.store, id, email, scene.now()).await;
            assert_eq!(changed.unwrap(), None, "{status:?}");
        }
        assert_eq!(scene.find_sign_in(&account).await.unwrap().user, account.user);
    }
    let nobody = scene.world.account().user;
    assert_eq!(change_email(&*scene.store, nobody.id, &taken, scene.now()).await.unwrap(), None);
    assert_eq!(change_email(&*scene.store, nobody.id, &nobody.email, scene.now()).await.unwrap(), None);
}

pub(crate) async fn of_many_who_prove_a_mailbox_one_is_the_first(scene: &Scene) {
    let user = scene.sign_up().await.user;
    let now = scene.now();
    let outcomes = race((0..CONTENDERS).map(|_| {
        let (store, user) = (Arc::clone(&scene.store), user.clone());
        async move { prove_at(&*store, user.id, user.email.key(), now).await.unwrap() }
    }))
    .await;
    let count = |proof| outcomes.iter().filter(|outcome| **outcome == Some(proof)).count();
    assert_eq!((count(MailboxProof::First), count(MailboxProof::Again)), (1, CONTENDERS - 1));
}

pub(crate) async fn an_address_is_changed_to_any_other_and_counts_as_verified(scene: &Scene) {
    let (mut account, bystander) = (scene.sign_up().await, scene.sign_up().await);
    for email in scene.world.extreme_emails() {
        scene.world.clock.advance(MINUTE);
        let before = account.clone();
        let given_up = change_email(&*scene.store, before.user.id, &email, scene.now()).await.unwrap();
        assert_eq!(given_up.as_ref(), Some(&before.user.email));
        account.user = User { email, email_verified: true, updated_at: scene.now(), ..account.user };
        let found = scene.find_sign_in(&account).await.unwrap();
        assert_eq!((&found.user, &found.password_hash), (&account.user, &account.password_hash));
        assert!(!scene.knows(&before).await);
        assert_eq!(prove(scene, before.user.id, before.user.email.key()).await, None);
    }
    assert_eq!(scene.find_sign_in(&bystander).await.unwrap().user, bystander.user);
}

pub(crate) async fn an_address_that_was_given_up_is_free(scene: &Scene) {
    let (account, other) = (scene.sign_up().await, scene.sign_up().await);
    let email = scene.world.account().user.email;
    change_email(&*scene.store, account.user.id, &email, scene.now()).await.unwrap().unwrap();
    change_email(&*scene.store, other.user.id, &account.user.email, scene.now()).await.unwrap().unwrap();
    assert_eq!(scene.find_sign_in(&account).await.unwrap().user.id, other.user.id);
    let mut newcomer = scene.world.account();
    newcomer.user.email = other.user.email;
    newcomer.save(&*scene.store).await.unwrap();
    assert_eq!(scene.find_sign_in(&newcomer).await.unwrap().user, newcomer.user);
}

pub(crate) async fn an_address_is_not_changed_to_that_of_another(scene: &Scene) {
    let (account, other) = (scene.sign_up().await, scene.sign_up().await);
    let key = other.user.email.key().as_str().to_owned();
    let taken = Email::from_stored(key.to_uppercase(), key);
    let refused = change_email(&*scene.store, account.user.id, &taken, scene.now()).await;
    assert_conflict(refused, "users_email_key_key");
    for account in [account, other] {
        assert_eq!(scene.find_sign_in(&account).await.unwrap().user, account.user);
    }
}

pub(crate) async fn an_address_is_changed_to_another_spelling_of_itself(scene: &Scene) {
    let account = scene.sign_up().await;
    let key = account.user.email.key().as_str().to_owned();
    let email = Email::from_stored(key.to_uppercase(), key);
    scene.world.clock.advance(MINUTE);
    change_email(&*scene.store, account.user.id, &email, scene.now()).await.unwrap().unwrap();
    let respelt = User { email, email_verified: true, updated_at: scene.now(), ..account.user.clone() };
    assert_eq!(scene.find_sign_in(&account).await.unwrap().user, respelt);
}

pub(crate) async fn of_many_who_change_to_one_address_one_wins(scene: &Scene) {
    let (email, now) = (scene.world.account().user.email, scene.now());
    let mut accounts = Vec::new();
    for _ in 0..CONTENDERS {
        accounts.push(scene.sign_up().await);
    }
    let outcomes = race(accounts.into_iter().map(|account| {
        let (store, email) = (Arc::clone(&scene.store), email.clone());
        async move { (change_email(&*store, account.user.id, &email, now).await, account) }
    }))
    .await;
    let mut winners = Vec::new();
    for (outcome, account) in outcomes {
        if matches!(outcome, Ok(Some(_))) {
            winners.push(account.user.id);
        } else {
            assert_conflict(outcome, "users_email_key_key");
            assert_eq!(scene.find_sign_in(&account).await.unwrap().user, account.user);
        }
    }
    let found = scene.store.find_sign_in(email.key()).await.unwrap().unwrap();
    assert_eq!(winners, [found.user.id]);
}

pub(crate) async fn a_password_is_replaced_by_another_or_by_none(scene: &Scene) {
    let bystander = scene.sign_up().await;
    for status in UserStatus::ALL {
        let account = scene.world.account();
        let account = Account { user: User { status, ..account.user }, ..account };
        account.save(&*scene.store).await.unwrap();
        for password in [Some(scene.world.password_hash()), None, Some(scene.world.password_hash())] {
            scene.world.clock.advance(MINUTE);
            let at = scene.now();
            let mut tx = scene.begin().await;
            tx.users().replace_password(account.user.id, password.as_ref(), at).await.unwrap();
            tx.commit().await.unwrap();
            let found = scene.find_sign_in(&account).await.unwrap();
            let user = User { last_password_change: Some(at), updated_at: at, ..account.user.clone() };
            assert_eq!((found.password_hash, found.user), (password, user));
        }
    }
    let found = scene.find_sign_in(&bystander).await.unwrap();
    assert_eq!((found.password_hash, found.user), (bystander.password_hash, bystander.user));
}

async fn prove(scene: &Scene, user: UserId, email: &EmailKey) -> Option<MailboxProof> {
    prove_at(&*scene.store, user, email, scene.now()).await.unwrap()
}

async fn prove_at(
    store: &dyn Store,
    user: UserId,
    email: &EmailKey,
    at: Timestamp,
) -> Result<Option<MailboxProof>, StoreError> {
    let mut tx = store.begin().await?;
    let proof = tx.users().prove_mailbox(user, email, at).await?;
    tx.commit().await?;
    Ok(proof)
}

async fn change_email(
    store: &dyn Store,
    user: UserId,
    email: &Email,
    at: Timestamp,
) -> Result<Option<Email>, StoreError> {
    let mut tx = store.begin().await?;
    let before = tx.users().change_email(user, email, at).await?;
    tx.commit().await?;
    Ok(before)
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
