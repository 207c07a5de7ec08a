//! Cases of `rotate_refresh`: of all who present one leaf, one gets its successor.

use std::sync::Arc;

use identsphere_accounts::{User, UserStatus};
use identsphere_core::{Principal, RefreshRotation};
use identsphere_kernel::Duration;
use identsphere_organizations::Role;
use identsphere_sessions::{ClientInfo, RefreshState, Session};
use identsphere_testkit::Account;
use identsphere_testkit::builders::SESSION_LIFETIME;

use crate::scene::{CONTENDERS, Scene, race, sign_out};

const INSTANT: Duration = Duration::from_micros(1);

pub(crate) async fn the_leaf_is_exchanged_for_its_successor(scene: &Scene) {
    let (account, session) = scene.visitor().await;
    let bystander = scene.sign_in(&account).await;
    scene.world.clock.advance(Duration::from_secs(600));
    let rotation = scene.world.rotation(&session);
    let rotated = rotated(&session, &rotation);
    let expected = Principal { user: account.user, session: rotated.clone(), role: Role::OWNER };

    assert_eq!(scene.store.rotate_refresh(&rotation).await.unwrap(), Some(expected.clone()));
    assert_eq!(scene.find_principal(&session).await, Some(expected));
    let state = scene.store.find_refresh_state(session.id).await.unwrap().unwrap();
    assert_eq!((state.leaf, state.expires_at), (rotated.leaf, session.expires_at));
    assert_eq!(scene.find_principal(&bystander).await.unwrap().session, bystander);
}

pub(crate) async fn the_client_is_replaced_even_by_a_silent_one(scene: &Scene) {
    let (_, mut session) = scene.visitor().await;
    for client in [ClientInfo::default(), session.client.clone(), ClientInfo::new(None, Some("🧭"))] {
        let rotation = RefreshRotation { client, ..scene.world.rotation(&session) };
        session = rotated(&session, &rotation);
        assert_eq!(scene.store.rotate_refresh(&rotation).await.unwrap().unwrap().session, session);
        assert_eq!(scene.find_principal(&session).await.unwrap().session, session);
    }
}

pub(crate) async fn a_replaced_leaf_is_refused(scene: &Scene) {
    let (account, session) = scene.visitor().await;
    let invented = RefreshRotation { presented: scene.world.token_hash(), ..scene.world.rotation(&session) };
    assert_refused(scene, &invented).await;
    let other = scene.sign_in(&account).await;
    let foreign = RefreshRotation { presented: other.leaf.hash, ..scene.world.rotation(&session) };
    assert_refused(scene, &foreign).await;

    let first = scene.world.rotation(&session);
    assert!(scene.store.rotate_refresh(&first).await.unwrap().is_some());
    assert_refused(scene, &first).await;
    assert_refused(scene, &scene.world.rotation(&session)).await;
}

pub(crate) async fn a_revoked_family_is_refused(scene: &Scene) {
    let (_, session) = scene.visitor().await;
    assert!(scene.revoke(&session).await);
    assert_refused(scene, &scene.world.rotation(&session)).await;
}

pub(crate) async fn an_ended_family_is_refused(scene: &Scene) {
    let (_, session) = scene.visitor().await;
    scene.world.clock.advance(SESSION_LIFETIME);
    assert_refused(scene, &scene.world.rotation(&session)).await;

    let mut in_time = scene.world.rotation(&session);
    in_time.successor.issued_at = session.expires_at.minus(INSTANT);
    assert!(scene.store.rotate_refresh(&in_time).await.unwrap().is_some());
}

pub(crate) async fn an_unknown_family_is_refused(scene: &Scene) {
    let (account, _) = scene.visitor().await;
    let rotation = scene.world.rotation(&scene.world.session(&account.user));
    assert_refused(scene, &rotation).await;
}

pub(crate) async fn users_who_are_not_active_are_refused(scene: &Scene) {
    for status in UserStatus::ALL {
        let account = scene.world.account();
        let account = Account { user: User { status, ..account.user }, ..account };
        account.save(&*scene.store).await.unwrap();
        let rotation = scene.world.rotation(&scene.sign_in(&account).await);
        match status {
            UserStatus::Active => assert!(scene.store.rotate_refresh(&rotation).await.unwrap().is_some()),
            UserStatus::Invited | UserStatus::Disabled | UserStatus::Deleted => {
                assert_refused(scene, &rotation).await;
            }
        }
    }
}

