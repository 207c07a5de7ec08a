//! The SQLite driver: blocking connections on the runtime's blocking threads, four that read, one that writes.

use std::sync::{Arc, Mutex, PoisonError};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::sql_types::Binary;
use diesel::sqlite::Sqlite;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use crate::{Fault, Table};

const READERS: usize = 4;

diesel::table! {
    user_sessions (id) {
        id -> Binary,
        user_id -> Binary,
        organization_id -> Binary,
        auth_method -> Text,
        aal -> Text,
        auth_time -> Text,
        refresh_hash -> Binary,
        refresh_generation -> BigInt,
        refresh_issued_at -> Text,
        ip_address -> Nullable<Text>,
        user_agent -> Nullable<Text>,
        created_at -> Text,
        last_active_at -> Text,
        expires_at -> Text,
    }
}

type Row = (
    (Vec<u8>, Vec<u8>, Vec<u8>, String, String, String, Vec<u8>),
    (i64, String, Option<String>, Option<String>, String, String, String),
);

/// The newest sessions, one for each worker.
pub(crate) struct Rows {
    ids: Vec<Vec<u8>>,
    readers: Arc<Lane>,
    writer: Arc<Lane>,
}

/// Connections, and the right to use one.
struct Lane {
    idle: Mutex<Vec<SqliteConnection>>,
    permits: Semaphore,
}

impl Rows {
    pub(crate) fn open(path: &str, count: usize) -> Result<Self, Fault> {
        let readers = Lane::open(path, READERS, "PRAGMA query_only = ON")?;
        let writer = Lane::open(path, 1, "PRAGMA synchronous = FULL")?;
        let ids = writer.with(|connection| {
            let newest = user_sessions::table.order(user_sessions::id.desc()).limit(count.try_into()?);
            Ok(newest.select(user_sessions::id).load(connection)?)
        })?;
        if ids.len() < count {
            return Err("too few sessions".into());
        }
        Ok(Self { ids, readers, writer })
    }

    fn key(&self, number: usize) -> Result<Vec<u8>, Fault> {
        self.ids.get(number).cloned().ok_or_else(|| "no such row".into())
    }
}

impl Table for Rows {
    async fn read(&self, number: usize) -> Result<(), Fault> {
        let key = self.key(number)?;
        let read = move |connection: &mut SqliteConnection| {
            use user_sessions::*;
            let columns = (
                (id, user_id, organization_id, auth_method, aal, auth_time, refresh_hash),
                (
                    refresh_generation,
                    refresh_issued_at,
                    ip_address,
                    user_agent,
                    created_at,
                    last_active_at,
                    expires_at,
                ),
            );
            let row: Row = table.find(key).select(columns).get_result(connection)?;
            std::hint::black_box(row);
            Ok(())
        };
        Lane::run(&self.readers, read).await
    }

    async fn update(&self, number: usize, hash: [u8; 32]) -> Result<(), Fault> {
        let id = self.key(number)?;
        let update = Update { id, hash };
        Lane::run(&self.writer, move |connection| {
            let changed = update.execute(connection)?;
            if changed == 1 { Ok(()) } else { Err("no such row".into()) }
        })
        .await
    }
}

impl Lane {
    fn open(path: &str, count: usize, pragma: &str) -> Result<Arc<Self>, Fault> {
        let connect = |_| {
            let mut connection = SqliteConnection::establish(path)?;
            connection.batch_execute(&format!("PRAGMA busy_timeout = 5000; {pragma}"))?;
            Ok::<_, Fault>(connection)
        };
        let idle = Mutex::new((0..count).map(connect).collect::<Result<_, _>>()?);
        Ok(Arc::new(Self { idle, permits: Semaphore::new(count) }))
    }

    /// Runs a piece of work on a blocking thread, when a connection is free.
    async fn run<T: Send + 'static>(
        lane: &Arc<Self>,
        work: impl FnOnce(&mut SqliteConnection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let _permit = lane.permits.acquire().await?;
        let lane = Arc::clone(lane);
        spawn_blocking(move || lane.with(work)).await?
    }

    fn with<T>(&self, work: impl FnOnce(&mut SqliteConnection) -> Result<T, Fault>) -> Result<T, Fault> {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let mut connection = idle().pop().ok_or("no connection is free")?;
        let outcome = work(&mut connection);
        idle().push(connection);
        outcome
    }
}

/// The change, prepared once a connection, which Diesel does with no `UPDATE` of its own. It commits itself.
#[derive(QueryId)]
struct Update {
    id: Vec<u8>,
    hash: [u8; 32],
}

impl QueryFragment<Sqlite> for Update {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        out.push_sql("UPDATE user_sessions SET refresh_hash = ");
        out.push_bind_param::<Binary, _>(&self.hash[..])?;
        out.push_sql(" WHERE id = ");
        out.push_bind_param::<Binary, _>(&self.id)
    }
}

impl RunQueryDsl<SqliteConnection> for Update {}
