//! Users and sessions as they are read: the statements that join them.

use std::net::IpAddr;

use async_trait::async_trait;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::sql_types::{BigInt, Binary, Nullable, Text};
use diesel::sqlite::Sqlite;
use identsphere_accounts::{DisplayName, PasswordHash, User, UserStatus};
use identsphere_core::{
    PasskeySignIn, Principal, PrincipalStore, RefreshRotation, RefreshStore, SignInRecord,
};
use identsphere_factors::passkey::{CredentialId, UserHandle};
use identsphere_kernel::{
    Email, EmailKey, OrganizationId, PasskeyId, SessionId, StoreError, Timestamp, TokenHash, UserId,
};
use identsphere_organizations::Role;
use identsphere_sessions::{AssuranceLevel, AuthMethod, ClientInfo, Leaf, SecondFactor, Session};

use crate::SqliteStore;
use crate::passkeys::PasskeyRow;
use crate::tables::{organization_memberships, organizations, user_passkeys, user_sessions, users};
use crate::values::{AsBytes, AsNumber, AsText};

#[async_trait]
impl PrincipalStore for SqliteStore {
    async fn find_sign_in(&self, email: &EmailKey) -> Result<Option<SignInRecord>, StoreError> {
        let email = email.clone();
        self.readers.run(move |connection| sign_in(connection, &email)).await
    }

    async fn find_sign_in_of(&self, user: UserId) -> Result<Option<SignInRecord>, StoreError> {
        self.readers.run(move |connection| sign_in_of(connection, user)).await
    }

    async fn find_passkey_sign_in(&self, id: &CredentialId) -> Result<Option<PasskeySignIn>, StoreError> {
        let id = id.clone();
        self.readers.run(move |connection| passkey_sign_in(connection, id)).await
    }

    async fn find_principal(
        &self,
        session: SessionId,
        now: Timestamp,
    ) -> Result<Option<Principal>, StoreError> {
        self.readers.run(move |connection| principal(connection, session, now)).await
    }
}

#[async_trait]
impl RefreshStore for SqliteStore {
    async fn rotate_refresh(&self, rotation: &RefreshRotation) -> Result<Option<Principal>, StoreError> {
        let rotation = rotation.clone();
        self.writer.run_exclusively(|connection| rotate(connection, rotation)).await
    }
}

/// The user's sessions that are neither revoked nor past their end.
pub(crate) fn live_sessions(
    connection: &mut SqliteConnection,
    user: UserId,
    now: Timestamp,
) -> QueryResult<Vec<Session>> {
    let rows = user_sessions::table
        .filter(user_sessions::user_id.eq(AsBytes(user)))
        .filter(user_sessions::revoked_at.is_null())
        .filter(user_sessions::expires_at.gt(AsText(now)))
        .order((user_sessions::last_active_at.desc(), user_sessions::id.desc()))
        .select(SessionRow::as_select())
        .load(connection)?;
    Ok(rows.into_iter().map(Session::from).collect())
}

/// Which membership of a user is the one at home.
#[diesel::dsl::auto_type]
fn at_home() -> _ {
    organization_memberships::user_id
        .eq(users::id)
        .and(organization_memberships::organization_id.eq(users::organization_id))
}

/// Which organisation of a user is the one at home, if it still is.
#[diesel::dsl::auto_type]
fn home() -> _ {
    organizations::id.eq(users::organization_id).and(organizations::deleted_at.is_null())
}

fn sign_in(connection: &mut SqliteConnection, email: &EmailKey) -> QueryResult<Option<SignInRecord>> {
    let found = users::table
        .left_join(organization_memberships::table.on(at_home()))
        .left_join(organizations::table.on(home()))
        .filter(users::email_key.eq(email.as_str()))
        .select(SignInRow::as_select())
        .get_result(connection)
        .optional()?;
    Ok(found.map(SignInRecord::from))
}

fn sign_in_of(connection: &mut SqliteConnection, user: UserId) -> QueryResult<Option<SignInRecord>> {
    let found = users::table
        .left_join(organization_memberships::table.on(at_home()))
        .left_join(organizations::table.on(home()))
        .filter(users::id.eq(AsBytes(user)))
        .select(SignInRow::as_select())
        .get_result(connection)
        .optional()?;
    Ok(found.map(SignInRecord::from))
}

