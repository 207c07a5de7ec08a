//! The PostgreSQL driver: a pool of asynchronous connections, as many as a server with these cores has.

use std::num::NonZeroUsize;
use std::thread;

use chrono::{DateTime, Utc};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::sql_types::{Binary, Uuid as SqlUuid};
use diesel_async::pooled_connection::deadpool::{Object, Pool};
use diesel_async::pooled_connection::{AsyncDieselConnectionManager, ManagerConfig, RecyclingMethod};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use ipnet::IpNet;
use uuid::Uuid;

use crate::{Fault, Table};

diesel::table! {
    user_sessions (id) {
        id -> Uuid,
        user_id -> Uuid,
        organization_id -> Uuid,
        auth_method -> Text,
        aal -> Text,
        auth_time -> Timestamptz,
        refresh_hash -> Binary,
        refresh_generation -> BigInt,
        refresh_issued_at -> Timestamptz,
        ip_address -> Nullable<Inet>,
        user_agent -> Nullable<Text>,
        created_at -> Timestamptz,
        last_active_at -> Timestamptz,
        expires_at -> Timestamptz,
    }
}

type Row = (
    (Uuid, Uuid, Uuid, String, String, DateTime<Utc>, Vec<u8>),
    (i64, DateTime<Utc>, Option<IpNet>, Option<String>, DateTime<Utc>, DateTime<Utc>, DateTime<Utc>),
);

/// The newest sessions, one for each worker.
pub(crate) struct Rows {
    ids: Vec<Uuid>,
    pool: Pool<AsyncPgConnection>,
}

impl Rows {
    pub(crate) async fn open(url: &str, count: usize) -> Result<Self, Fault> {
        let url = format!("{url}?options=-c%20search_path%3Didentsphere");
        let mut config = ManagerConfig::default();
        config.recycling_method = RecyclingMethod::Fast;
        let manager = AsyncDieselConnectionManager::new_with_config(url, config);
        let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let pool = Pool::builder(manager).max_size(2 * cores + 4).build()?;
        let newest = user_sessions::table.order(user_sessions::id.desc()).limit(count.try_into()?);
        let ids: Vec<Uuid> = newest.select(user_sessions::id).load(&mut pool.get().await?).await?;
        if ids.len() < count {
            return Err("too few sessions".into());
        }
        Ok(Self { ids, pool })
    }

    async fn row(&self, number: usize) -> Result<(Uuid, Object<AsyncPgConnection>), Fault> {
        let id = self.ids.get(number).ok_or("no such row")?;
        Ok((*id, self.pool.get().await?))
    }
}

impl Table for Rows {
    async fn read(&self, number: usize) -> Result<(), Fault> {
        let (key, mut connection) = self.row(number).await?;
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
        let row: Row = table.find(key).select(columns).get_result(&mut connection).await?;
        std::hint::black_box(row);
        Ok(())
    }

    async fn update(&self, number: usize, hash: [u8; 32]) -> Result<(), Fault> {
        let (id, mut connection) = self.row(number).await?;
        let changed = Update { id, hash }.execute(&mut connection).await?;
        if changed == 1 { Ok(()) } else { Err("no such row".into()) }
    }
}

/// The change, prepared once a connection, which Diesel does with no `UPDATE` of its own. It commits itself.
#[derive(QueryId)]
struct Update {
    id: Uuid,
    hash: [u8; 32],
}

impl QueryFragment<Pg> for Update {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("UPDATE user_sessions SET refresh_hash = ");
        out.push_bind_param::<Binary, _>(&self.hash[..])?;
        out.push_sql(" WHERE id = ");
        out.push_bind_param::<SqlUuid, _>(&self.id)
    }
}
