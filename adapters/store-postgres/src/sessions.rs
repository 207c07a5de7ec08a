//! Sessions.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use futures::FutureExt;
use identsphere_kernel::{OrganizationId, PasskeyId, SessionId, StoreError, Timestamp, TokenHash, UserId};
use identsphere_sessions::{
    AssuranceLevel, AuthMethod, ClientInfo, Leaf, RefreshState, RemovedFactor, RevocationReason,
    SecondFactor, Session, SessionRepo, SessionStore,
};
use ipnet::IpNet;
use uuid::Uuid;

use crate::PgStore;
use crate::prepared::Prepared;
use crate::tables::user_sessions as sessions;
use crate::tx::PgTx;

#[async_trait]
impl SessionStore for PgStore {
    async fn find_refresh_state(&self, session: SessionId) -> Result<Option<RefreshState>, StoreError> {
        let query = sessions::table.filter(sessions::id.eq(session.as_uuid())).select((
            LeafRow::as_select(),
            sessions::expires_at,
            sessions::revoked_at,
        ));
        let found: Option<(LeafRow, DateTime<Utc>, Option<DateTime<Utc>>)> = self
            .pool
            .ask(|mut connection| query.get_result(&mut connection).map(OptionalExtension::optional).boxed())
            .await?;
        let Some((leaf, expires_at, revoked_at)) = found else { return Ok(None) };
        Ok(Some(RefreshState {
            leaf: leaf.try_into()?,
            expires_at: Timestamp::from_chrono(expires_at),
            revoked_at: revoked_at.map(Timestamp::from_chrono),
        }))
    }

    async fn list_live_sessions(&self, user: UserId, now: Timestamp) -> Result<Vec<Session>, StoreError> {
        let query = sessions::table
            .filter(sessions::user_id.eq(user.as_uuid()))
            .filter(sessions::revoked_at.is_null())
            .filter(sessions::expires_at.gt(now.to_chrono()))
            .order((sessions::last_active_at.desc(), sessions::id.desc()))
            .select(SessionRow::as_select());
        let rows: Vec<SessionRow> =
            self.pool.ask(|mut connection| query.load(&mut connection).boxed()).await?;
        rows.into_iter().map(Session::try_from).collect()
    }

    async fn sweep_sessions(&self, ended_before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        // Rows that somebody holds are left for the next time, so that a sweep waits for nobody.
        let sweep = diesel::sql_query(
            "DELETE FROM user_sessions WHERE id IN \
             (SELECT id FROM user_sessions WHERE expires_at < $1 LIMIT $2 FOR UPDATE SKIP LOCKED)",
        );
        let sweep = Prepared(
            sweep.bind::<Timestamptz, _>(ended_before.to_chrono()).bind::<BigInt, _>(i64::from(limit)),
        );
        let swept = self.pool.ask_patiently(|mut connection| sweep.execute(&mut connection)).await?;
        Ok(swept as u64)
    }
}

#[async_trait]
impl SessionRepo for PgTx {
    async fn revoke(
        &mut self,
        session: SessionId,
        owner: UserId,
        reason: RevocationReason,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let live = sessions::table
            .filter(sessions::id.eq(session.as_uuid()))
            .filter(sessions::user_id.eq(owner.as_uuid()))
            .filter(sessions::revoked_at.is_null())
            .filter(sessions::expires_at.gt(at.to_chrono()));
        let revoke = Prepared(
            diesel::update(live)
                .set((sessions::revoked_at.eq(at.to_chrono()), sessions::revoked_reason.eq(reason.name()))),
        );
        Ok(self.ask(|mut connection| revoke.execute(&mut connection)).await? > 0)
    }

    async fn revoke_all(
        &mut self,
        owner: UserId,
        except: Option<SessionId>,
        reason: RevocationReason,
        at: Timestamp,
    ) -> Result<Vec<SessionId>, StoreError> {
        self.lock_user(owner);
        // Locked in one order, so that two at once do not wait for each other crosswise.
        let revoke = diesel::sql_query(
            "UPDATE user_sessions SET revoked_at = $1, revoked_reason = $2 WHERE revoked_at IS NULL AND id IN \
             (SELECT id FROM user_sessions WHERE user_id = $3 AND id IS DISTINCT FROM $4 \
             AND revoked_at IS NULL AND expires_at > $1 ORDER BY id FOR UPDATE) \
             RETURNING id",
        );
        let revoke = Prepared(
            revoke
                .bind::<Timestamptz, _>(at.to_chrono())
                .bind::<Text, _>(reason.name())
                .bind::<SqlUuid, _>(owner.as_uuid())
                .bind::<Nullable<SqlUuid>, _>(except.map(SessionId::as_uuid)),
        );
        let revoked: Vec<RevokedRow> =
            self.ask(|mut connection| revoke.load(&mut connection).boxed()).await?;
        Ok(revoked.into_iter().map(|row| SessionId::from_uuid(row.id)).collect())
    }

