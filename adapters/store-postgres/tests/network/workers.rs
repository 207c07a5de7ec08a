//! Web workers, which ask on runtimes of their own and have connections of their own.

use std::thread;
use std::time::{Duration, Instant};

use identsphere_core::{Schema, Store, Tx};
use identsphere_kernel::{SecretString, StoreError};
use identsphere_store_postgres::{PgConfig, PgStore};
use identsphere_testkit::{PostgresServer, World, fresh_schema_name};
use tokio::runtime::{Builder, Handle};
use tokio_postgres::{Client, NoTls};

use crate::{config, migrated};

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_has_connections_of_its_own_and_takes_them_along() {
    let (config, name) = named_config(4, 1);
    let (store, watcher) = (migrated(&config).await, watcher(&config).await);
    drop(store);
    let store = PgStore::open(&config).unwrap();
    assert_eq!(connections(&watcher, &name).await, 0);

    store.ping().await.unwrap();
    assert_eq!(connections(&watcher, &name).await, 1);
    let seen = on_a_worker({
        let (store, watcher, name, here) = (store.clone(), watcher, name.clone(), Handle::current());
        async move {
            store.ping().await.unwrap();
            store.ping().await.unwrap();
            // The watcher lives on the other runtime.
            let seen = here.spawn(async move { (connections(&watcher, &name).await, watcher) });
            seen.await.unwrap()
        }
    });
    let (count, watcher) = seen;
    assert_eq!(count, 2);

    let deadline = Instant::now() + Duration::from_secs(10);
    while connections(&watcher, &name).await > 1 {
        assert!(Instant::now() < deadline, "the connections of a worker outlive it");
    }
    store.ping().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_whose_own_are_in_use_takes_those_of_everybody_and_no_more_than_there_are() {
    let (config, name) = named_config(4, 2);
    let (store, watcher) = (migrated(&config).await, watcher(&config).await);
    let (in_use, one_more, watcher) = on_a_worker({
        let (store, here, name) = (store.clone(), Handle::current(), name.clone());
        async move {
            let mut held = vec![];
            // One of its own, two of everybody's; the fourth is the other worker's.
            for _ in 0..3 {
                held.push(open_transaction(&store).await.unwrap());
            }
            let one_more = open_transaction(&store).await.map(drop);
            let seen = here.spawn(async move { (connections(&watcher, &name).await, watcher) });
            let (in_use, watcher) = seen.await.unwrap();
            (in_use, one_more, watcher)
        }
    });
    assert_eq!(in_use, 3);
    assert!(matches!(one_more, Err(StoreError::Unavailable(_))), "{one_more:?}");
    // What was left open has been undone, and nothing is lost.
    on_a_worker({
        let store = store.clone();
        async move {
            for _ in 0..3 {
                open_transaction(&store).await.unwrap();
            }
        }
    });
    drop(watcher);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_waits_takes_the_first_connection_that_becomes_free_its_own_or_not() {
    let (config, _) = named_config(4, 2);
    let store = migrated(&config).await;
    on_a_worker(async move {
        for freed in 0..3 {
            let mut held = vec![];
            for _ in 0..3 {
                held.push(open_transaction(&store).await.unwrap());
            }
            let first = held.remove(freed);
            // Polled first, the question waits before there is anything to be had.
            let (answer, committed) = tokio::join!(biased; store.ping(), first.commit());
            assert!(answer.is_ok(), "connection {freed}: {answer:?}");
            committed.unwrap();
            for tx in held {
                tx.commit().await.unwrap();
            }
        }
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_too_many_uses_those_of_everybody() {
    let (config, name) = named_config(4, 1);
    let (store, watcher) = (migrated(&config).await, watcher(&config).await);
    let ping = |store: PgStore| on_a_worker(async move { store.ping().await });
    ping(store.clone()).unwrap();
    // The place is taken, although whoever had it is gone.
    for _ in 0..3 {
        ping(store.clone()).unwrap();
    }
    assert!(connections(&watcher, &name).await <= 2);
}

/// Connections under a name of their own, with little patience.
fn named_config(pool_size: usize, workers: usize) -> (PgConfig, String) {
    let name = fresh_schema_name();
    let config = config(PostgresServer::shared().url());
    let url = SecretString::new(format!("{}?application_name={name}", config.url.expose()));
    (PgConfig { url, pool_size, workers, acquire_timeout: Duration::from_millis(500), ..config }, name)
}

/// A connection that counts the others.
async fn watcher(config: &PgConfig) -> Client {
    let (url, _) = config.url.expose().split_once('?').unwrap();
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

async fn connections(watcher: &Client, name: &str) -> i64 {
    let count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1";
    watcher.query_one(count, &[&name]).await.unwrap().get(0)
}

/// A transaction that the server knows of.
async fn open_transaction(store: &PgStore) -> Result<Box<dyn Tx>, StoreError> {
    let (world, mut tx) = (World::default(), store.begin().await?);
    let account = world.account();
    let session = world.session(&account.user);
    let reason = identsphere_sessions::RevocationReason::Logout;
    tx.sessions().revoke(session.id, account.user.id, reason, world.now()).await?;
    Ok(tx)
}

/// Runs something on a thread with a runtime of its own, which ends with it.
fn on_a_worker<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    let worker = thread::spawn(|| Builder::new_current_thread().enable_all().build().unwrap().block_on(work));
    worker.join().unwrap()
}
