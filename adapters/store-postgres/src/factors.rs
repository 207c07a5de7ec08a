//! Authenticators, which stand in the row of their user, and recovery codes. Whoever touches codes locks their user first.

use async_trait::async_trait;
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Binary, Bool, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use futures::FutureExt;
use identsphere_accounts::UserStatus;
use identsphere_factors::totp::TimeStep;
use identsphere_factors::{Authenticator, FactorRepo, FactorStore};
use identsphere_kernel::{StoreError, Timestamp, TokenHash, UserId};

use crate::PgStore;
use crate::prepared::Prepared;
use crate::tables::{user_recovery_codes as codes, users};
use crate::tx::PgTx;

#[async_trait]
impl FactorRepo for PgTx {
    async fn set_up_authenticator(
        &mut self,
        user: UserId,
        sealed: &[u8],
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let unprotected = users::table
            .filter(users::id.eq(user.as_uuid()))
            .filter(users::status.eq(UserStatus::Active.name()))
            .filter(users::mfa_enabled.eq(false));
        let set_up = Prepared(diesel::update(unprotected).set((
            users::mfa_secret.eq(sealed.to_vec()),
            users::mfa_last_step.eq(None::<i64>),
            users::updated_at.eq(at.to_chrono()),
        )));
        Ok(self.ask(|mut connection| set_up.execute(&mut connection)).await? > 0)
    }

    async fn confirm_authenticator(
        &mut self,
        user: UserId,
        sealed: &[u8],
        step: TimeStep,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let unconfirmed = users::table
            .filter(users::id.eq(user.as_uuid()))
            .filter(users::status.eq(UserStatus::Active.name()))
            .filter(users::mfa_enabled.eq(false))
            .filter(users::mfa_secret.eq(sealed.to_vec()));
        let confirm = Prepared(diesel::update(unconfirmed).set((
            users::mfa_enabled.eq(true),
            users::mfa_last_step.eq(number(step)?),
            users::updated_at.eq(at.to_chrono()),
        )));
        Ok(self.ask(|mut connection| confirm.execute(&mut connection)).await? > 0)
    }

    async fn advance_step(
        &mut self,
        user: UserId,
        sealed: &[u8],
        step: TimeStep,
    ) -> Result<bool, StoreError> {
        let step = number(step)?;
        let behind = users::table
            .filter(users::id.eq(user.as_uuid()))
            .filter(users::status.eq(UserStatus::Active.name()))
            .filter(users::mfa_enabled.eq(true))
            .filter(users::mfa_secret.eq(sealed.to_vec()))
            .filter(users::mfa_last_step.is_null().or(users::mfa_last_step.lt(step)));
        let advance = Prepared(diesel::update(behind).set(users::mfa_last_step.eq(step)));
        Ok(self.ask(|mut connection| advance.execute(&mut connection)).await? > 0)
    }

    async fn remove_authenticator(&mut self, user: UserId, at: Timestamp) -> Result<bool, StoreError> {
        let remove = diesel::sql_query(
            "UPDATE users SET mfa_enabled = false, mfa_secret = NULL, mfa_last_step = NULL, \
             updated_at = CASE WHEN before.mfa_enabled THEN $2 ELSE users.updated_at END FROM \
             (SELECT id, mfa_enabled FROM users WHERE id = $1 FOR UPDATE) AS before \
             WHERE users.id = before.id RETURNING before.mfa_enabled",
        );
        let remove =
            Prepared(remove.bind::<SqlUuid, _>(user.as_uuid()).bind::<Timestamptz, _>(at.to_chrono()));
        let removed: Vec<RemovedRow> =
            self.ask(|mut connection| remove.load(&mut connection).boxed()).await?;
        self.drop_codes(user);
        Ok(removed.iter().any(|row| row.mfa_enabled))
    }

