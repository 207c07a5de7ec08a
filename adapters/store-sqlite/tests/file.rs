//! What is peculiar to a store that is one file: the file itself, who else may hold it, and what is in it when the
//! process ends without warning. What every store has to do is in `contract.rs`.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use diesel::connection::SimpleConnection;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Text;
use identsphere_core::{
    BucketKey, PrincipalStore, Quota, RateLimitStore, RefreshStore, Schema, SchemaState, Store, Take, Tx,
};
use identsphere_kernel::{Duration, StoreError};
use identsphere_sessions::{RevocationReason, Session};
use identsphere_store_sqlite::{SqliteOptions, SqliteStore};
use identsphere_testkit::builders::{Account, World, save_session};
use tempfile::TempDir;

const IMPATIENT: SqliteOptions =
    SqliteOptions { busy_timeout: Duration::from_millis(50), ..SqliteOptions::standard() };

/// A folder with one migrated database in it.
struct Scene {
    folder: TempDir,
    store: SqliteStore,
    world: World,
}

impl Scene {
    async fn new(options: SqliteOptions) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&folder.path().join("identsphere.db"), options).unwrap();
        store.migrate_up().await.unwrap();
        Self { folder, store, world: World::default() }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("identsphere.db")
    }

    /// A connection as another process would have: it waits for nobody.
    fn outsider(&self) -> SqliteConnection {
        SqliteConnection::establish(self.path().to_str().unwrap()).unwrap()
    }

    async fn account_with_session(&self) -> (Account, Session) {
        let account = self.world.account();
        let session = self.world.session(&account.user);
        account.save(&self.store).await.unwrap();
        save_session(&self.store, &session).await.unwrap();
        (account, session)
    }

    /// A transaction that has asked for an answer and therefore holds the write lock.
    async fn locked_transaction(&self, session: &Session) -> Box<dyn Tx> {
        let mut tx = self.store.begin().await.unwrap();
        let reason = RevocationReason::Logout;
        assert!(tx.sessions().revoke(session.id, session.user, reason, self.world.now()).await.unwrap());
        tx
    }
}

fn lock(outsider: &mut SqliteConnection) -> QueryResult<()> {
    outsider.batch_execute("BEGIN IMMEDIATE")
}

fn pragma(connection: &mut SqliteConnection, name: &str) -> String {
    sql::<Text>(&format!("SELECT * FROM pragma_{name}")).get_result(connection).unwrap()
}

#[tokio::test]
async fn a_migration_beneath_those_of_a_newer_program_is_not_reverted() {
    let scene = Scene::new(SqliteOptions::standard()).await;
    let before = scene.store.schema_state().await.unwrap();
    let newer = "INSERT INTO __diesel_schema_migrations (version) VALUES ('29990101000001')";
    scene.outsider().batch_execute(newer).unwrap();
    let refused = scene.store.migrate_down(1).await;
    assert!(matches!(refused, Err(StoreError::Corrupt(_))), "{refused:?}");
    let expected = SchemaState { newer: vec!["29990101000001".to_owned()], ..before };
    assert_eq!(scene.store.schema_state().await.unwrap(), expected);
    assert_eq!(scene.store.migrate_up().await.unwrap(), [""; 0]);
}

#[tokio::test]
async fn the_file_keeps_a_write_ahead_log() {
    let scene = Scene::new(SqliteOptions::standard()).await;
    assert_eq!(pragma(&mut scene.outsider(), "journal_mode"), "wal");
}

#[cfg(unix)]
#[tokio::test]
async fn new_files_are_their_owners_alone() {
    use std::os::unix::fs::PermissionsExt;

    let scene = Scene::new(SqliteOptions::standard()).await;
    let files: Vec<_> = fs::read_dir(scene.folder.path()).unwrap().map(Result::unwrap).collect();
    assert_eq!(files.len(), 3, "the database, its log and the log's index: {files:?}");
    for file in files {
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{file:?}");
    }
}

#[tokio::test]
async fn a_path_is_never_taken_for_an_address() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file:x?mode=memory");
    let store = SqliteStore::open(&path, SqliteOptions::standard()).unwrap();
    store.migrate_up().await.unwrap();
    assert!(path.exists());
}

