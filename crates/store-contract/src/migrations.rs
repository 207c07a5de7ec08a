//! Cases of the migrations of stores that have a schema.

use std::sync::Arc;

use identsphere_core::{SchemaState, Store};
use identsphere_testkit::builders::save_session;

use crate::scene::{Place, race};

/// More steps than there will ever be migrations.
const ALL: u32 = 10_000;

pub(crate) async fn every_migration_is_applied_once_in_order(place: &Place) {
    let store = place.storage.open().await;
    let SchemaState { applied, pending, newer } = store.schema_state().await.unwrap();
    assert_eq!((applied, newer), (vec![], vec![]));
    assert!(!pending.is_empty() && pending.is_sorted(), "{pending:?}");
    assert_eq!(store.migrate_up().await.unwrap(), pending);
    assert_eq!(store.schema_state().await.unwrap(), SchemaState { applied: pending, ..Default::default() });
    assert_eq!(store.migrate_up().await.unwrap(), [""; 0]);
    store.ping().await.unwrap();
}

pub(crate) async fn the_newest_migration_is_reverted_first(place: &Place) {
    let store = place.storage.open().await;
    let mut applied = store.migrate_up().await.unwrap();
    assert_eq!(store.migrate_down(0).await.unwrap(), [""; 0]);
    let newest = applied.split_off(applied.len() - 1);
    assert_eq!(store.migrate_down(1).await.unwrap(), newest);
    let expected = SchemaState { applied: applied.clone(), pending: newest.clone(), newer: vec![] };
    assert_eq!(store.schema_state().await.unwrap(), expected);
    assert_eq!(store.migrate_up().await.unwrap(), newest);

    let mut reverted = store.migrate_down(ALL).await.unwrap();
    reverted.reverse();
    applied.extend(newest);
    assert_eq!(reverted, applied, "newest first");
    assert_eq!(store.migrate_down(1).await.unwrap(), [""; 0]);
}

pub(crate) async fn a_store_that_went_down_and_up_works(place: &Place) {
    let store = place.storage.open().await;
    for _ in 0..2 {
        store.migrate_up().await.unwrap();
        let account = place.world.account();
        let session = place.world.session(&account.user);
        account.save(&*store).await.unwrap();
        save_session(&*store, &session).await.unwrap();
        assert!(store.find_principal(session.id, place.world.now()).await.unwrap().is_some());
        store.migrate_down(ALL).await.unwrap();
    }
}

/// Nodes that start together migrate together: they take turns, and each migration is applied by one of them.
pub(crate) async fn several_nodes_may_migrate_at_once(place: &Place) {
    let mut handles: Vec<Arc<dyn Store>> = Vec::new();
    for _ in 0..4 {
        let handle = place.storage.open().await;
        handles.extend([Arc::clone(&handle), handle]);
    }
    let store = Arc::clone(&handles[0]);
    let expected = store.schema_state().await.unwrap().pending;
    let outcomes =
        race(handles.into_iter().map(|handle| async move { handle.migrate_up().await.unwrap() })).await;
    let mut applied: Vec<String> = outcomes.into_iter().flatten().collect();
    applied.sort();
    assert_eq!(applied, expected);
    assert_eq!(store.schema_state().await.unwrap(), SchemaState { applied, ..Default::default() });
    place.world.account().save(&*store).await.unwrap();
}
