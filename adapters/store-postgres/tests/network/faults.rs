//! What happens when the server, the network or a row is not as it should be.

use std::thread;
use std::time::Duration;

use identsphere_core::{PrincipalStore, RefreshStore, Schema, SchemaState, Store, Tx};
use identsphere_kernel::{SecretString, StoreError};
use identsphere_sessions::{RevocationReason, Session};
use identsphere_store_postgres::{PgConfig, PgStore};
use identsphere_testkit::builders::save_session;
use identsphere_testkit::{Account, Durability, PostgresServer, Proxy, World};
use tokio_postgres::NoTls;

use crate::{config, migrated};

#[tokio::test(flavor = "multi_thread")]
async fn a_store_outlives_its_server() {
    let server = PostgresServer::start(Durability::Full);
    let store = migrated(&config(server.url())).await;
    let world = World::default();
    let (account, session) = visitor(&store, &world).await;
    for fall in [PostgresServer::kill, PostgresServer::stop] {
        fall(&server);
        assert_unavailable(store.ping().await);
        assert_unavailable(store.find_principal(session.id, world.now()).await);
        assert_unavailable(world.account().save(&store).await);
        server.start_again();
        store.ping().await.unwrap();
        let principal = store.find_principal(session.id, world.now()).await.unwrap().unwrap();
        assert_eq!(principal.user, account.user);
        world.account().save(&store).await.unwrap();
    }
}

