//! The schema and its migrations, which are part of the program.

use std::collections::BTreeSet;

use async_trait::async_trait;
use diesel::dsl::count_star;
use diesel::migration::{Migration, MigrationSource};
use diesel::prelude::*;
use diesel::sqlite::Sqlite;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use identsphere_core::{Schema, SchemaState};
use identsphere_kernel::{StoreError, Timestamp};

use crate::SqliteStore;
use crate::errors::migration_error;
use crate::tables::{__diesel_schema_migrations as schema_migrations, sqlite_schema};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../../migrations/sqlite");

type BoxedMigration = Box<dyn Migration<Sqlite>>;

#[async_trait]
impl Schema for SqliteStore {
    fn engine(&self) -> &'static str {
        "sqlite"
    }

    /// Takes the write lock and lets it go, which a file that is gone, read-only or held by somebody else refuses.
    async fn ping(&self) -> Result<Option<Timestamp>, StoreError> {
        self.writer.run_exclusively(|connection| has_ledger(connection).map(|_| None)).await
    }

    async fn schema_state(&self) -> Result<SchemaState, StoreError> {
        self.readers
            .run(|connection| {
                let Ledger { applied, pending, newer } = sort_out(connection)?;
                Ok(SchemaState { applied: names(&applied), pending: names(&pending), newer })
            })
            .await
    }

    /// All of them in one transaction: it is the lock that makes several processes take turns, and a migration that
    /// fails leaves nothing behind.
    async fn migrate_up(&self) -> Result<Vec<String>, StoreError> {
        self.writer
            .run_exclusively(|connection| {
                let pending = sort_out(connection)?.pending;
                // Makes the ledger of migrations when there is none.
                connection.applied_migrations().map_err(migration_error)?;
                connection.run_migrations(&pending).map_err(migration_error)?;
                Ok(names(&pending))
            })
            .await
    }

    async fn migrate_down(&self, steps: u32) -> Result<Vec<String>, StoreError> {
        let steps = usize::try_from(steps).unwrap_or(usize::MAX);
        self.schema_state().await?.check_revertible()?;
        self.writer
            .run_exclusively(move |connection| {
                let applied = sort_out(connection)?.applied;
                let reverted: Vec<_> = applied.into_iter().rev().take(steps).collect();
                for migration in &reverted {
                    connection.revert_migration(migration).map_err(migration_error)?;
                }
                Ok(names(&reverted))
            })
            .await
    }
}

/// Which migrations there are, each kind oldest first.
struct Ledger {
    applied: Vec<BoxedMigration>,
    pending: Vec<BoxedMigration>,
    newer: Vec<String>,
}

/// Reads the ledger. Writes nothing.
fn sort_out(connection: &mut SqliteConnection) -> QueryResult<Ledger> {
    let mut versions: BTreeSet<String> = if has_ledger(connection)? {
        schema_migrations::table.select(schema_migrations::version).load(connection)?.into_iter().collect()
    } else {
        BTreeSet::new()
    };
    let mut known: Vec<BoxedMigration> = MIGRATIONS.migrations().map_err(migration_error)?;
    known.sort_unstable_by_key(|migration| migration.name().to_string());
    let (applied, pending) =
        known.into_iter().partition(|migration| versions.remove(&migration.name().version().to_string()));
    Ok(Ledger { applied, pending, newer: versions.into_iter().collect() })
}

/// Whether a migration was ever applied.
fn has_ledger(connection: &mut SqliteConnection) -> QueryResult<bool> {
    let count: i64 = sqlite_schema::table
        .filter(sqlite_schema::name.eq("__diesel_schema_migrations"))
        .select(count_star())
        .get_result(connection)?;
    Ok(count > 0)
}

fn names(migrations: &[BoxedMigration]) -> Vec<String> {
    migrations.iter().map(|migration| migration.name().to_string()).collect()
}
