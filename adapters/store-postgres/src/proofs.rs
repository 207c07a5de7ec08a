//! What proves a mailbox: one of a kind for each user.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Timestamptz};
use diesel::upsert::excluded;
use diesel_async::RunQueryDsl;
use futures::FutureExt;
use identsphere_accounts::{
    CodeChallenge, EmailVerification, PasswordReset, ProofRepo, ProofStore, VerificationKind,
};
use identsphere_kernel::{Email, EmailKey, StoreError, Timestamp, TokenHash, UserId};
use uuid::Uuid;

use crate::PgStore;
use crate::prepared::Prepared;
use crate::tables::{
    email_otp_challenges as codes, email_verification_tokens as verifications,
    password_reset_tokens as resets, users,
};
use crate::tx::PgTx;

#[async_trait]
impl ProofRepo for PgTx {
    async fn put_verification(&mut self, verification: &EmailVerification) -> Result<(), StoreError> {
        self.hold(
            diesel::insert_into(verifications::table)
                .values(VerificationRow::from(verification))
                .on_conflict((verifications::user_id, verifications::changes_address))
                .do_update()
                .set((
                    verifications::token_hash.eq(excluded(verifications::token_hash)),
                    verifications::email.eq(excluded(verifications::email)),
                    verifications::email_key.eq(excluded(verifications::email_key)),
                    verifications::created_at.eq(excluded(verifications::created_at)),
                    verifications::expires_at.eq(excluded(verifications::expires_at)),
                )),
        );
        Ok(())
    }

    async fn take_verification(
        &mut self,
        hash: &TokenHash,
        now: Timestamp,
    ) -> Result<Option<EmailVerification>, StoreError> {
        let with_hash = verifications::table.filter(verifications::token_hash.eq(hash.as_bytes().to_vec()));
        let owner = users::table.filter(users::id.eq_any(with_hash.clone().select(verifications::user_id)));
        self.hold(owner.select(users::id).for_no_key_update());
        let wanted = with_hash.filter(verifications::expires_at.gt(now.to_chrono()));
        let take = Prepared(diesel::delete(wanted).returning(VerificationRow::as_select()));
        let row: Option<VerificationRow> = self
            .ask(|mut connection| take.get_result(&mut connection).map(OptionalExtension::optional).boxed())
            .await?;
        row.map(EmailVerification::try_from).transpose()
    }

    async fn put_reset(&mut self, reset: &PasswordReset) -> Result<(), StoreError> {
        self.hold(
            diesel::insert_into(resets::table)
                .values(ResetRow::from(reset))
                .on_conflict(resets::user_id)
                .do_update()
                .set((
                    resets::token_hash.eq(excluded(resets::token_hash)),
                    resets::email_key.eq(excluded(resets::email_key)),
                    resets::created_at.eq(excluded(resets::created_at)),
                    resets::expires_at.eq(excluded(resets::expires_at)),
                )),
        );
        Ok(())
    }

    async fn take_reset(
        &mut self,
        hash: &TokenHash,
        now: Timestamp,
    ) -> Result<Option<PasswordReset>, StoreError> {
        let with_hash = resets::table.filter(resets::token_hash.eq(hash.as_bytes().to_vec()));
        let owner = users::table.filter(users::id.eq_any(with_hash.clone().select(resets::user_id)));
        self.hold(owner.select(users::id).for_no_key_update());
        let wanted = with_hash.filter(resets::expires_at.gt(now.to_chrono()));
        let take = Prepared(diesel::delete(wanted).returning(ResetRow::as_select()));
        let row: Option<ResetRow> = self
            .ask(|mut connection| take.get_result(&mut connection).map(OptionalExtension::optional).boxed())
            .await?;
        row.map(PasswordReset::try_from).transpose()
    }