#[tokio::test]
async fn a_commit_that_the_server_did_not_live_to_see_is_undone() {
    let server = PostgresServer::start(Durability::Relaxed);
    let store = migrated(&config(server.url())).await;
    let world = World::default();
    let (account, session) = visitor(&store, &world).await;
    let newcomer = world.account();
    let mut tx = store.begin().await.unwrap();
    newcomer.insert(tx.as_mut()).await.unwrap();
    assert!(revoke(tx.as_mut(), &account, &session, &world).await.unwrap());
    server.kill();
    assert_unavailable(tx.commit().await);
    server.start_again();
    assert_eq!(store.find_sign_in(newcomer.user.email.key()).await.unwrap(), None);
    assert!(store.find_principal(session.id, world.now()).await.unwrap().is_some());
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable() {
    let store = PgStore::open(&config("postgres://identsphere@127.0.0.1:1/postgres".to_owned())).unwrap();
    assert_unavailable(store.ping().await);
    assert_unavailable(store.migrate_up().await);
    assert_unavailable(store.schema_state().await);
}

#[tokio::test]
async fn who_waits_too_long_for_a_connection_is_told_so() {
    let (world, config) = (World::default(), config(PostgresServer::shared().url()));
    let (account, session) = visitor(&migrated(&config).await, &world).await;
    let store = PgStore::open(&PgConfig { acquire_timeout: Duration::from_millis(500), ..config }).unwrap();
    let mut tx = store.begin().await.unwrap();
    assert!(revoke(tx.as_mut(), &account, &session, &world).await.unwrap());
    assert_unavailable(store.find_principal(session.id, world.now()).await);
    drop(tx);
    assert!(store.find_principal(session.id, world.now()).await.unwrap().is_some());
}

/// D-34.
#[tokio::test(flavor = "multi_thread")]
async fn a_panic_in_a_transaction_costs_no_connection() {
    let (world, config) = (World::default(), config(PostgresServer::shared().url()));
    let store = migrated(&config).await;
    let (account, session) = visitor(&store, &world).await;
    for _ in 0..20 {
        let mut tx = store.begin().await.unwrap();
        let (theirs, of, at) = (session.clone(), account.clone(), world.clone());
        let task = tokio::spawn(async move {
            assert!(revoke(tx.as_mut(), &of, &theirs, &at).await.unwrap());
            panic!("a panic that a test asked for");
        });
        assert!(task.await.unwrap_err().is_panic());
        // There is one connection for all.
        assert!(store.find_principal(session.id, world.now()).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn a_connection_without_an_answer_is_given_up() {
    let proxy = Proxy::start();
    let config = PgConfig { statement_timeout: Duration::from_millis(50), ..config(proxy.url()) };
    let store = migrated(&config).await;
    store.ping().await.unwrap();
    proxy.mute(true);
    assert_unavailable(store.ping().await);
    proxy.mute(false);
    store.ping().await.unwrap();
}

#[tokio::test]
async fn a_statement_that_waits_too_long_is_unavailable() {
    let (world, config) = (World::default(), config(PostgresServer::shared().url()));
    let patient = migrated(&config).await;
    let (account, session) = visitor(&patient, &world).await;
    let mut tx = patient.begin().await.unwrap();
    assert!(revoke(tx.as_mut(), &account, &session, &world).await.unwrap());

    let hasty = PgConfig { statement_timeout: Duration::from_millis(50), ..config };
    let hasty = PgStore::open(&hasty).unwrap();
    assert_unavailable(hasty.rotate_refresh(&world.rotation(&session)).await);
    drop(tx);
    assert!(patient.rotate_refresh(&world.rotation(&session)).await.unwrap().is_some());
}

#[tokio::test]
async fn of_two_who_wait_for_each_other_one_may_try_again() {
    let (world, config) = (World::default(), config(PostgresServer::shared().url()));
    let store = migrated(&PgConfig { pool_size: 2, ..config }).await;
    let (ada, adas) = visitor(&store, &world).await;
    let (bob, bobs) = visitor(&store, &world).await;
    let (mut one, mut other) = (store.begin().await.unwrap(), store.begin().await.unwrap());
    assert!(revoke(one.as_mut(), &ada, &adas, &world).await.unwrap());
    assert!(revoke(other.as_mut(), &bob, &bobs, &world).await.unwrap());
    // Whoever fails must let go, or the other waits on.
    let crosswise =
        async |mut tx: Box<dyn Tx>, account, session| revoke(tx.as_mut(), account, session, &world).await;
    let outcomes = tokio::join!(crosswise(one, &bob, &bobs), crosswise(other, &ada, &adas));
    let ((Err(failed), Ok(true)) | (Ok(true), Err(failed))) = outcomes else { panic!("{outcomes:?}") };
    assert!(matches!(failed, StoreError::Retry(_)), "{failed:?}");
}

#[tokio::test]
async fn a_server_that_only_reads_is_no_good() {
    let mut config = config(PostgresServer::shared().url());
    let world = World::default();
    let (_, session) = visitor(&migrated(&config).await, &world).await;
    let read_only = format!("{}?options=-c%20default_transaction_read_only%3Don", config.url.expose());
    config.url = SecretString::new(read_only);
    let store = PgStore::open(&config).unwrap();
    assert_unavailable(store.ping().await);
    assert_unavailable(world.account().save(&store).await);
    assert!(store.find_principal(session.id, world.now()).await.unwrap().is_some());
}

#[tokio::test]
async fn a_row_that_makes_no_sense_is_corrupt() {
    let config = config(PostgresServer::shared().url());
    let (store, world) = (migrated(&config).await, World::default());
    let (account, session) = visitor(&store, &world).await;
    let (client, connection) = tokio_postgres::connect(config.url.expose(), NoTls).await.unwrap();
    tokio::spawn(connection);
    for damage in ["refresh_generation = -1", "refresh_hash = 'short'", "auth_method = 'guessing'"] {
        let statement = format!("UPDATE {}.user_sessions SET {damage}", config.schema);
        client.batch_execute(&statement).await.unwrap();
        let found = store.find_principal(session.id, world.now()).await;
        assert!(matches!(found, Err(StoreError::Corrupt(_))), "{damage}: {found:?}");
    }
    assert!(store.find_sign_in(account.user.email.key()).await.unwrap().is_some());
}

#[tokio::test]
async fn a_migration_beneath_those_of_a_newer_program_is_not_reverted() {
    let config = config(PostgresServer::shared().url());
    let store = migrated(&config).await;
    let before = store.schema_state().await.unwrap();
    let (client, connection) = tokio_postgres::connect(config.url.expose(), NoTls).await.unwrap();
    tokio::spawn(connection);
    let ledger = format!("{}.__diesel_schema_migrations", config.schema);
    client.batch_execute(&format!("INSERT INTO {ledger} (version) VALUES ('29990101000001')")).await.unwrap();
    let refused = store.migrate_down(1).await;
    assert!(matches!(refused, Err(StoreError::Corrupt(_))), "{refused:?}");
    let expected = SchemaState { newer: vec!["29990101000001".to_owned()], ..before };
    assert_eq!(store.schema_state().await.unwrap(), expected);
    assert_eq!(store.migrate_up().await.unwrap(), [""; 0]);
}

/// A web worker has a runtime of its own, and may end before the others.
#[tokio::test(flavor = "multi_thread")]
async fn a_runtime_that_ends_takes_no_connections_along() {
    let store = PgStore::open(&config(PostgresServer::shared().url())).unwrap();
    let worker = thread::spawn({
        let store = store.clone();
        move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async { store.migrate_up().await.and(store.ping().await) })
        }
    });
    worker.join().unwrap().unwrap();
    store.ping().await.unwrap();
}

async fn visitor(store: &PgStore, world: &World) -> (Account, Session) {
    let account = world.account();
    let session = world.session(&account.user);
    account.save(store).await.unwrap();
    save_session(store, &session).await.unwrap();
    (account, session)
}

async fn revoke(
    tx: &mut dyn Tx,
    account: &Account,
    session: &Session,
    world: &World,
) -> Result<bool, StoreError> {
    tx.sessions().revoke(session.id, account.user.id, RevocationReason::Logout, world.now()).await
}

#[track_caller]
fn assert_unavailable<T: std::fmt::Debug>(outcome: Result<T, StoreError>) {
    assert!(matches!(outcome, Err(StoreError::Unavailable(_))), "{outcome:?}");
}
