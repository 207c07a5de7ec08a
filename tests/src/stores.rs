//! The stores that a scenario runs on: real ones, each with data of its own.

use std::path::PathBuf;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, LazyLock};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::Text;
use identsphere_blob::ObjectBlobs;
use identsphere_core::Store;
use identsphere_crypto::MasterKey;
use identsphere_kernel::{OsRandom, SecretString};
use identsphere_store_memory::MemoryStore;
use identsphere_store_postgres::{PgConfig, PgStore, SchemaName};
use identsphere_store_sqlite::{SqliteOptions, SqliteStore};
use identsphere_testkit::{Mailbox, PostgresServer, fresh_schema_name};
use tokio_postgres::NoTls;

/// Which store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    Memory,
    Sqlite,
    Postgres,
}

/// The data that the nodes of one service share.
pub struct Data {
    /// The key that the nodes share too.
    pub master: MasterKey,
    /// Which of the keys that this process makes is the next one here, on whichever node.
    pub next_key: Arc<AtomicUsize>,
    /// Where the mail of all nodes arrives.
    pub mailbox: Arc<Mailbox>,
    /// The pictures that the nodes share.
    pub blobs: Arc<ObjectBlobs>,
    place: Place,
}

enum Place {
    Memory(Arc<MemoryStore>),
    Sqlite { file: PathBuf, _directory: tempfile::TempDir },
    Postgres { schema: SchemaName },
}

impl Data {
    /// A place with nothing in it.
    pub fn create(engine: Engine, first_key: usize) -> Self {
        // One for the process, because its signing keys are sealed once.
        static MASTER: LazyLock<MasterKey> = LazyLock::new(|| MasterKey::generate(&OsRandom));
        let place = match engine {
            Engine::Memory => Place::Memory(Arc::new(MemoryStore::new())),
            Engine::Sqlite => {
                // In memory where there is such a place: nobody pulls the plug on these tests.
                let directory = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
                Place::Sqlite { file: directory.path().join("identsphere.db"), _directory: directory }
            }
            Engine::Postgres => Place::Postgres { schema: SchemaName::parse(&fresh_schema_name()).unwrap() },
        };
        let blobs = Arc::new(ObjectBlobs::memory());
        Self {
            master: MASTER.clone(),
            next_key: Arc::new(AtomicUsize::new(first_key)),
            mailbox: Arc::default(),
            blobs,
            place,
        }
    }

    /// The kind of store.
    pub fn engine(&self) -> Engine {
        match self.place {
            Place::Memory(_) => Engine::Memory,
            Place::Sqlite { .. } => Engine::Sqlite,
            Place::Postgres { .. } => Engine::Postgres,
        }
    }

    /// The column `line` of what a query answers. Memory has no tables.
    pub async fn select(&self, query: &str) -> Vec<String> {
        match &self.place {
            Place::Memory(_) => panic!("a store in memory has no tables"),
            Place::Sqlite { file, .. } => {
                let mut connection = SqliteConnection::establish(file.to_str().unwrap()).unwrap();
                let lines: Vec<Line> = diesel::sql_query(query).load(&mut connection).unwrap();
                lines.into_iter().map(|row| row.line).collect()
            }
            Place::Postgres { schema } => {
                let client = connect(schema).await;
                let rows = client.query(query, &[]).await.unwrap();
                rows.iter().map(|row| row.get("line")).collect()
            }
        }
    }

    /// Every cell of every table but those of the limits, a line a row that begins with the table's name, sorted.
    pub async fn dump(&self) -> Vec<String> {
        let columns = match &self.place {
            Place::Memory(_) => panic!("a store in memory has no tables"),
            Place::Sqlite { .. } => {
                "SELECT t.name || ' ' || group_concat('quote(\"' || c.name || '\")', ' || '' '' || ') AS line
                 FROM sqlite_schema t, pragma_table_info(t.name) c
                 WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite%' GROUP BY t.name"
            }
            Place::Postgres { .. } => {
                "SELECT table_name || ' CAST(' || table_name || ' AS text)' AS line
                 FROM information_schema.tables WHERE table_schema = current_schema()"
            }
        };
        let mut rows = vec![];
        for table in self.select(columns).await {
            let (name, cells) = table.split_once(' ').unwrap();
            if !matches!(name, "rate_limits" | "__diesel_schema_migrations") {
                rows.extend(self.select(&format!("SELECT '{name} ' || {cells} AS line FROM {name}")).await);
            }
        }
        rows.sort();
        rows
    }

    /// Runs statements. Memory has no tables.
    pub async fn execute(&self, statements: &str) {
        match &self.place {
            Place::Memory(_) => panic!("a store in memory has no tables"),
            Place::Sqlite { file, .. } => {
                let mut connection = SqliteConnection::establish(file.to_str().unwrap()).unwrap();
                connection.batch_execute("PRAGMA busy_timeout = 10000; PRAGMA foreign_keys = ON").unwrap();
                connection.batch_execute(statements).unwrap();
            }
            Place::Postgres { schema } => connect(schema).await.batch_execute(statements).await.unwrap(),
        }
    }

    /// A store of a node's own over the shared data. Memory cannot be shared but by sharing the store.
    pub fn open(&self) -> Arc<dyn Store> {
        match &self.place {
            Place::Memory(store) => store.clone(),
            Place::Sqlite { file, .. } => {
                Arc::new(SqliteStore::open(file, SqliteOptions::standard()).unwrap())
            }
            Place::Postgres { schema } => {
                let url = SecretString::new(PostgresServer::shared().url());
                let config =
                    PgConfig { schema: schema.clone(), pool_size: 6, workers: 2, ..PgConfig::new(url) };
                Arc::new(PgStore::open(&config).unwrap())
            }
        }
    }
}

async fn connect(schema: &SchemaName) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(&PostgresServer::shared().url(), NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute(&format!("SET search_path TO {schema}")).await.unwrap();
    client
}

/// A row of one text column.
#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    line: String,
}
