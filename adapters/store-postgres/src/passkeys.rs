//! Passkeys, and the ceremonies that have begun. Whoever adds, uses or removes a passkey locks its owner first.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use diesel::dsl::exists;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use futures::FutureExt;
use identsphere_accounts::UserStatus;
use identsphere_factors::passkey::{
    Aaguid, BegunCeremony, CeremonyKind, CoseKey, CredentialId, MOST_PASSKEYS, Passkey, Transports,
    UserHandle,
};
use identsphere_factors::{PasskeyInsertion, PasskeyRepo, PasskeyStore};
use identsphere_kernel::{Label, PasskeyId, SessionId, StoreError, Timestamp, TokenHash, UserId};
use serde_json::Value;
use uuid::Uuid;

use crate::PgStore;
use crate::prepared::Prepared;
use crate::proofs::token_hash;
use crate::tables::{passkey_challenges as ceremonies, user_passkeys as passkeys, users};
use crate::tx::PgTx;

#[async_trait]
impl PasskeyRepo for PgTx {
    async fn insert_passkey(&mut self, passkey: &Passkey) -> Result<PasskeyInsertion, StoreError> {
        self.lock_user(passkey.user);
        let theirs = passkeys::table.filter(passkeys::user_id.eq(users::id)).count();
        let count = users::table
            .filter(users::id.eq(passkey.user.as_uuid()))
            .filter(users::status.eq(UserStatus::Active.name()))
            .select(theirs.single_value());
        let count: Option<Option<i64>> = self
            .ask(|mut connection| count.get_result(&mut connection).map(OptionalExtension::optional).boxed())
            .await?;
        let Some(count) = count else { return Ok(PasskeyInsertion::NoUser) };
        if usize::try_from(count.unwrap_or(0)).map_err(StoreError::corrupt)? >= MOST_PASSKEYS {
            return Ok(PasskeyInsertion::TooMany);
        }
        let insert = Prepared(diesel::insert_into(passkeys::table).values(PasskeyRow::from(passkey)));
        self.ask(|mut connection| insert.execute(&mut connection)).await?;
        self.note_passkeys(passkey.user, passkey.created_at);
        Ok(PasskeyInsertion::Added)
    }

    async fn rename_passkey(
        &mut self,
        id: PasskeyId,
        owner: UserId,
        label: &Label,
    ) -> Result<Option<Passkey>, StoreError> {
        let theirs = passkeys::table
            .filter(passkeys::id.eq(id.as_uuid()))
            .filter(passkeys::user_id.eq(owner.as_uuid()));
        let rename = diesel::update(theirs).set(passkeys::label.eq(label.as_str().to_owned()));
        let rename = Prepared(rename.returning(PasskeyRow::as_select()));
        let row: Option<PasskeyRow> = self
            .ask(|mut connection| rename.get_result(&mut connection).map(OptionalExtension::optional).boxed())
            .await?;
        row.map(Passkey::try_from).transpose()
    }

    async fn use_passkey(
        &mut self,
        id: PasskeyId,
        sign_count: u32,
        backed_up: bool,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let with_id = passkeys::table.filter(passkeys::id.eq(id.as_uuid()));
        let owner = users::table.filter(users::id.eq_any(with_id.select(passkeys::user_id)));
        self.hold(owner.select(users::id).for_no_key_update());
        // The counter rises from anything less, and stays zero.
        let most_before = i64::from(sign_count.saturating_sub(1));
        let note_use = Prepared(diesel::update(with_id.filter(passkeys::sign_count.le(most_before))).set((
            passkeys::sign_count.eq(i64::from(sign_count)),
            passkeys::backed_up.eq(backed_up),
            passkeys::last_used_at.eq(at.to_chrono()),
        )));
        Ok(self.ask(|mut connection| note_use.execute(&mut connection)).await? > 0)
    }

    async fn remove_passkey(
        &mut self,
        id: PasskeyId,
        owner: UserId,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        self.lock_user(owner);
        let theirs = passkeys::table
            .filter(passkeys::id.eq(id.as_uuid()))
            .filter(passkeys::user_id.eq(owner.as_uuid()));
        let remove = Prepared(diesel::delete(theirs));
        let was_there = self.ask(|mut connection| remove.execute(&mut connection)).await? > 0;
        if was_there {
            self.note_passkeys(owner, at);
        }
        Ok(was_there)
    }

