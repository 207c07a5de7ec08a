//! Cases of `PrincipalStore` but the rotation of refresh tokens.

use identsphere_accounts::{User, UserStatus};
use identsphere_core::{PasskeySignIn, Principal, SignInRecord};
use identsphere_factors::passkey::{CredentialId, Passkey};
use identsphere_kernel::{Duration, SessionId};
use identsphere_organizations::Role;
use identsphere_sessions::Session;
use identsphere_testkit::Account;
use identsphere_testkit::builders::SESSION_LIFETIME;

use crate::passkeys::{add, remove};
use crate::scene::{Scene, commit};

const INSTANT: Duration = Duration::from_micros(1);

pub(crate) async fn a_live_session_has_a_principal(scene: &Scene) {
    let (account, session) = scene.visitor().await;
    scene.visitor().await;
    let found = scene.find_principal(&session).await;
    assert_eq!(found, Some(Principal { user: account.user, session, role: Role::OWNER }));
}

pub(crate) async fn an_unknown_session_has_none(scene: &Scene) {
    let (account, _) = scene.visitor().await;
    let unknown = scene.world.session(&account.user);
    assert_eq!(scene.find_principal(&unknown).await, None);
    let nil = SessionId::from_bytes([0; 16]);
    assert_eq!(scene.store.find_principal(nil, scene.now()).await.unwrap(), None);
}

pub(crate) async fn a_revoked_session_has_none(scene: &Scene) {
    let (account, session) = scene.visitor().await;
    let other = scene.sign_in(&account).await;
    assert!(scene.revoke(&session).await);
    assert_eq!(scene.find_principal(&session).await, None);
    assert!(scene.find_principal(&other).await.is_some());
}

pub(crate) async fn a_session_ends_exactly_at_its_end(scene: &Scene) {
    let (_, session) = scene.visitor().await;
    scene.world.clock.advance(SESSION_LIFETIME - INSTANT);
    assert!(scene.find_principal(&session).await.is_some());
    scene.world.clock.advance(INSTANT);
    assert_eq!(scene.now(), session.expires_at);
    assert_eq!(scene.find_principal(&session).await, None);
    scene.world.clock.advance(INSTANT);
    assert_eq!(scene.find_principal(&session).await, None);
}

pub(crate) async fn only_active_users_have_one(scene: &Scene) {
    for status in UserStatus::ALL {
        let account = scene.world.account();
        let account = Account { user: User { status, ..account.user }, ..account };
        account.save(&*scene.store).await.unwrap();
        let session = scene.sign_in(&account).await;
        let found = scene.find_principal(&session).await;
        assert_eq!(found.is_some(), status == UserStatus::Active, "{status:?}");
    }
}

pub(crate) async fn only_members_have_one(scene: &Scene) {
    let (guest, host) = (scene.sign_up().await, scene.sign_up().await);
    let visit = Session { organization: host.organization.id, ..scene.world.session(&guest.user) };
    scene.save(&visit).await;
    assert_eq!(scene.find_principal(&visit).await, None);

    scene.join(&guest, &host.organization, Role::VIEWER).await.unwrap();
    assert!(scene.find_principal(&visit).await.is_some());
}

pub(crate) async fn no_member_of_a_deleted_organization_has_one(scene: &Scene) {
    let (account, at_home) = scene.visitor().await;
    let host = scene.sign_up().await;
    scene.join(&account, &host.organization, Role::VIEWER).await.unwrap();
    let away = Session { organization: host.organization.id, ..scene.world.session(&account.user) };
    scene.save(&away).await;
    scene.delete_organization_of(&account).await;
    scene.join(&account, &host.organization, Role::VIEWER).await.unwrap();
    assert_eq!(scene.find_principal(&at_home).await, None);
    assert!(scene.find_principal(&away).await.is_some(), "only the home of the user is deleted");
}

pub(crate) async fn a_sign_in_finds_no_role_in_a_deleted_home(scene: &Scene) {
    let account = scene.sign_up().await;
    let (passkey, handle) = (scene.world.passkey(&account.user), scene.world.user_handle());
    scene.store.claim_handle(account.user.id, &handle).await.unwrap();
    add(scene, &passkey).await;
    let home = scene.sign_up().await.organization;
    scene.delete_organization_of(&account).await;
    scene.join(&account, &home, Role::OWNER).await.unwrap();
    let by_passkey = scene.store.find_passkey_sign_in(&passkey.credential_id).await.unwrap().unwrap();
    let by_id = scene.store.find_sign_in_of(account.user.id).await.unwrap().unwrap();
    for found in [scene.find_sign_in(&account).await.unwrap(), by_id, by_passkey.owner] {
        assert_eq!((found.user.id, found.password_hash), (account.user.id, account.password_hash.clone()));
        assert_eq!(found.role, None);
    }
}

