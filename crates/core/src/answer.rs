//! What becomes of a question for mail once it is looked up who asked.

use identsphere_accounts::{CodeChallenge, PasswordReset, SignInCode, User};
use identsphere_audit::{Actor, AuditAction};
use identsphere_kernel::{MailId, OpaqueToken, TokenPurpose};

use crate::events::{EventExt, Resource};
use crate::post::{Question, Wanted};
use crate::sign_in::Admitted;
use crate::{Error, IdentSphere, MailContent, MailSecret};

impl IdentSphere {
    /// Sends what was asked for if there is an active account with that address; otherwise does nothing. The entry is
    /// settled with it: nobody gets two codes for one question.
    pub(crate) async fn answer(&self, entry: MailId, question: &Question) -> Result<(), Error> {
        let record = self.store().find_sign_in(&question.email()).await?;
        match record.and_then(Admitted::of) {
            Some(Admitted { user, .. }) => match question.wanted {
                Wanted::SignInCode => self.send_code(entry, question, &user).await,
                Wanted::PasswordReset => self.send_reset(entry, question, &user).await,
            },
            None => {
                let mut tx = self.store().begin().await?;
                tx.outbox().settle(entry).await?;
                Ok(tx.commit().await?)
            }
        }
    }

    async fn send_code(&self, entry: MailId, question: &Question, user: &User) -> Result<(), Error> {
        let code = SignInCode::new(self.random());
        let (now, valid_for) = (self.now(), CodeChallenge::LIFETIME);
        let challenge = CodeChallenge {
            user: user.id,
            hash: self.secrets.codes.hash(user.id, &code),
            email: user.email.key().clone(),
            created_at: now,
            expires_at: now.plus(valid_for),
        };
        let content = MailContent::SignInCode { code: MailSecret::new(code.expose()), valid_for };
        let mail = self.mail_to(user, question.language, content, valid_for)?;
        let mut tx = self.store().begin().await?;
        if tx.outbox().settle(entry).await? {
            tx.proofs().put_code(&challenge).await?;
            tx.outbox().post(&mail).await?;
            tx.commit().await?;
        }
        Ok(())
    }

    async fn send_reset(&self, entry: MailId, question: &Question, user: &User) -> Result<(), Error> {
        let token = OpaqueToken::new(self.random());
        let (now, valid_for) = (self.now(), PasswordReset::LIFETIME);
        let reset = PasswordReset {
            hash: token.hash(TokenPurpose::ResetPassword),
            user: user.id,
            email: user.email.key().clone(),
            created_at: now,
            expires_at: now.plus(valid_for),
        };
        let content =
            MailContent::ResetPassword { link: self.link("reset-password", token.expose()), valid_for };
        let mail = self.mail_to(user, question.language, content, valid_for)?;
        let requested = self
            .event(
                AuditAction::PasswordResetRequested,
                Actor::Anonymous,
                &Resource::User(Some(user.id)),
                &question.client(),
            )
            .within(user.home_organization);
        let mut tx = self.store().begin().await?;
        if tx.outbox().settle(entry).await? {
            tx.proofs().put_reset(&reset).await?;
            tx.outbox().post(&mail).await?;
            tx.audit().append(&requested).await?;
            tx.commit().await?;
        }
        Ok(())
    }

    /// A link for a mail. Built from the setting alone: nothing that a request says gets into it (RC-07).
    pub(crate) fn link(&self, page: &str, token: &str) -> MailSecret {
        MailSecret::new(format!("{}/{page}?token={token}", self.policy.frontend_url))
    }
}