    async fn put_code(&mut self, challenge: &CodeChallenge) -> Result<(), StoreError> {
        self.hold(
            diesel::insert_into(codes::table)
                .values((CodeRow::from(challenge), codes::attempts.eq(0)))
                .on_conflict(codes::user_id)
                .do_update()
                .set((
                    codes::code_hash.eq(excluded(codes::code_hash)),
                    codes::email_key.eq(excluded(codes::email_key)),
                    codes::attempts.eq(excluded(codes::attempts)),
                    codes::created_at.eq(excluded(codes::created_at)),
                    codes::expires_at.eq(excluded(codes::expires_at)),
                )),
        );
        Ok(())
    }

    async fn take_code(
        &mut self,
        user: UserId,
        hash: &TokenHash,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.lock_user(user);
        let wanted = codes::table
            .filter(codes::user_id.eq(user.as_uuid()))
            .filter(codes::code_hash.eq(hash.as_bytes().to_vec()))
            .filter(codes::expires_at.gt(now.to_chrono()));
        let take = Prepared(diesel::delete(wanted));
        Ok(self.ask(|mut connection| take.execute(&mut connection)).await? > 0)
    }

    async fn void_proofs(&mut self, user: UserId) -> Result<(), StoreError> {
        let user = user.as_uuid();
        self.hold(diesel::delete(verifications::table.filter(verifications::user_id.eq(user))));
        self.hold(diesel::delete(resets::table.filter(resets::user_id.eq(user))));
        self.hold(diesel::delete(codes::table.filter(codes::user_id.eq(user))));
        Ok(())
    }
}

#[async_trait]
impl ProofStore for PgStore {
    async fn count_code_attempt(
        &self,
        user: UserId,
        now: Timestamp,
    ) -> Result<Option<CodeChallenge>, StoreError> {
        const ATTEMPTS: i32 = CodeChallenge::ATTEMPTS.cast_signed();
        let open = codes::table
            .filter(codes::user_id.eq(user.as_uuid()))
            .filter(codes::expires_at.gt(now.to_chrono()))
            .filter(codes::attempts.lt(ATTEMPTS));
        let count = diesel::update(open).set(codes::attempts.eq(codes::attempts + 1));
        let count = Prepared(count.returning(CodeRow::as_select()));
        let row: Option<CodeRow> = self
            .pool
            .ask(|mut connection| count.get_result(&mut connection).map(OptionalExtension::optional).boxed())
            .await?;
        row.map(CodeChallenge::try_from).transpose()
    }

    async fn find_reset(
        &self,
        hash: &TokenHash,
        now: Timestamp,
    ) -> Result<Option<PasswordReset>, StoreError> {
        let wanted = resets::table
            .filter(resets::token_hash.eq(hash.as_bytes().to_vec()))
            .filter(resets::expires_at.gt(now.to_chrono()))
            .select(ResetRow::as_select());
        let row: Option<ResetRow> = self
            .pool
            .ask(|mut connection| wanted.get_result(&mut connection).map(OptionalExtension::optional).boxed())
            .await?;
        row.map(PasswordReset::try_from).transpose()
    }

    async fn sweep_proofs(&self, now: Timestamp, limit: u32) -> Result<u64, StoreError> {
        // One statement; rows that somebody holds are left for the next time.
        let sweep = diesel::sql_query(
            "WITH verifications AS (DELETE FROM email_verification_tokens WHERE token_hash IN \
             (SELECT token_hash FROM email_verification_tokens WHERE expires_at < $1 LIMIT $2 \
             FOR UPDATE SKIP LOCKED) RETURNING 1), \
             resets AS (DELETE FROM password_reset_tokens WHERE user_id IN \
             (SELECT user_id FROM password_reset_tokens WHERE expires_at < $1 LIMIT $2 FOR UPDATE SKIP LOCKED) \
             RETURNING 1), \
             codes AS (DELETE FROM email_otp_challenges WHERE user_id IN \
             (SELECT user_id FROM email_otp_challenges WHERE expires_at < $1 LIMIT $2 FOR UPDATE SKIP LOCKED) \
             RETURNING 1) \
             SELECT (SELECT count(*) FROM verifications) + (SELECT count(*) FROM resets) \
             + (SELECT count(*) FROM codes) AS swept",
        );
        let sweep =
            Prepared(sweep.bind::<Timestamptz, _>(now.to_chrono()).bind::<BigInt, _>(i64::from(limit)));
        let row: SweptRow =
            self.pool.ask_patiently(|mut connection| sweep.get_result(&mut connection).boxed()).await?;
        u64::try_from(row.swept).map_err(StoreError::corrupt)
    }
}

