//! Sign-ins that wait for a second factor, and browsers that need none.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Integer, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use futures::FutureExt;
use identsphere_kernel::{Label, PasskeyId, StoreError, Timestamp, TokenHash, TrustedBrowserId, UserId};
use identsphere_sessions::{
    ClientInfo, PendingAttempt, PendingRepo, PendingSignIn, PendingStore, TrustRepo, TrustRotation,
    TrustStore, TrustedBrowser,
};
use ipnet::IpNet;
use uuid::Uuid;

use crate::PgStore;
use crate::prepared::Prepared;
use crate::proofs::token_hash;
use crate::sessions::auth_method;
use crate::tables::{mfa_challenges as challenges, trusted_browsers as browsers, users};
use crate::tx::PgTx;

/// How many attempts may be made on one.
const ATTEMPTS: i32 = PendingSignIn::ATTEMPTS.cast_signed();

#[async_trait]
impl PendingRepo for PgTx {
    async fn take_pending(&mut self, hash: &TokenHash, now: Timestamp) -> Result<bool, StoreError> {
        let with_hash = challenges::table.filter(challenges::token_hash.eq(hash.as_bytes().to_vec()));
        let owner = users::table.filter(users::id.eq_any(with_hash.clone().select(challenges::user_id)));
        self.hold(owner.select(users::id).for_no_key_update());
        let open = with_hash.filter(challenges::expires_at.gt(now.to_chrono()));
        let take = Prepared(diesel::delete(open));
        Ok(self.ask(|mut connection| take.execute(&mut connection)).await? > 0)
    }

    async fn void_pending(&mut self, user: UserId) -> Result<(), StoreError> {
        let void = diesel::sql_query(
            "DELETE FROM mfa_challenges WHERE token_hash IN \
             (SELECT token_hash FROM mfa_challenges WHERE user_id = $1 ORDER BY token_hash FOR UPDATE)",
        );
        self.hold(void.bind::<SqlUuid, _>(user.as_uuid()));
        Ok(())
    }
}

#[async_trait]
impl PendingStore for PgStore {
    async fn count_pending_attempt(
        &self,
        hash: &TokenHash,
        now: Timestamp,
    ) -> Result<PendingAttempt, StoreError> {
        // One more than there may be stands for all that came too late.
        let count = diesel::sql_query(
            "UPDATE mfa_challenges SET attempts = least(attempts + 1, $3 + 1) \
             WHERE token_hash = $1 AND expires_at > $2 RETURNING mfa_challenges.*",
        );
        let count = Prepared(
            count
                .bind::<Binary, _>(hash.as_bytes().to_vec())
                .bind::<Timestamptz, _>(now.to_chrono())
                .bind::<Integer, _>(ATTEMPTS),
        );
        let counted: Option<PendingRow> = self
            .pool
            .ask(|mut connection| count.get_result(&mut connection).map(OptionalExtension::optional).boxed())
            .await?;
        let Some(row) = counted else { return Ok(PendingAttempt::Absent) };
        let is_in_time = row.attempts <= ATTEMPTS;
        let pending = row.try_into()?;
        Ok(if is_in_time { PendingAttempt::Counted(pending) } else { PendingAttempt::Locked(pending) })
    }

    async fn sweep_pending(&self, now: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let sweep = diesel::sql_query(
            "DELETE FROM mfa_challenges WHERE token_hash IN \
             (SELECT token_hash FROM mfa_challenges WHERE expires_at < $1 LIMIT $2 FOR UPDATE SKIP LOCKED)",
        );
        let sweep =
            Prepared(sweep.bind::<Timestamptz, _>(now.to_chrono()).bind::<BigInt, _>(i64::from(limit)));
        let swept = self.pool.ask_patiently(|mut connection| sweep.execute(&mut connection)).await?;
        Ok(swept as u64)
    }
}

#[async_trait]
impl TrustRepo for PgTx {
    async fn insert_trusted(&mut self, browser: &TrustedBrowser) -> Result<(), StoreError> {
        self.hold(diesel::insert_into(browsers::table).values(BrowserRow::from(browser)));
        Ok(())
    }

    async fn rotate_trusted(
        &mut self,
        rotation: &TrustRotation,
    ) -> Result<Option<TrustedBrowser>, StoreError> {
        self.lock_user(rotation.user);
        let presented = browsers::table
            .filter(browsers::token_hash.eq(rotation.presented.as_bytes().to_vec()))
            .filter(browsers::user_id.eq(rotation.user.as_uuid()))
            .filter(browsers::expires_at.gt(rotation.at.to_chrono()));
        let rotate = diesel::update(presented).set((
            browsers::token_hash.eq(rotation.successor.as_bytes().to_vec()),
            browsers::ip_address.eq(rotation.client.ip_address.map(IpNet::from)),
            browsers::user_agent.eq(rotation.client.user_agent.clone()),
            browsers::last_seen_at.eq(rotation.at.to_chrono()),
        ));
        let rotate = Prepared(rotate.returning(BrowserRow::as_select()));
        let row: Option<BrowserRow> = self
            .ask(|mut connection| rotate.get_result(&mut connection).map(OptionalExtension::optional).boxed())
            .await?;
        row.map(TrustedBrowser::try_from).transpose()
    }

    async fn remove_trusted(&mut self, id: TrustedBrowserId, owner: UserId) -> Result<bool, StoreError> {
        let theirs = browsers::table
            .filter(browsers::id.eq(id.as_uuid()))
            .filter(browsers::user_id.eq(owner.as_uuid()));
        let remove = Prepared(diesel::delete(theirs));
        Ok(self.ask(|mut connection| remove.execute(&mut connection)).await? > 0)
    }

