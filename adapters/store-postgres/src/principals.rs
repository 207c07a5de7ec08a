//! Reads and transitions that join users, sessions and memberships: one statement each.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use diesel::dsl::{AsSelect, SqlTypeOf, auto_type};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{BigInt, Binary, Inet, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use futures::FutureExt;
use identsphere_accounts::{PasswordHash, UserStatus};
use identsphere_core::{
    PasskeySignIn, Principal, PrincipalStore, RefreshRotation, RefreshStore, SignInRecord,
};
use identsphere_factors::passkey::CredentialId;
use identsphere_kernel::{EmailKey, SessionId, StoreError, Timestamp, UserId};
use identsphere_organizations::Role;
use ipnet::IpNet;
use uuid::Uuid;

use crate::PgStore;
use crate::passkeys::{PasskeyRow, user_handle};
use crate::sessions::SessionRow;
use crate::tables::{
    organization_memberships as memberships, organizations, user_passkeys as passkeys,
    user_sessions as sessions, users,
};
use crate::users::UserRow;

#[async_trait]
impl PrincipalStore for PgStore {
    async fn find_sign_in(&self, email: &EmailKey) -> Result<Option<SignInRecord>, StoreError> {
        let query = sign_ins().filter(users::email_key.eq(email.as_str())).select(SignInRow::as_select());
        let found: Option<SignInRow> = self
            .pool
            .ask(|mut connection| query.get_result(&mut connection).map(OptionalExtension::optional).boxed())
            .await?;
        found.map(SignInRecord::try_from).transpose()
    }

    async fn find_sign_in_of(&self, user: UserId) -> Result<Option<SignInRecord>, StoreError> {
        let query = sign_ins().filter(users::id.eq(user.as_uuid())).select(SignInRow::as_select());
        let found: Option<SignInRow> = self
            .pool
            .ask(|mut connection| query.get_result(&mut connection).map(OptionalExtension::optional).boxed())
            .await?;
        found.map(SignInRecord::try_from).transpose()
    }

    async fn find_passkey_sign_in(&self, id: &CredentialId) -> Result<Option<PasskeySignIn>, StoreError> {
        let query = sign_ins()
            .inner_join(passkeys::table.on(passkeys::user_id.eq(users::id)))
            .filter(passkeys::credential_id.eq(id.as_bytes()))
            .filter(users::passkey_handle.is_not_null())
            .select((
                SignInRow::as_select(),
                PasskeyRow::as_select(),
                users::passkey_handle.assume_not_null(),
            ));
        let found: Option<(SignInRow, PasskeyRow, Vec<u8>)> = self
            .pool
            .ask(|mut connection| query.get_result(&mut connection).map(OptionalExtension::optional).boxed())
            .await?;
        let Some((owner, passkey, handle)) = found else { return Ok(None) };
        Ok(Some(PasskeySignIn {
            owner: owner.try_into()?,
            passkey: passkey.try_into()?,
            handle: user_handle(&handle)?,
        }))
    }

    async fn find_principal(
        &self,
        session: SessionId,
        now: Timestamp,
    ) -> Result<Option<Principal>, StoreError> {
        let same_member = memberships::user_id
            .eq(sessions::user_id)
            .and(memberships::organization_id.eq(sessions::organization_id));
        let query = sessions::table
            .inner_join(users::table.on(users::id.eq(sessions::user_id)))
            .inner_join(memberships::table.on(same_member))
            .inner_join(organizations::table.on(organizations::id.eq(sessions::organization_id)))
            .filter(organizations::deleted_at.is_null())
            .filter(sessions::id.eq(session.as_uuid()))
            .filter(sessions::revoked_at.is_null())
            .filter(sessions::expires_at.gt(now.to_chrono()))
            .filter(users::status.eq(UserStatus::Active.name()))
            .select(PrincipalRow::as_select());
        let found: Option<PrincipalRow> = self
            .pool
            .ask(|mut connection| query.get_result(&mut connection).map(OptionalExtension::optional).boxed())
            .await?;
        found.map(Principal::try_from).transpose()
    }
}

#[async_trait]
impl RefreshStore for PgStore {
    async fn rotate_refresh(&self, rotation: &RefreshRotation) -> Result<Option<Principal>, StoreError> {
        let rotate = RotateRefresh::from(rotation);
        let rotated: Option<PrincipalRow> = self
            .pool
            .ask(|mut connection| rotate.get_result(&mut connection).map(OptionalExtension::optional).boxed())
            .await?;
        rotated.map(Principal::try_from).transpose()
    }
}

