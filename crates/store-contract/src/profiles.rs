//! Cases of `ProfileStore`, and of what `UserRepo`, `OrganizationRepo` and `SessionRepo` do for the users themselves.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::sync::Arc;

use identsphere_accounts::{
    AvatarName, Bio, Edit, PasswordHash, PictureFormat, Profile, ProfileChange, ReplacedAvatar, User,
    UserStatus, tombstone,
};
use identsphere_audit::{Actor, AuditAction, AuditEntry, AuditEvent};
use identsphere_core::{HeldSession, ProfileRecord, Store, UserOrganization};
use identsphere_kernel::{Duration, StoreError, Timestamp, UserId};
use identsphere_organizations::{Departure, Role};
use identsphere_testkit::Account;

use crate::factors::protected;
use crate::passkeys::add;
use crate::scene::{CONTENDERS, Scene, commit, race};

const MINUTE: Duration = Duration::from_secs(60);

pub(crate) async fn a_profile_comes_back_exactly_as_given(scene: &Scene) {
    let (account, bystander) = (scene.sign_up().await, scene.sign_up().await);
    let (mut user, mut profile) = (account.user.clone(), Profile::default());
    assert_eq!(find(scene, user.id).await.unwrap().profile, profile, "nothing is said at first");
    for change in scene.world.extreme_profile_changes() {
        scene.world.clock.advance(MINUTE);
        assert!(update(scene, user.id, &change).await);
        change.apply(&mut user, &mut profile, scene.now());
        let found = find(scene, user.id).await;
        let expected = ProfileRecord { user: user.clone(), profile: profile.clone() };
        assert_eq!(found, Some(expected), "{change:?}");
        assert_eq!(scene.find_sign_in(&account).await.unwrap().user, user);
    }
    assert_eq!(find(scene, bystander.user.id).await.unwrap().user, bystander.user);
}

pub(crate) async fn a_change_of_nothing_changes_nothing_but_its_time(scene: &Scene) {
    let account = scene.sign_up().await;
    let change = ProfileChange { bio: Edit::Set(Bio::from_stored("…".to_owned())), ..Default::default() };
    assert!(update(scene, account.user.id, &change).await);
    let before = find(scene, account.user.id).await.unwrap();
    scene.world.clock.advance(MINUTE);
    assert!(update(scene, account.user.id, &ProfileChange::default()).await);
    let user = User { updated_at: scene.now(), ..before.user.clone() };
    assert_eq!(find(scene, account.user.id).await, Some(ProfileRecord { user, ..before }));
}

pub(crate) async fn only_active_users_have_a_profile_to_change(scene: &Scene) {
    let stranger = scene.world.account();
    let mut others = vec![stranger];
    for status in UserStatus::ALL.into_iter().filter(|status| *status != UserStatus::Active) {
        let mut account = scene.world.account();
        account.user.status = status;
        account.save(&*scene.store).await.unwrap();
        others.push(account);
    }
    for account in others {
        let (id, old) = (account.user.id, account.password_hash.clone().unwrap());
        assert_eq!(find(scene, id).await, None);
        assert!(!update(scene, id, &ProfileChange::default()).await);
        assert!(!set_password(&*scene.store, id, &old, &scene.world.password_hash(), scene.now()).await);
        assert_eq!(replace_avatar(&*scene.store, id, None, scene.now()).await, None);
        assert_eq!(erase(&*scene.store, id, scene.now()).await, None);
        let found = scene.find_sign_in(&account).await;
        assert!(found.is_none_or(|found| found.user == account.user && found.password_hash == Some(old)));
    }
}

pub(crate) async fn a_new_password_takes_the_place_of_the_old_one(scene: &Scene) {
    let account = scene.sign_up().await;
    let (old, new) = (account.password_hash.clone().unwrap(), scene.world.password_hash());
    scene.world.clock.advance(MINUTE);
    let now = scene.now();
    assert!(set_password(&*scene.store, account.user.id, &old, &new, now).await);
    assert!(!set_password(&*scene.store, account.user.id, &old, &scene.world.password_hash(), now).await);
    let found = scene.find_sign_in(&account).await.unwrap();
    assert_eq!(found.password_hash, Some(new));
    assert_eq!(found.user, User { last_password_change: Some(now), updated_at: now, ..account.user });
}

