//! Cases of `OrganizationRepo`. There is no look-up of organisations yet: that one is kept shows in what it forbids.

use std::sync::Arc;

use identsphere_organizations::{Organization, Role};

use crate::scene::{CONTENDERS, Scene, assert_conflict, race};

pub(crate) async fn organizations_of_every_shape_are_taken(scene: &Scene) {
    let organizations = scene.world.extreme_organizations();
    for organization in &organizations {
        scene.save_organization(organization).await.unwrap();
    }
    for organization in organizations {
        let namesake = Organization { slug: organization.slug, ..scene.world.organization() };
        assert_conflict(scene.save_organization(&namesake).await, "organizations_slug_key");
    }
}

pub(crate) async fn a_taken_slug_is_refused(scene: &Scene) {
    let first = scene.sign_up().await;
    let mut second = scene.world.account();
    second.organization.slug = first.organization.slug.clone();
    assert_conflict(second.save(&*scene.store).await, "organizations_slug_key");
    assert!(!scene.knows(&second).await);
    assert!(scene.knows(&first).await);
}

pub(crate) async fn a_taken_organization_id_is_refused(scene: &Scene) {
    let first = scene.world.organization();
    scene.save_organization(&first).await.unwrap();
    let second = Organization { id: first.id, ..scene.world.organization() };
    assert_conflict(scene.save_organization(&second).await, "organizations_pkey");
}

pub(crate) async fn a_second_membership_is_refused(scene: &Scene) {
    let (account, session) = scene.visitor().await;
    let again = scene.join(&account, &account.organization, Role::VIEWER).await;
    assert_conflict(again, "organization_memberships_pkey");
    assert_eq!(scene.find_principal(&session).await.unwrap().role, Role::OWNER);
}

pub(crate) async fn a_membership_needs_a_user_and_an_organization(scene: &Scene) {
    let (account, stranger) = (scene.sign_up().await, scene.world.account());
    assert!(scene.join(&stranger, &account.organization, Role::VIEWER).await.is_err());
    assert!(scene.join(&account, &stranger.organization, Role::VIEWER).await.is_err());
}

pub(crate) async fn of_many_who_claim_one_slug_one_wins(scene: &Scene) {
    let slug = scene.world.organization().slug;
    let claims: Vec<_> = (0..CONTENDERS)
        .map(|_| {
            let mut account = scene.world.account();
            account.organization.slug = slug.clone();
            account
        })
        .collect();
    let outcomes = race(claims.into_iter().map(|account| {
        let store = Arc::clone(&scene.store);
        async move {
            let outcome = account.save(&*store).await;
            (account, outcome)
        }
    }))
    .await;

    let mut winners = 0;
    for (account, outcome) in outcomes {
        let won = outcome.is_ok();
        assert_eq!(scene.knows(&account).await, won, "a refused claim leaves nothing behind");
        if won {
            winners += 1;
        } else {
            assert_conflict(outcome, "organizations_slug_key");
        }
    }
    assert_eq!(winners, 1);
}
