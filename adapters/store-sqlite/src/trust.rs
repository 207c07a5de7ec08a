//! Sign-ins that wait for a second factor, and browsers that need none.

use std::net::IpAddr;

use async_trait::async_trait;
use diesel::prelude::*;
use identsphere_kernel::{Label, PasskeyId, StoreError, Timestamp, TokenHash, TrustedBrowserId, UserId};
use identsphere_sessions::{
    AuthMethod, ClientInfo, PendingAttempt, PendingRepo, PendingSignIn, PendingStore, TrustRepo,
    TrustRotation, TrustStore, TrustedBrowser,
};

use crate::SqliteStore;
use crate::tables::{mfa_challenges, trusted_browsers};
use crate::tx::SqliteTx;
use crate::values::{AsBytes, AsText};

#[async_trait]
impl PendingRepo for SqliteTx {
    async fn take_pending(&mut self, hash: &TokenHash, now: Timestamp) -> Result<bool, StoreError> {
        let taken = diesel::delete(mfa_challenges::table)
            .filter(mfa_challenges::token_hash.eq(AsBytes(*hash)))
            .filter(mfa_challenges::expires_at.gt(AsText(now)));
        self.ask(move |connection| taken.execute(connection).map(|count| count == 1)).await
    }

    async fn void_pending(&mut self, user: UserId) -> Result<(), StoreError> {
        self.hold(move |connection| {
            diesel::delete(mfa_challenges::table.filter(mfa_challenges::user_id.eq(AsBytes(user))))
                .execute(connection)
                .map(drop)
        })
    }
}

#[async_trait]
impl PendingStore for SqliteStore {
    /// Counts on beyond the limit, so that one statement tells a locked sign-in from one that is not there.
    async fn count_pending_attempt(
        &self,
        hash: &TokenHash,
        now: Timestamp,
    ) -> Result<PendingAttempt, StoreError> {
        const ATTEMPTS: i32 = PendingSignIn::ATTEMPTS.cast_signed();
        let counted = diesel::update(mfa_challenges::table)
            .filter(mfa_challenges::token_hash.eq(AsBytes(*hash)))
            .filter(mfa_challenges::expires_at.gt(AsText(now)))
            .set(mfa_challenges::attempts.eq(mfa_challenges::attempts + 1))
            .returning((PendingRow::as_select(), mfa_challenges::attempts));
        let count = move |connection: &mut SqliteConnection| {
            counted.get_result::<(PendingRow, i32)>(connection).optional()
        };
        Ok(match self.writer.run(count).await? {
            None => PendingAttempt::Absent,
            Some((row, attempts)) if attempts <= ATTEMPTS => PendingAttempt::Counted(row.into()),
            Some((row, _)) => PendingAttempt::Locked(row.into()),
        })
    }

    async fn sweep_pending(&self, now: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let swept = diesel::alias!(mfa_challenges as swept);
        let chosen = swept
            .select(swept.field(mfa_challenges::token_hash))
            .filter(swept.field(mfa_challenges::expires_at).lt(AsText(now)))
            .limit(i64::from(limit));
        let deletion =
            diesel::delete(mfa_challenges::table).filter(mfa_challenges::token_hash.eq_any(chosen));
        let count = self.writer.run(move |connection| deletion.execute(connection)).await?;
        u64::try_from(count).map_err(StoreError::corrupt)
    }
}

#[async_trait]
impl TrustRepo for SqliteTx {
    async fn insert_trusted(&mut self, browser: &TrustedBrowser) -> Result<(), StoreError> {
        let browser = browser.clone();
        self.hold(move |connection| {
            diesel::insert_into(trusted_browsers::table)
                .values((
                    trusted_browsers::id.eq(AsBytes(browser.id)),
                    trusted_browsers::user_id.eq(AsBytes(browser.user)),
                    trusted_browsers::token_hash.eq(AsBytes(browser.hash)),
                    trusted_browsers::label.eq(browser.label.as_ref().map(Label::as_str)),
                    trusted_browsers::ip_address.eq(browser.client.ip_address.map(AsText)),
                    trusted_browsers::user_agent.eq(browser.client.user_agent),
                    trusted_browsers::created_at.eq(AsText(browser.created_at)),
                    trusted_browsers::last_seen_at.eq(AsText(browser.last_seen_at)),
                    trusted_browsers::expires_at.eq(AsText(browser.expires_at)),
                ))
                .execute(connection)
                .map(drop)
        })
    }

