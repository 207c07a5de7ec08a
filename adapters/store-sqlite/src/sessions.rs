//! Sessions.

use async_trait::async_trait;
use diesel::expression::BoxableExpression;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Nullable};
use diesel::sqlite::Sqlite;
use identsphere_kernel::{PasskeyId, SessionId, StoreError, Timestamp, TokenHash, UserId};
use identsphere_sessions::{
    AssuranceLevel, Leaf, RefreshState, RemovedFactor, RevocationReason, SecondFactor, Session, SessionRepo,
    SessionStore,
};

use crate::SqliteStore;
use crate::principals::live_sessions;
use crate::tables::user_sessions;
use crate::tx::SqliteTx;
use crate::values::{AsBytes, AsNumber, AsText};

#[derive(Queryable, Selectable)]
#[diesel(table_name = user_sessions)]
struct RefreshStateRow {
    refresh_hash: AsBytes<TokenHash>,
    refresh_generation: AsNumber<u32>,
    refresh_issued_at: AsText<Timestamp>,
    expires_at: AsText<Timestamp>,
    revoked_at: Option<AsText<Timestamp>>,
}

impl From<RefreshStateRow> for RefreshState {
    fn from(row: RefreshStateRow) -> Self {
        Self {
            leaf: Leaf {
                hash: row.refresh_hash.0,
                generation: row.refresh_generation.0,
                issued_at: row.refresh_issued_at.0,
            },
            expires_at: row.expires_at.0,
            revoked_at: row.revoked_at.map(|at| at.0),
        }
    }
}

#[async_trait]
impl SessionStore for SqliteStore {
    async fn find_refresh_state(&self, session: SessionId) -> Result<Option<RefreshState>, StoreError> {
        self.readers
            .run(move |connection| {
                let row = user_sessions::table
                    .find(AsBytes(session))
                    .select(RefreshStateRow::as_select())
                    .get_result(connection)
                    .optional()?;
                Ok(row.map(RefreshState::from))
            })
            .await
    }

    async fn list_live_sessions(&self, user: UserId, now: Timestamp) -> Result<Vec<Session>, StoreError> {
        self.readers.run(move |connection| live_sessions(connection, user, now)).await
    }

    async fn sweep_sessions(&self, ended_before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let swept = diesel::alias!(user_sessions as swept);
        let chosen = swept
            .select(swept.field(user_sessions::id))
            .filter(swept.field(user_sessions::expires_at).lt(AsText(ended_before)))
            .limit(i64::from(limit));
        let deletion = diesel::delete(user_sessions::table).filter(user_sessions::id.eq_any(chosen));
        let count = self.writer.run(move |connection| deletion.execute(connection)).await?;
        u64::try_from(count).map_err(StoreError::corrupt)
    }
}

#[async_trait]
impl SessionRepo for SqliteTx {
    async fn revoke(
        &mut self,
        session: SessionId,
        owner: UserId,
        reason: RevocationReason,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let revocation = diesel::update(user_sessions::table)
            .filter(user_sessions::id.eq(AsBytes(session)))
            .filter(user_sessions::user_id.eq(AsBytes(owner)))
            .filter(user_sessions::revoked_at.is_null())
            .filter(user_sessions::expires_at.gt(AsText(at)))
            .set((
                user_sessions::revoked_at.eq(Some(AsText(at))),
                user_sessions::revoked_reason.eq(Some(reason.name())),
            ));
        self.ask(move |connection| revocation.execute(connection).map(|count| count == 1)).await
    }

    async fn revoke_all(
        &mut self,
        owner: UserId,
        except: Option<SessionId>,
        reason: RevocationReason,
        at: Timestamp,
    ) -> Result<Vec<SessionId>, StoreError> {
        let revocation = diesel::update(user_sessions::table)
            .filter(user_sessions::user_id.eq(AsBytes(owner)))
            .filter(user_sessions::id.nullable().is_not(except.map(AsBytes)))
            .filter(user_sessions::revoked_at.is_null())
            .filter(user_sessions::expires_at.gt(AsText(at)))
            .set((
                user_sessions::revoked_at.eq(Some(AsText(at))),
                user_sessions::revoked_reason.eq(Some(reason.name())),
            ))
            .returning(user_sessions::id);
        self.ask(move |connection| {
            let ended: Vec<AsBytes<SessionId>> = revocation.get_results(connection)?;
            Ok(ended.into_iter().map(|id| id.0).collect())
        })
        .await
    }

