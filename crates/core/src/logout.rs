//! Sign-out.

use identsphere_audit::AuditAction;
use identsphere_sessions::{ClientInfo, RevocationReason};
use identsphere_tokens::AccessClaims;

use crate::events::Resource;
use crate::{Error, IdentSphere};

impl IdentSphere {
    /// Ends the session that these credentials belong to, if there is one: the access token's, else the refresh token's
    /// (whose bearer may sign out after the access token has expired). Signing out twice is no error.
    ///
    /// # Errors
    /// [`Error::Overloaded`] when the store is away: the session has not ended.
    pub async fn logout(
        &self,
        access: Option<&AccessClaims>,
        refresh_token: Option<&str>,
        client: &ClientInfo,
    ) -> Result<(), Error> {
        let by_refresh =
            || refresh_token.and_then(|text| self.secrets.refresh.read(text)).map(|token| token.session());
        let Some(session) = access.map(|claims| claims.sid).or_else(by_refresh) else { return Ok(()) };
        let now = self.now();
        let Some(who) = self.store().find_principal(session, now).await? else { return Ok(()) };
        let event = self.event_by(&who, AuditAction::Logout, &Resource::Session(session), client);
        let mut tx = self.store().begin().await?;
        if tx.sessions().revoke(session, who.user.id, RevocationReason::Logout, now).await? {
            tx.audit().append(&event).await?;
            tx.commit().await?;
        }
        Ok(())
    }
}
