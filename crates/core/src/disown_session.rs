//! "This was not me": ending a session from the mail that told of it.

use identsphere_audit::{Actor, AuditAction};
use identsphere_sessions::RevocationReason;

use crate::events::Resource;
use crate::{Error, IdentSphere, Visitor};

impl IdentSphere {
    /// Ends the session that the token of such a mail names. Ending it again is no error.
    ///
    /// # Errors
    /// [`Error::AuthenticationRequired`] for a token that we did not make; [`Error::Overloaded`].
    pub async fn disown_session(&self, token: &str, visitor: &Visitor<'_>) -> Result<(), Error> {
        let (user, session) = self.secrets.disown.read(token).ok_or(Error::AuthenticationRequired)?;
        let event = self
            .event(
                AuditAction::SessionRevoked,
                Actor::User(user),
                &Resource::Session(session),
                visitor.client,
            )
            .with("reason", RevocationReason::Disowned.name());
        let mut tx = self.store().begin().await?;
        if tx.sessions().revoke(session, user, RevocationReason::Disowned, self.now()).await? {
            // Whoever was in it may have made the browser a trusted one.
            tx.trust().remove_all_trusted(user).await?;
            tx.audit().append(&event).await?;
            tx.commit().await?;
        }
        Ok(())
    }
}