fn passkey_sign_in(
    connection: &mut SqliteConnection,
    credential: CredentialId,
) -> QueryResult<Option<PasskeySignIn>> {
    let found = user_passkeys::table
        .inner_join(users::table.on(users::id.eq(user_passkeys::user_id)))
        .left_join(organization_memberships::table.on(at_home()))
        .left_join(organizations::table.on(home()))
        .filter(user_passkeys::credential_id.eq(AsBytes(credential)))
        .filter(users::passkey_handle.is_not_null())
        .select((SignInRow::as_select(), PasskeyRow::as_select(), users::passkey_handle.assume_not_null()))
        .get_result::<(SignInRow, PasskeyRow, AsBytes<UserHandle>)>(connection)
        .optional()?;
    Ok(found.map(|(owner, passkey, handle)| PasskeySignIn {
        owner: owner.into(),
        passkey: passkey.into(),
        handle: handle.0,
    }))
}

fn principal(
    connection: &mut SqliteConnection,
    session: SessionId,
    now: Timestamp,
) -> QueryResult<Option<Principal>> {
    let here = organization_memberships::user_id
        .eq(user_sessions::user_id)
        .and(organization_memberships::organization_id.eq(user_sessions::organization_id));
    let found = user_sessions::table
        .inner_join(users::table.on(users::id.eq(user_sessions::user_id)))
        .inner_join(organization_memberships::table.on(here))
        .inner_join(organizations::table.on(organizations::id.eq(user_sessions::organization_id)))
        .filter(organizations::deleted_at.is_null())
        .filter(user_sessions::id.eq(AsBytes(session)))
        .filter(user_sessions::revoked_at.is_null())
        .filter(user_sessions::expires_at.gt(AsText(now)))
        .filter(users::status.eq(AsText(UserStatus::Active)))
        .select((UserRow::as_select(), SessionRow::as_select(), organization_memberships::role))
        .get_result::<(UserRow, SessionRow, String)>(connection)
        .optional()?;
    Ok(found.map(|(user, session, role)| Principal {
        user: user.into(),
        session: session.into(),
        role: Role::new(role),
    }))
}

/// Replaces the leaf. What is read first stays true until the write: the caller holds the write lock.
fn rotate(connection: &mut SqliteConnection, rotation: RefreshRotation) -> QueryResult<Option<Principal>> {
    let RefreshRotation { session, presented, successor, client } = rotation;
    let Some(mut principal) = principal(connection, session, successor.issued_at)? else { return Ok(None) };
    if principal.session.leaf.hash != presented {
        return Ok(None);
    }
    let replacement = ReplaceLeaf {
        session: AsBytes(session),
        hash: AsBytes(successor.hash),
        generation: AsNumber(successor.generation),
        issued_at: AsText(successor.issued_at),
        ip_address: client.ip_address.map(AsText),
        user_agent: client.user_agent.clone(),
    };
    replacement.execute(connection)?;
    principal.session.last_active_at = successor.issued_at;
    principal.session.leaf = successor;
    principal.session.client = client;
    Ok(Some(principal))
}

/// The change of a leaf, written by hand: Diesel keeps no `UPDATE` of its own prepared, and compiling one takes longer than
/// running it.
#[derive(QueryId)]
struct ReplaceLeaf {
    session: AsBytes<SessionId>,
    hash: AsBytes<TokenHash>,
    generation: AsNumber<u32>,
    issued_at: AsText<Timestamp>,
    ip_address: Option<AsText<IpAddr>>,
    user_agent: Option<String>,
}

impl QueryFragment<Sqlite> for ReplaceLeaf {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        out.push_sql("UPDATE user_sessions SET refresh_hash = ");
        out.push_bind_param::<Binary, _>(&self.hash)?;
        out.push_sql(", refresh_generation = ");
        out.push_bind_param::<BigInt, _>(&self.generation)?;
        out.push_sql(", refresh_issued_at = ");
        out.push_bind_param::<Text, _>(&self.issued_at)?;
        out.push_sql(", last_active_at = ");
        out.push_bind_param::<Text, _>(&self.issued_at)?;
        out.push_sql(", ip_address = ");
        out.push_bind_param::<Nullable<Text>, _>(&self.ip_address)?;
        out.push_sql(", user_agent = ");
        out.push_bind_param::<Nullable<Text>, _>(&self.user_agent)?;
        out.push_sql(" WHERE id = ");
        out.push_bind_param::<Binary, _>(&self.session)
    }
}

impl RunQueryDsl<SqliteConnection> for ReplaceLeaf {}

/// A user beside their membership at home.
#[derive(Queryable, Selectable)]
#[diesel(table_name = users)]
struct SignInRow {
    #[diesel(embed)]
    user: UserRow,
    password_hash: Option<String>,
    #[diesel(select_expression = organization_memberships::role.nullable())]
    role: Option<String>,
    #[diesel(select_expression = organizations::id.nullable())]
    home: Option<AsBytes<OrganizationId>>,
}

