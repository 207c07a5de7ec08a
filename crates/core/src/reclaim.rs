//! The first proof of a mailbox on an account whose address nobody had proven.
//!
//! Whoever registered may have been somebody else, who waits for the owner of the mailbox to come. So whatever is on the
//! account by then is theirs and goes: the password, every other factor, every session, everything pending. Every way to prove a mailbox
//! without the password goes through here (rule 7 of the linking policy).

use identsphere_accounts::User;
use identsphere_audit::{Actor, AuditAction};
use identsphere_kernel::{StoreError, UserId};
use identsphere_sessions::{ClientInfo, RevocationReason};

use crate::events::{EventExt, Resource};
use crate::{Error, IdentSphere, Tx};

impl IdentSphere {
    /// Ends whatever is pending for a user, and trusts none of their browsers any more: what is begun with credentials that
    /// change must not outlive them.
    pub(crate) async fn void_everything(&self, tx: &mut dyn Tx, user: UserId) -> Result<(), StoreError> {
        tx.proofs().void_proofs(user).await?;
        tx.pending().void_pending(user).await?;
        tx.trust().remove_all_trusted(user).await
    }

    /// Removes whatever somebody else may have planted on an account.
    pub(crate) async fn reclaim(
        &self,
        tx: &mut dyn Tx,
        user: &User,
        client: &ClientInfo,
    ) -> Result<(), Error> {
        let now = self.now();
        tx.users().replace_password(user.id, None, now).await?;
        tx.factors().remove_authenticator(user.id, now).await?;
        tx.passkeys().remove_all_passkeys(user.id, now).await?;
        self.void_everything(tx, user.id).await?;
        tx.sessions().revoke_all(user.id, None, RevocationReason::MailboxProven, now).await?;
        let event = self
            .event(AuditAction::EmailVerified, Actor::User(user.id), &Resource::User(Some(user.id)), client)
            .within(user.home_organization)
            .with("reclaimed", true);
        Ok(tx.audit().append(&event).await?)
    }
}
