//! The passkeys of a user, and the ceremonies that begin for them.

use identsphere_audit::AuditAction;
use identsphere_factors::passkey::{BegunCeremony, CeremonyKind, Challenge, Passkey};
use identsphere_kernel::{Label, PasskeyId, SessionId, UserId};
use identsphere_sessions::{ClientInfo, RemovedFactor};

use crate::events::Resource;
use crate::post::NEWS_LIFETIME;
use crate::{Error, FieldFault, IdentSphere, MailContent, Principal, Visitor};

/// For whom a ceremony begins.
#[derive(Clone, Copy)]
pub(crate) struct CeremonyOwner {
    pub(crate) user: Option<UserId>,
    pub(crate) session: Option<SessionId>,
}

impl CeremonyOwner {
    pub(crate) fn of(who: &Principal) -> Self {
        Self { user: Some(who.user.id), session: Some(who.session.id) }
    }
}

impl IdentSphere {
    /// The passkeys of this principal's user, newest first.
    ///
    /// # Errors
    /// [`Error::Overloaded`].
    pub async fn list_passkeys(&self, who: &Principal) -> Result<Vec<Passkey>, Error> {
        Ok(self.store().list_passkeys(who.user.id).await?)
    }

    /// Calls a passkey of this principal's user something else; as it is from now on.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none, or it is somebody else's; [`Error::InvalidInput`]; [`Error::Overloaded`].
    pub async fn rename_passkey(
        &self,
        who: &Principal,
        id: PasskeyId,
        label: &str,
        client: &ClientInfo,
    ) -> Result<Passkey, Error> {
        let label = read_label(label)?;
        let event = self.event_by(who, AuditAction::PasskeyRenamed, &Resource::Passkey(id), client);
        let mut tx = self.store().begin().await?;
        let renamed = tx.passkeys().rename_passkey(id, who.user.id, &label).await?;
        let renamed = renamed.ok_or(Error::NotFound)?;
        tx.audit().append(&event).await?;
        tx.commit().await?;
        Ok(renamed)
    }

    /// Removes a passkey of this principal's user. Sessions that rest on it end (MF-15), but for the one that asks, which
    /// goes down a level. So does every sign-in that waits for its second factor: it may have begun with this passkey.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none, or it is somebody else's; [`Error::Overloaded`].
    pub async fn remove_passkey(
        &self,
        who: &Principal,
        id: PasskeyId,
        visitor: &Visitor<'_>,
    ) -> Result<(), Error> {
        let (user, now) = (&who.user, self.now());
        let passkeys = self.store().list_passkeys(user.id).await?;
        let passkey = passkeys.into_iter().find(|passkey| passkey.id == id).ok_or(Error::NotFound)?;
        let content = MailContent::PasskeyRemoved { at: now, label: passkey.label.as_str().to_owned() };
        let notice = self.mail_to(user, visitor.language, content, NEWS_LIFETIME)?;
        let mut tx = self.store().begin().await?;
        if !tx.passkeys().remove_passkey(id, user.id, now).await? {
            return Err(Error::NotFound);
        }
        tx.pending().void_pending(user.id).await?;
        let spare = Some(who.session.id);
        let ended = tx.sessions().drop_factor(user.id, RemovedFactor::Passkey(id), spare, now).await?;
        let event = self
            .event_by(who, AuditAction::PasskeyRemoved, &Resource::Passkey(id), visitor.client)
            .with("sessions_ended", ended.len());
        tx.outbox().post(&notice).await?;
        tx.audit().append(&event).await?;
        Ok(tx.commit().await?)
    }

    /// Begins a ceremony: its challenge.
    pub(crate) async fn begin_ceremony(
        &self,
        kind: CeremonyKind,
        owner: CeremonyOwner,
        visitor: &Visitor<'_>,
    ) -> Result<Challenge, Error> {
        let (challenge, now) = (Challenge::generate(self.random()), self.now());
        let ceremony = BegunCeremony {
            hash: BegunCeremony::hash_of(&challenge),
            kind,
            user: owner.user,
            session: owner.session,
            browser: visitor.mark(),
            created_at: now,
            expires_at: now.plus(BegunCeremony::LIFETIME),
        };
        self.store().begin_ceremony(&ceremony).await?;
        Ok(challenge)
    }

    /// Ends the ceremony that an answer names, whatever the answer is worth: `None` unless there is one that this browser
    /// may end (WN-01).
    pub(crate) async fn end_ceremony(
        &self,
        challenge: &Challenge,
        visitor: &Visitor<'_>,
    ) -> Result<Option<BegunCeremony>, Error> {
        let ceremony = self.store().end_ceremony(&BegunCeremony::hash_of(challenge), self.now()).await?;
        Ok(ceremony.filter(|ceremony| visitor.may_end(ceremony.browser)))
    }
}

pub(crate) fn read_label(label: &str) -> Result<Label, Error> {
    Label::parse(label).map_err(|error| Error::InvalidInput(vec![FieldFault::new("label", error)]))
}