    async fn rotate_trusted(
        &mut self,
        rotation: &TrustRotation,
    ) -> Result<Option<TrustedBrowser>, StoreError> {
        let TrustRotation { user, presented, successor, client, at } = rotation.clone();
        let rotated = diesel::update(trusted_browsers::table)
            .filter(trusted_browsers::user_id.eq(AsBytes(user)))
            .filter(trusted_browsers::token_hash.eq(AsBytes(presented)))
            .filter(trusted_browsers::expires_at.gt(AsText(at)))
            .set((
                trusted_browsers::token_hash.eq(AsBytes(successor)),
                trusted_browsers::ip_address.eq(client.ip_address.map(AsText)),
                trusted_browsers::user_agent.eq(client.user_agent),
                trusted_browsers::last_seen_at.eq(AsText(at)),
            ))
            .returning(BrowserRow::as_select());
        let row = self.ask(move |connection| rotated.get_result(connection).optional()).await?;
        Ok(row.map(TrustedBrowser::from))
    }

    async fn remove_trusted(&mut self, id: TrustedBrowserId, owner: UserId) -> Result<bool, StoreError> {
        let removed = diesel::delete(trusted_browsers::table)
            .filter(trusted_browsers::id.eq(AsBytes(id)))
            .filter(trusted_browsers::user_id.eq(AsBytes(owner)));
        self.ask(move |connection| removed.execute(connection).map(|count| count == 1)).await
    }

    async fn remove_all_trusted(&mut self, owner: UserId) -> Result<(), StoreError> {
        self.hold(move |connection| {
            diesel::delete(trusted_browsers::table.filter(trusted_browsers::user_id.eq(AsBytes(owner))))
                .execute(connection)
                .map(drop)
        })
    }
}

#[async_trait]
impl TrustStore for SqliteStore {
    async fn find_trusted(
        &self,
        user: UserId,
        hash: &TokenHash,
        now: Timestamp,
    ) -> Result<Option<TrustedBrowser>, StoreError> {
        let wanted = trusted_browsers::table
            .filter(trusted_browsers::user_id.eq(AsBytes(user)))
            .filter(trusted_browsers::token_hash.eq(AsBytes(*hash)))
            .filter(trusted_browsers::expires_at.gt(AsText(now)))
            .select(BrowserRow::as_select());
        let row = self.readers.run(move |connection| wanted.get_result(connection).optional()).await?;
        Ok(row.map(TrustedBrowser::from))
    }

    async fn list_trusted(&self, user: UserId, now: Timestamp) -> Result<Vec<TrustedBrowser>, StoreError> {
        let trusted = trusted_browsers::table
            .filter(trusted_browsers::user_id.eq(AsBytes(user)))
            .filter(trusted_browsers::expires_at.gt(AsText(now)))
            .order((trusted_browsers::created_at.desc(), trusted_browsers::id.desc()))
            .select(BrowserRow::as_select());
        let rows = self.readers.run(move |connection| trusted.load(connection)).await?;
        Ok(rows.into_iter().map(TrustedBrowser::from).collect())
    }

    async fn sweep_trusted(&self, now: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let swept = diesel::alias!(trusted_browsers as swept);
        let chosen = swept
            .select(swept.field(trusted_browsers::id))
            .filter(swept.field(trusted_browsers::expires_at).lt(AsText(now)))
            .limit(i64::from(limit));
        let deletion = diesel::delete(trusted_browsers::table).filter(trusted_browsers::id.eq_any(chosen));
        let count = self.writer.run(move |connection| deletion.execute(connection)).await?;
        u64::try_from(count).map_err(StoreError::corrupt)
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = mfa_challenges)]
struct PendingRow {
    token_hash: AsBytes<TokenHash>,
    user_id: AsBytes<UserId>,
    first_factor: AsText<AuthMethod>,
    passkey_id: Option<AsBytes<PasskeyId>>,
    browser: Option<AsBytes<TokenHash>>,
    created_at: AsText<Timestamp>,
    expires_at: AsText<Timestamp>,
}

impl From<PendingRow> for PendingSignIn {
    fn from(row: PendingRow) -> Self {
        Self {
            hash: row.token_hash.0,
            user: row.user_id.0,
            first_factor: row.first_factor.0,
            passkey: row.passkey_id.map(|id| id.0),
            browser: row.browser.map(|browser| browser.0),
            created_at: row.created_at.0,
            expires_at: row.expires_at.0,
        }
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = trusted_browsers)]
struct BrowserRow {
    id: AsBytes<TrustedBrowserId>,
    user_id: AsBytes<UserId>,
    token_hash: AsBytes<TokenHash>,
    label: Option<String>,
    ip_address: Option<AsText<IpAddr>>,
    user_agent: Option<String>,
    created_at: AsText<Timestamp>,
    last_seen_at: AsText<Timestamp>,
    expires_at: AsText<Timestamp>,
}

impl From<BrowserRow> for TrustedBrowser {
    fn from(row: BrowserRow) -> Self {
        Self {
            id: row.id.0,
            user: row.user_id.0,
            hash: row.token_hash.0,
            label: row.label.map(Label::from_stored),
            client: ClientInfo {
                ip_address: row.ip_address.map(|address| address.0),
                user_agent: row.user_agent,
            },
            created_at: row.created_at.0,
            last_seen_at: row.last_seen_at.0,
            expires_at: row.expires_at.0,
        }
    }
}