    async fn step_up(
        &mut self,
        session: SessionId,
        owner: UserId,
        factor: SecondFactor,
        passkey: Option<PasskeyId>,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let raised = diesel::update(user_sessions::table)
            .filter(user_sessions::id.eq(AsBytes(session)))
            .filter(user_sessions::user_id.eq(AsBytes(owner)))
            .filter(user_sessions::revoked_at.is_null())
            .filter(user_sessions::expires_at.gt(AsText(at)))
            .set((
                user_sessions::aal.eq(AsText(AssuranceLevel::Aal2)),
                user_sessions::second_factor.eq(Some(AsText(factor))),
                passkey.map(|id| user_sessions::passkey_id.eq(Some(AsBytes(id)))),
                user_sessions::mfa_verified_at.eq(Some(AsText(at))),
            ));
        self.ask(move |connection| raised.execute(connection).map(|count| count == 1)).await
    }

    async fn drop_factor(
        &mut self,
        owner: UserId,
        factor: RemovedFactor,
        spare: Option<SessionId>,
        at: Timestamp,
    ) -> Result<Vec<SessionId>, StoreError> {
        self.ask(move |connection| {
            if let Some(spare) = spare {
                lower(connection, spare, owner, factor, at)?;
            }
            let ended: Vec<AsBytes<SessionId>> = diesel::update(user_sessions::table)
                .filter(user_sessions::user_id.eq(AsBytes(owner)))
                .filter(user_sessions::id.nullable().is_not(spare.map(AsBytes)))
                .filter(user_sessions::revoked_at.is_null())
                .filter(user_sessions::expires_at.gt(AsText(at)))
                .filter(rests_on(factor))
                .set((
                    user_sessions::revoked_at.eq(Some(AsText(at))),
                    user_sessions::revoked_reason.eq(Some(RevocationReason::FactorRemoved.name())),
                ))
                .returning(user_sessions::id)
                .get_results(connection)?;
            Ok(ended.into_iter().map(|id| id.0).collect())
        })
        .await
    }

    async fn delete_all(&mut self, owner: UserId) -> Result<(), StoreError> {
        self.hold(move |connection| {
            diesel::delete(user_sessions::table)
                .filter(user_sessions::user_id.eq(AsBytes(owner)))
                .execute(connection)
                .map(drop)
        })
    }
}

type Condition = Box<dyn BoxableExpression<user_sessions::table, Sqlite, SqlType = Nullable<Bool>>>;

/// Whether a session rests on a factor.
fn rests_on(factor: RemovedFactor) -> Condition {
    match factor {
        RemovedFactor::Codes => {
            Box::new(user_sessions::second_factor.eq_any(RemovedFactor::CODES.map(AsText)))
        }
        RemovedFactor::Passkey(id) => Box::new(user_sessions::passkey_id.eq(AsBytes(id))),
    }
}

/// Takes away what a live session has from a factor.
fn lower(
    connection: &mut SqliteConnection,
    session: SessionId,
    owner: UserId,
    factor: RemovedFactor,
    at: Timestamp,
) -> QueryResult<()> {
    diesel::update(user_sessions::table)
        .filter(user_sessions::id.eq(AsBytes(session)))
        .filter(user_sessions::user_id.eq(AsBytes(owner)))
        .filter(user_sessions::revoked_at.is_null())
        .filter(user_sessions::expires_at.gt(AsText(at)))
        .filter(rests_on(factor))
        .set((
            user_sessions::aal.eq(AsText(AssuranceLevel::Aal1)),
            user_sessions::second_factor.eq(None::<String>),
            user_sessions::passkey_id.eq(None::<Vec<u8>>),
            user_sessions::mfa_verified_at.eq(None::<String>),
        ))
        .execute(connection)
        .map(drop)
}
