//! Ending sessions from the list.

use identsphere_audit::AuditAction;
use identsphere_kernel::SessionId;
use identsphere_sessions::{ClientInfo, RevocationReason};

use crate::events::Resource;
use crate::{Error, IdentSphere, Principal};

/// Which sessions to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndScope {
    /// All of the user's.
    All,
    /// All but the one that asks.
    Others,
}

impl IdentSphere {
    /// Ends one session of this principal's user.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such live session, or it is somebody else's.
    pub async fn end_session(
        &self,
        who: &Principal,
        session: SessionId,
        client: &ClientInfo,
    ) -> Result<(), Error> {
        let event = self.event_by(who, AuditAction::SessionRevoked, &Resource::Session(session), client);
        let mut tx = self.store().begin().await?;
        if !tx.sessions().revoke(session, who.user.id, RevocationReason::EndedByUser, self.now()).await? {
            return Err(Error::NotFound);
        }
        tx.audit().append(&event).await?;
        Ok(tx.commit().await?)
    }

    /// Ends the sessions of this principal's user.
    ///
    /// # Errors
    /// [`Error::Overloaded`] when the store is away: no session has ended.
    pub async fn end_sessions(
        &self,
        who: &Principal,
        scope: EndScope,
        client: &ClientInfo,
    ) -> Result<(), Error> {
        let except = match scope {
            EndScope::All => None,
            EndScope::Others => Some(who.session.id),
        };
        let mut tx = self.store().begin().await?;
        let ended =
            tx.sessions().revoke_all(who.user.id, except, RevocationReason::EndedByUser, self.now()).await?;
        if scope == EndScope::All {
            // Whoever signs out everywhere suspects somebody: nothing that is pending shall outlive it (RC-14).
            self.void_everything(&mut *tx, who.user.id).await?;
        }
        for session in ended {
            let event = self.event_by(who, AuditAction::SessionRevoked, &Resource::Session(session), client);
            tx.audit().append(&event).await?;
        }
        Ok(tx.commit().await?)
    }
}
