//! Rate limits. The rule is [`Take::advance`]'s alone: the bucket is read, advanced and written under the writer's
//! lock, which no statement in SQL could make more atomic.

use async_trait::async_trait;
use diesel::prelude::*;
use diesel::upsert::excluded;
use identsphere_core::{RateLimitRepo, RateLimitStore, Take};
use identsphere_kernel::{Duration, StoreError, Timestamp};

use crate::SqliteStore;
use crate::tables::rate_limits;
use crate::tx::SqliteTx;
use crate::values::AsText;

#[async_trait]
impl RateLimitStore for SqliteStore {
    async fn take(&self, takes: &[Take], now: Timestamp) -> Result<Vec<Option<Duration>>, StoreError> {
        if takes.is_empty() {
            return Ok(Vec::new());
        }
        let takes = takes.to_vec();
        self.counter
            .run_exclusively(move |connection| {
                takes.iter().map(|take| take_one(connection, take, now)).collect()
            })
            .await
    }

    async fn sweep_limits(&self, now: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let swept = diesel::alias!(rate_limits as swept);
        let chosen = swept
            .select(swept.field(rate_limits::bucket))
            .filter(swept.field(rate_limits::arrival_at).lt(AsText(now)))
            .limit(i64::from(limit));
        let deletion = diesel::delete(rate_limits::table).filter(rate_limits::bucket.eq_any(chosen));
        let count = self.counter.run(move |connection| deletion.execute(connection)).await?;
        u64::try_from(count).map_err(StoreError::corrupt)
    }
}

#[async_trait]
impl RateLimitRepo for SqliteTx {
    async fn give_back(&mut self, take: &Take) -> Result<(), StoreError> {
        let take = *take;
        self.hold(move |connection| match arrival(connection, &take)? {
            Some(arrival) => set_arrival(connection, &take, arrival.minus(take.quota.interval())),
            None => Ok(()),
        })
    }
}

fn take_one(connection: &mut SqliteConnection, take: &Take, now: Timestamp) -> QueryResult<Option<Duration>> {
    match take.advance(arrival(connection, take)?, now) {
        Ok(next) => set_arrival(connection, take, next).map(|()| None),
        Err(wait) => Ok(Some(wait)),
    }
}

fn arrival(connection: &mut SqliteConnection, take: &Take) -> QueryResult<Option<Timestamp>> {
    let found: Option<AsText<Timestamp>> = rate_limits::table
        .find(take.bucket.as_bytes().as_slice())
        .select(rate_limits::arrival_at)
        .get_result(connection)
        .optional()?;
    Ok(found.map(|arrival| arrival.0))
}

fn set_arrival(connection: &mut SqliteConnection, take: &Take, arrival: Timestamp) -> QueryResult<()> {
    diesel::insert_into(rate_limits::table)
        .values((
            rate_limits::bucket.eq(take.bucket.as_bytes().as_slice()),
            rate_limits::arrival_at.eq(AsText(arrival)),
        ))
        .on_conflict(rate_limits::bucket)
        .do_update()
        .set(rate_limits::arrival_at.eq(excluded(rate_limits::arrival_at)))
        .execute(connection)
        .map(drop)
}
