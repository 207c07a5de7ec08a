//! The schema: made, brought up to date, taken back, asked how it is.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use diesel::migration::{Migration, MigrationSource, MigrationVersion};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Text};
use diesel_async::{AsyncMigrationHarness, AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use futures::FutureExt;
use identsphere_core::{Schema, SchemaState};
use identsphere_kernel::{StoreError, Timestamp};

use crate::config::MIGRATION_LOCK_TIMEOUT;
use crate::tables::__diesel_schema_migrations as applied_migrations;
use crate::{PgStore, errors};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../../migrations/postgres");

diesel::define_sql_function! {
    /// Whether the server is a standby.
    fn pg_is_in_recovery() -> Bool;
}

diesel::define_sql_function! {
    /// A setting's value.
    fn current_setting(name: Text) -> Text;
}

diesel::define_sql_function! {
    /// The server's time at this moment.
    fn clock_timestamp() -> Timestamptz;
}

#[async_trait]
impl Schema for PgStore {
    fn engine(&self) -> &'static str {
        "postgres"
    }

    async fn ping(&self) -> Result<Option<Timestamp>, StoreError> {
        let read_only = current_setting("transaction_read_only").eq("on");
        let query = diesel::select((pg_is_in_recovery().or(read_only), clock_timestamp()));
        let (refuses_writes, time): (bool, DateTime<Utc>) =
            self.pool.ask(|mut connection| query.get_result(&mut connection).boxed()).await?;
        if refuses_writes {
            return Err(StoreError::unavailable("the server is read-only"));
        }
        Ok(Some(Timestamp::from_chrono(time)))
    }

    async fn schema_state(&self) -> Result<SchemaState, StoreError> {
        let known = known_migrations()?;
        let table = format!("{}.__diesel_schema_migrations", self.pool.config().schema);
        let exists = diesel::sql_query("SELECT to_regclass($1) IS NOT NULL AS yes").bind::<Text, _>(table);
        let exists: Answer =
            self.pool.ask(|mut connection| exists.get_result(&mut connection).boxed()).await?;
        if !exists.yes {
            return Ok(SchemaState { pending: known.into_values().collect(), ..SchemaState::default() });
        }
        let query = applied_migrations::table.select(applied_migrations::version);
        let versions: Vec<MigrationVersion<'static>> =
            self.pool.ask(|mut connection| query.load(&mut connection).boxed()).await?;
        let mut versions: BTreeSet<_> = versions.into_iter().collect();
        let (applied, pending): (Vec<_>, Vec<_>) =
            known.into_iter().partition(|(version, _)| versions.remove(version));
        let names = |migrations: Vec<(_, String)>| migrations.into_iter().map(|(_, name)| name).collect();
        let newer = versions.iter().map(MigrationVersion::to_string).collect();
        Ok(SchemaState { applied: names(applied), pending: names(pending), newer })
    }

    async fn migrate_up(&self) -> Result<Vec<String>, StoreError> {
        let mut turn = self.wait_for_turn().await?;
        if !self.schema_exists(&mut turn).await? {
            let create = format!("CREATE SCHEMA \"{}\"", self.pool.config().schema);
            turn.batch_execute(&create).await.map_err(errors::by_meaning)?;
        }
        self.run(turn, |harness| {
            Ok(harness.run_pending_migrations(MIGRATIONS)?.iter().map(MigrationVersion::as_owned).collect())
        })
        .await
    }

    async fn migrate_down(&self, steps: u32) -> Result<Vec<String>, StoreError> {
        let mut turn = self.wait_for_turn().await?;
        if !self.schema_exists(&mut turn).await? {
            return Ok(Vec::new());
        }
        self.schema_state().await?.check_revertible()?;
        self.run(turn, move |harness| {
            let applied = harness.applied_migrations()?.len();
            let steps = applied.min(usize::try_from(steps)?);
            (0..steps).map(|_| harness.revert_last_migration(MIGRATIONS)).collect()
        })
        .await
    }
}

type Versions = Result<Vec<MigrationVersion<'static>>, Box<dyn std::error::Error + Send + Sync>>;

impl PgStore {
    /// A connection of one's own that holds the lock on this schema's migrations until it is dropped.
    async fn wait_for_turn(&self) -> Result<AsyncPgConnection, StoreError> {
        let mut connection = self.pool.connect_to_migrate().await?;
        diesel::sql_query("SELECT pg_advisory_lock(hashtextextended($1, 0))")
            .bind::<Text, _>(format!("migrations of {}", self.pool.config().schema))
            .execute(&mut connection)
            .await
            .map_err(errors::by_meaning)?;
        let hasten = format!("SET lock_timeout = {}", MIGRATION_LOCK_TIMEOUT.as_millis());
        connection.batch_execute(&hasten).await.map_err(errors::by_meaning)?;
        Ok(connection)
    }

    async fn schema_exists(&self, connection: &mut AsyncPgConnection) -> Result<bool, StoreError> {
        let exists: Answer = diesel::sql_query("SELECT to_regnamespace($1) IS NOT NULL AS yes")
            .bind::<Text, _>(self.pool.config().schema.as_str())
            .get_result(connection)
            .await
            .map_err(errors::by_meaning)?;
        Ok(exists.yes)
    }

    /// Diesel's migrations are synchronous: they run on a thread that may block, whatever kind of runtime this is.
    async fn run(
        &self,
        turn: AsyncPgConnection,
        work: impl FnOnce(&mut AsyncMigrationHarness<AsyncPgConnection>) -> Versions + Send + 'static,
    ) -> Result<Vec<String>, StoreError> {
        let done =
            self.pool.runtime().spawn_blocking(move || work(&mut AsyncMigrationHarness::new(turn))).await;
        let versions = done.map_err(StoreError::unavailable)?.map_err(StoreError::unavailable)?;
        let mut known = known_migrations()?;
        Ok(versions.iter().filter_map(|version| known.remove(version)).collect())
    }
}

/// The answer to a question about the server.
#[derive(QueryableByName)]
struct Answer {
    #[diesel(sql_type = Bool)]
    yes: bool,
}

/// The names of the migrations that this program knows, oldest first.
fn known_migrations() -> Result<BTreeMap<MigrationVersion<'static>, String>, StoreError> {
    let migrations = MigrationSource::<Pg>::migrations(&MIGRATIONS).map_err(StoreError::corrupt)?;
    let named = |migration: Box<dyn Migration<Pg>>| {
        (migration.name().version().as_owned(), migration.name().to_string())
    };
    Ok(migrations.into_iter().map(named).collect())
}
