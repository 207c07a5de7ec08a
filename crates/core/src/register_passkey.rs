//! Making a passkey (WebAuthn §7.1).

use identsphere_audit::AuditAction;
use identsphere_factors::PasskeyInsertion;
use identsphere_factors::passkey::{
    BegunCeremony, CeremonyKind, CreationOptions, MOST_PASSKEYS, NewCredential, NewOwner, Passkey,
    PasskeyError, RegistrationCeremony, RegistrationResponse, UserHandle, UserVerification,
};
use identsphere_kernel::PasskeyId;

use crate::events::Resource;
use crate::passkeys::{CeremonyOwner, read_label};
use crate::post::NEWS_LIFETIME;
use crate::{Error, FieldFault, IdentSphere, MailContent, Principal, Visitor};

const TOO_MANY: Error = Error::Conflict { field: "passkeys", message: "are ten already; remove one first" };
const KNOWN: Error = Error::Conflict { field: "credential", message: "is registered already" };

/// The answer to creation options.
#[derive(Clone, Copy)]
pub struct NewPasskey<'a> {
    /// What the browser says, in JSON.
    pub credential: &'a [u8],
    /// What to call it; after the model of its authenticator when absent.
    pub label: Option<&'a str>,
}

impl IdentSphere {
    /// Begins the making of a passkey for this principal's user: what to pass to the browser.
    ///
    /// # Errors
    /// [`Error::Conflict`] when there are as many as there may be; [`Error::RateLimited`]; [`Error::Overloaded`].
    pub async fn begin_passkey(
        &self,
        who: &Principal,
        visitor: &Visitor<'_>,
    ) -> Result<CreationOptions, Error> {
        let user = &who.user;
        self.take(&self.ceremonies(user.id)).await?;
        let existing = self.store().list_passkeys(user.id).await?;
        if existing.len() >= MOST_PASSKEYS {
            return Err(TOO_MANY);
        }
        let candidate = UserHandle::generate(self.random());
        let handle = self.store().claim_handle(user.id, &candidate).await?;
        let handle = handle.ok_or(Error::AuthenticationRequired)?;
        let challenge =
            self.begin_ceremony(CeremonyKind::Registration, CeremonyOwner::of(who), visitor).await?;
        let name = user.email.as_str();
        let display_name = user.display_name.as_ref().map_or(name, |display_name| display_name.as_str());
        let owner = NewOwner { handle: &handle, name, display_name };
        let timeout = BegunCeremony::LIFETIME;
        Ok(self.policy.relying_party.creation_options(owner, challenge, &existing, timeout))
    }

    /// Keeps the passkey that was made.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] for an answer that does not pass, or belongs to no ceremony of this session;
    /// [`Error::Conflict`] for a credential that is known, and when there are as many as there may be;
    /// [`Error::Overloaded`].
    pub async fn add_passkey(
        &self,
        who: &Principal,
        input: NewPasskey<'_>,
        visitor: &Visitor<'_>,
    ) -> Result<Passkey, Error> {
        let label = input.label.map(read_label).transpose()?;
        let user = &who.user;
        let credential = self.verify_new(who, input.credential, visitor).await?;
        let id = PasskeyId::new(self.clock(), self.random());
        let passkey = credential.into_passkey(id, user.id, label, self.now());

        let (at, label) = (passkey.created_at, passkey.label.as_str().to_owned());
        let content = MailContent::PasskeyAdded { at, label };
        let notice = self.mail_to(user, visitor.language, content, NEWS_LIFETIME)?;
        let event = self.event_by(who, AuditAction::PasskeyAdded, &Resource::Passkey(id), visitor.client);
        let mut tx = self.store().begin().await?;
        match tx.passkeys().insert_passkey(&passkey).await {
            Ok(PasskeyInsertion::Added) => {}
            Ok(PasskeyInsertion::TooMany) => return Err(TOO_MANY),
            Ok(PasskeyInsertion::NoUser) => return Err(Error::AuthenticationRequired),
            Err(error) if error.is_conflict("user_passkeys_credential_id_key") => return Err(KNOWN),
            Err(error) => return Err(error.into()),
        }
        tx.outbox().post(&notice).await?;
        tx.audit().append(&event).await?;
        tx.commit().await?;
        Ok(passkey)
    }

    async fn verify_new(
        &self,
        who: &Principal,
        credential: &[u8],
        visitor: &Visitor<'_>,
    ) -> Result<NewCredential, Error> {
        let refused = |error: PasskeyError| {
            Error::InvalidInput(vec![FieldFault::new("credential", format!("is refused: {error}"))])
        };
        let answer = RegistrationResponse::parse(credential).map_err(refused)?;
        let challenge = answer.challenge().map_err(refused)?;
        let ceremony = self.end_ceremony(&challenge, visitor).await?.filter(|ceremony| {
            ceremony.kind == CeremonyKind::Registration
                && ceremony.user == Some(who.user.id)
                && ceremony.session == Some(who.session.id)
        });
        if ceremony.is_none() {
            return Err(refused(PasskeyError::Challenge));
        }
        let begun =
            RegistrationCeremony { challenge: &challenge, user_verification: UserVerification::Preferred };
        let signatures = &*self.signatures;
        self.policy.relying_party.verify_registration(begun, &answer, signatures).map_err(refused)
    }
}