pub(crate) async fn a_user_without_a_password_gets_none_in_its_place(scene: &Scene) {
    let account = Account { password_hash: None, ..scene.world.account() };
    account.save(&*scene.store).await.unwrap();
    let (old, new) = (PasswordHash::new(""), scene.world.password_hash());
    assert!(!set_password(&*scene.store, account.user.id, &old, &new, scene.now()).await);
    assert_eq!(scene.find_sign_in(&account).await.unwrap().password_hash, None);
}

pub(crate) async fn of_many_who_set_a_password_one_wins(scene: &Scene) {
    let account = scene.sign_up().await;
    let (user, old, now) = (account.user.id, account.password_hash.clone().unwrap(), scene.now());
    let outcomes = race((0..CONTENDERS).map(|_| {
        let (store, old, new) = (Arc::clone(&scene.store), old.clone(), scene.world.password_hash());
        async move { set_password(&*store, user, &old, &new, now).await.then_some(new) }
    }))
    .await;
    let winners: Vec<PasswordHash> = outcomes.into_iter().flatten().collect();
    assert_eq!(winners.len(), 1);
    assert_eq!(scene.find_sign_in(&account).await.unwrap().password_hash, winners.first().cloned());
}

pub(crate) async fn a_picture_is_replaced_by_another_or_by_none(scene: &Scene) {
    let user = scene.sign_up().await.user.id;
    let pictures = PictureFormat::ALL.map(|format| AvatarName::new(scene.world.bytes(), format));
    let steps = [Some(&pictures[0]), Some(&pictures[1]), None, None];
    let mut before = None;
    for step in steps {
        scene.world.clock.advance(MINUTE);
        let replaced = replace_avatar(&*scene.store, user, step, scene.now()).await;
        assert_eq!(replaced, Some(ReplacedAvatar(before)));
        before = step.cloned();
        let found = find(scene, user).await.unwrap();
        assert_eq!((found.profile.avatar, found.user.updated_at), (before.clone(), scene.now()));
    }
}

pub(crate) async fn of_many_who_replace_a_picture_each_replaces_another(scene: &Scene) {
    let (user, now) = (scene.sign_up().await.user.id, scene.now());
    let outcomes = race((0..CONTENDERS).map(|_| {
        let store = Arc::clone(&scene.store);
        let name = AvatarName::new(scene.world.bytes(), PictureFormat::Png);
        async move {
            let ReplacedAvatar(replaced) = replace_avatar(&*store, user, Some(&name), now).await.unwrap();
            (name, replaced)
        }
    }))
    .await;
    let last = find(scene, user).await.unwrap().profile.avatar;
    let replaced: Vec<AvatarName> = outcomes.iter().filter_map(|(_, replaced)| replaced.clone()).collect();
    assert_eq!(replaced.len(), CONTENDERS - 1, "one replaced none");
    let gone: HashSet<AvatarName> = replaced.into_iter().collect();
    let left = outcomes.into_iter().map(|(name, _)| name).filter(|name| !gone.contains(name));
    assert_eq!(left.collect::<Vec<_>>(), Vec::from_iter(last), "each was replaced by one, but the last");
}