    async fn delete_all(&mut self, owner: UserId) -> Result<(), StoreError> {
        self.hold(diesel::delete(sessions::table.filter(sessions::user_id.eq(owner.as_uuid()))));
        Ok(())
    }

    async fn step_up(
        &mut self,
        session: SessionId,
        owner: UserId,
        factor: SecondFactor,
        passkey: Option<PasskeyId>,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let live = sessions::table
            .filter(sessions::id.eq(session.as_uuid()))
            .filter(sessions::user_id.eq(owner.as_uuid()))
            .filter(sessions::revoked_at.is_null())
            .filter(sessions::expires_at.gt(at.to_chrono()));
        let step_up = Prepared(diesel::update(live).set((
            sessions::aal.eq(AssuranceLevel::Aal2.name()),
            sessions::second_factor.eq(factor.name()),
            passkey.map(|id| sessions::passkey_id.eq(id.as_uuid())),
            sessions::mfa_verified_at.eq(at.to_chrono()),
        )));
        Ok(self.ask(|mut connection| step_up.execute(&mut connection)).await? > 0)
    }

    async fn drop_factor(
        &mut self,
        owner: UserId,
        factor: RemovedFactor,
        spare: Option<SessionId>,
        at: Timestamp,
    ) -> Result<Vec<SessionId>, StoreError> {
        self.lock_user(owner);
        let (codes, passkey) = match factor {
            RemovedFactor::Codes => (RemovedFactor::CODES.map(SecondFactor::name).to_vec(), None),
            RemovedFactor::Passkey(id) => (Vec::new(), Some(id.as_uuid())),
        };
        let drop = Prepared(
            diesel::sql_query(DROP_FACTOR)
                .bind::<Timestamptz, _>(at.to_chrono())
                .bind::<Text, _>(RevocationReason::FactorRemoved.name())
                .bind::<Text, _>(AssuranceLevel::Aal1.name())
                .bind::<SqlUuid, _>(owner.as_uuid())
                .bind::<Nullable<SqlUuid>, _>(spare.map(SessionId::as_uuid))
                .bind::<Array<Text>, _>(codes)
                .bind::<Nullable<SqlUuid>, _>(passkey),
        );
        let dropped: Vec<DroppedRow> = self.ask(|mut connection| drop.load(&mut connection).boxed()).await?;
        let ended = dropped.into_iter().filter(|row| !row.is_spared);
        Ok(ended.map(|row| SessionId::from_uuid(row.id)).collect())
    }
}

/// Ends the sessions that rest on a factor, and takes the spared one down a level. Locked in one order, so that two at
/// once do not wait for each other crosswise.
const DROP_FACTOR: &str = "\
WITH resting AS (
    SELECT id, id IS NOT DISTINCT FROM $5 AS is_spared FROM user_sessions
    WHERE user_id = $4 AND revoked_at IS NULL AND expires_at > $1
    AND (second_factor = ANY($6) OR passkey_id = $7)
    ORDER BY id FOR UPDATE
)
UPDATE user_sessions SET
    revoked_at = CASE WHEN is_spared THEN NULL ELSE $1 END,
    revoked_reason = CASE WHEN is_spared THEN NULL ELSE $2 END,
    aal = CASE WHEN is_spared THEN $3 ELSE aal END,
    second_factor = CASE WHEN is_spared THEN NULL ELSE second_factor END,
    passkey_id = CASE WHEN is_spared THEN NULL ELSE passkey_id END,
    mfa_verified_at = CASE WHEN is_spared THEN NULL ELSE mfa_verified_at END
FROM resting WHERE user_sessions.id = resting.id
RETURNING user_sessions.id, is_spared";

#[derive(QueryableByName)]
struct RevokedRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
}

#[derive(QueryableByName)]
struct DroppedRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = Bool)]
    is_spared: bool,
}

