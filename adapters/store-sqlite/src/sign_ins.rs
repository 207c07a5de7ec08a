//! How sign-ins end: rows that are inserted while their user is as they were found.

use async_trait::async_trait;
use diesel::expression::{AppearsOnTable, Expression, ValidGrouping, is_aggregate};
use diesel::prelude::*;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::sql_types::{Binary, Bool, Text};
use diesel::sqlite::Sqlite;
use identsphere_accounts::{PasswordHash, Standing, UserStatus};
use identsphere_core::SignInRepo;
use identsphere_kernel::{StoreError, UserId};
use identsphere_sessions::{PendingSignIn, Session};

use crate::tables::{mfa_challenges, user_sessions};
use crate::tx::SqliteTx;
use crate::values::{AsBytes, AsNumber, AsText};

#[async_trait]
impl SignInRepo for SqliteTx {
    async fn begin_session(&mut self, session: &Session, standing: &Standing) -> Result<(), StoreError> {
        let (session, owner) = (session.clone(), InStanding::new(session.user, standing));
        self.hold(move |connection| {
            diesel::insert_into(user_sessions::table)
                .values((
                    user_sessions::id.eq(AsBytes(session.id)),
                    user_sessions::user_id.eq(owner),
                    user_sessions::organization_id.eq(AsBytes(session.organization)),
                    user_sessions::auth_method.eq(AsText(session.auth_method)),
                    user_sessions::aal.eq(AsText(session.aal)),
                    user_sessions::auth_time.eq(AsText(session.auth_time)),
                    (
                        user_sessions::second_factor.eq(session.second_factor.map(AsText)),
                        user_sessions::passkey_id.eq(session.passkey.map(AsBytes)),
                        user_sessions::mfa_verified_at.eq(session.mfa_verified_at.map(AsText)),
                    ),
                    user_sessions::refresh_hash.eq(AsBytes(session.leaf.hash)),
                    user_sessions::refresh_generation.eq(AsNumber(session.leaf.generation)),
                    user_sessions::refresh_issued_at.eq(AsText(session.leaf.issued_at)),
                    user_sessions::ip_address.eq(session.client.ip_address.map(AsText)),
                    user_sessions::user_agent.eq(session.client.user_agent),
                    user_sessions::created_at.eq(AsText(session.created_at)),
                    user_sessions::last_active_at.eq(AsText(session.last_active_at)),
                    user_sessions::expires_at.eq(AsText(session.expires_at)),
                ))
                .execute(connection)
                .map(drop)
        })
    }

    async fn put_pending(&mut self, pending: &PendingSignIn, standing: &Standing) -> Result<(), StoreError> {
        let (pending, owner) = (pending.clone(), InStanding::new(pending.user, standing));
        self.hold(move |connection| {
            diesel::insert_into(mfa_challenges::table)
                .values((
                    mfa_challenges::token_hash.eq(AsBytes(pending.hash)),
                    mfa_challenges::user_id.eq(owner),
                    mfa_challenges::first_factor.eq(AsText(pending.first_factor)),
                    mfa_challenges::passkey_id.eq(pending.passkey.map(AsBytes)),
                    mfa_challenges::browser.eq(pending.browser.map(AsBytes)),
                    mfa_challenges::attempts.eq(0),
                    mfa_challenges::created_at.eq(AsText(pending.created_at)),
                    mfa_challenges::expires_at.eq(AsText(pending.expires_at)),
                ))
                .execute(connection)
                .map(drop)
        })
    }
}

/// The id of a user if they are in a standing, else NULL. No row may have NULL for its owner, which refuses the insert
/// ([`errors`](crate::errors)). The transaction excludes every other writer, so the user stays as they are.
struct InStanding {
    user: AsBytes<UserId>,
    status: AsText<UserStatus>,
    mfa_enabled: bool,
    password_hash: Option<String>,
}

impl InStanding {
    fn new(user: UserId, standing: &Standing) -> Self {
        Self {
            user: AsBytes(user),
            status: AsText(standing.status()),
            mfa_enabled: standing.mfa_enabled(),
            password_hash: standing.password_hash().map(PasswordHash::as_str).map(str::to_owned),
        }
    }
}

impl Expression for InStanding {
    type SqlType = Binary;
}

impl<T> AppearsOnTable<T> for InStanding {}

impl<T> ValidGrouping<T> for InStanding {
    type IsAggregate = is_aggregate::Never;
}

impl QueryId for InStanding {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl QueryFragment<Sqlite> for InStanding {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        out.push_sql("(SELECT id FROM users WHERE id = ");
        out.push_bind_param::<Binary, _>(&self.user)?;
        out.push_sql(" AND status = ");
        out.push_bind_param::<Text, _>(&self.status)?;
        out.push_sql(" AND mfa_enabled = ");
        out.push_bind_param::<Bool, _>(&self.mfa_enabled)?;
        if let Some(hash) = &self.password_hash {
            out.push_sql(" AND password_hash = ");
            out.push_bind_param::<Text, _>(hash)?;
        }
        out.push_sql(")");
        Ok(())
    }
}
