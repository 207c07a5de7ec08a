//! Rate limits.

use std::collections::HashSet;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use diesel::data_types::PgInterval;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{QueryFragment, QueryId};
use diesel::sql_types::{Array, BigInt, Binary, Nullable, Timestamptz};
use diesel_async::RunQueryDsl;
use futures::FutureExt;
use identsphere_core::{RateLimitRepo, RateLimitStore, Take};
use identsphere_kernel::{StoreError, Timestamp};

use crate::PgStore;
use crate::prepared::Prepared;
use crate::tables::rate_limits;
use crate::tx::PgTx;

#[async_trait]
impl RateLimitStore for PgStore {
    async fn take(&self, takes: &[Take], now: Timestamp) -> Result<Vec<Option<Duration>>, StoreError> {
        let mut waits = vec![None; takes.len()];
        let mut left: Vec<_> = takes.iter().zip(&mut waits).collect();
        // One round, unless a bucket is named twice: one statement changes a row once.
        while !left.is_empty() {
            let mut seen = HashSet::new();
            let (round, later): (Vec<_>, Vec<_>) =
                left.into_iter().partition(|(take, _)| seen.insert(take.bucket));
            left = later;
            let buckets: Vec<_> = round.iter().map(|(take, _)| take.bucket.as_bytes().to_vec()).collect();
            let after = |wait: Duration| now.plus(wait).to_chrono();
            let nexts: Vec<_> = round.iter().map(|(take, _)| after(take.quota.interval())).collect();
            let limits: Vec<_> = round.iter().map(|(take, _)| after(take.quota.per)).collect();
            let question = Prepared(
                diesel::sql_query(TAKE)
                    .bind::<Array<Binary>, _>(buckets)
                    .bind::<Array<Timestamptz>, _>(nexts)
                    .bind::<Array<Timestamptz>, _>(limits)
                    .bind::<Timestamptz, _>(now.to_chrono()),
            );
            let refused: Vec<RefusedRow> =
                self.pool.ask(|mut connection| question.load(&mut connection).boxed()).await?;
            for (nth, (take, wait)) in (1..).zip(round) {
                if let Some(row) = refused.iter().find(|row| row.nth == nth) {
                    let seen = take.advance(row.arrival_at.map(Timestamp::from_chrono), now);
                    // Somebody took the last token between the look and the attempt: at most one interval is missing.
                    *wait = Some(seen.err().unwrap_or_else(|| take.quota.interval()));
                }
            }
        }
        Ok(waits)
    }

    async fn sweep_limits(&self, now: Timestamp, limit: u32) -> Result<u64, StoreError> {
        // Rows that somebody holds are being used, so they are not full.
        let sweep = diesel::sql_query(
            "DELETE FROM rate_limits WHERE bucket IN \
             (SELECT bucket FROM rate_limits WHERE arrival_at < $1 LIMIT $2 FOR UPDATE SKIP LOCKED)",
        );
        let sweep =
            Prepared(sweep.bind::<Timestamptz, _>(now.to_chrono()).bind::<BigInt, _>(i64::from(limit)));
        let swept = self.pool.ask_patiently(|mut connection| sweep.execute(&mut connection)).await?;
        Ok(swept as u64)
    }
}

#[async_trait]
impl RateLimitRepo for PgTx {
    async fn give_back(&mut self, take: &Take) -> Result<(), StoreError> {
        self.hold_token(*take);
        Ok(())
    }
}

/// Puts a token back. Moving the arrival time below the present does no harm: the bucket is full either way.
pub(crate) fn give_back(take: &Take) -> impl QueryFragment<Pg> + QueryId + Send + 'static + use<> {
    let interval =
        PgInterval::from_microseconds(i64::try_from(take.quota.interval().as_micros()).unwrap_or(i64::MAX));
    let bucket = rate_limits::table.filter(rate_limits::bucket.eq(take.bucket.as_bytes().to_vec()));
    diesel::update(bucket).set(rate_limits::arrival_at.eq(rate_limits::arrival_at - interval))
}

/// [`Take::advance`] in SQL, for different buckets. Answers those that were refused.
///
/// Rows are locked in the order of their buckets, so that two of these never wait for each other crosswise. A bucket
/// without a row is full, so its insertion needs no condition; `next_at` is its arrival time then.
const TAKE: &str = "\
WITH wanted AS (
    SELECT * FROM unnest($1, $2, $3) WITH ORDINALITY AS w (bucket, next_at, limit_at, nth)
), taken AS (
    INSERT INTO rate_limits AS kept (bucket, arrival_at)
    SELECT bucket, next_at FROM wanted ORDER BY bucket
    ON CONFLICT (bucket) DO UPDATE
    SET arrival_at = greatest(kept.arrival_at, $4) + (excluded.arrival_at - $4)
    WHERE greatest(kept.arrival_at, $4) + (excluded.arrival_at - $4)
        <= (SELECT limit_at FROM wanted WHERE wanted.bucket = excluded.bucket)
    RETURNING bucket
)
SELECT nth, arrival_at FROM wanted LEFT JOIN rate_limits USING (bucket)
WHERE NOT EXISTS (SELECT FROM taken WHERE taken.bucket = wanted.bucket)";

/// A bucket that was refused.
#[derive(QueryableByName)]
struct RefusedRow {
    /// Which one, counted from 1.
    #[diesel(sql_type = BigInt)]
    nth: i64,
    /// Its arrival time before the statement began.
    #[diesel(sql_type = Nullable<Timestamptz>)]
    arrival_at: Option<DateTime<Utc>>,
}
