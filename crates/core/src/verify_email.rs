//! Proving that an address is one's own.

use identsphere_accounts::{EmailVerification, User, VerificationKind};
use identsphere_audit::{Actor, AuditAction};
use identsphere_kernel::{Duration, Email, OpaqueToken, StoreError, TokenPurpose};

use crate::events::Resource;
use crate::post::NEWS_LIFETIME;
use crate::{Error, IdentSphere, Language, MailContent, OutboxEntry, Principal, Visitor};

/// A pending confirmation and the mail that asks for it.
pub(crate) struct Confirmation {
    pub(crate) verification: EmailVerification,
    pub(crate) mail: OutboxEntry,
}

impl IdentSphere {
    /// Sends the owner of an account a link with which to confirm their address. Nothing is sent when they have done so
    /// already. A newer link voids the older one.
    ///
    /// # Errors
    /// [`Error::RateLimited`]; [`Error::Overloaded`].
    pub async fn send_verification(&self, who: &Principal, visitor: &Visitor<'_>) -> Result<(), Error> {
        if who.user.email_verified {
            return Ok(());
        }
        self.take(&self.mails_to("verification", who.user.email.key(), visitor.client)).await?;
        let Confirmation { verification, mail } =
            self.confirmation(&who.user, VerificationKind::Confirm, &who.user.email, visitor.language)?;
        let mut tx = self.store().begin().await?;
        tx.proofs().put_verification(&verification).await?;
        tx.outbox().post(&mail).await?;
        Ok(tx.commit().await?)
    }

    /// Redeems the link of such a mail: the address counts as verified, or becomes that of the account. Signs nobody in.
    ///
    /// # Errors
    /// [`Error::AuthenticationRequired`] for a link that is unknown, used, expired or made void;
    /// [`Error::Conflict`] when somebody else has registered the address meanwhile; [`Error::RateLimited`].
    pub async fn verify_email(&self, token: &str, visitor: &Visitor<'_>) -> Result<(), Error> {
        self.take(&self.redemptions(visitor.client)).await?;
        let token = OpaqueToken::read(token).ok_or(Error::AuthenticationRequired)?;
        let now = self.now();
        let mut tx = self.store().begin().await?;
        let taken = tx.proofs().take_verification(&token.hash(TokenPurpose::VerifyEmail), now).await?;
        let verification = taken.ok_or(Error::AuthenticationRequired)?;
        let EmailVerification { user, kind, email, .. } = &verification;
        let (done, action) = match kind {
            VerificationKind::Confirm => {
                let proof = tx.users().prove_mailbox(*user, email.key(), now).await?;
                (proof.is_some(), AuditAction::EmailVerified)
            }
            VerificationKind::Change => {
                let before = tx.users().change_email(*user, email, now).await.map_err(taken_meanwhile)?;
                if let Some(before) = &before {
                    let content = MailContent::EmailChanged { new_email: email.as_str().to_owned() };
                    let notice =
                        self.mail(before.as_str(), None, visitor.language, content, NEWS_LIFETIME)?;
                    tx.outbox().post(&notice).await?;
                }
                (before.is_some(), AuditAction::EmailChanged)
            }
        };
        if !done {
            return Err(Error::AuthenticationRequired);
        }
        tx.proofs().void_proofs(*user).await?;
        let event = self.event(action, Actor::User(*user), &Resource::User(Some(*user)), visitor.client);
        tx.audit().append(&event).await?;
        Ok(tx.commit().await?)
    }

    /// A link that proves `email` for an account, and the mail with it.
    pub(crate) fn confirmation(
        &self,
        user: &User,
        kind: VerificationKind,
        email: &Email,
        language: Language,
    ) -> Result<Confirmation, Error> {
        let token = OpaqueToken::new(self.random());
        let (now, valid_for): (_, Duration) = (self.now(), EmailVerification::LIFETIME);
        let link = self.link("verify-email", token.expose());
        let content = match kind {
            VerificationKind::Confirm => MailContent::VerifyEmail { link, valid_for },
            VerificationKind::Change => MailContent::ConfirmNewEmail { link, valid_for },
        };
        let name = user.display_name.as_ref().map(|name| name.as_str());
        let verification = EmailVerification {
            hash: token.hash(TokenPurpose::VerifyEmail),
            user: user.id,
            kind,
            email: email.clone(),
            created_at: now,
            expires_at: now.plus(valid_for),
        };
        let mail = self.mail(email.as_str(), name, language, content, valid_for)?;
        Ok(Confirmation { verification, mail })
    }

    /// An entry that hands over a mail to a user, at their own address.
    pub(crate) fn mail_to(
        &self,
        user: &User,
        language: Language,
        content: MailContent,
        valid_for: Duration,
    ) -> Result<OutboxEntry, Error> {
        let name = user.display_name.as_ref().map(|name| name.as_str());
        self.mail(user.email.as_str(), name, language, content, valid_for)
    }
}

fn taken_meanwhile(error: StoreError) -> Error {
    if error.is_conflict("users_email_key_key") {
        Error::Conflict { field: "email", message: "is registered already" }
    } else {
        error.into()
    }
}