    async fn replace_recovery_codes(
        &mut self,
        user: UserId,
        hashes: &[TokenHash],
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let protected = users::table
            .filter(users::id.eq(user.as_uuid()))
            .filter(users::status.eq(UserStatus::Active.name()))
            .filter(users::mfa_enabled.eq(true));
        let note = Prepared(diesel::update(protected).set(users::updated_at.eq(at.to_chrono())));
        if self.ask(|mut connection| note.execute(&mut connection)).await? == 0 {
            return Ok(false);
        }
        self.drop_codes(user);
        let hashes: Vec<Vec<u8>> = hashes.iter().map(|hash| hash.as_bytes().to_vec()).collect();
        let keep = diesel::sql_query(
            "INSERT INTO user_recovery_codes (user_id, code_hash) SELECT $1, unnest($2) ON CONFLICT DO NOTHING",
        );
        self.hold(keep.bind::<SqlUuid, _>(user.as_uuid()).bind::<Array<Binary>, _>(hashes));
        Ok(true)
    }

    async fn take_recovery_code(
        &mut self,
        user: UserId,
        hash: &TokenHash,
    ) -> Result<Option<u32>, StoreError> {
        self.lock_user(user);
        // One statement sees no row as gone that it deletes itself.
        let take = diesel::sql_query(
            "WITH taken AS (DELETE FROM user_recovery_codes WHERE user_id = $1 AND code_hash = $2 RETURNING 1) \
             SELECT (SELECT count(*) FROM user_recovery_codes WHERE user_id = $1 AND code_hash <> $2) AS others \
             FROM taken",
        );
        let take =
            Prepared(take.bind::<SqlUuid, _>(user.as_uuid()).bind::<Binary, _>(hash.as_bytes().to_vec()));
        let taken: Option<TakenRow> = self
            .ask(|mut connection| take.get_result(&mut connection).map(OptionalExtension::optional).boxed())
            .await?;
        taken.map(|row| u32::try_from(row.others).map_err(StoreError::corrupt)).transpose()
    }
}

#[async_trait]
impl FactorStore for PgStore {
    async fn find_authenticator(&self, user: UserId) -> Result<Option<Authenticator>, StoreError> {
        let query = users::table
            .filter(users::id.eq(user.as_uuid()))
            .filter(users::mfa_secret.is_not_null())
            .select((users::mfa_secret.assume_not_null(), users::mfa_enabled, users::mfa_last_step));
        let found: Option<(Vec<u8>, bool, Option<i64>)> = self
            .pool
            .ask(|mut connection| query.get_result(&mut connection).map(OptionalExtension::optional).boxed())
            .await?;
        let Some((sealed, is_confirmed, last_step)) = found else { return Ok(None) };
        let last_step = last_step.map(u64::try_from).transpose().map_err(StoreError::corrupt)?;
        Ok(Some(Authenticator { sealed, is_confirmed, last_step: last_step.map(TimeStep::from_number) }))
    }

    async fn count_recovery_codes(&self, user: UserId) -> Result<u32, StoreError> {
        let count = codes::table.filter(codes::user_id.eq(user.as_uuid())).count();
        let count: i64 = self.pool.ask(|mut connection| count.get_result(&mut connection).boxed()).await?;
        u32::try_from(count).map_err(StoreError::corrupt)
    }
}

impl PgTx {
    /// Drops every recovery code of a user whose row is locked.
    fn drop_codes(&mut self, user: UserId) {
        self.hold(diesel::delete(codes::table.filter(codes::user_id.eq(user.as_uuid()))));
    }
}

/// A time step as a column has it.
fn number(step: TimeStep) -> Result<i64, StoreError> {
    i64::try_from(step.number()).map_err(StoreError::corrupt)
}

/// Whether the authenticator that a statement removed was confirmed.
#[derive(QueryableByName)]
struct RemovedRow {
    #[diesel(sql_type = Bool)]
    mfa_enabled: bool,
}

/// How many codes there are besides the one that was taken.
#[derive(QueryableByName)]
struct TakenRow {
    #[diesel(sql_type = BigInt)]
    others: i64,
}