#[test]
fn a_folder_that_is_not_there_makes_the_store_unavailable() {
    let outcome = SqliteStore::open(Path::new("/nowhere/identsphere.db"), SqliteOptions::standard());
    assert!(matches!(outcome.err(), Some(StoreError::Unavailable(_))));
}

#[test]
fn a_file_that_is_no_database_is_corrupt() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("letter.txt");
    fs::write(&path, "Dear Ada, ".repeat(500)).unwrap();
    let outcome = SqliteStore::open(&path, SqliteOptions::standard());
    assert!(matches!(outcome.err(), Some(StoreError::Corrupt(_))));
}

#[tokio::test]
async fn a_killed_process_leaves_behind_what_it_committed_and_nothing_else() {
    let scene = Scene::new(SqliteOptions::standard()).await;
    let (account, session) = scene.account_with_session().await;
    let unfinished = scene.locked_transaction(&session).await;

    // What the disk holds at this moment is what a successor of a killed process finds.
    let after = tempfile::tempdir().unwrap();
    for name in ["identsphere.db", "identsphere.db-wal"] {
        fs::copy(scene.folder.path().join(name), after.path().join(name)).unwrap();
    }
    let successor = SqliteStore::open(&after.path().join("identsphere.db"), IMPATIENT).unwrap();
    let found = successor.find_principal(session.id, scene.world.now()).await.unwrap().unwrap();
    assert_eq!((found.user, found.session), (account.user, session));
    scene.world.account().save(&successor).await.unwrap();
    drop(unfinished);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fifty_writers_with_two_handles_all_succeed() {
    let scene = Scene::new(SqliteOptions::standard()).await;
    let second = SqliteStore::open(&scene.path(), SqliteOptions::standard()).unwrap();
    let stores = [Arc::new(scene.store), Arc::new(second)];
    let accounts: Vec<Account> = (0..50).map(|_| scene.world.account()).collect();

    let writers: Vec<_> = accounts
        .iter()
        .cloned()
        .zip(stores.iter().cycle().cloned())
        .map(|(account, store)| tokio::spawn(async move { account.save(&*store).await }))
        .collect();
    for writer in writers {
        writer.await.unwrap().unwrap();
    }

    for account in accounts {
        assert!(stores[0].find_sign_in(account.user.email.key()).await.unwrap().is_some());
    }
    let path = scene.folder.path().join("identsphere.db");
    let mut outsider = SqliteConnection::establish(path.to_str().unwrap()).unwrap();
    assert_eq!(pragma(&mut outsider, "integrity_check"), "ok");
}

#[tokio::test]
async fn a_transaction_that_asks_nothing_holds_no_lock_before_its_commit() {
    let scene = Scene::new(IMPATIENT).await;
    let account = scene.world.account();
    let mut tx = scene.store.begin().await.unwrap();
    account.insert(tx.as_mut()).await.unwrap();

    let mut outsider = scene.outsider();
    lock(&mut outsider).unwrap();
    assert!(matches!(tx.commit().await, Err(StoreError::Retry(_))), "now it needs the lock");
    drop(outsider);
    account.save(&scene.store).await.unwrap();
}

#[tokio::test]
async fn an_abandoned_transaction_frees_the_file_for_other_processes() {
    let scene = Scene::new(SqliteOptions::standard()).await;
    let (_, session) = scene.account_with_session().await;
    let mut outsider = scene.outsider();

    let tx = scene.locked_transaction(&session).await;
    assert!(lock(&mut outsider).is_err(), "the transaction holds the lock");
    drop(tx);
    // The writer's turn comes after the rollback.
    scene.store.ping().await.unwrap();
    lock(&mut outsider).unwrap();
    assert!(scene.store.find_principal(session.id, scene.world.now()).await.unwrap().is_some());
}

#[tokio::test]
async fn a_transaction_whose_question_was_abandoned_cannot_be_committed() {
    let scene = Scene::new(SqliteOptions::standard()).await;
    let (_, session) = scene.account_with_session().await;
    let newcomer = scene.world.account();
    let mut outsider = scene.outsider();
    lock(&mut outsider).unwrap();
    let mut tx = scene.store.begin().await.unwrap();
    newcomer.insert(tx.as_mut()).await.unwrap();
    tokio::select! {
        biased;
        answer = tx.sessions().revoke(session.id, session.user, RevocationReason::Logout, scene.world.now()) => {
            panic!("{answer:?}, although the file is locked");
        }
        () = std::future::ready(()) => {}
    }
    outsider.batch_execute("ROLLBACK").unwrap();
    assert!(tx.commit().await.is_err());

    newcomer.save(&scene.store).await.unwrap();
    assert!(scene.store.find_principal(session.id, scene.world.now()).await.unwrap().is_some());
}

#[tokio::test]
async fn a_file_held_by_another_process_is_worth_another_try() {
    let scene = Scene::new(IMPATIENT).await;
    let (_, session) = scene.account_with_session().await;
    let rotation = scene.world.rotation(&session);
    let mut outsider = scene.outsider();
    lock(&mut outsider).unwrap();

    assert!(matches!(scene.store.rotate_refresh(&rotation).await, Err(StoreError::Retry(_))));
    assert!(matches!(scene.store.ping().await, Err(StoreError::Retry(_))));
    let found = scene.store.find_principal(session.id, scene.world.now()).await.unwrap();
    assert!(found.is_some(), "readers wait for nobody");

    outsider.batch_execute("ROLLBACK").unwrap();
    assert!(scene.store.rotate_refresh(&rotation).await.unwrap().is_some());
}

#[tokio::test]
async fn nobody_waits_forever_for_a_turn() {
    let scene = Scene::new(IMPATIENT).await;
    let (_, session) = scene.account_with_session().await;
    let tx = scene.locked_transaction(&session).await;
    let quota = Quota { burst: 1, per: Duration::from_secs(60) };
    let take = Take { bucket: BucketKey::of_address("test", None), quota };

    let outcome = scene.store.take(&[take], scene.world.now()).await;
    assert!(matches!(outcome, Err(StoreError::Unavailable(_))), "{outcome:?}");
    tx.commit().await.unwrap();
    assert_eq!(scene.store.take(&[take], scene.world.now()).await.unwrap(), [None]);
}

#[tokio::test]
async fn a_row_that_makes_no_sense_is_corrupt() {
    let scene = Scene::new(SqliteOptions::standard()).await;
    let (_, session) = scene.account_with_session().await;
    let nonsense = [
        "UPDATE user_sessions SET auth_method = 'telepathy'",
        "UPDATE user_sessions SET auth_method = 'password', refresh_hash = x'00'",
        "UPDATE user_sessions SET refresh_hash = zeroblob(32), refresh_generation = -1",
        "UPDATE user_sessions SET refresh_generation = 0, created_at = 'yesterday'",
        "UPDATE user_sessions SET created_at = last_active_at, ip_address = 'home'",
        "UPDATE user_sessions SET ip_address = NULL, second_factor = 'intuition'",
        "UPDATE user_sessions SET second_factor = NULL, passkey_id = x'00'",
    ];
    for statement in nonsense {
        scene.outsider().batch_execute(statement).unwrap();
        let outcome = scene.store.find_principal(session.id, scene.world.now()).await;
        assert!(matches!(outcome, Err(StoreError::Corrupt(_))), "{statement}: {outcome:?}");
    }
    scene.outsider().batch_execute("UPDATE user_sessions SET passkey_id = NULL").unwrap();
    assert!(scene.store.find_principal(session.id, scene.world.now()).await.unwrap().is_some());
}

#[tokio::test]
async fn looking_at_the_schema_of_an_empty_file_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("identsphere.db");
    let store = SqliteStore::open(&path, SqliteOptions::standard()).unwrap();
    assert_eq!(store.schema_state().await.unwrap().applied, [""; 0]);
    let mut outsider = SqliteConnection::establish(path.to_str().unwrap()).unwrap();
    let tables: i64 = sql::<diesel::sql_types::BigInt>("SELECT count(*) FROM sqlite_schema")
        .get_result(&mut outsider)
        .unwrap();
    assert_eq!(tables, 0);
}

#[tokio::test]
async fn going_all_the_way_down_leaves_only_the_ledger_of_migrations() {
    let scene = Scene::new(SqliteOptions::standard()).await;
    scene.account_with_session().await;
    scene.store.migrate_down(u32::MAX).await.unwrap();
    let query = "SELECT group_concat(name) FROM sqlite_schema WHERE type = 'table'";
    let tables: String = sql::<Text>(query).get_result(&mut scene.outsider()).unwrap();
    assert_eq!(tables, "__diesel_schema_migrations");
}