#[derive(QueryableByName)]
struct SweptRow {
    #[diesel(sql_type = BigInt)]
    swept: i64,
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = verifications)]
struct VerificationRow {
    user_id: Uuid,
    changes_address: bool,
    token_hash: Vec<u8>,
    email: String,
    email_key: String,
    created_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
}

impl From<&EmailVerification> for VerificationRow {
    fn from(verification: &EmailVerification) -> Self {
        Self {
            user_id: verification.user.as_uuid(),
            changes_address: verification.kind == VerificationKind::Change,
            token_hash: verification.hash.as_bytes().to_vec(),
            email: verification.email.as_str().to_owned(),
            email_key: verification.email.key().as_str().to_owned(),
            created_at: verification.created_at.to_chrono(),
            expires_at: verification.expires_at.to_chrono(),
        }
    }
}

impl TryFrom<VerificationRow> for EmailVerification {
    type Error = StoreError;

    fn try_from(row: VerificationRow) -> Result<Self, StoreError> {
        Ok(Self {
            hash: token_hash(row.token_hash)?,
            user: UserId::from_uuid(row.user_id),
            kind: if row.changes_address { VerificationKind::Change } else { VerificationKind::Confirm },
            email: Email::from_stored(row.email, row.email_key),
            created_at: Timestamp::from_chrono(row.created_at),
            expires_at: Timestamp::from_chrono(row.expires_at),
        })
    }
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = resets)]
struct ResetRow {
    user_id: Uuid,
    token_hash: Vec<u8>,
    email_key: String,
    created_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
}

impl From<&PasswordReset> for ResetRow {
    fn from(reset: &PasswordReset) -> Self {
        Self {
            user_id: reset.user.as_uuid(),
            token_hash: reset.hash.as_bytes().to_vec(),
            email_key: reset.email.as_str().to_owned(),
            created_at: reset.created_at.to_chrono(),
            expires_at: reset.expires_at.to_chrono(),
        }
    }
}

impl TryFrom<ResetRow> for PasswordReset {
    type Error = StoreError;

    fn try_from(row: ResetRow) -> Result<Self, StoreError> {
        Ok(Self {
            hash: token_hash(row.token_hash)?,
            user: UserId::from_uuid(row.user_id),
            email: EmailKey::from_stored(row.email_key),
            created_at: Timestamp::from_chrono(row.created_at),
            expires_at: Timestamp::from_chrono(row.expires_at),
        })
    }
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = codes)]
struct CodeRow {
    user_id: Uuid,
    code_hash: Vec<u8>,
    email_key: String,
    created_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
}

impl From<&CodeChallenge> for CodeRow {
    fn from(challenge: &CodeChallenge) -> Self {
        Self {
            user_id: challenge.user.as_uuid(),
            code_hash: challenge.hash.as_bytes().to_vec(),
            email_key: challenge.email.as_str().to_owned(),
            created_at: challenge.created_at.to_chrono(),
            expires_at: challenge.expires_at.to_chrono(),
        }
    }
}

impl TryFrom<CodeRow> for CodeChallenge {
    type Error = StoreError;

    fn try_from(row: CodeRow) -> Result<Self, StoreError> {
        Ok(Self {
            user: UserId::from_uuid(row.user_id),
            hash: token_hash(row.code_hash)?,
            email: EmailKey::from_stored(row.email_key),
            created_at: Timestamp::from_chrono(row.created_at),
            expires_at: Timestamp::from_chrono(row.expires_at),
        })
    }
}

/// The hash of a token that a column holds.
pub(crate) fn token_hash(bytes: Vec<u8>) -> Result<TokenHash, StoreError> {
    let hash = <[u8; 32]>::try_from(bytes);
    hash.map(TokenHash::from_bytes)
        .map_err(|bytes| StoreError::corrupt(format!("a token hash of {} bytes", bytes.len())))
}
