//! Rate limits, in a cache that forgets them once they say nothing any more.
//!
//! A bucket that has not been touched for as long as it takes to fill is as good as none. The number of buckets is
//! bounded too, for whoever invents addresses to sign in with makes a bucket with each; then those that were used
//! longest ago are forgotten first.

use std::time::Instant;

use async_trait::async_trait;
use identsphere_core::{BucketKey, RateLimitRepo, RateLimitStore, Take};
use identsphere_kernel::{Duration, StoreError, Timestamp};
use moka::Expiry;
use moka::ops::compute::{CompResult, Op};
use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use crate::MemoryStore;
use crate::tx::MemoryTx;

/// The most buckets that are kept: some hundred bytes each.
const MAX_BUCKETS: u64 = 500_000;
/// How much longer than need be a bucket is kept, since the clock of the service and that of the cache are two.
const SLACK: Duration = Duration::from_secs(60);

#[derive(Clone, Copy)]
struct Bucket {
    arrival: Timestamp,
    /// How long after its last change it is surely full.
    fills_in: Duration,
}

/// All buckets. Each is changed by one caller at a time.
pub(crate) struct Buckets(Cache<BucketKey, Bucket>);

impl Default for Buckets {
    fn default() -> Self {
        let cache = Cache::builder()
            .max_capacity(MAX_BUCKETS)
            .eviction_policy(EvictionPolicy::lru())
            .expire_after(OnceFull)
            .build();
        Self(cache)
    }
}

impl Buckets {
    /// Takes a token, or says how long until there is one.
    fn take(&self, take: &Take, now: Timestamp) -> Option<Duration> {
        let mut wait = None;
        self.0.entry(take.bucket).and_compute_with(|entry| {
            match take.advance(entry.map(|entry| entry.into_value().arrival), now) {
                Ok(arrival) => Op::Put(Bucket { arrival, fills_in: take.quota.per }),
                Err(until) => {
                    wait = Some(until);
                    Op::Nop
                }
            }
        });
        wait
    }

    /// Puts a token back.
    pub(crate) fn give_back(&self, take: &Take) {
        self.0.entry(take.bucket).and_compute_with(|entry| match entry {
            Some(entry) => {
                let bucket = entry.into_value();
                Op::Put(Bucket { arrival: bucket.arrival.minus(take.quota.interval()), ..bucket })
            }
            None => Op::Nop,
        });
    }

    /// Forgets full buckets. One that is used meanwhile is looked at again before it goes.
    fn sweep(&self, now: Timestamp, limit: usize) -> usize {
        let is_full = |bucket: &Bucket| bucket.arrival <= now;
        let full = self.0.iter().filter(|(_, bucket)| is_full(bucket)).map(|(key, _)| *key).take(limit);
        let full: Vec<BucketKey> = full.collect();
        full.into_iter().filter(|key| self.forget_if(*key, is_full)).count()
    }

    fn forget_if(&self, key: BucketKey, condition: impl Fn(&Bucket) -> bool) -> bool {
        let outcome = self.0.entry(key).and_compute_with(|entry| match entry {
            Some(entry) if condition(entry.value()) => Op::Remove,
            Some(_) | None => Op::Nop,
        });
        matches!(outcome, CompResult::Removed(_))
    }
}

/// When the cache may forget a bucket.
struct OnceFull;

impl Expiry<BucketKey, Bucket> for OnceFull {
    fn expire_after_create(&self, _: &BucketKey, bucket: &Bucket, _: Instant) -> Option<Duration> {
        Some(bucket.fills_in.saturating_add(SLACK))
    }

    fn expire_after_update(
        &self,
        _: &BucketKey,
        bucket: &Bucket,
        _: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(bucket.fills_in.saturating_add(SLACK))
    }
}

#[async_trait]
impl RateLimitStore for MemoryStore {
    async fn take(&self, takes: &[Take], now: Timestamp) -> Result<Vec<Option<Duration>>, StoreError> {
        Ok(takes.iter().map(|take| self.shared.buckets.take(take, now)).collect())
    }

    async fn sweep_limits(&self, now: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let swept = self.shared.buckets.sweep(now, limit);
        Ok(u64::try_from(swept).unwrap_or(u64::MAX))
    }
}

#[async_trait]
impl RateLimitRepo for MemoryTx {
    async fn give_back(&mut self, take: &Take) -> Result<(), StoreError> {
        self.given_back.push(*take);
        Ok(())
    }
}
