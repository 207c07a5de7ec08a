//! Passkeys, and the ceremonies that have begun.

use async_trait::async_trait;
use diesel::dsl::exists;
use diesel::prelude::*;
use diesel::sql_types::{Binary, Nullable};
use identsphere_accounts::UserStatus;
use identsphere_factors::passkey::{
    Aaguid, BegunCeremony, CeremonyKind, CoseKey, CredentialId, MOST_PASSKEYS, Passkey, Transports,
    UserHandle,
};
use identsphere_factors::{PasskeyInsertion, PasskeyRepo, PasskeyStore};
use identsphere_kernel::{Label, PasskeyId, SessionId, StoreError, Timestamp, TokenHash, UserId};

use crate::SqliteStore;
use crate::tables::{passkey_challenges as ceremonies, user_passkeys as passkeys, users};
use crate::tx::SqliteTx;
use crate::values::{AsBytes, AsNumber, AsText};

diesel::define_sql_function! {
    /// The first of the two that there is.
    fn coalesce(present: Nullable<Binary>, otherwise: Binary) -> Binary;
}

#[async_trait]
impl PasskeyRepo for SqliteTx {
    async fn insert_passkey(&mut self, passkey: &Passkey) -> Result<PasskeyInsertion, StoreError> {
        let passkey = passkey.clone();
        self.ask(move |connection| insert_passkey(connection, passkey)).await
    }

    async fn rename_passkey(
        &mut self,
        id: PasskeyId,
        owner: UserId,
        label: &Label,
    ) -> Result<Option<Passkey>, StoreError> {
        let renamed = diesel::update(passkeys::table)
            .filter(passkeys::id.eq(AsBytes(id)))
            .filter(passkeys::user_id.eq(AsBytes(owner)))
            .set(passkeys::label.eq(label.as_str().to_owned()))
            .returning(PasskeyRow::as_select());
        let row = self.ask(move |connection| renamed.get_result(connection).optional()).await?;
        Ok(row.map(Passkey::from))
    }

    async fn use_passkey(
        &mut self,
        id: PasskeyId,
        sign_count: u32,
        backed_up: bool,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let presented = AsNumber(sign_count);
        let stays_zero = passkeys::sign_count.eq(presented).and(passkeys::sign_count.eq(0));
        let used = diesel::update(passkeys::table)
            .filter(passkeys::id.eq(AsBytes(id)))
            .filter(passkeys::sign_count.lt(presented).or(stays_zero))
            .set((
                passkeys::sign_count.eq(presented),
                passkeys::backed_up.eq(backed_up),
                passkeys::last_used_at.eq(Some(AsText(at))),
            ));
        self.ask(move |connection| used.execute(connection).map(|count| count == 1)).await
    }

    async fn remove_passkey(
        &mut self,
        id: PasskeyId,
        owner: UserId,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        self.ask(move |connection| {
            let removed = diesel::delete(passkeys::table)
                .filter(passkeys::id.eq(AsBytes(id)))
                .filter(passkeys::user_id.eq(AsBytes(owner)))
                .execute(connection)?;
            if removed == 1 {
                note_passkeys(connection, owner, at)?;
            }
            Ok(removed == 1)
        })
        .await
    }

    async fn remove_all_passkeys(&mut self, owner: UserId, at: Timestamp) -> Result<(), StoreError> {
        self.hold(move |connection| {
            let user = AsBytes(owner);
            diesel::delete(passkeys::table.filter(passkeys::user_id.eq(user))).execute(connection)?;
            diesel::delete(ceremonies::table.filter(ceremonies::user_id.eq(user))).execute(connection)?;
            diesel::update(users::table.find(user))
                .set((
                    users::passkey_enabled.eq(false),
                    users::passkey_handle.eq(None::<Vec<u8>>),
                    users::updated_at.eq(AsText(at)),
                ))
                .execute(connection)
                .map(drop)
        })
    }
}

#[async_trait]
impl PasskeyStore for SqliteStore {
    async fn list_passkeys(&self, user: UserId) -> Result<Vec<Passkey>, StoreError> {
        let theirs = passkeys::table
            .filter(passkeys::user_id.eq(AsBytes(user)))
            .order((passkeys::created_at.desc(), passkeys::id.desc()))
            .select(PasskeyRow::as_select());
        let rows = self.readers.run(move |connection| theirs.load(connection)).await?;
        Ok(rows.into_iter().map(Passkey::from).collect())
    }

    async fn claim_handle(
        &self,
        user: UserId,
        candidate: &UserHandle,
    ) -> Result<Option<UserHandle>, StoreError> {
        let claimed = diesel::update(users::table)
            .filter(users::id.eq(AsBytes(user)))
            .filter(users::status.eq(AsText(UserStatus::Active)))
            .set(users::passkey_handle.eq(coalesce(users::passkey_handle, AsBytes(*candidate)).nullable()))
            .returning(users::passkey_handle.assume_not_null());
        let claim = move |connection: &mut SqliteConnection| {
            claimed.get_result::<AsBytes<UserHandle>>(connection).optional()
        };
        Ok(self.writer.run(claim).await?.map(|handle| handle.0))
    }

    async fn begin_ceremony(&self, ceremony: &BegunCeremony) -> Result<(), StoreError> {
        let begun = diesel::insert_into(ceremonies::table).values((
            ceremonies::challenge_hash.eq(AsBytes(ceremony.hash)),
            ceremonies::kind.eq(AsText(ceremony.kind)),
            ceremonies::user_id.eq(ceremony.user.map(AsBytes)),
            ceremonies::session_id.eq(ceremony.session.map(AsBytes)),
            ceremonies::browser.eq(ceremony.browser.map(AsBytes)),
            ceremonies::created_at.eq(AsText(ceremony.created_at)),
            ceremonies::expires_at.eq(AsText(ceremony.expires_at)),
        ));
        self.writer.run(move |connection| begun.execute(connection).map(drop)).await
    }