/// A session as its row has it, less the end before its time.
#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = sessions, treat_none_as_default_value = false)]
pub(crate) struct SessionRow {
    id: Uuid,
    /// Inserted by what makes sure of them.
    #[diesel(skip_insertion)]
    user_id: Uuid,
    organization_id: Uuid,
    auth_method: String,
    aal: String,
    auth_time: DateTime<Utc>,
    second_factor: Option<String>,
    passkey_id: Option<Uuid>,
    mfa_verified_at: Option<DateTime<Utc>>,
    #[diesel(embed)]
    leaf: LeafRow,
    ip_address: Option<IpNet>,
    user_agent: Option<String>,
    created_at: DateTime<Utc>,
    last_active_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
}

/// The live refresh token as the row has it.
#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = sessions)]
pub(crate) struct LeafRow {
    refresh_hash: Vec<u8>,
    refresh_generation: i64,
    refresh_issued_at: DateTime<Utc>,
}

impl From<&Session> for SessionRow {
    fn from(session: &Session) -> Self {
        Self {
            id: session.id.as_uuid(),
            user_id: session.user.as_uuid(),
            organization_id: session.organization.as_uuid(),
            auth_method: session.auth_method.name().to_owned(),
            aal: session.aal.name().to_owned(),
            auth_time: session.auth_time.to_chrono(),
            second_factor: session.second_factor.map(|factor| factor.name().to_owned()),
            passkey_id: session.passkey.map(PasskeyId::as_uuid),
            mfa_verified_at: session.mfa_verified_at.map(Timestamp::to_chrono),
            leaf: LeafRow::from(&session.leaf),
            ip_address: session.client.ip_address.map(IpNet::from),
            user_agent: session.client.user_agent.clone(),
            created_at: session.created_at.to_chrono(),
            last_active_at: session.last_active_at.to_chrono(),
            expires_at: session.expires_at.to_chrono(),
        }
    }
}

impl TryFrom<SessionRow> for Session {
    type Error = StoreError;

    fn try_from(row: SessionRow) -> Result<Self, StoreError> {
        let second_factor = |name: String| {
            SecondFactor::from_name(&name)
                .ok_or_else(|| StoreError::corrupt(format!("unknown second factor `{name}`")))
        };
        let aal = AssuranceLevel::from_name(&row.aal)
            .ok_or_else(|| StoreError::corrupt(format!("unknown assurance level `{}`", row.aal)))?;
        Ok(Self {
            id: SessionId::from_uuid(row.id),
            user: UserId::from_uuid(row.user_id),
            organization: OrganizationId::from_uuid(row.organization_id),
            auth_method: auth_method(&row.auth_method)?,
            aal,
            auth_time: Timestamp::from_chrono(row.auth_time),
            second_factor: row.second_factor.map(second_factor).transpose()?,
            passkey: row.passkey_id.map(PasskeyId::from_uuid),
            mfa_verified_at: row.mfa_verified_at.map(Timestamp::from_chrono),
            leaf: row.leaf.try_into()?,
            client: ClientInfo {
                ip_address: row.ip_address.map(|network| network.addr()),
                user_agent: row.user_agent,
            },
            created_at: Timestamp::from_chrono(row.created_at),
            last_active_at: Timestamp::from_chrono(row.last_active_at),
            expires_at: Timestamp::from_chrono(row.expires_at),
        })
    }
}

impl From<&Leaf> for LeafRow {
    fn from(leaf: &Leaf) -> Self {
        Self {
            refresh_hash: leaf.hash.as_bytes().to_vec(),
            refresh_generation: i64::from(leaf.generation),
            refresh_issued_at: leaf.issued_at.to_chrono(),
        }
    }
}

impl TryFrom<LeafRow> for Leaf {
    type Error = StoreError;

    fn try_from(row: LeafRow) -> Result<Self, StoreError> {
        let hash = <[u8; 32]>::try_from(row.refresh_hash)
            .map_err(|bytes| StoreError::corrupt(format!("a refresh hash of {} bytes", bytes.len())))?;
        Ok(Self {
            hash: TokenHash::from_bytes(hash),
            generation: u32::try_from(row.refresh_generation).map_err(StoreError::corrupt)?,
            issued_at: Timestamp::from_chrono(row.refresh_issued_at),
        })
    }
}

/// The way in that a column names.
pub(crate) fn auth_method(name: &str) -> Result<AuthMethod, StoreError> {
    AuthMethod::from_name(name)
        .ok_or_else(|| StoreError::corrupt(format!("unknown authentication method `{name}`")))
}