pub(crate) async fn nothing_personal_remains_of_an_erased_user(scene: &Scene) {
    let (account, session) = scene.visitor().await;
    let (user, picture) = (account.user.clone(), AvatarName::new(scene.world.bytes(), PictureFormat::Jpeg));
    for change in scene.world.extreme_profile_changes() {
        assert!(update(scene, user.id, &change).await);
    }
    replace_avatar(&*scene.store, user.id, Some(&picture), scene.now()).await;
    scene.world.clock.advance(MINUTE);
    let erased = erase(&*scene.store, user.id, scene.now()).await;
    assert_eq!(erased, Some(ReplacedAvatar(Some(picture))));

    assert_eq!(find(scene, user.id).await, None);
    assert_eq!(scene.find_principal(&session).await, None);
    assert!(!scene.knows(&account).await);
    let left = scene.store.find_sign_in(tombstone(user.id).key()).await.unwrap().unwrap();
    let expected = User {
        email: tombstone(user.id),
        email_verified: false,
        last_password_change: None,
        status: UserStatus::Deleted,
        display_name: None,
        updated_at: scene.now(),
        ..user
    };
    assert_eq!((left.user, left.password_hash), (expected, None));
}

/// Recovery codes and passkeys are records of their own; they go after their user, who is not active any more.
pub(crate) async fn no_factor_remains_of_an_erased_user(scene: &Scene) {
    let ((user, _), other) = (protected(scene).await, scene.sign_up().await.user);
    let (codes, handle) = (scene.world.recovery_hashes(), scene.world.user_handle());
    let passkey = scene.world.passkey(&user);
    assert!(commit!(scene.store, factors.replace_recovery_codes(user.id, &codes, scene.now())).unwrap());
    assert_eq!(scene.store.claim_handle(user.id, &handle).await.unwrap(), Some(handle));
    add(scene, &passkey).await;
    erase(&*scene.store, user.id, scene.now()).await.unwrap();

    assert_eq!(scene.store.find_authenticator(user.id).await.unwrap(), None);
    let left = scene.store.find_sign_in_of(user.id).await.unwrap().unwrap().user;
    assert_eq!((left.mfa_enabled, left.passkey_enabled), (false, false));
    assert_eq!(scene.store.find_passkey_sign_in(&passkey.credential_id).await.unwrap(), None);
    assert_eq!(scene.store.claim_handle(user.id, &handle).await.unwrap(), None);
    assert_eq!(scene.store.claim_handle(other.id, &handle).await.unwrap(), Some(handle), "it is free");

    assert!(!commit!(scene.store, factors.remove_authenticator(user.id, scene.now())).unwrap());
    assert_eq!(scene.store.count_recovery_codes(user.id).await.unwrap(), 0);
    commit!(scene.store, passkeys.remove_all_passkeys(user.id, scene.now())).unwrap();
    assert_eq!(scene.store.list_passkeys(user.id).await.unwrap(), []);
}

pub(crate) async fn the_address_of_an_erased_user_is_free(scene: &Scene) {
    let first = scene.sign_up().await;
    erase(&*scene.store, first.user.id, scene.now()).await.unwrap();
    let mut second = scene.world.account();
    second.user.email = first.user.email.clone();
    second.save(&*scene.store).await.unwrap();
    assert_eq!(scene.find_sign_in(&first).await.unwrap().user, second.user);
}

pub(crate) async fn of_many_who_erase_a_user_one_wins(scene: &Scene) {
    let (user, now) = (scene.sign_up().await.user.id, scene.now());
    let outcomes = race((0..CONTENDERS).map(|_| {
        let store = Arc::clone(&scene.store);
        async move { erase(&*store, user, now).await }
    }))
    .await;
    assert_eq!(outcomes.into_iter().flatten().count(), 1);
}

pub(crate) async fn organizations_are_listed_in_the_order_of_joining(scene: &Scene) {
    let (ada, grace) = (scene.sign_up().await, scene.sign_up().await);
    let mut expected = vec![belongs(&ada, &ada, Role::OWNER, ada.membership.joined_at)];
    for other in [scene.sign_up().await, scene.sign_up().await] {
        scene.world.clock.advance(MINUTE);
        scene.join(&ada, &other.organization, Role::VIEWER).await.unwrap();
        expected.push(belongs(&ada, &other, Role::VIEWER, scene.now()));
    }
    assert_eq!(scene.store.list_organizations(ada.user.id).await.unwrap(), expected);
    let graces = scene.store.list_organizations(grace.user.id).await.unwrap();
    assert_eq!(graces, [belongs(&grace, &grace, Role::OWNER, grace.membership.joined_at)]);
    let stranger = scene.world.account();
    assert_eq!(scene.store.list_organizations(stranger.user.id).await.unwrap(), []);
}

