//! How sign-ins end: rows that are inserted while their user stays as they were found.

use async_trait::async_trait;
use diesel::expression::{AppearsOnTable, Expression, ValidGrouping, is_aggregate};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::sql_types::{Bool, Text, Uuid as SqlUuid};
use identsphere_accounts::{PasswordHash, Standing};
use identsphere_core::SignInRepo;
use identsphere_kernel::{StoreError, UserId};
use identsphere_sessions::{PendingSignIn, Session};
use uuid::Uuid;

use crate::sessions::SessionRow;
use crate::tables::{mfa_challenges as challenges, user_sessions as sessions};
use crate::trust::PendingRow;
use crate::tx::PgTx;

#[async_trait]
impl SignInRepo for PgTx {
    async fn begin_session(&mut self, session: &Session, standing: &Standing) -> Result<(), StoreError> {
        let owner = sessions::user_id.eq(InStanding::new(session.user, standing));
        self.hold(diesel::insert_into(sessions::table).values((owner, SessionRow::from(session))));
        Ok(())
    }

    async fn put_pending(&mut self, pending: &PendingSignIn, standing: &Standing) -> Result<(), StoreError> {
        let owner = challenges::user_id.eq(InStanding::new(pending.user, standing));
        self.hold(diesel::insert_into(challenges::table).values((owner, PendingRow::from(pending))));
        Ok(())
    }
}

/// The id of a user if they are in a standing, else NULL. No row may have NULL for its owner: that refuses the insert, and
/// with it the transaction ([`errors`](crate::errors)), on the server, in the trip that carries the `COMMIT`.
///
/// The row of the user is locked as it is now, not as it was when the statement began: whoever changes it waits until this
/// transaction has ended, and whoever has begun to is waited for. Readers of this kind do not exclude each other. A
/// transaction that goes on to change the user has to do so before: two that hold the row together and both want to
/// change it would wait for each other.
struct InStanding {
    user: Uuid,
    status: &'static str,
    mfa_enabled: bool,
    password_hash: Option<String>,
}

impl InStanding {
    fn new(user: UserId, standing: &Standing) -> Self {
        Self {
            user: user.as_uuid(),
            status: standing.status().name(),
            mfa_enabled: standing.mfa_enabled(),
            password_hash: standing.password_hash().map(PasswordHash::as_str).map(str::to_owned),
        }
    }
}

impl Expression for InStanding {
    type SqlType = SqlUuid;
}

impl<T> AppearsOnTable<T> for InStanding {}

impl<T> ValidGrouping<T> for InStanding {
    type IsAggregate = is_aggregate::Never;
}

impl QueryId for InStanding {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl QueryFragment<Pg> for InStanding {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("(SELECT id FROM users WHERE id = ");
        out.push_bind_param::<SqlUuid, _>(&self.user)?;
        out.push_sql(" AND status = ");
        out.push_bind_param::<Text, _>(&self.status)?;
        out.push_sql(" AND mfa_enabled = ");
        out.push_bind_param::<Bool, _>(&self.mfa_enabled)?;
        if let Some(hash) = &self.password_hash {
            out.push_sql(" AND password_hash = ");
            out.push_bind_param::<Text, _>(hash)?;
        }
        out.push_sql(" FOR SHARE)");
        Ok(())
    }
}