    async fn remove_all_passkeys(&mut self, owner: UserId, at: Timestamp) -> Result<(), StoreError> {
        let user = owner.as_uuid();
        self.hold(diesel::update(users::table.filter(users::id.eq(user))).set((
            users::passkey_enabled.eq(false),
            users::passkey_handle.eq(None::<Vec<u8>>),
            users::updated_at.eq(at.to_chrono()),
        )));
        self.hold(diesel::delete(passkeys::table.filter(passkeys::user_id.eq(user))));
        self.hold(diesel::delete(ceremonies::table.filter(ceremonies::user_id.eq(user))));
        Ok(())
    }
}

#[async_trait]
impl PasskeyStore for PgStore {
    async fn list_passkeys(&self, user: UserId) -> Result<Vec<Passkey>, StoreError> {
        let query = passkeys::table
            .filter(passkeys::user_id.eq(user.as_uuid()))
            .order((passkeys::created_at.desc(), passkeys::id.desc()))
            .select(PasskeyRow::as_select());
        let rows: Vec<PasskeyRow> =
            self.pool.ask(|mut connection| query.load(&mut connection).boxed()).await?;
        rows.into_iter().map(Passkey::try_from).collect()
    }

    async fn claim_handle(
        &self,
        user: UserId,
        candidate: &UserHandle,
    ) -> Result<Option<UserHandle>, StoreError> {
        // Whoever comes second waits for the row, and then reads what the first made of it.
        let claim = diesel::sql_query(
            "UPDATE users SET passkey_handle = coalesce(passkey_handle, $2) \
             WHERE id = $1 AND status = 'active' RETURNING passkey_handle AS handle",
        );
        let claim = Prepared(
            claim.bind::<SqlUuid, _>(user.as_uuid()).bind::<Binary, _>(candidate.as_bytes().to_vec()),
        );
        let row: Option<HandleRow> = self
            .pool
            .ask(|mut connection| claim.get_result(&mut connection).map(OptionalExtension::optional).boxed())
            .await?;
        row.map(|row| user_handle(&row.handle)).transpose()
    }

    async fn begin_ceremony(&self, ceremony: &BegunCeremony) -> Result<(), StoreError> {
        let begin = Prepared(diesel::insert_into(ceremonies::table).values(CeremonyRow::from(ceremony)));
        self.pool.ask(|mut connection| begin.execute(&mut connection)).await.map(drop)
    }

    async fn end_ceremony(
        &self,
        challenge: &TokenHash,
        now: Timestamp,
    ) -> Result<Option<BegunCeremony>, StoreError> {
        let open = ceremonies::table
            .filter(ceremonies::challenge_hash.eq(challenge.as_bytes().to_vec()))
            .filter(ceremonies::expires_at.gt(now.to_chrono()));
        let end = Prepared(diesel::delete(open).returning(CeremonyRow::as_select()));
        let row: Option<CeremonyRow> = self
            .pool
            .ask(|mut connection| end.get_result(&mut connection).map(OptionalExtension::optional).boxed())
            .await?;
        row.map(BegunCeremony::try_from).transpose()
    }

    async fn sweep_ceremonies(&self, now: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let sweep = diesel::sql_query(
            "DELETE FROM passkey_challenges WHERE challenge_hash IN \
             (SELECT challenge_hash FROM passkey_challenges WHERE expires_at < $1 LIMIT $2 \
             FOR UPDATE SKIP LOCKED)",
        );
        let sweep =
            Prepared(sweep.bind::<Timestamptz, _>(now.to_chrono()).bind::<BigInt, _>(i64::from(limit)));
        let swept = self.pool.ask_patiently(|mut connection| sweep.execute(&mut connection)).await?;
        Ok(swept as u64)
    }
}

impl PgTx {
    /// Notes with a user whose row is locked whether they have passkeys.
    fn note_passkeys(&mut self, user: UserId, at: Timestamp) {
        let theirs = passkeys::table.filter(passkeys::user_id.eq(users::id));
        self.hold(
            diesel::update(users::table.filter(users::id.eq(user.as_uuid())))
                .set((users::passkey_enabled.eq(exists(theirs)), users::updated_at.eq(at.to_chrono()))),
        );
    }
}