pub(crate) async fn organizations_come_back_exactly_as_given(scene: &Scene) {
    let mut expected = Vec::new();
    let ada = scene.sign_up().await;
    for organization in scene.world.extreme_organizations() {
        scene.save_organization(&organization).await.unwrap();
        scene.world.clock.advance(MINUTE);
        scene.join(&ada, &organization, Role::MEMBER).await.unwrap();
        expected.push(UserOrganization { organization, role: Role::MEMBER, joined_at: scene.now() });
    }
    let listed = scene.store.list_organizations(ada.user.id).await.unwrap();
    assert_eq!(listed.get(1..), Some(expected.as_slice()));
}

pub(crate) async fn whoever_departs_belongs_nowhere(scene: &Scene) {
    let (ada, session) = scene.visitor().await;
    let grace = scene.sign_up().await;
    scene.join(&ada, &grace.organization, Role::ADMIN).await.unwrap();
    scene.world.clock.advance(MINUTE);
    let departure = depart(&*scene.store, ada.user.id, scene.now()).await;
    assert_eq!(departure, Departure::Left(vec![ada.organization.id]), "what had nobody else is deleted");
    assert_eq!(scene.store.list_organizations(ada.user.id).await.unwrap(), []);
    assert_eq!(scene.find_principal(&session).await, None);
    assert_eq!(scene.store.list_organizations(grace.user.id).await.unwrap().len(), 1);

    scene.join(&grace, &ada.organization, Role::VIEWER).await.unwrap();
    assert_eq!(scene.store.list_organizations(grace.user.id).await.unwrap().len(), 1, "deleted is deleted");
    assert_eq!(depart(&*scene.store, ada.user.id, scene.now()).await, Departure::Left(vec![]));
}

pub(crate) async fn the_only_owner_among_members_stays(scene: &Scene) {
    let (ada, grace) = (scene.sign_up().await, scene.sign_up().await);
    scene.join(&grace, &ada.organization, Role::ADMIN).await.unwrap();
    let before = scene.store.list_organizations(ada.user.id).await.unwrap();
    let departure = depart(&*scene.store, ada.user.id, scene.now()).await;
    assert_eq!(departure, Departure::SoleOwner(ada.organization.id));
    assert_eq!(scene.store.list_organizations(ada.user.id).await.unwrap(), before);

    let departure = depart(&*scene.store, grace.user.id, scene.now()).await;
    assert_eq!(departure, Departure::Left(vec![grace.organization.id]), "an admin may go");
}

pub(crate) async fn of_the_last_two_owners_who_depart_at_once_one_stays(scene: &Scene) {
    for _ in 0..8 {
        let (ada, grace, heidi) = (scene.sign_up().await, scene.sign_up().await, scene.sign_up().await);
        scene.join(&grace, &ada.organization, Role::OWNER).await.unwrap();
        scene.join(&heidi, &ada.organization, Role::MEMBER).await.unwrap();
        let now = scene.now();
        let outcomes = race([ada.user.id, grace.user.id].map(|user| {
            let store = Arc::clone(&scene.store);
            async move { depart(&*store, user, now).await }
        }))
        .await;
        let stayed = outcomes.iter().filter(|outcome| **outcome == Departure::SoleOwner(ada.organization.id));
        assert_eq!(stayed.count(), 1, "{outcomes:?}");
    }
}

