//! Cases of `DirectoryStore`.

use std::collections::BTreeSet;

use identsphere_accounts::UserStatus;
use identsphere_core::AccountRecord;
use identsphere_kernel::{Email, EmailKey, UserId};
use identsphere_organizations::{Membership, Organization, Role, Slug};
use identsphere_testkit::Account;

use crate::scene::Scene;

pub(crate) async fn known_addresses_are_told_from_unknown_ones(scene: &Scene) {
    let mut asked = Vec::new();
    let mut expected = BTreeSet::new();
    for status in UserStatus::ALL {
        let mut account = scene.world.account();
        account.user.status = status;
        account.save(&*scene.store).await.unwrap();
        expected.insert(account.user.email.key().clone());
    }
    asked.extend(expected.iter().cloned());
    asked.push(scene.world.account().user.email.key().clone());
    asked.extend(expected.iter().cloned());
    let known = scene.store.known_emails(&asked).await.unwrap();
    assert_eq!(known.len(), expected.len(), "each once");
    assert_eq!(known.into_iter().collect::<BTreeSet<_>>(), expected);
    assert_eq!(scene.store.known_emails(&[]).await.unwrap(), []);
}

/// A key differs by a single byte or it does not.
pub(crate) async fn known_addresses_are_compared_byte_for_byte(scene: &Scene) {
    let mut account = scene.world.account();
    account.user.email = Email::from_stored("a".to_owned(), "ada@example.com".to_owned());
    account.save(&*scene.store).await.unwrap();
    let others = ["ADA@example.com", "ada@example.com ", "ad_@example.com", "%", ""];
    let others = others.map(|key| EmailKey::from_stored(key.to_owned()));
    assert_eq!(scene.store.known_emails(&others).await.unwrap(), []);
}

pub(crate) async fn known_ids_are_told_from_unknown_ones(scene: &Scene) {
    let (first, second) = (scene.sign_up().await.user.id, scene.sign_up().await.user.id);
    let stranger = scene.world.account().user.id;
    let known = scene.store.known_users(&[second, stranger, first, second]).await.unwrap();
    assert_eq!(known.len(), 2, "each once");
    assert_eq!(BTreeSet::from_iter(known), BTreeSet::from([first, second]));
    assert_eq!(scene.store.known_users(&[]).await.unwrap(), []);
}

pub(crate) async fn organizations_are_found_by_their_slugs(scene: &Scene) {
    let mut expected = scene.world.extreme_organizations();
    for organization in &expected {
        scene.save_organization(organization).await.unwrap();
    }
    let stranger = scene.world.organization().slug;
    let mut asked: Vec<Slug> = expected.iter().map(|organization| organization.slug.clone()).collect();
    asked.extend([stranger.clone(), asked[0].clone()]);
    let mut found = scene.store.organizations_by_slug(&asked).await.unwrap();
    let id = |organization: &Organization| organization.id;
    found.sort_by_key(id);
    expected.sort_by_key(id);
    assert_eq!(found, expected);
    assert_eq!(scene.store.organizations_by_slug(&[stranger]).await.unwrap(), []);
}

/// As many as an import asks for at once.
pub(crate) async fn hundreds_are_asked_for_at_once(scene: &Scene) {
    let account = scene.sign_up().await;
    let mut strangers: Vec<Account> = (0..600).map(|_| scene.world.account()).collect();
    strangers.push(account.clone());
    let emails: Vec<_> = strangers.iter().map(|one| one.user.email.key().clone()).collect();
    let ids: Vec<_> = strangers.iter().map(|one| one.user.id).collect();
    let slugs: Vec<_> = strangers.iter().map(|one| one.organization.slug.clone()).collect();
    assert_eq!(scene.store.known_emails(&emails).await.unwrap(), [account.user.email.key().clone()]);
    assert_eq!(scene.store.known_users(&ids).await.unwrap(), [account.user.id]);
    assert_eq!(scene.store.organizations_by_slug(&slugs).await.unwrap(), [account.organization]);
}

pub(crate) async fn accounts_are_listed_page_by_page(scene: &Scene) {
    let home = scene.world.organization();
    scene.save_organization(&home).await.unwrap();
    let mut expected = Vec::new();
    for (number, mut user) in scene.world.extreme_users(&home).into_iter().enumerate() {
        // Ids that were made elsewhere come in no order; the first and the last there are among them.
        let id = u8::try_from(number * 83 % 256).unwrap();
        user.id = UserId::from_bytes(if number == 1 { [0xff; 16] } else { [id; 16] });
        let password_hash = (number % 2 == 0).then(|| scene.world.password_hash());
        let role = (number % 3 > 0).then_some(Role::BILLING);
        let mut tx = scene.begin().await;
        tx.users().insert(&user, password_hash.as_ref()).await.unwrap();
        if let Some(role) = role.clone() {
            let joined_at = user.created_at;
            let membership = Membership { user: user.id, organization: home.id, role, joined_at };
            tx.organizations().insert_membership(&membership).await.unwrap();
        }
        tx.commit().await.unwrap();
        expected.push(AccountRecord { user, password_hash, organization: home.clone(), role });
    }
    expected.sort_by_key(|account| account.user.id);

    for limit in [1, 3, 100] {
        let (mut listed, mut after) = (Vec::new(), None);
        loop {
            let page = scene.store.list_accounts(after, limit).await.unwrap();
            let full = page.len() == usize::try_from(limit).unwrap();
            after = page.last().map(|account| account.user.id).or(after);
            listed.extend(page);
            if !full {
                break;
            }
        }
        assert_eq!(listed, expected, "in pages of {limit}");
    }
}

pub(crate) async fn an_account_is_listed_with_its_home_alone(scene: &Scene) {
    let (account, other) = (scene.sign_up().await, scene.world.organization());
    scene.save_organization(&other).await.unwrap();
    scene.join(&account, &other, Role::VIEWER).await.unwrap();
    let listed = scene.store.list_accounts(None, 10).await.unwrap();
    assert_eq!(
        listed,
        [AccountRecord {
            user: account.user,
            password_hash: account.password_hash,
            organization: account.organization,
            role: Some(Role::OWNER),
        }]
    );
}
