//! Exchanging a refresh token for its successor.

use identsphere_audit::{Actor, AuditAction};
use identsphere_kernel::SessionId;
use identsphere_sessions::{ClientInfo, Leaf, RefreshToken, RevocationReason, Verdict, judge};

use crate::events::{EventExt, Resource};
use crate::{Error, IdentSphere, RefreshRotation, SignedIn};

impl IdentSphere {
    /// Replaces a leaf by its successor and issues an access token. In the usual case one statement, which reads user,
    /// role and session anew (RF-05). The leaf's parent, presented within the grace, gets the same successor again;
    /// a token replaced earlier ends the family.
    ///
    /// # Errors
    /// [`Error::AuthenticationRequired`] for a token that is not ours, of a family that is over, or presented too late;
    /// [`Error::Overloaded`].
    pub async fn refresh(&self, refresh_token: &str, client: &ClientInfo) -> Result<SignedIn, Error> {
        // Before the leaf is replaced: its successor could not be handed out.
        self.demand_clock()?;
        let key = &self.secrets.refresh;
        let presented = key.read(refresh_token).ok_or(Error::AuthenticationRequired)?;
        let successor = key.successor(&presented);
        let rotation = RefreshRotation {
            session: presented.session(),
            presented: presented.hash(),
            successor: Leaf {
                hash: successor.hash(),
                generation: successor.generation(),
                issued_at: self.now(),
            },
            client: client.clone(),
        };
        match self.store().rotate_refresh(&rotation).await? {
            Some(principal) => self.issue(principal, &successor),
            None => self.refresh_without_rotation(&presented, &successor, client).await,
        }
    }

    async fn refresh_without_rotation(
        &self,
        presented: &RefreshToken,
        successor: &RefreshToken,
        client: &ClientInfo,
    ) -> Result<SignedIn, Error> {
        let session = presented.session();
        let now = self.now();
        let state = self.store().find_refresh_state(session).await?.ok_or(Error::AuthenticationRequired)?;
        let grace = self.policy.refresh_grace;
        match judge(&state, presented.generation(), &presented.hash(), &successor.hash(), now, grace) {
            Verdict::Replay => {
                let principal =
                    self.store().find_principal(session, now).await?.ok_or(Error::AuthenticationRequired)?;
                self.issue(principal, successor)
            }
            Verdict::Reused => {
                self.end_reused_family(session, presented.generation(), client).await?;
                Err(Error::AuthenticationRequired)
            }
            // The leaf of a user who may not refresh any more, or of a family that is over.
            Verdict::Rotate | Verdict::Dead => Err(Error::AuthenticationRequired),
        }
    }

    /// The revocation is committed although the request is refused (RFC 9700 §4.14.2).
    async fn end_reused_family(
        &self,
        session: SessionId,
        generation: u32,
        client: &ClientInfo,
    ) -> Result<(), Error> {
        let now = self.now();
        let Some(principal) = self.store().find_principal(session, now).await? else { return Ok(()) };
        let event = self
            .event(AuditAction::SessionReuseDetected, Actor::Anonymous, &Resource::Session(session), client)
            .within(principal.session.organization)
            .failed()
            .with("user_id", principal.user.id.to_string())
            .with("presented_generation", generation)
            .with("live_generation", principal.session.leaf.generation);
        let mut tx = self.store().begin().await?;
        if tx.sessions().revoke(session, principal.user.id, RevocationReason::ReuseDetected, now).await? {
            tx.audit().append(&event).await?;
            tx.commit().await?;
        }
        Ok(())
    }
}
