//! The end of an account, wished by its owner.

use identsphere_accounts::{Password, ReplacedAvatar};
use identsphere_audit::AuditAction;
use identsphere_kernel::OrganizationId;
use identsphere_organizations::Departure;

use crate::change_password::Confirmed;
use crate::events::Resource;
use crate::post::NEWS_LIFETIME;
use crate::{Error, FieldFault, IdentSphere, MailContent, Principal, Tx, Visitor};

impl IdentSphere {
    /// Deletes this principal's user, who proves to know the password: sessions and credentials are gone at once, nothing
    /// personal remains, the address is free, and so is everybody in organisations that had other owners. Organisations
    /// without other members are deleted too. The rows of the audit log stay, with the id alone.
    ///
    /// # Errors
    /// [`Error::InvalidCredentials`] for a wrong password; [`Error::Conflict`] for the only owner of an organisation with
    /// other members, and for an account without a password; [`Error::RateLimited`]; [`Error::Overloaded`].
    pub async fn delete_account(
        &self,
        who: &Principal,
        password: &str,
        visitor: &Visitor<'_>,
    ) -> Result<(), Error> {
        let password = Password::present(password)
            .map_err(|error| Error::InvalidInput(vec![FieldFault::new("password", error)]))?;
        let Confirmed { attempts } = self.confirm_password(who, &password, "password").await?;
        let farewell =
            self.mail_to(&who.user, visitor.language, MailContent::AccountDeleted, NEWS_LIFETIME)?;
        let mut tx = self.store().begin().await?;
        let (ReplacedAvatar(picture), deleted) = self.erase_everything(who, tx.as_mut()).await?;
        let deleted: Vec<String> = deleted.iter().map(ToString::to_string).collect();
        let user = Resource::User(Some(who.user.id));
        let event = self
            .event_by(who, AuditAction::UserDeleted, &user, visitor.client)
            .with("organizations_deleted", deleted);
        for attempt in &attempts {
            tx.limits().give_back(attempt).await?;
        }
        tx.outbox().post(&farewell).await?;
        tx.audit().append(&event).await?;
        tx.commit().await?;
        self.discard_picture(picture).await;
        Ok(())
    }

    /// The one place that knows what an account consists of. A table that holds something of a user has its line here.
    async fn erase_everything(
        &self,
        who: &Principal,
        tx: &mut dyn Tx,
    ) -> Result<(ReplacedAvatar, Vec<OrganizationId>), Error> {
        let (user, now) = (who.user.id, self.now());
        let picture = tx.users().erase(user, now).await?.ok_or(Error::AuthenticationRequired)?;
        let deleted = match tx.organizations().depart(user, now).await? {
            Departure::Left(deleted) => deleted,
            Departure::SoleOwner(_) => {
                let message =
                    "is the only owner of an organization with other members; make somebody else its owner";
                return Err(Error::Conflict { field: "account", message });
            }
        };
        tx.sessions().delete_all(user).await?;
        tx.factors().remove_authenticator(user, now).await?;
        tx.passkeys().remove_all_passkeys(user, now).await?;
        self.void_everything(tx, user).await?;
        tx.outbox().forget_browsers(user).await?;
        Ok((picture, deleted))
    }
}
