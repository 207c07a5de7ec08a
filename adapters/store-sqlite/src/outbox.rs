//! The outbox, and the browsers that users are known by.

use async_trait::async_trait;
use diesel::prelude::*;
use diesel::upsert::excluded;
use identsphere_core::{OutboxEntry, OutboxRepo, OutboxStore};
use identsphere_kernel::{MailId, StoreError, Timestamp, TokenHash, UserId};

use crate::SqliteStore;
use crate::tables::{known_browsers, outbox};
use crate::tx::SqliteTx;
use crate::values::{AsBytes, AsText};

#[async_trait]
impl OutboxRepo for SqliteTx {
    async fn post(&mut self, entry: &OutboxEntry) -> Result<(), StoreError> {
        let entry = entry.clone();
        self.hold(move |connection| post(connection, entry))
    }

    async fn greet_browser(
        &mut self,
        user: UserId,
        browser: &TokenHash,
        at: Timestamp,
        notice: Option<&OutboxEntry>,
    ) -> Result<(), StoreError> {
        let (browser, notice) = (*browser, notice.cloned());
        self.hold(move |connection| {
            let met = diesel::update(known_browsers::table.find((AsBytes(user), AsBytes(browser))))
                .set(known_browsers::last_seen_at.eq(AsText(at)))
                .execute(connection)?;
            if met > 0 {
                return Ok(());
            }
            diesel::insert_into(known_browsers::table)
                .values((
                    known_browsers::user_id.eq(AsBytes(user)),
                    known_browsers::browser.eq(AsBytes(browser)),
                    known_browsers::first_seen_at.eq(AsText(at)),
                    known_browsers::last_seen_at.eq(AsText(at)),
                ))
                .on_conflict((known_browsers::user_id, known_browsers::browser))
                .do_update()
                .set(known_browsers::last_seen_at.eq(excluded(known_browsers::last_seen_at)))
                .execute(connection)?;
            notice.map_or(Ok(()), |notice| post(connection, notice))
        })
    }

    async fn forget_browsers(&mut self, user: UserId) -> Result<(), StoreError> {
        self.hold(move |connection| {
            diesel::delete(known_browsers::table.filter(known_browsers::user_id.eq(AsBytes(user))))
                .execute(connection)
                .map(drop)
        })
    }

    async fn settle(&mut self, id: MailId) -> Result<bool, StoreError> {
        let settled = diesel::delete(outbox::table.find(AsBytes(id)));
        self.ask(move |connection| settled.execute(connection).map(|count| count == 1)).await
    }
}

#[async_trait]
impl OutboxStore for SqliteStore {
    async fn lease_outbox(
        &self,
        now: Timestamp,
        again_at: Timestamp,
        limit: u32,
    ) -> Result<Vec<OutboxEntry>, StoreError> {
        let due = outbox::table.filter(outbox::due_at.le(AsText(now))).select(outbox::id);
        // Mostly nothing is due, and looking for that takes no writer.
        let first = self
            .readers
            .run(move |connection| due.limit(1).get_result::<AsBytes<MailId>>(connection).optional())
            .await?;
        if first.is_none() {
            return Ok(vec![]);
        }
        // One by one, as `RETURNING` of several keeps no order (<https://sqlite.org/lang_returning.html>).
        let lease = move |connection: &mut SqliteConnection| {
            let chosen = due.order((outbox::due_at, outbox::id)).limit(i64::from(limit));
            let chosen: Vec<AsBytes<MailId>> = chosen.load(connection)?;
            let begin = |id| {
                diesel::update(outbox::table.find(id))
                    .set((outbox::due_at.eq(AsText(again_at)), outbox::attempts.eq(outbox::attempts + 1)))
                    .returning(EntryRow::as_select())
                    .get_result(connection)
            };
            chosen.into_iter().map(begin).collect::<QueryResult<Vec<EntryRow>>>()
        };
        let rows = self.writer.run_exclusively(lease).await?;
        Ok(rows.into_iter().map(OutboxEntry::from).collect())
    }

    async fn postpone_outbox(&self, id: MailId, attempts: u32, due_at: Timestamp) -> Result<(), StoreError> {
        let attempts = i32::try_from(attempts).map_err(StoreError::corrupt)?;
        let postponed = diesel::update(outbox::table.find(AsBytes(id)))
            .filter(outbox::attempts.eq(attempts))
            .set(outbox::due_at.eq(AsText(due_at)));
        self.writer.run(move |connection| postponed.execute(connection).map(drop)).await
    }

    async fn count_outbox(&self) -> Result<u64, StoreError> {
        let count: i64 = self.readers.run(|connection| outbox::table.count().get_result(connection)).await?;
        u64::try_from(count).map_err(StoreError::corrupt)
    }

    async fn sweep_browsers(&self, seen_before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let sweep = diesel::sql_query(
            "DELETE FROM known_browsers WHERE (user_id, browser) IN \
             (SELECT user_id, browser FROM known_browsers WHERE last_seen_at < ? LIMIT ?)",
        )
        .bind::<diesel::sql_types::Text, _>(AsText(seen_before))
        .bind::<diesel::sql_types::BigInt, _>(i64::from(limit));
        let count = self.writer.run(move |connection| sweep.execute(connection)).await?;
        u64::try_from(count).map_err(StoreError::corrupt)
    }
}

fn post(connection: &mut SqliteConnection, entry: OutboxEntry) -> QueryResult<()> {
    diesel::insert_into(outbox::table)
        .values((
            outbox::id.eq(AsBytes(entry.id)),
            outbox::sealed.eq(entry.sealed),
            outbox::attempts.eq(i32::try_from(entry.attempts).unwrap_or(i32::MAX)),
            outbox::created_at.eq(AsText(entry.created_at)),
            outbox::due_at.eq(AsText(entry.due_at)),
            outbox::expires_at.eq(AsText(entry.expires_at)),
        ))
        .execute(connection)
        .map(drop)
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = outbox)]
struct EntryRow {
    id: AsBytes<MailId>,
    sealed: Vec<u8>,
    attempts: i32,
    created_at: AsText<Timestamp>,
    due_at: AsText<Timestamp>,
    expires_at: AsText<Timestamp>,
}

impl From<EntryRow> for OutboxEntry {
    fn from(row: EntryRow) -> Self {
        Self {
            id: row.id.0,
            sealed: row.sealed,
            attempts: u32::try_from(row.attempts).unwrap_or_default(),
            created_at: row.created_at.0,
            due_at: row.due_at.0,
            expires_at: row.expires_at.0,
        }
    }
}