pub(crate) async fn the_role_is_that_of_the_sessions_organization(scene: &Scene) {
    let (account, at_home) = scene.visitor().await;
    let host = scene.sign_up().await;
    scene.join(&account, &host.organization, Role::BILLING).await.unwrap();
    let away = Session { organization: host.organization.id, ..scene.world.session(&account.user) };
    scene.save(&away).await;

    assert_eq!(scene.find_principal(&at_home).await.unwrap().role, Role::OWNER);
    let principal = scene.find_principal(&away).await.unwrap();
    assert_eq!((principal.role, principal.session, principal.user), (Role::BILLING, away, account.user));
}

pub(crate) async fn roles_come_back_exactly_as_given(scene: &Scene) {
    for name in ["owner", "Owner", "rédacteur en chef", "' \" \\ % _", &"r".repeat(100)] {
        let role = Role::new(name.to_owned());
        let mut account = scene.world.account();
        account.membership.role = role.clone();
        account.save(&*scene.store).await.unwrap();
        let session = scene.sign_in(&account).await;
        assert_eq!(scene.find_principal(&session).await.unwrap().role, role);
        assert_eq!(scene.find_sign_in(&account).await.unwrap().role, Some(role));
    }
}

pub(crate) async fn a_sign_in_finds_users_of_every_status(scene: &Scene) {
    for status in UserStatus::ALL {
        let account = scene.world.account();
        let account = Account { user: User { status, ..account.user }, ..account };
        account.save(&*scene.store).await.unwrap();
        let found = scene.find_sign_in(&account).await.unwrap();
        assert_eq!((found.user, found.password_hash), (account.user, account.password_hash));
    }
}

pub(crate) async fn a_sign_in_finds_users_by_their_ids_as_by_their_addresses(scene: &Scene) {
    let stranger = scene.world.account();
    assert_eq!(scene.store.find_sign_in_of(stranger.user.id).await.unwrap(), None);
    let home = scene.sign_up().await.organization;
    for user in scene.world.extreme_users(&home) {
        commit!(scene.store, users.insert(&user, None)).unwrap();
        let found = scene.store.find_sign_in_of(user.id).await.unwrap();
        assert_eq!(found, scene.store.find_sign_in(user.email.key()).await.unwrap());
        assert_eq!(found, Some(SignInRecord { user, password_hash: None, role: None }));
    }
    let account = scene.sign_up().await;
    let found = scene.store.find_sign_in_of(account.user.id).await.unwrap();
    assert_eq!(found, scene.find_sign_in(&account).await);
    assert_eq!(found.unwrap().role, Some(Role::OWNER));
}

pub(crate) async fn a_passkey_finds_its_owner(scene: &Scene) {
    let (account, other) = (scene.sign_up().await, scene.sign_up().await);
    let (handle, of_other) = (scene.world.user_handle(), scene.world.user_handle());
    let first = scene.world.passkey(&account.user);
    let longer = [first.credential_id.as_bytes(), &[0]].concat();
    let credential_id = CredentialId::parse(&longer).unwrap();
    let second = Passkey { credential_id, ..scene.world.passkey(&other.user) };
    for (passkey, handle) in [(&first, handle), (&second, of_other)] {
        assert_eq!(scene.store.claim_handle(passkey.user, &handle).await.unwrap(), Some(handle));
        add(scene, passkey).await;
    }
    for (account, passkey, handle) in [(account, first, handle), (other, second, of_other)] {
        let owner = scene.find_sign_in(&account).await.unwrap();
        assert!(owner.user.passkey_enabled && owner.role.is_some() && owner.password_hash.is_some());
        let found = scene.store.find_passkey_sign_in(&passkey.credential_id).await.unwrap();
        assert_eq!(found, Some(PasskeySignIn { owner, passkey, handle }));
    }
}

pub(crate) async fn an_unknown_credential_finds_nobody(scene: &Scene) {
    let user = scene.sign_up().await.user;
    scene.store.claim_handle(user.id, &scene.world.user_handle()).await.unwrap();
    let (passkey, unknown) = (scene.world.passkey(&user), scene.world.passkey(&user).credential_id);
    add(scene, &passkey).await;
    let shorter = CredentialId::parse(&passkey.credential_id.as_bytes()[..31]).unwrap();
    for id in [&unknown, &shorter] {
        assert_eq!(scene.store.find_passkey_sign_in(id).await.unwrap(), None);
    }
    assert!(scene.store.find_passkey_sign_in(&passkey.credential_id).await.unwrap().is_some());
    assert!(remove(&*scene.store, &passkey, scene.now()).await);
    assert_eq!(scene.store.find_passkey_sign_in(&passkey.credential_id).await.unwrap(), None);
}

pub(crate) async fn a_sign_in_finds_the_role_at_home(scene: &Scene) {
    let account = scene.world.account();
    let mut tx = scene.begin().await;
    tx.organizations().insert(&account.organization).await.unwrap();
    tx.users().insert(&account.user, None).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(scene.find_sign_in(&account).await.unwrap().role, None);

    let host = scene.sign_up().await;
    scene.join(&account, &host.organization, Role::ADMIN).await.unwrap();
    assert_eq!(scene.find_sign_in(&account).await.unwrap().role, None);

    scene.join(&account, &account.organization, Role::MEMBER).await.unwrap();
    assert_eq!(scene.find_sign_in(&account).await.unwrap().role, Some(Role::MEMBER));
}
