//! The outbox, and the browsers that users are known by.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Integer, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use futures::FutureExt;
use identsphere_core::{OutboxEntry, OutboxRepo, OutboxStore};
use identsphere_kernel::{MailId, StoreError, Timestamp, TokenHash, UserId};
use uuid::Uuid;

use crate::PgStore;
use crate::prepared::Prepared;
use crate::tables::outbox;
use crate::tx::PgTx;

#[async_trait]
impl OutboxRepo for PgTx {
    async fn post(&mut self, entry: &OutboxEntry) -> Result<(), StoreError> {
        self.hold(diesel::insert_into(outbox::table).values(EntryRow::try_from(entry)?));
        Ok(())
    }

    async fn greet_browser(
        &mut self,
        user: UserId,
        browser: &TokenHash,
        at: Timestamp,
        notice: Option<&OutboxEntry>,
    ) -> Result<(), StoreError> {
        let browser = browser.as_bytes().to_vec();
        let Some(notice) = notice.map(EntryRow::try_from).transpose()? else {
            let greet = diesel::sql_query(
                "INSERT INTO known_browsers (user_id, browser, first_seen_at, last_seen_at) \
                 VALUES ($1, $2, $3, $3) \
                 ON CONFLICT (user_id, browser) DO UPDATE SET last_seen_at = excluded.last_seen_at",
            );
            self.hold(
                greet
                    .bind::<SqlUuid, _>(user.as_uuid())
                    .bind::<Binary, _>(browser)
                    .bind::<Timestamptz, _>(at.to_chrono()),
            );
            return Ok(());
        };
        // A row that was inserted has no earlier version (`xmax`), one that was there has.
        let greet = diesel::sql_query(
            "WITH met AS (INSERT INTO known_browsers (user_id, browser, first_seen_at, last_seen_at) \
             VALUES ($1, $2, $3, $3) \
             ON CONFLICT (user_id, browser) DO UPDATE SET last_seen_at = excluded.last_seen_at \
             RETURNING xmax = 0 AS is_new) \
             INSERT INTO outbox (id, sealed, attempts, created_at, due_at, expires_at) \
             SELECT $4, $5, $6, $7, $8, $9 FROM met WHERE is_new",
        );
        self.hold(
            greet
                .bind::<SqlUuid, _>(user.as_uuid())
                .bind::<Binary, _>(browser)
                .bind::<Timestamptz, _>(at.to_chrono())
                .bind::<SqlUuid, _>(notice.id)
                .bind::<Binary, _>(notice.sealed)
                .bind::<Integer, _>(notice.attempts)
                .bind::<Timestamptz, _>(notice.created_at)
                .bind::<Timestamptz, _>(notice.due_at)
                .bind::<Timestamptz, _>(notice.expires_at),
        );
        Ok(())
    }

    async fn forget_browsers(&mut self, user: UserId) -> Result<(), StoreError> {
        let forget = diesel::sql_query("DELETE FROM known_browsers WHERE user_id = $1");
        self.hold(forget.bind::<SqlUuid, _>(user.as_uuid()));
        Ok(())
    }

    async fn settle(&mut self, id: MailId) -> Result<bool, StoreError> {
        let settle = Prepared(diesel::delete(outbox::table.filter(outbox::id.eq(id.as_uuid()))));
        Ok(self.ask(|mut connection| settle.execute(&mut connection)).await? > 0)
    }
}

#[async_trait]
impl OutboxStore for PgStore {
    async fn lease_outbox(
        &self,
        now: Timestamp,
        again_at: Timestamp,
        limit: u32,
    ) -> Result<Vec<OutboxEntry>, StoreError> {
        // Entries that somebody is being handed right now are passed over. Who is first is read once, since a subquery
        // that locks may run again and choose anew.
        let lease = diesel::sql_query(
            "WITH due AS MATERIALIZED (SELECT id, due_at FROM outbox WHERE due_at <= $1 \
             ORDER BY due_at, id LIMIT $3 FOR UPDATE SKIP LOCKED), \
             leased AS (UPDATE outbox SET due_at = $2, attempts = attempts + 1 FROM due WHERE outbox.id = due.id \
             RETURNING outbox.*, due.due_at AS was_due_at) \
             SELECT id, sealed, attempts, created_at, due_at, expires_at FROM leased ORDER BY was_due_at, id",
        );
        let lease = Prepared(
            lease
                .bind::<Timestamptz, _>(now.to_chrono())
                .bind::<Timestamptz, _>(again_at.to_chrono())
                .bind::<BigInt, _>(i64::from(limit)),
        );
        let rows: Vec<EntryRow> = self.pool.ask(|mut connection| lease.load(&mut connection).boxed()).await?;
        rows.into_iter().map(OutboxEntry::try_from).collect()
    }

    async fn postpone_outbox(&self, id: MailId, attempts: u32, due_at: Timestamp) -> Result<(), StoreError> {
        let attempts = i32::try_from(attempts).map_err(StoreError::corrupt)?;
        let ours = outbox::table.filter(outbox::id.eq(id.as_uuid())).filter(outbox::attempts.eq(attempts));
        let postpone = Prepared(diesel::update(ours).set(outbox::due_at.eq(due_at.to_chrono())));
        self.pool.ask(|mut connection| postpone.execute(&mut connection).boxed()).await.map(drop)
    }

    async fn count_outbox(&self) -> Result<u64, StoreError> {
        let count = outbox::table.count();
        let count: i64 = self.pool.ask(|mut connection| count.get_result(&mut connection).boxed()).await?;
        u64::try_from(count).map_err(StoreError::corrupt)
    }

    async fn sweep_browsers(&self, seen_before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let sweep = diesel::sql_query(
            "DELETE FROM known_browsers WHERE (user_id, browser) IN \
             (SELECT user_id, browser FROM known_browsers WHERE last_seen_at < $1 LIMIT $2 \
             FOR UPDATE SKIP LOCKED)",
        );
        let sweep = Prepared(
            sweep.bind::<Timestamptz, _>(seen_before.to_chrono()).bind::<BigInt, _>(i64::from(limit)),
        );
        let count = self.pool.ask_patiently(|mut connection| sweep.execute(&mut connection).boxed()).await?;
        u64::try_from(count).map_err(StoreError::corrupt)
    }
}

#[derive(Insertable, QueryableByName)]
#[diesel(table_name = outbox)]
struct EntryRow {
    id: Uuid,
    sealed: Vec<u8>,
    attempts: i32,
    created_at: DateTime<Utc>,
    due_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
}

impl TryFrom<&OutboxEntry> for EntryRow {
    type Error = StoreError;

    fn try_from(entry: &OutboxEntry) -> Result<Self, StoreError> {
        Ok(Self {
            id: entry.id.as_uuid(),
            sealed: entry.sealed.clone(),
            attempts: i32::try_from(entry.attempts).map_err(StoreError::corrupt)?,
            created_at: entry.created_at.to_chrono(),
            due_at: entry.due_at.to_chrono(),
            expires_at: entry.expires_at.to_chrono(),
        })
    }
}

impl TryFrom<EntryRow> for OutboxEntry {
    type Error = StoreError;

    fn try_from(row: EntryRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: MailId::from_uuid(row.id),
            sealed: row.sealed,
            attempts: u32::try_from(row.attempts).map_err(StoreError::corrupt)?,
            created_at: Timestamp::from_chrono(row.created_at),
            due_at: Timestamp::from_chrono(row.due_at),
            expires_at: Timestamp::from_chrono(row.expires_at),
        })
    }
}