pub(crate) async fn sessions_are_held_until_they_are_deleted(scene: &Scene) {
    let (account, bystander) = (scene.sign_up().await, scene.visitor().await);
    let mut expected = Vec::new();
    for session in scene.world.extreme_sessions(&account.user) {
        scene.world.clock.advance(MINUTE);
        scene.save(&session).await;
        expected.push(HeldSession { session, revoked_at: None });
    }
    let last = expected.last_mut().unwrap();
    assert!(scene.revoke(&last.session).await);
    last.revoked_at = Some(scene.now());
    expected.sort_by_key(|held| Reverse((held.session.created_at, held.session.id)));
    assert_eq!(scene.store.list_held_sessions(account.user.id).await.unwrap(), expected);

    let mut tx = scene.begin().await;
    tx.sessions().delete_all(account.user.id).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(scene.store.list_held_sessions(account.user.id).await.unwrap(), []);
    for HeldSession { session, .. } in expected {
        assert_eq!(scene.store.find_refresh_state(session.id).await.unwrap(), None);
    }
    assert!(scene.find_principal(&bystander.1).await.is_some());
}

pub(crate) async fn rows_of_an_actor_are_listed_newest_first(scene: &Scene) {
    let (account, other) = (scene.sign_up().await, scene.sign_up().await);
    let mut events = Vec::new();
    for event in scene.world.extreme_audit_events(&account) {
        scene.world.clock.advance(MINUTE);
        events.push(AuditEvent { created_at: scene.now(), ..event });
    }
    let mut tx = scene.begin().await;
    tx.audit().append(&scene.world.audit_event(AuditAction::Login, &other)).await.unwrap();
    for event in &events {
        tx.audit().append(event).await.unwrap();
    }
    tx.commit().await.unwrap();

    let theirs = events.iter().rev().filter(|event| event.actor == Actor::User(account.user.id));
    let expected: Vec<AuditEntry> = theirs.map(AuditEntry::from).collect();
    let listed = |limit| scene.store.list_events_by(account.user.id, limit);
    assert_eq!(listed(1_000).await.unwrap(), expected);
    assert_eq!(listed(3).await.unwrap(), expected[..3]);
    assert_eq!(listed(0).await.unwrap(), []);
}

fn belongs(who: &Account, to: &Account, role: Role, joined_at: Timestamp) -> UserOrganization {
    assert_eq!(who.membership.role, Role::OWNER);
    UserOrganization { organization: to.organization.clone(), role, joined_at }
}

async fn find(scene: &Scene, user: UserId) -> Option<ProfileRecord> {
    scene.store.find_profile(user).await.unwrap()
}

async fn update(scene: &Scene, user: UserId, change: &ProfileChange) -> bool {
    let mut tx = scene.begin().await;
    let updated = tx.users().update_profile(user, change, scene.now()).await.unwrap();
    tx.commit().await.unwrap();
    updated
}

async fn set_password(
    store: &dyn Store,
    user: UserId,
    old: &PasswordHash,
    new: &PasswordHash,
    at: Timestamp,
) -> bool {
    let mut tx = store.begin().await.unwrap();
    let set = tx.users().set_password_hash(user, old, new, at).await.unwrap();
    tx.commit().await.unwrap();
    set
}

async fn replace_avatar(
    store: &dyn Store,
    user: UserId,
    avatar: Option<&AvatarName>,
    at: Timestamp,
) -> Option<ReplacedAvatar> {
    let mut tx = store.begin().await.unwrap();
    let replaced = tx.users().replace_avatar(user, avatar, at).await.unwrap();
    tx.commit().await.unwrap();
    replaced
}

async fn erase(store: &dyn Store, user: UserId, at: Timestamp) -> Option<ReplacedAvatar> {
    let mut tx = store.begin().await.unwrap();
    let erased = tx.users().erase(user, at).await.unwrap();
    tx.commit().await.unwrap();
    erased
}

async fn depart(store: &dyn Store, user: UserId, at: Timestamp) -> Departure {
    let outcome: Result<Departure, StoreError> = async {
        let mut tx = store.begin().await?;
        let departure = tx.organizations().depart(user, at).await?;
        tx.commit().await?;
        Ok(departure)
    }
    .await;
    outcome.unwrap()
}