/// The handle that a column holds.
pub(crate) fn user_handle(bytes: &[u8]) -> Result<UserHandle, StoreError> {
    UserHandle::parse(bytes)
        .ok_or_else(|| StoreError::corrupt(format!("a user handle of {} bytes", bytes.len())))
}

#[derive(QueryableByName)]
struct HandleRow {
    #[diesel(sql_type = Binary)]
    handle: Vec<u8>,
}

/// A passkey as its row has it.
#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = passkeys, treat_none_as_default_value = false)]
pub(crate) struct PasskeyRow {
    id: Uuid,
    user_id: Uuid,
    credential_id: Vec<u8>,
    public_key: Vec<u8>,
    sign_count: i64,
    backup_eligible: bool,
    backed_up: bool,
    transports: Value,
    aaguid: Uuid,
    label: String,
    created_at: DateTime<Utc>,
    last_used_at: Option<DateTime<Utc>>,
}

impl From<&Passkey> for PasskeyRow {
    fn from(passkey: &Passkey) -> Self {
        Self {
            id: passkey.id.as_uuid(),
            user_id: passkey.user.as_uuid(),
            credential_id: passkey.credential_id.as_bytes().to_vec(),
            public_key: passkey.public_key.as_bytes().to_vec(),
            sign_count: i64::from(passkey.sign_count),
            backup_eligible: passkey.backup_eligible,
            backed_up: passkey.backed_up,
            transports: Value::from(passkey.transports.as_slice()),
            aaguid: Uuid::from_bytes(*passkey.aaguid.as_bytes()),
            label: passkey.label.as_str().to_owned(),
            created_at: passkey.created_at.to_chrono(),
            last_used_at: passkey.last_used_at.map(Timestamp::to_chrono),
        }
    }
}

impl TryFrom<PasskeyRow> for Passkey {
    type Error = StoreError;

    fn try_from(row: PasskeyRow) -> Result<Self, StoreError> {
        let transports: Vec<String> = serde_json::from_value(row.transports).map_err(StoreError::corrupt)?;
        Ok(Self {
            id: PasskeyId::from_uuid(row.id),
            user: UserId::from_uuid(row.user_id),
            credential_id: CredentialId::parse(&row.credential_id).map_err(StoreError::corrupt)?,
            public_key: CoseKey::parse(&row.public_key).map_err(StoreError::corrupt)?,
            sign_count: u32::try_from(row.sign_count).map_err(StoreError::corrupt)?,
            backup_eligible: row.backup_eligible,
            backed_up: row.backed_up,
            transports: Transports::keep(transports),
            aaguid: Aaguid::from_bytes(row.aaguid.into_bytes()),
            label: Label::from_stored(row.label),
            created_at: Timestamp::from_chrono(row.created_at),
            last_used_at: row.last_used_at.map(Timestamp::from_chrono),
        })
    }
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = ceremonies, treat_none_as_default_value = false)]
struct CeremonyRow {
    challenge_hash: Vec<u8>,
    kind: String,
    user_id: Option<Uuid>,
    session_id: Option<Uuid>,
    browser: Option<Vec<u8>>,
    created_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
}

impl From<&BegunCeremony> for CeremonyRow {
    fn from(ceremony: &BegunCeremony) -> Self {
        Self {
            challenge_hash: ceremony.hash.as_bytes().to_vec(),
            kind: ceremony.kind.name().to_owned(),
            user_id: ceremony.user.map(UserId::as_uuid),
            session_id: ceremony.session.map(SessionId::as_uuid),
            browser: ceremony.browser.map(|hash| hash.as_bytes().to_vec()),
            created_at: ceremony.created_at.to_chrono(),
            expires_at: ceremony.expires_at.to_chrono(),
        }
    }
}

impl TryFrom<CeremonyRow> for BegunCeremony {
    type Error = StoreError;

    fn try_from(row: CeremonyRow) -> Result<Self, StoreError> {
        let kind = CeremonyKind::from_name(&row.kind)
            .ok_or_else(|| StoreError::corrupt(format!("unknown ceremony `{}`", row.kind)))?;
        Ok(Self {
            hash: token_hash(row.challenge_hash)?,
            kind,
            user: row.user_id.map(UserId::from_uuid),
            session: row.session_id.map(SessionId::from_uuid),
            browser: row.browser.map(token_hash).transpose()?,
            created_at: Timestamp::from_chrono(row.created_at),
            expires_at: Timestamp::from_chrono(row.expires_at),
        })
    }
}
