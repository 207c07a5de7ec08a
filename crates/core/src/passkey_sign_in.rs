//! Using a passkey (WebAuthn §7.2): to sign in, and to step up.

use identsphere_audit::{Actor, AuditAction};
use identsphere_factors::passkey::{
    Assertion, AuthenticationCeremony, AuthenticationResponse, BegunCeremony, CeremonyKind, Challenge,
    CredentialDescriptor, Passkey, PasskeyError, RequestOptions, UserVerification,
};
use identsphere_kernel::{Email, EmailKey, UserId};
use identsphere_sessions::{ClientInfo, SecondFactor};

use crate::events::{EventExt, Resource};
use crate::issue::Entrance;
use crate::passkeys::CeremonyOwner;
use crate::sign_in::{Admitted, LOOKS};
use crate::{Error, FieldFault, IdentSphere, PasskeySignIn, Principal, SignIn, SteppedUp, Take, Tx, Visitor};

/// A passkey that was used rightly, by somebody who may sign in.
struct Used {
    admitted: Admitted,
    passkey: Passkey,
    assertion: Assertion,
}

/// Why a use is refused, and whose passkey it was, as far as that is known.
struct Refused {
    user: Option<UserId>,
    reason: String,
}

impl Refused {
    fn unknown(reason: impl ToString) -> Self {
        Self { user: None, reason: reason.to_string() }
    }
}

impl IdentSphere {
    /// Begins a sign-in with a passkey: with one of the account that has this address, or without an address with any that
    /// the authenticator finds itself. An address without an account, or without a passkey, gets decoys that stay the same
    /// (WebAuthn §14.6.2), after the same work.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] for what cannot be an address; [`Error::RateLimited`]; [`Error::Overloaded`].
    pub async fn begin_passkey_sign_in(
        &self,
        email: Option<&str>,
        visitor: &Visitor<'_>,
    ) -> Result<RequestOptions, Error> {
        let email = email
            .map(Email::parse)
            .transpose()
            .map_err(|error| Error::InvalidInput(vec![FieldFault::new("email", error)]))?;
        self.take(&self.passkey_sign_ins(visitor.client)).await?;
        let (kind, user, allowed) = match email {
            None => (CeremonyKind::SignIn, None, vec![]),
            Some(email) => {
                let (user, allowed) = self.passkeys_of(email.key()).await?;
                (CeremonyKind::NamedSignIn, user, allowed)
            }
        };
        let challenge = self.begin_ceremony(kind, CeremonyOwner { user, session: None }, visitor).await?;
        Ok(self.request_options(challenge, allowed, UserVerification::Preferred))
    }

    /// Ends a sign-in with a passkey. One that verified its user is two factors; after any other, a second factor that its
    /// user has set up is asked for.
    ///
    /// # Errors
    /// [`Error::AuthenticationRequired`] for whatever does not pass; [`Error::InvalidInput`] for what cannot be an answer;
    /// [`Error::RateLimited`]; [`Error::Overloaded`].
    pub async fn sign_in_with_passkey(
        &self,
        credential: &[u8],
        visitor: &Visitor<'_>,
    ) -> Result<SignIn, Error> {
        self.demand_clock()?;
        let attempts = self.answers("passkey answer", visitor.client);
        self.take(&attempts).await?;
        let answer = read_answer(credential)?;
        let mut used = match self.verify_sign_in(&answer, visitor).await? {
            Ok(used) => used,
            Err(refused) => return self.refuse_passkey(refused, visitor.client).await,
        };
        for _ in 0..LOOKS {
            match self.admit_passkey(&used, &attempts, visitor).await? {
                Some(sign_in) => return Ok(sign_in),
                None => used.admitted = self.look_again(used.admitted.user.id).await?,
            }
        }
        Err(Error::AuthenticationRequired)
    }

    /// Begins a step-up of this principal's session with a passkey of theirs.
    ///
    /// # Errors
    /// [`Error::Forbidden`] without a passkey; [`Error::RateLimited`]; [`Error::Overloaded`].
    pub async fn begin_passkey_step_up(
        &self,
        who: &Principal,
        visitor: &Visitor<'_>,
    ) -> Result<RequestOptions, Error> {
        self.take(&self.ceremonies(who.user.id)).await?;
        let passkeys = self.store().list_passkeys(who.user.id).await?;
        if passkeys.is_empty() {
            return Err(Error::Forbidden);
        }
        let challenge = self.begin_ceremony(CeremonyKind::StepUp, CeremonyOwner::of(who), visitor).await?;
        let allowed = passkeys.iter().map(Into::into).collect();
        Ok(self.request_options(challenge, allowed, UserVerification::Required))
    }