    async fn remove_all_trusted(&mut self, owner: UserId) -> Result<(), StoreError> {
        let remove = diesel::sql_query(
            "DELETE FROM trusted_browsers WHERE id IN \
             (SELECT id FROM trusted_browsers WHERE user_id = $1 ORDER BY id FOR UPDATE)",
        );
        self.hold(remove.bind::<SqlUuid, _>(owner.as_uuid()));
        Ok(())
    }
}

#[async_trait]
impl TrustStore for PgStore {
    async fn find_trusted(
        &self,
        user: UserId,
        hash: &TokenHash,
        now: Timestamp,
    ) -> Result<Option<TrustedBrowser>, StoreError> {
        let query = browsers::table
            .filter(browsers::token_hash.eq(hash.as_bytes().to_vec()))
            .filter(browsers::user_id.eq(user.as_uuid()))
            .filter(browsers::expires_at.gt(now.to_chrono()))
            .select(BrowserRow::as_select());
        let row: Option<BrowserRow> = self
            .pool
            .ask(|mut connection| query.get_result(&mut connection).map(OptionalExtension::optional).boxed())
            .await?;
        row.map(TrustedBrowser::try_from).transpose()
    }

    async fn list_trusted(&self, user: UserId, now: Timestamp) -> Result<Vec<TrustedBrowser>, StoreError> {
        let query = browsers::table
            .filter(browsers::user_id.eq(user.as_uuid()))
            .filter(browsers::expires_at.gt(now.to_chrono()))
            .order((browsers::created_at.desc(), browsers::id.desc()))
            .select(BrowserRow::as_select());
        let rows: Vec<BrowserRow> =
            self.pool.ask(|mut connection| query.load(&mut connection).boxed()).await?;
        rows.into_iter().map(TrustedBrowser::try_from).collect()
    }

    async fn sweep_trusted(&self, now: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let sweep = diesel::sql_query(
            "DELETE FROM trusted_browsers WHERE id IN \
             (SELECT id FROM trusted_browsers WHERE expires_at < $1 LIMIT $2 FOR UPDATE SKIP LOCKED)",
        );
        let sweep =
            Prepared(sweep.bind::<Timestamptz, _>(now.to_chrono()).bind::<BigInt, _>(i64::from(limit)));
        let swept = self.pool.ask_patiently(|mut connection| sweep.execute(&mut connection)).await?;
        Ok(swept as u64)
    }
}

#[derive(Insertable, QueryableByName)]
#[diesel(table_name = challenges, treat_none_as_default_value = false)]
pub(crate) struct PendingRow {
    token_hash: Vec<u8>,
    /// Inserted by what makes sure of them.
    #[diesel(skip_insertion)]
    user_id: Uuid,
    first_factor: String,
    passkey_id: Option<Uuid>,
    browser: Option<Vec<u8>>,
    attempts: i32,
    created_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
}

impl From<&PendingSignIn> for PendingRow {
    fn from(pending: &PendingSignIn) -> Self {
        Self {
            token_hash: pending.hash.as_bytes().to_vec(),
            user_id: pending.user.as_uuid(),
            first_factor: pending.first_factor.name().to_owned(),
            passkey_id: pending.passkey.map(PasskeyId::as_uuid),
            browser: pending.browser.map(|hash| hash.as_bytes().to_vec()),
            attempts: 0,
            created_at: pending.created_at.to_chrono(),
            expires_at: pending.expires_at.to_chrono(),
        }
    }
}

impl TryFrom<PendingRow> for PendingSignIn {
    type Error = StoreError;

    fn try_from(row: PendingRow) -> Result<Self, StoreError> {
        Ok(Self {
            hash: token_hash(row.token_hash)?,
            user: UserId::from_uuid(row.user_id),
            first_factor: auth_method(&row.first_factor)?,
            passkey: row.passkey_id.map(PasskeyId::from_uuid),
            browser: row.browser.map(token_hash).transpose()?,
            created_at: Timestamp::from_chrono(row.created_at),
            expires_at: Timestamp::from_chrono(row.expires_at),
        })
    }
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = browsers, treat_none_as_default_value = false)]
struct BrowserRow {
    id: Uuid,
    user_id: Uuid,
    token_hash: Vec<u8>,
    label: Option<String>,
    ip_address: Option<IpNet>,
    user_agent: Option<String>,
    created_at: DateTime<Utc>,
    last_seen_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
}

impl From<&TrustedBrowser> for BrowserRow {
    fn from(browser: &TrustedBrowser) -> Self {
        Self {
            id: browser.id.as_uuid(),
            user_id: browser.user.as_uuid(),
            token_hash: browser.hash.as_bytes().to_vec(),
            label: browser.label.as_ref().map(|label| label.as_str().to_owned()),
            ip_address: browser.client.ip_address.map(IpNet::from),
            user_agent: browser.client.user_agent.clone(),
            created_at: browser.created_at.to_chrono(),
            last_seen_at: browser.last_seen_at.to_chrono(),
            expires_at: browser.expires_at.to_chrono(),
        }
    }
}

impl TryFrom<BrowserRow> for TrustedBrowser {
    type Error = StoreError;

    fn try_from(row: BrowserRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: TrustedBrowserId::from_uuid(row.id),
            user: UserId::from_uuid(row.user_id),
            hash: token_hash(row.token_hash)?,
            label: row.label.map(Label::from_stored),
            client: ClientInfo {
                ip_address: row.ip_address.map(|network| network.addr()),
                user_agent: row.user_agent,
            },
            created_at: Timestamp::from_chrono(row.created_at),
            last_seen_at: Timestamp::from_chrono(row.last_seen_at),
            expires_at: Timestamp::from_chrono(row.expires_at),
        })
    }
}
