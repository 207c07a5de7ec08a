//! What proves a mailbox: one of a kind for each user.

use async_trait::async_trait;
use diesel::prelude::*;
use diesel::upsert::excluded;
use identsphere_accounts::{
    CodeChallenge, EmailVerification, PasswordReset, ProofRepo, ProofStore, VerificationKind,
};
use identsphere_kernel::{Email, EmailKey, StoreError, Timestamp, TokenHash, UserId};

use crate::SqliteStore;
use crate::tables::{
    email_otp_challenges as codes, email_verification_tokens as verifications,
    password_reset_tokens as resets,
};
use crate::tx::SqliteTx;
use crate::values::{AsBytes, AsText};

#[async_trait]
impl ProofRepo for SqliteTx {
    async fn put_verification(&mut self, verification: &EmailVerification) -> Result<(), StoreError> {
        let verification = verification.clone();
        self.hold(move |connection| {
            diesel::insert_into(verifications::table)
                .values((
                    verifications::user_id.eq(AsBytes(verification.user)),
                    verifications::changes_address.eq(verification.kind == VerificationKind::Change),
                    verifications::token_hash.eq(AsBytes(verification.hash)),
                    verifications::email.eq(verification.email.as_str()),
                    verifications::email_key.eq(verification.email.key().as_str()),
                    verifications::created_at.eq(AsText(verification.created_at)),
                    verifications::expires_at.eq(AsText(verification.expires_at)),
                ))
                .on_conflict((verifications::user_id, verifications::changes_address))
                .do_update()
                .set((
                    verifications::token_hash.eq(excluded(verifications::token_hash)),
                    verifications::email.eq(excluded(verifications::email)),
                    verifications::email_key.eq(excluded(verifications::email_key)),
                    verifications::created_at.eq(excluded(verifications::created_at)),
                    verifications::expires_at.eq(excluded(verifications::expires_at)),
                ))
                .execute(connection)
                .map(drop)
        })
    }

    async fn take_verification(
        &mut self,
        hash: &TokenHash,
        now: Timestamp,
    ) -> Result<Option<EmailVerification>, StoreError> {
        let taken = diesel::delete(verifications::table)
            .filter(verifications::token_hash.eq(AsBytes(*hash)))
            .filter(verifications::expires_at.gt(AsText(now)))
            .returning(VerificationRow::as_select());
        let row = self.ask(move |connection| taken.get_result(connection).optional()).await?;
        Ok(row.map(EmailVerification::from))
    }

    async fn put_reset(&mut self, reset: &PasswordReset) -> Result<(), StoreError> {
        let reset = reset.clone();
        self.hold(move |connection| {
            diesel::insert_into(resets::table)
                .values((
                    resets::user_id.eq(AsBytes(reset.user)),
                    resets::token_hash.eq(AsBytes(reset.hash)),
                    resets::email_key.eq(reset.email.as_str()),
                    resets::created_at.eq(AsText(reset.created_at)),
                    resets::expires_at.eq(AsText(reset.expires_at)),
                ))
                .on_conflict(resets::user_id)
                .do_update()
                .set((
                    resets::token_hash.eq(excluded(resets::token_hash)),
                    resets::email_key.eq(excluded(resets::email_key)),
                    resets::created_at.eq(excluded(resets::created_at)),
                    resets::expires_at.eq(excluded(resets::expires_at)),
                ))
                .execute(connection)
                .map(drop)
        })
    }

    async fn take_reset(
        &mut self,
        hash: &TokenHash,
        now: Timestamp,
    ) -> Result<Option<PasswordReset>, StoreError> {
        let taken = diesel::delete(resets::table)
            .filter(resets::token_hash.eq(AsBytes(*hash)))
            .filter(resets::expires_at.gt(AsText(now)))
            .returning(ResetRow::as_select());
        let row = self.ask(move |connection| taken.get_result(connection).optional()).await?;
        Ok(row.map(PasswordReset::from))
    }

    async fn put_code(&mut self, challenge: &CodeChallenge) -> Result<(), StoreError> {
        let challenge = challenge.clone();
        self.hold(move |connection| {
            diesel::insert_into(codes::table)
                .values((
                    codes::user_id.eq(AsBytes(challenge.user)),
                    codes::code_hash.eq(AsBytes(challenge.hash)),
                    codes::email_key.eq(challenge.email.as_str()),
                    codes::attempts.eq(0),
                    codes::created_at.eq(AsText(challenge.created_at)),
                    codes::expires_at.eq(AsText(challenge.expires_at)),
                ))
                .on_conflict(codes::user_id)
                .do_update()
                .set((
                    codes::code_hash.eq(excluded(codes::code_hash)),
                    codes::email_key.eq(excluded(codes::email_key)),
                    codes::attempts.eq(excluded(codes::attempts)),
                    codes::created_at.eq(excluded(codes::created_at)),
                    codes::expires_at.eq(excluded(codes::expires_at)),
                ))
                .execute(connection)
                .map(drop)
        })
    }

