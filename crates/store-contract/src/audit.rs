//! Cases of `AuditRepo`. The log has no look-up yet: what is checked is that every row there can be is taken.

use identsphere_audit::AuditAction;

use crate::scene::Scene;

pub(crate) async fn rows_of_every_shape_are_taken(scene: &Scene) {
    let account = scene.sign_up().await;
    let mut tx = scene.begin().await;
    for event in scene.world.extreme_audit_events(&account) {
        tx.audit().append(&event).await.unwrap();
    }
    tx.commit().await.unwrap();
}

/// A row outlives what it speaks of, and speaks of what never came to be.
pub(crate) async fn rows_about_unknown_things_are_taken(scene: &Scene) {
    let stranger = scene.world.account();
    let mut tx = scene.begin().await;
    let event = scene.world.audit_event(AuditAction::LoginFailed, &stranger);
    tx.audit().append(&event).await.unwrap();
    tx.commit().await.unwrap();
}