    /// Notes in this principal's session that they have shown a passkey that verified them.
    ///
    /// # Errors
    /// [`Error::AuthenticationRequired`] for whatever does not pass; [`Error::InvalidInput`] for what cannot be an answer;
    /// [`Error::Overloaded`].
    pub async fn step_up_with_passkey(
        &self,
        who: &Principal,
        credential: &[u8],
        visitor: &Visitor<'_>,
    ) -> Result<SteppedUp, Error> {
        let answer = read_answer(credential)?;
        let (passkey, assertion) = match self.verify_step_up(who, &answer, visitor).await? {
            Ok(used) => used,
            Err(refused) => {
                tracing::debug!(reason = refused.reason, "a passkey was refused");
                return self.refuse_step_up(who, SecondFactor::Passkey, visitor.client).await;
            }
        };
        let (now, factor) = (self.now(), SecondFactor::Passkey);
        let event = self
            .event_by(who, AuditAction::MfaStepUp, &Resource::Session(who.session.id), visitor.client)
            .with("second_factor", factor.name())
            .with("passkey", passkey.id.to_string());
        let mut tx = self.store().begin().await?;
        let Assertion { sign_count, backed_up, .. } = assertion;
        if !tx.passkeys().use_passkey(passkey.id, sign_count, backed_up, now).await? {
            drop(tx);
            return self.refuse_step_up(who, factor, visitor.client).await;
        }
        if !tx.sessions().step_up(who.session.id, who.user.id, factor, Some(passkey.id), now).await? {
            return Err(Error::AuthenticationRequired);
        }
        tx.audit().append(&event).await?;
        tx.commit().await?;
        Ok(self.stepped_up(now))
    }

    fn request_options(
        &self,
        challenge: Challenge,
        allowed: Vec<CredentialDescriptor>,
        verification: UserVerification,
    ) -> RequestOptions {
        let timeout = BegunCeremony::LIFETIME;
        self.policy.relying_party.request_options(challenge, allowed, verification, timeout)
    }

    /// The account with this address if it can sign in with a passkey, and what to ask its authenticator for; decoys in
    /// every other case.
    async fn passkeys_of(
        &self,
        email: &EmailKey,
    ) -> Result<(Option<UserId>, Vec<CredentialDescriptor>), Error> {
        let record = self.store().find_sign_in(email).await?;
        let user = record.and_then(Admitted::of).map(|admitted| admitted.user.id);
        // Nobody has the id of zeroes: an unknown address costs what a known one costs.
        let whose = user.unwrap_or(UserId::from_bytes([0; 16]));
        let passkeys = self.store().list_passkeys(whose).await?;
        if passkeys.is_empty() {
            return Ok((None, self.secrets.decoys.credentials(email)));
        }
        Ok((user, passkeys.iter().map(Into::into).collect()))
    }

    async fn verify_sign_in(
        &self,
        answer: &AuthenticationResponse,
        visitor: &Visitor<'_>,
    ) -> Result<Result<Used, Refused>, Error> {
        let begun = |ceremony: &BegunCeremony| match ceremony.kind {
            CeremonyKind::SignIn => true,
            CeremonyKind::NamedSignIn => ceremony.user.is_some(),
            CeremonyKind::Registration | CeremonyKind::StepUp => false,
        };
        let found = match self.find_used(answer, UserVerification::Preferred, begun, visitor).await? {
            Ok(found) => found,
            Err(refused) => return Ok(Err(refused)),
        };
        let (PasskeySignIn { owner, passkey, .. }, assertion) = found;
        Ok(match Admitted::of(owner) {
            Some(admitted) => Ok(Used { admitted, passkey, assertion }),
            None => Err(Refused { user: Some(passkey.user), reason: "account_not_active".to_owned() }),
        })
    }

    async fn verify_step_up(
        &self,
        who: &Principal,
        answer: &AuthenticationResponse,
        visitor: &Visitor<'_>,
    ) -> Result<Result<(Passkey, Assertion), Refused>, Error> {
        let begun = |ceremony: &BegunCeremony| {
            ceremony.kind == CeremonyKind::StepUp
                && ceremony.user == Some(who.user.id)
                && ceremony.session == Some(who.session.id)
        };
        let found = self.find_used(answer, UserVerification::Required, begun, visitor).await?;
        Ok(found.map(|(PasskeySignIn { passkey, .. }, assertion)| (passkey, assertion)))
    }

