//! Another password by way of the mailbox.

use identsphere_accounts::{MailboxProof, Password};
use identsphere_audit::{Actor, AuditAction};
use identsphere_kernel::{OpaqueToken, TokenPurpose};
use identsphere_sessions::RevocationReason;

use crate::events::{EventExt, Resource};
use crate::post::{NEWS_LIFETIME, Wanted};
use crate::sign_in::Admitted;
use crate::{Error, FieldFault, IdentSphere, MailContent, Visitor};

/// What somebody chooses another password with.
#[derive(Clone, Copy)]
pub struct ResetPassword<'a> {
    /// The token of the link.
    pub token: &'a str,
    /// The password to be.
    pub new_password: &'a str,
}

impl IdentSphere {
    /// Sends a link to choose another password to an address if an active account has it. Takes as long and says as much
    /// if none has.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] for what cannot be an address; [`Error::RateLimited`]; [`Error::Overloaded`].
    pub async fn forgot_password(&self, email: &str, visitor: &Visitor<'_>) -> Result<(), Error> {
        self.ask_for_mail(Wanted::PasswordReset, "reset", email, visitor).await
    }

    /// Redeems the link of such a mail. Ends every session of the user and begins none, so a second factor is still
    /// asked for (RC-08). The mailbox is proven by it; if it never was before, everything that somebody else may have put
    /// on the account is gone.
    ///
    /// # Errors
    /// [`Error::AuthenticationRequired`] for a link that is unknown, used, expired or made void, and for a user who may
    /// not sign in; [`Error::InvalidInput`] for a password that may not be chosen, which leaves the link as it is;
    /// [`Error::RateLimited`]; [`Error::Overloaded`].
    pub async fn reset_password(&self, input: ResetPassword<'_>, visitor: &Visitor<'_>) -> Result<(), Error> {
        let place = self.hasher.place()?;
        self.take(&self.redemptions(visitor.client)).await?;
        let token = OpaqueToken::read(input.token).ok_or(Error::AuthenticationRequired)?;
        let hash = token.hash(TokenPurpose::ResetPassword);
        // Looked up first, so that an invented link costs no hash.
        let pending =
            self.store().find_reset(&hash, self.now()).await?.ok_or(Error::AuthenticationRequired)?;
        let record = self.store().find_sign_in(&pending.email).await?;
        let user = record
            .and_then(Admitted::of)
            .map(|admitted| admitted.user)
            .filter(|user| user.id == pending.user)
            .ok_or(Error::AuthenticationRequired)?;
        let password = Password::choose(input.new_password, Some(&pending.email))
            .map_err(|error| Error::InvalidInput(vec![FieldFault::new("new_password", error)]))?;
        let new_hash = self.hasher.hash(password).await?;
        drop(place);

        let now = self.now();
        let content = MailContent::PasswordChanged { at: now };
        let notice = self.mail_to(&user, visitor.language, content, NEWS_LIFETIME)?;
        let consumed = self
            .event(
                AuditAction::PasswordResetConsumed,
                Actor::User(user.id),
                &Resource::User(Some(user.id)),
                visitor.client,
            )
            .within(user.home_organization);

        let mut tx = self.store().begin().await?;
        tx.proofs().take_reset(&hash, now).await?.ok_or(Error::AuthenticationRequired)?;
        match tx.users().prove_mailbox(user.id, &pending.email, now).await? {
            None => return Err(Error::AuthenticationRequired),
            Some(MailboxProof::Again) => {}
            Some(MailboxProof::First) => self.reclaim(&mut *tx, &user, visitor.client).await?,
        }
        tx.users().replace_password(user.id, Some(&new_hash), now).await?;
        self.void_everything(&mut *tx, user.id).await?;
        tx.sessions().revoke_all(user.id, None, RevocationReason::PasswordReset, now).await?;
        tx.outbox().post(&notice).await?;
        tx.audit().append(&consumed).await?;
        Ok(tx.commit().await?)
    }
}