impl From<SignInRow> for SignInRecord {
    fn from(row: SignInRow) -> Self {
        Self {
            user: row.user.into(),
            password_hash: row.password_hash.map(PasswordHash::new),
            role: row.home.and(row.role).map(Role::new),
        }
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = users)]
pub(crate) struct UserRow {
    id: AsBytes<UserId>,
    email: String,
    email_key: String,
    organization_id: AsBytes<OrganizationId>,
    status: AsText<UserStatus>,
    display_name: Option<String>,
    mfa_enabled: bool,
    passkey_enabled: bool,
    email_verified: bool,
    last_password_change: Option<AsText<Timestamp>>,
    created_at: AsText<Timestamp>,
    updated_at: AsText<Timestamp>,
}

impl From<UserRow> for User {
    fn from(row: UserRow) -> Self {
        Self {
            id: row.id.0,
            email: Email::from_stored(row.email, row.email_key),
            email_verified: row.email_verified,
            last_password_change: row.last_password_change.map(|at| at.0),
            home_organization: row.organization_id.0,
            status: row.status.0,
            display_name: row.display_name.map(DisplayName::from_stored),
            mfa_enabled: row.mfa_enabled,
            passkey_enabled: row.passkey_enabled,
            created_at: row.created_at.0,
            updated_at: row.updated_at.0,
        }
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = user_sessions)]
pub(crate) struct SessionRow {
    id: AsBytes<SessionId>,
    user_id: AsBytes<UserId>,
    organization_id: AsBytes<OrganizationId>,
    auth_method: AsText<AuthMethod>,
    aal: AsText<AssuranceLevel>,
    auth_time: AsText<Timestamp>,
    second_factor: Option<AsText<SecondFactor>>,
    passkey_id: Option<AsBytes<PasskeyId>>,
    mfa_verified_at: Option<AsText<Timestamp>>,
    refresh_hash: AsBytes<TokenHash>,
    refresh_generation: AsNumber<u32>,
    refresh_issued_at: AsText<Timestamp>,
    ip_address: Option<AsText<IpAddr>>,
    user_agent: Option<String>,
    created_at: AsText<Timestamp>,
    last_active_at: AsText<Timestamp>,
    expires_at: AsText<Timestamp>,
}

impl From<SessionRow> for Session {
    fn from(row: SessionRow) -> Self {
        Self {
            id: row.id.0,
            user: row.user_id.0,
            organization: row.organization_id.0,
            auth_method: row.auth_method.0,
            aal: row.aal.0,
            auth_time: row.auth_time.0,
            second_factor: row.second_factor.map(|factor| factor.0),
            passkey: row.passkey_id.map(|id| id.0),
            mfa_verified_at: row.mfa_verified_at.map(|at| at.0),
            leaf: Leaf {
                hash: row.refresh_hash.0,
                generation: row.refresh_generation.0,
                issued_at: row.refresh_issued_at.0,
            },
            client: ClientInfo {
                ip_address: row.ip_address.map(|address| address.0),
                user_agent: row.user_agent,
            },
            created_at: row.created_at.0,
            last_active_at: row.last_active_at.0,
            expires_at: row.expires_at.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use diesel::connection::{InstrumentationEvent, SimpleConnection};

    use super::*;

    #[test]
    fn the_change_of_a_leaf_is_compiled_once_a_connection() {
        let mut connection = SqliteConnection::establish(":memory:").unwrap();
        let columns =
            "id, refresh_hash, refresh_generation, refresh_issued_at, last_active_at, ip_address, user_agent";
        connection.batch_execute(&format!("CREATE TABLE user_sessions ({columns})")).unwrap();
        let kept = Arc::new(AtomicU32::new(0));
        let counter = Arc::clone(&kept);
        connection.set_instrumentation(move |event: InstrumentationEvent<'_>| {
            if matches!(event, InstrumentationEvent::CacheQuery { .. }) {
                counter.fetch_add(1, Ordering::SeqCst);
            }
        });
        for generation in 1..4 {
            let change = ReplaceLeaf {
                session: AsBytes(SessionId::from_bytes([1; 16])),
                hash: AsBytes(TokenHash::of(b"a leaf")),
                generation: AsNumber(generation),
                issued_at: AsText(Timestamp::EPOCH),
                ip_address: None,
                user_agent: None,
            };
            assert_eq!(change.execute(&mut connection), Ok(0));
        }
        assert_eq!(kept.load(Ordering::SeqCst), 1);
    }
}