    /// The passkey that was used, if the answer ends a ceremony that `begun` accepts and everything about it is genuine.
    async fn find_used(
        &self,
        answer: &AuthenticationResponse,
        user_verification: UserVerification,
        begun: impl Fn(&BegunCeremony) -> bool,
        visitor: &Visitor<'_>,
    ) -> Result<Result<(PasskeySignIn, Assertion), Refused>, Error> {
        let (challenge, id) = match (answer.challenge(), answer.credential_id()) {
            (Ok(challenge), Ok(id)) => (challenge, id),
            (Err(error), _) | (_, Err(error)) => return Ok(Err(Refused::unknown(error))),
        };
        let Some(ceremony) = self.end_ceremony(&challenge, visitor).await?.filter(begun) else {
            return Ok(Err(Refused::unknown(PasskeyError::Challenge)));
        };
        let Some(found) = self.store().find_passkey_sign_in(&id).await? else {
            return Ok(Err(Refused::unknown("unknown_credential")));
        };
        let ceremony = AuthenticationCeremony {
            challenge: &challenge,
            user: ceremony.user,
            // Of a named account every passkey was allowed, and that it is one of theirs is checked.
            allowed: &[],
            user_verification,
        };
        let (passkey, handle) = (&found.passkey, &found.handle);
        let signatures = &*self.signatures;
        let verified =
            self.policy.relying_party.verify_assertion(ceremony, answer, passkey, handle, signatures);
        Ok(match verified {
            Ok(assertion) => Ok((found, assertion)),
            Err(error) => Err(Refused { user: Some(found.passkey.user), reason: error.to_string() }),
        })
    }

    /// Begins the session, or asks for a second factor; `None` if the account has changed meanwhile.
    async fn admit_passkey(
        &self,
        used: &Used,
        attempts: &[Take],
        visitor: &Visitor<'_>,
    ) -> Result<Option<SignIn>, Error> {
        let Used { admitted, passkey, assertion } = used;
        let entrance = Entrance::by_passkey(passkey.id, assertion.user_verified);
        if admitted.user.mfa_enabled && !assertion.user_verified {
            let action = AuditAction::PasskeyMfaRequired;
            let ready = self.ready_question(admitted, entrance, action, visitor);
            let Some(tx) = self.note_use(used).await? else {
                return self.refuse_counter(passkey, visitor.client).await;
            };
            return Ok(self.ask_for_second_factor(tx, ready, attempts).await?);
        }
        let action = AuditAction::PasskeyLogin;
        let ready = self.ready_session(admitted.clone(), entrance, action, visitor)?;
        let ready = ready.noting("passkey", passkey.id.to_string());
        let Some(tx) = self.note_use(used).await? else {
            return self.refuse_counter(passkey, visitor.client).await;
        };
        Ok(self.begin_session(tx, ready, attempts, visitor).await?.map(SignIn::done))
    }

    /// A transaction in which the use is noted; `None` when the counter did not rise.
    async fn note_use(&self, used: &Used) -> Result<Option<Box<dyn Tx>>, Error> {
        let Assertion { sign_count, backed_up, .. } = used.assertion;
        let mut tx = self.store().begin().await?;
        let noted = tx.passkeys().use_passkey(used.passkey.id, sign_count, backed_up, self.now()).await?;
        Ok(noted.then_some(tx))
    }

    async fn refuse_counter(&self, passkey: &Passkey, client: &ClientInfo) -> Result<Option<SignIn>, Error> {
        let reason = format!("the counter of passkey {} did not rise", passkey.id);
        self.refuse_passkey(Refused { user: Some(passkey.user), reason }, client).await.map(Some)
    }

    async fn refuse_passkey(&self, refused: Refused, client: &ClientInfo) -> Result<SignIn, Error> {
        let event = self
            .event(AuditAction::PasskeyLogin, Actor::Anonymous, &Resource::User(refused.user), client)
            .failed()
            .with("reason", refused.reason);
        let mut tx = self.store().begin().await?;
        tx.audit().append(&event).await?;
        tx.commit().await?;
        Err(Error::AuthenticationRequired)
    }
}

fn read_answer(credential: &[u8]) -> Result<AuthenticationResponse, Error> {
    AuthenticationResponse::parse(credential).map_err(|error| {
        Error::InvalidInput(vec![FieldFault::new("credential", format!("is refused: {error}"))])
    })
}