/// Users, each with the membership in their home organisation if they have it, and with that organisation if it still is.
#[auto_type]
fn sign_ins() -> _ {
    let at_home =
        memberships::user_id.eq(users::id).and(memberships::organization_id.eq(users::organization_id));
    let home = organizations::id.eq(users::organization_id).and(organizations::deleted_at.is_null());
    users::table.left_join(memberships::table.on(at_home)).left_join(organizations::table.on(home))
}

#[derive(Queryable, Selectable)]
struct SignInRow {
    #[diesel(embed)]
    user: UserRow,
    #[diesel(select_expression = users::password_hash)]
    password_hash: Option<String>,
    #[diesel(select_expression = memberships::role.nullable())]
    role: Option<String>,
    #[diesel(select_expression = organizations::id.nullable())]
    home: Option<Uuid>,
}

impl TryFrom<SignInRow> for SignInRecord {
    type Error = StoreError;

    fn try_from(row: SignInRow) -> Result<Self, StoreError> {
        Ok(Self {
            user: row.user.try_into()?,
            password_hash: row.password_hash.map(PasswordHash::new),
            role: row.home.and(row.role).map(Role::new),
        })
    }
}

#[derive(Queryable, Selectable)]
struct PrincipalRow {
    #[diesel(embed)]
    session: SessionRow,
    #[diesel(embed)]
    user: UserRow,
    #[diesel(select_expression = memberships::role)]
    role: String,
}

impl TryFrom<PrincipalRow> for Principal {
    type Error = StoreError;

    fn try_from(row: PrincipalRow) -> Result<Self, StoreError> {
        Ok(Self { user: row.user.try_into()?, session: row.session.try_into()?, role: Role::new(row.role) })
    }
}

/// `UPDATE .. FROM`, which Diesel has no words for. Of several that present one leaf at once, the server lets one
/// through; the others wait for it, look again, and find another leaf.
struct RotateRefresh {
    session: Uuid,
    presented: Vec<u8>,
    hash: Vec<u8>,
    generation: i64,
    now: DateTime<Utc>,
    ip_address: Option<IpNet>,
    user_agent: Option<String>,
    returning: AsSelect<PrincipalRow, Pg>,
}

impl From<&RefreshRotation> for RotateRefresh {
    fn from(rotation: &RefreshRotation) -> Self {
        Self {
            session: rotation.session.as_uuid(),
            presented: rotation.presented.as_bytes().to_vec(),
            hash: rotation.successor.hash.as_bytes().to_vec(),
            generation: i64::from(rotation.successor.generation),
            now: rotation.successor.issued_at.to_chrono(),
            ip_address: rotation.client.ip_address.map(IpNet::from),
            user_agent: rotation.client.user_agent.clone(),
            returning: PrincipalRow::as_select(),
        }
    }
}

impl QueryFragment<Pg> for RotateRefresh {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("UPDATE user_sessions SET refresh_hash = ");
        out.push_bind_param::<Binary, _>(&self.hash)?;
        out.push_sql(", refresh_generation = ");
        out.push_bind_param::<BigInt, _>(&self.generation)?;
        out.push_sql(", refresh_issued_at = ");
        out.push_bind_param::<Timestamptz, _>(&self.now)?;
        out.push_sql(", last_active_at = ");
        out.push_bind_param::<Timestamptz, _>(&self.now)?;
        out.push_sql(", ip_address = ");
        out.push_bind_param::<Nullable<Inet>, _>(&self.ip_address)?;
        out.push_sql(", user_agent = ");
        out.push_bind_param::<Nullable<Text>, _>(&self.user_agent)?;
        out.push_sql(
            " FROM users, organization_memberships, organizations \
             WHERE organizations.id = user_sessions.organization_id AND organizations.deleted_at IS NULL \
             AND users.id = user_sessions.user_id AND users.status = 'active' \
             AND organization_memberships.user_id = user_sessions.user_id \
             AND organization_memberships.organization_id = user_sessions.organization_id \
             AND user_sessions.revoked_at IS NULL AND user_sessions.expires_at > ",
        );
        out.push_bind_param::<Timestamptz, _>(&self.now)?;
        out.push_sql(" AND user_sessions.id = ");
        out.push_bind_param::<SqlUuid, _>(&self.session)?;
        out.push_sql(" AND user_sessions.refresh_hash = ");
        out.push_bind_param::<Binary, _>(&self.presented)?;
        out.push_sql(" RETURNING ");
        self.returning.walk_ast(out)
    }
}

impl QueryId for RotateRefresh {
    type QueryId = Self;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl Query for RotateRefresh {
    type SqlType = SqlTypeOf<AsSelect<PrincipalRow, Pg>>;
}
