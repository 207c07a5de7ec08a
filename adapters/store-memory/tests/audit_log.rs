//! What only the in-memory store promises about the audit log.

use identsphere_audit::AuditAction;
use identsphere_core::Store;
use identsphere_store_memory::{AUDIT_ROWS, MemoryStore};
use identsphere_testkit::World;

#[tokio::test]
async fn rows_are_written_with_their_transaction_or_not_at_all() {
    let (store, world) = (MemoryStore::new(), World::default());
    let account = world.account();
    let events = world.extreme_audit_events(&account);
    let mut dropped = store.begin().await.unwrap();
    for event in &events {
        dropped.audit().append(event).await.unwrap();
    }
    drop(dropped);
    assert_eq!(store.audit_log(), []);

    let mut tx = store.begin().await.unwrap();
    for event in &events {
        tx.audit().append(event).await.unwrap();
    }
    tx.commit().await.unwrap();
    assert_eq!(store.audit_log(), events);
}

#[tokio::test]
async fn the_newest_rows_are_kept() {
    let (store, world) = (MemoryStore::new(), World::default());
    let account = world.account();
    let event = |number: usize| world.audit_event(AuditAction::Login, &account).with("number", number);
    let mut tx = store.begin().await.unwrap();
    for number in 0..AUDIT_ROWS + 5 {
        tx.audit().append(&event(number)).await.unwrap();
    }
    tx.commit().await.unwrap();

    let log = store.audit_log();
    assert_eq!(log.len(), AUDIT_ROWS);
    assert_eq!(log.first().map(|row| row.metadata["number"].clone()), Some(5.into()));
    assert_eq!(log.last().map(|row| row.metadata["number"].clone()), Some((AUDIT_ROWS + 4).into()));
}