    async fn take_code(
        &mut self,
        user: UserId,
        hash: &TokenHash,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let taken = diesel::delete(codes::table)
            .filter(codes::user_id.eq(AsBytes(user)))
            .filter(codes::code_hash.eq(AsBytes(*hash)))
            .filter(codes::expires_at.gt(AsText(now)));
        self.ask(move |connection| taken.execute(connection).map(|count| count == 1)).await
    }

    async fn void_proofs(&mut self, user: UserId) -> Result<(), StoreError> {
        self.hold(move |connection| {
            let user = AsBytes(user);
            diesel::delete(verifications::table.filter(verifications::user_id.eq(user)))
                .execute(connection)?;
            diesel::delete(resets::table.filter(resets::user_id.eq(user))).execute(connection)?;
            diesel::delete(codes::table.filter(codes::user_id.eq(user))).execute(connection).map(drop)
        })
    }
}

#[async_trait]
impl ProofStore for SqliteStore {
    async fn count_code_attempt(
        &self,
        user: UserId,
        now: Timestamp,
    ) -> Result<Option<CodeChallenge>, StoreError> {
        const ATTEMPTS: i32 = CodeChallenge::ATTEMPTS.cast_signed();
        let counted = diesel::update(codes::table)
            .filter(codes::user_id.eq(AsBytes(user)))
            .filter(codes::expires_at.gt(AsText(now)))
            .filter(codes::attempts.lt(ATTEMPTS))
            .set(codes::attempts.eq(codes::attempts + 1))
            .returning(CodeRow::as_select());
        let row = self.writer.run(move |connection| counted.get_result(connection).optional()).await?;
        Ok(row.map(CodeChallenge::from))
    }

    async fn find_reset(
        &self,
        hash: &TokenHash,
        now: Timestamp,
    ) -> Result<Option<PasswordReset>, StoreError> {
        let wanted = resets::table
            .filter(resets::token_hash.eq(AsBytes(*hash)))
            .filter(resets::expires_at.gt(AsText(now)))
            .select(ResetRow::as_select());
        let row = self.readers.run(move |connection| wanted.get_result(connection).optional()).await?;
        Ok(row.map(PasswordReset::from))
    }

    async fn sweep_proofs(&self, now: Timestamp, limit: u32) -> Result<u64, StoreError> {
        const SWEEPS: [&str; 3] = [
            "DELETE FROM email_verification_tokens WHERE token_hash IN \
             (SELECT token_hash FROM email_verification_tokens WHERE expires_at < ? LIMIT ?)",
            "DELETE FROM password_reset_tokens WHERE user_id IN \
             (SELECT user_id FROM password_reset_tokens WHERE expires_at < ? LIMIT ?)",
            "DELETE FROM email_otp_challenges WHERE user_id IN \
             (SELECT user_id FROM email_otp_challenges WHERE expires_at < ? LIMIT ?)",
        ];
        let sweep = move |connection: &mut SqliteConnection| {
            SWEEPS.iter().try_fold(0, |swept, sql| {
                let deletion = diesel::sql_query(*sql)
                    .bind::<diesel::sql_types::Text, _>(AsText(now))
                    .bind::<diesel::sql_types::BigInt, _>(i64::from(limit));
                Ok(swept + deletion.execute(connection)?)
            })
        };
        u64::try_from(self.writer.run(sweep).await?).map_err(StoreError::corrupt)
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = verifications)]
struct VerificationRow {
    user_id: AsBytes<UserId>,
    changes_address: bool,
    token_hash: AsBytes<TokenHash>,
    email: String,
    email_key: String,
    created_at: AsText<Timestamp>,
    expires_at: AsText<Timestamp>,
}

impl From<VerificationRow> for EmailVerification {
    fn from(row: VerificationRow) -> Self {
        Self {
            hash: row.token_hash.0,
            user: row.user_id.0,
            kind: if row.changes_address { VerificationKind::Change } else { VerificationKind::Confirm },
            email: Email::from_stored(row.email, row.email_key),
            created_at: row.created_at.0,
            expires_at: row.expires_at.0,
        }
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = resets)]
struct ResetRow {
    user_id: AsBytes<UserId>,
    token_hash: AsBytes<TokenHash>,
    email_key: String,
    created_at: AsText<Timestamp>,
    expires_at: AsText<Timestamp>,
}

impl From<ResetRow> for PasswordReset {
    fn from(row: ResetRow) -> Self {
        Self {
            hash: row.token_hash.0,
            user: row.user_id.0,
            email: EmailKey::from_stored(row.email_key),
            created_at: row.created_at.0,
            expires_at: row.expires_at.0,
        }
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = codes)]
struct CodeRow {
    user_id: AsBytes<UserId>,
    code_hash: AsBytes<TokenHash>,
    email_key: String,
    created_at: AsText<Timestamp>,
    expires_at: AsText<Timestamp>,
}

impl From<CodeRow> for CodeChallenge {
    fn from(row: CodeRow) -> Self {
        Self {
            user: row.user_id.0,
            hash: row.code_hash.0,
            email: EmailKey::from_stored(row.email_key),
            created_at: row.created_at.0,
            expires_at: row.expires_at.0,
        }
    }
}