    async fn end_ceremony(
        &self,
        challenge: &TokenHash,
        now: Timestamp,
    ) -> Result<Option<BegunCeremony>, StoreError> {
        let ended = diesel::delete(ceremonies::table)
            .filter(ceremonies::challenge_hash.eq(AsBytes(*challenge)))
            .filter(ceremonies::expires_at.gt(AsText(now)))
            .returning(CeremonyRow::as_select());
        let row = self.writer.run(move |connection| ended.get_result(connection).optional()).await?;
        Ok(row.map(BegunCeremony::from))
    }

    async fn sweep_ceremonies(&self, now: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let swept = diesel::alias!(ceremonies as swept);
        let chosen = swept
            .select(swept.field(ceremonies::challenge_hash))
            .filter(swept.field(ceremonies::expires_at).lt(AsText(now)))
            .limit(i64::from(limit));
        let deletion = diesel::delete(ceremonies::table).filter(ceremonies::challenge_hash.eq_any(chosen));
        let count = self.writer.run(move |connection| deletion.execute(connection)).await?;
        u64::try_from(count).map_err(StoreError::corrupt)
    }
}

/// Adds a passkey. What is counted first stays true until the write: the caller holds the write lock.
fn insert_passkey(connection: &mut SqliteConnection, passkey: Passkey) -> QueryResult<PasskeyInsertion> {
    let (user, at) = (passkey.user, passkey.created_at);
    let active =
        users::table.filter(users::id.eq(AsBytes(user))).filter(users::status.eq(AsText(UserStatus::Active)));
    if !diesel::select(exists(active)).get_result::<bool>(connection)? {
        return Ok(PasskeyInsertion::NoUser);
    }
    let theirs = passkeys::table.filter(passkeys::user_id.eq(AsBytes(user)));
    if theirs.count().get_result::<i64>(connection)? >= MOST_PASSKEYS as i64 {
        return Ok(PasskeyInsertion::TooMany);
    }
    diesel::insert_into(passkeys::table)
        .values((
            passkeys::id.eq(AsBytes(passkey.id)),
            passkeys::user_id.eq(AsBytes(user)),
            passkeys::credential_id.eq(AsBytes(passkey.credential_id)),
            passkeys::public_key.eq(AsBytes(passkey.public_key)),
            passkeys::sign_count.eq(AsNumber(passkey.sign_count)),
            passkeys::backup_eligible.eq(passkey.backup_eligible),
            passkeys::backed_up.eq(passkey.backed_up),
            passkeys::transports.eq(AsText(passkey.transports)),
            passkeys::aaguid.eq(AsBytes(passkey.aaguid)),
            passkeys::label.eq(passkey.label.as_str()),
            passkeys::created_at.eq(AsText(at)),
            passkeys::last_used_at.eq(passkey.last_used_at.map(AsText)),
        ))
        .execute(connection)?;
    note_passkeys(connection, user, at)?;
    Ok(PasskeyInsertion::Added)
}

/// Writes beside a user whether they have passkeys.
fn note_passkeys(connection: &mut SqliteConnection, user: UserId, at: Timestamp) -> QueryResult<()> {
    let theirs = passkeys::table.filter(passkeys::user_id.eq(AsBytes(user)));
    diesel::update(users::table.find(AsBytes(user)))
        .set((users::passkey_enabled.eq(exists(theirs)), users::updated_at.eq(AsText(at))))
        .execute(connection)
        .map(drop)
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = passkeys)]
pub(crate) struct PasskeyRow {
    id: AsBytes<PasskeyId>,
    user_id: AsBytes<UserId>,
    credential_id: AsBytes<CredentialId>,
    public_key: AsBytes<CoseKey>,
    sign_count: AsNumber<u32>,
    backup_eligible: bool,
    backed_up: bool,
    transports: AsText<Transports>,
    aaguid: AsBytes<Aaguid>,
    label: String,
    created_at: AsText<Timestamp>,
    last_used_at: Option<AsText<Timestamp>>,
}

impl From<PasskeyRow> for Passkey {
    fn from(row: PasskeyRow) -> Self {
        Self {
            id: row.id.0,
            user: row.user_id.0,
            credential_id: row.credential_id.0,
            public_key: row.public_key.0,
            sign_count: row.sign_count.0,
            backup_eligible: row.backup_eligible,
            backed_up: row.backed_up,
            transports: row.transports.0,
            aaguid: row.aaguid.0,
            label: Label::from_stored(row.label),
            created_at: row.created_at.0,
            last_used_at: row.last_used_at.map(|at| at.0),
        }
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = ceremonies)]
struct CeremonyRow {
    challenge_hash: AsBytes<TokenHash>,
    kind: AsText<CeremonyKind>,
    user_id: Option<AsBytes<UserId>>,
    session_id: Option<AsBytes<SessionId>>,
    browser: Option<AsBytes<TokenHash>>,
    created_at: AsText<Timestamp>,
    expires_at: AsText<Timestamp>,
}

impl From<CeremonyRow> for BegunCeremony {
    fn from(row: CeremonyRow) -> Self {
        Self {
            hash: row.challenge_hash.0,
            kind: row.kind.0,
            user: row.user_id.map(|id| id.0),
            session: row.session_id.map(|id| id.0),
            browser: row.browser.map(|browser| browser.0),
            created_at: row.created_at.0,
            expires_at: row.expires_at.0,
        }
    }
}
