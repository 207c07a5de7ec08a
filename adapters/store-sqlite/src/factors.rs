//! Authenticators, which stand in the row of their user, and recovery codes.

use async_trait::async_trait;
use diesel::prelude::*;
use identsphere_accounts::UserStatus;
use identsphere_factors::totp::TimeStep;
use identsphere_factors::{Authenticator, FactorRepo, FactorStore};
use identsphere_kernel::{StoreError, Timestamp, TokenHash, UserId};

use crate::SqliteStore;
use crate::tables::{user_recovery_codes as codes, users};
use crate::tx::SqliteTx;
use crate::values::{AsBytes, AsNumber, AsText};

#[async_trait]
impl FactorRepo for SqliteTx {
    async fn set_up_authenticator(
        &mut self,
        user: UserId,
        sealed: &[u8],
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let set_up = diesel::update(users::table)
            .filter(users::id.eq(AsBytes(user)))
            .filter(users::status.eq(AsText(UserStatus::Active)))
            .filter(users::mfa_enabled.eq(false))
            .set((
                users::mfa_secret.eq(Some(sealed.to_vec())),
                users::mfa_last_step.eq(None::<i64>),
                users::updated_at.eq(AsText(at)),
            ));
        self.ask(move |connection| set_up.execute(connection).map(|count| count == 1)).await
    }

    async fn confirm_authenticator(
        &mut self,
        user: UserId,
        sealed: &[u8],
        step: TimeStep,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let confirmed = diesel::update(users::table)
            .filter(users::id.eq(AsBytes(user)))
            .filter(users::status.eq(AsText(UserStatus::Active)))
            .filter(users::mfa_enabled.eq(false))
            .filter(users::mfa_secret.eq(sealed.to_vec()))
            .set((
                users::mfa_enabled.eq(true),
                users::mfa_last_step.eq(Some(AsNumber(step))),
                users::updated_at.eq(AsText(at)),
            ));
        self.ask(move |connection| confirmed.execute(connection).map(|count| count == 1)).await
    }

    async fn advance_step(
        &mut self,
        user: UserId,
        sealed: &[u8],
        step: TimeStep,
    ) -> Result<bool, StoreError> {
        let is_older = users::mfa_last_step.is_null().or(users::mfa_last_step.lt(AsNumber(step)));
        let advanced = diesel::update(users::table)
            .filter(users::id.eq(AsBytes(user)))
            .filter(users::status.eq(AsText(UserStatus::Active)))
            .filter(users::mfa_enabled.eq(true))
            .filter(users::mfa_secret.eq(sealed.to_vec()))
            .filter(is_older)
            .set(users::mfa_last_step.eq(Some(AsNumber(step))));
        self.ask(move |connection| advanced.execute(connection).map(|count| count == 1)).await
    }

    async fn remove_authenticator(&mut self, user: UserId, at: Timestamp) -> Result<bool, StoreError> {
        self.ask(move |connection| {
            delete_codes(connection, user)?;
            let confirmed = diesel::update(users::table.find(AsBytes(user)))
                .filter(users::mfa_enabled.eq(true))
                .set((users::mfa_enabled.eq(false), users::updated_at.eq(AsText(at))))
                .execute(connection)?;
            diesel::update(users::table.find(AsBytes(user)))
                .set((users::mfa_secret.eq(None::<Vec<u8>>), users::mfa_last_step.eq(None::<i64>)))
                .execute(connection)?;
            Ok(confirmed == 1)
        })
        .await
    }

    async fn replace_recovery_codes(
        &mut self,
        user: UserId,
        hashes: &[TokenHash],
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let hashes = hashes.to_vec();
        self.ask(move |connection| {
            let has_authenticator = diesel::update(users::table)
                .filter(users::id.eq(AsBytes(user)))
                .filter(users::status.eq(AsText(UserStatus::Active)))
                .filter(users::mfa_enabled.eq(true))
                .set(users::updated_at.eq(AsText(at)))
                .execute(connection)?;
            if has_authenticator == 0 {
                return Ok(false);
            }
            delete_codes(connection, user)?;
            let of_user =
                |hash| (codes::user_id.eq(AsBytes(user)), codes::code_hash.eq(AsBytes::<TokenHash>(hash)));
            let rows: Vec<_> = hashes.into_iter().map(of_user).collect();
            diesel::insert_into(codes::table).values(rows).execute(connection)?;
            Ok(true)
        })
        .await
    }

    async fn take_recovery_code(
        &mut self,
        user: UserId,
        hash: &TokenHash,
    ) -> Result<Option<u32>, StoreError> {
        let hash = *hash;
        self.ask(move |connection| {
            let taken =
                diesel::delete(codes::table.find((AsBytes(user), AsBytes(hash)))).execute(connection)?;
            if taken == 0 {
                return Ok(None);
            }
            count_codes(connection, user).map(Some)
        })
        .await
    }
}

#[async_trait]
impl FactorStore for SqliteStore {
    async fn find_authenticator(&self, user: UserId) -> Result<Option<Authenticator>, StoreError> {
        let wanted = users::table
            .filter(users::id.eq(AsBytes(user)))
            .filter(users::mfa_secret.is_not_null())
            .select((users::mfa_secret.assume_not_null(), users::mfa_enabled, users::mfa_last_step));
        let find = move |connection: &mut SqliteConnection| {
            wanted.get_result::<(Vec<u8>, bool, Option<AsNumber<TimeStep>>)>(connection).optional()
        };
        let found = self.readers.run(find).await?;
        Ok(found.map(|(sealed, is_confirmed, last_step)| Authenticator {
            sealed,
            is_confirmed,
            last_step: last_step.map(|step| step.0),
        }))
    }

    async fn count_recovery_codes(&self, user: UserId) -> Result<u32, StoreError> {
        self.readers.run(move |connection| count_codes(connection, user)).await
    }
}

fn delete_codes(connection: &mut SqliteConnection, user: UserId) -> QueryResult<()> {
    diesel::delete(codes::table.filter(codes::user_id.eq(AsBytes(user)))).execute(connection).map(drop)
}

fn count_codes(connection: &mut SqliteConnection, user: UserId) -> QueryResult<u32> {
    let count: AsNumber<u32> =
        codes::table.filter(codes::user_id.eq(AsBytes(user))).count().get_result(connection)?;
    Ok(count.0)
}
