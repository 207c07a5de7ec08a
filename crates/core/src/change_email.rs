//! Another address for an account.

use identsphere_accounts::{Password, VerificationKind};
use identsphere_kernel::Email;

use crate::change_password::Confirmed;
use crate::post::NEWS_LIFETIME;
use crate::verify_email::Confirmation;
use crate::{Error, FieldFault, IdentSphere, MailContent, Principal, Visitor};

/// What somebody changes their address with.
#[derive(Clone, Copy)]
pub struct ChangeEmail<'a> {
    /// The address to be.
    pub new_email: &'a str,
    /// The password of the account.
    pub password: &'a str,
}

impl IdentSphere {
    /// Sends a link to the new address and a notice to the old one. Nothing changes before the link is redeemed. Whether
    /// the new address belongs to another account is not told here.
    ///
    /// # Errors
    /// [`Error::InvalidCredentials`] for a wrong password; [`Error::InvalidInput`]; [`Error::RateLimited`];
    /// [`Error::Overloaded`].
    pub async fn change_email(
        &self,
        who: &Principal,
        input: ChangeEmail<'_>,
        visitor: &Visitor<'_>,
    ) -> Result<(), Error> {
        let (new_email, password) = input.check()?;
        if new_email.key() == who.user.email.key() {
            let fault = FieldFault::new("new_email", "must differ from the present address");
            return Err(Error::InvalidInput(vec![fault]));
        }
        let Confirmed { attempts } = self.confirm_password(who, &password, "password").await?;
        self.take(&self.mails_to("email-change", new_email.key(), visitor.client)).await?;

        let Confirmation { verification, mail } =
            self.confirmation(&who.user, VerificationKind::Change, &new_email, visitor.language)?;
        let content = MailContent::EmailChangeRequested { new_email: new_email.as_str().to_owned() };
        let notice = self.mail_to(&who.user, visitor.language, content, NEWS_LIFETIME)?;
        let mut tx = self.store().begin().await?;
        tx.proofs().put_verification(&verification).await?;
        tx.outbox().post(&mail).await?;
        tx.outbox().post(&notice).await?;
        for attempt in &attempts {
            tx.limits().give_back(attempt).await?;
        }
        Ok(tx.commit().await?)
    }
}

impl ChangeEmail<'_> {
    fn check(&self) -> Result<(Email, Password), Error> {
        let email = Email::parse(self.new_email).map_err(|e| FieldFault::new("new_email", e));
        let password = Password::present(self.password).map_err(|e| FieldFault::new("password", e));
        match (email, password) {
            (Ok(email), Ok(password)) => Ok((email, password)),
            (email, password) => {
                Err(Error::InvalidInput([email.err(), password.err()].into_iter().flatten().collect()))
            }
        }
    }
}
