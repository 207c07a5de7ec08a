//! Cases of `KeyStore` and `KeyRepo`.

use std::sync::Arc;

use identsphere_core::Store;
use identsphere_kernel::{Duration, StoreError};
use identsphere_tokens::{KeyId, SigningKey};

use crate::scene::{CONTENDERS, Scene, assert_conflict, race};

pub(crate) async fn a_key_comes_back_exactly_as_given(scene: &Scene) {
    assert_eq!(list(scene).await, []);
    let keys = scene.world.extreme_signing_keys();
    for key in &keys {
        insert(&*scene.store, key).await.unwrap();
    }
    assert_eq!(list(scene).await, keys);
}

pub(crate) async fn keys_are_listed_oldest_first(scene: &Scene) {
    let newest = scene.world.signing_key(None);
    let mut keys = vec![newest.clone()];
    for age in [Duration::from_micros(1), Duration::from_secs(1), Duration::from_secs(86_400)] {
        let predecessor = keys.first().cloned();
        let key = SigningKey {
            created_at: newest.created_at.minus(age),
            activates_at: newest.activates_at.plus(age),
            ..scene.world.signing_key(predecessor.as_ref())
        };
        keys.insert(0, key);
    }
    for key in keys.iter().rev() {
        insert(&*scene.store, key).await.unwrap();
    }
    assert_eq!(list(scene).await, keys);
}

pub(crate) async fn a_second_first_key_is_refused(scene: &Scene) {
    let first = scene.world.signing_key(None);
    insert(&*scene.store, &first).await.unwrap();
    let second = insert(&*scene.store, &scene.world.signing_key(None)).await;
    assert_conflict(second, "signing_keys_predecessor_key");
    assert_eq!(list(scene).await, [first]);
}

pub(crate) async fn a_second_successor_is_refused(scene: &Scene) {
    let first = scene.world.signing_key(None);
    scene.world.clock.advance(Duration::from_secs(1));
    let successor = scene.world.signing_key(Some(&first));
    insert(&*scene.store, &first).await.unwrap();
    insert(&*scene.store, &successor).await.unwrap();
    let second = insert(&*scene.store, &scene.world.signing_key(Some(&first))).await;
    assert_conflict(second, "signing_keys_predecessor_key");
    assert_eq!(list(scene).await, [first, successor]);
}

pub(crate) async fn a_taken_key_id_is_refused(scene: &Scene) {
    let first = scene.world.signing_key(None);
    insert(&*scene.store, &first).await.unwrap();
    let twin = SigningKey { kid: first.kid.clone(), ..scene.world.signing_key(Some(&first)) };
    assert_conflict(insert(&*scene.store, &twin).await, "signing_keys_pkey");
    assert_eq!(list(scene).await, [first]);
}

pub(crate) async fn a_key_is_deleted_once(scene: &Scene) {
    let first = scene.world.signing_key(None);
    let second = scene.world.signing_key(Some(&first));
    insert(&*scene.store, &first).await.unwrap();
    insert(&*scene.store, &second).await.unwrap();
    assert!(delete(scene, &first.kid).await);
    assert!(!delete(scene, &first.kid).await);
    assert!(!delete(scene, &KeyId::new("unknown")).await);
    assert_eq!(list(scene).await, [second]);
}

pub(crate) async fn of_many_first_keys_one_wins(scene: &Scene) {
    one_wins(scene, None).await;
}

pub(crate) async fn of_many_successors_one_wins(scene: &Scene) {
    let first = scene.world.signing_key(None);
    insert(&*scene.store, &first).await.unwrap();
    scene.world.clock.advance(Duration::from_secs(1));
    one_wins(scene, Some(&first)).await;
}

async fn one_wins(scene: &Scene, predecessor: Option<&SigningKey>) {
    let outcomes = race((0..CONTENDERS).map(|_| {
        let (store, key) = (Arc::clone(&scene.store), scene.world.signing_key(predecessor));
        async move {
            let outcome = insert(&*store, &key).await;
            (key, outcome)
        }
    }))
    .await;
    let mut winners = Vec::new();
    for (key, outcome) in outcomes {
        match outcome {
            Ok(()) => winners.push(key),
            refused => assert_conflict(refused, "signing_keys_predecessor_key"),
        }
    }
    assert_eq!(winners.len(), 1);
    let expected: Vec<SigningKey> = predecessor.cloned().into_iter().chain(winners).collect();
    assert_eq!(list(scene).await, expected);
}

async fn list(scene: &Scene) -> Vec<SigningKey> {
    scene.store.list_signing_keys().await.unwrap()
}

async fn insert(store: &dyn Store, key: &SigningKey) -> Result<(), StoreError> {
    let mut tx = store.begin().await?;
    tx.keys().insert(key).await?;
    tx.commit().await
}

async fn delete(scene: &Scene, kid: &KeyId) -> bool {
    let mut tx = scene.begin().await;
    let deleted = tx.keys().delete(kid).await.unwrap();
    tx.commit().await.unwrap();
    deleted
}
