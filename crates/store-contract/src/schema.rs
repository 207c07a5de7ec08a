//! Cases of `Schema` that hold for every store, those without a schema included.

use crate::scene::Scene;

pub(crate) async fn a_fresh_store_is_ready(scene: &Scene) {
    scene.store.ping().await.unwrap();
    assert_eq!(scene.store.schema_state().await.unwrap().pending, [""; 0]);
    let engine = scene.store.engine();
    assert!(!engine.is_empty() && engine.bytes().all(|byte| byte.is_ascii_lowercase()), "{engine:?}");
}

pub(crate) async fn migrating_again_does_nothing(scene: &Scene) {
    let (account, session) = scene.visitor().await;
    let before = scene.store.schema_state().await.unwrap();
    assert_eq!(scene.store.migrate_up().await.unwrap(), [""; 0]);
    assert_eq!(scene.store.schema_state().await.unwrap(), before);
    assert!(scene.knows(&account).await);
    assert!(scene.find_principal(&session).await.is_some());
}