pub(crate) async fn users_who_are_no_members_are_refused(scene: &Scene) {
    let (guest, host) = (scene.sign_up().await, scene.sign_up().await);
    let visit = Session { organization: host.organization.id, ..scene.world.session(&guest.user) };
    scene.save(&visit).await;
    let rotation = scene.world.rotation(&visit);
    assert_refused(scene, &rotation).await;

    scene.join(&guest, &host.organization, Role::VIEWER).await.unwrap();
    assert_eq!(scene.store.rotate_refresh(&rotation).await.unwrap().unwrap().role, Role::VIEWER);
}

pub(crate) async fn members_of_deleted_organizations_are_refused(scene: &Scene) {
    let (account, session) = scene.visitor().await;
    scene.delete_organization_of(&account).await;
    let rotation = scene.world.rotation(&session);
    assert_eq!(scene.store.rotate_refresh(&rotation).await.unwrap(), None);
    let state = scene.store.find_refresh_state(session.id).await.unwrap().unwrap();
    assert_eq!(state.leaf, session.leaf);
}

pub(crate) async fn a_long_chain_keeps_only_its_newest_leaf(scene: &Scene) {
    let (_, mut session) = scene.visitor().await;
    let mut past = Vec::new();
    for _ in 0..20 {
        scene.world.clock.advance(Duration::from_secs(60));
        let rotation = scene.world.rotation(&session);
        session = rotated(&session, &rotation);
        assert_eq!(scene.store.rotate_refresh(&rotation).await.unwrap().unwrap().session, session);
        past.push(rotation);
    }
    for rotation in past {
        assert_refused(scene, &rotation).await;
    }
    assert_eq!(scene.find_principal(&session).await.unwrap().session, session);
}

pub(crate) async fn of_many_who_present_one_leaf_one_wins(scene: &Scene) {
    let (_, mut session) = scene.visitor().await;
    for _ in 0..32 {
        let outcomes = race((0..CONTENDERS).map(|_| {
            let (store, rotation) = (Arc::clone(&scene.store), scene.world.rotation(&session));
            async move { store.rotate_refresh(&rotation).await.unwrap().map(|won| (won, rotation)) }
        }))
        .await;
        let mut winners: Vec<_> = outcomes.into_iter().flatten().collect();
        assert_eq!(winners.len(), 1);
        let (principal, rotation) = winners.remove(0);
        assert_eq!(principal.session, rotated(&session, &rotation));
        assert_eq!(scene.find_principal(&session).await, Some(principal.clone()));
        session = principal.session;
    }
}

/// However the two fall, the family is over: a rotation writes the leaf, never the end.
pub(crate) async fn a_revocation_beats_every_rotation(scene: &Scene) {
    let account = scene.sign_up().await;
    for _ in 0..16 {
        let session = scene.sign_in(&account).await;
        let now = scene.now();
        let refresher = {
            let (store, rotation) = (Arc::clone(&scene.store), scene.world.rotation(&session));
            async move {
                store.rotate_refresh(&rotation).await.unwrap();
                None
            }
        };
        let leaver = {
            let (store, session) = (Arc::clone(&scene.store), session.clone());
            async move { Some(sign_out(&*store, &session, now).await.unwrap()) }
        };
        let racers: [std::pin::Pin<Box<dyn Future<Output = Option<bool>> + Send>>; 2] =
            [Box::pin(refresher), Box::pin(leaver)];
        let outcomes = race(racers).await;

        assert!(outcomes.contains(&Some(true)), "the revocation was lost");
        assert_eq!(scene.find_principal(&session).await, None);
        let state = scene.store.find_refresh_state(session.id).await.unwrap().unwrap();
        assert_eq!(state.revoked_at, Some(now));
    }
}

/// The session after its rotation.
fn rotated(session: &Session, rotation: &RefreshRotation) -> Session {
    Session {
        leaf: rotation.successor.clone(),
        client: rotation.client.clone(),
        last_active_at: rotation.successor.issued_at,
        ..session.clone()
    }
}

/// That a rotation is refused and changes nothing.
async fn assert_refused(scene: &Scene, rotation: &RefreshRotation) {
    let before = snapshot(scene, rotation).await;
    assert_eq!(scene.store.rotate_refresh(rotation).await.unwrap(), None);
    assert_eq!(snapshot(scene, rotation).await, before);
}

async fn snapshot(scene: &Scene, rotation: &RefreshRotation) -> (Option<RefreshState>, Option<Principal>) {
    let state = scene.store.find_refresh_state(rotation.session).await.unwrap();
    (state, scene.store.find_principal(rotation.session, scene.now()).await.unwrap())
}
