//! Sign-in with a code from the mailbox.

use identsphere_accounts::{MailboxProof, SignInCode, User};
use identsphere_audit::{Actor, AuditAction};
use identsphere_kernel::{Email, TokenHash, UserId};
use identsphere_sessions::{AuthMethod, ClientInfo};

use crate::events::{EventExt, Resource};
use crate::issue::Entrance;
use crate::post::Wanted;
use crate::sign_in::{Admitted, LOOKS};
use crate::{Error, FieldFault, IdentSphere, SignIn, Take, Visitor};

/// What somebody signs in with.
#[derive(Clone, Copy)]
pub struct EmailCode<'a> {
    /// The address.
    pub email: &'a str,
    /// The code.
    pub code: &'a str,
}

impl IdentSphere {
    /// Sends a sign-in code to an address if an active account has it. Takes as long and says as much if none has.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] for what cannot be an address; [`Error::RateLimited`]; [`Error::Overloaded`].
    pub async fn request_code(&self, email: &str, visitor: &Visitor<'_>) -> Result<(), Error> {
        self.ask_for_mail(Wanted::SignInCode, "code", email, visitor).await
    }

    /// Takes a question for mail.
    pub(crate) async fn ask_for_mail(
        &self,
        wanted: Wanted,
        purpose: &'static str,
        email: &str,
        visitor: &Visitor<'_>,
    ) -> Result<(), Error> {
        let email =
            Email::parse(email).map_err(|e| Error::InvalidInput(vec![FieldFault::new("email", e)]))?;
        self.take(&self.mails_to(purpose, email.key(), visitor.client)).await?;
        let question = self.question(wanted, email.key(), visitor.language, visitor.client)?;
        let mut tx = self.store().begin().await?;
        tx.outbox().post(&question).await?;
        Ok(tx.commit().await?)
    }

    /// Begins a session for somebody who has the code, or asks for the second factor that they have set up. An unknown address, a wrong, used or expired code and an account
    /// that may not sign in get the same answer. The mailbox is proven by it; if it never was before, everything that
    /// somebody else may have put on the account is gone first.
    ///
    /// # Errors
    /// [`Error::AuthenticationRequired`]; [`Error::InvalidInput`] for what cannot be an address or a code;
    /// [`Error::RateLimited`]; [`Error::Overloaded`].
    pub async fn sign_in_with_code(
        &self,
        input: EmailCode<'_>,
        visitor: &Visitor<'_>,
    ) -> Result<SignIn, Error> {
        let (email, code) = input.check()?;
        let attempts = self.code_attempts(&email, visitor.client);
        self.take(&attempts).await?;

        let record = self.store().find_sign_in(email.key()).await?;
        // Nobody has the id of zeroes: an unknown address costs what a known one costs.
        let user = record.as_ref().map_or(UserId::from_bytes([0; 16]), |record| record.user.id);
        let hash = self.secrets.codes.hash(user, &code);
        let challenge = self.store().count_code_attempt(user, self.now()).await?;
        let is_right =
            challenge.is_some_and(|challenge| challenge.hash == hash && challenge.email == *email.key());
        let Some(mut admitted) = record.filter(|_| is_right).and_then(Admitted::of) else {
            let known = Some(user).filter(|id| *id != UserId::from_bytes([0; 16]));
            self.audit_code_refusal(known, visitor.client).await?;
            return Err(Error::AuthenticationRequired);
        };
        for _ in 0..LOOKS {
            // What is found on an account whose mailbox was never proven goes; only what its owner set up is asked for.
            let asks = admitted.user.mfa_enabled && admitted.user.email_verified;
            let sign_in = match asks {
                true => self.ask_after_code(admitted, &hash, &attempts, visitor).await?,
                false => self.begin_by_code(admitted, &hash, &attempts, visitor).await?,
            };
            match sign_in {
                Some(sign_in) => return Ok(sign_in),
                None => admitted = self.look_again(user).await?,
            }
        }
        Err(Error::AuthenticationRequired)
    }

    /// Takes the code, and asks for a second factor; `None` if the account has changed meanwhile.
    async fn ask_after_code(
        &self,
        admitted: Admitted,
        code: &TokenHash,
        attempts: &[Take],
        visitor: &Visitor<'_>,
    ) -> Result<Option<SignIn>, Error> {
        let first = Entrance::by(AuthMethod::EmailOtp);
        let ready = self.ready_question(&admitted, first, AuditAction::EmailOtpMfaRequired, visitor);
        let mut tx = self.store().begin().await?;
        if !tx.proofs().take_code(admitted.user.id, code, self.now()).await? {
            return Err(Error::AuthenticationRequired);
        }
        Ok(self.ask_for_second_factor(tx, ready, attempts).await?)
    }

    /// Takes the code, which proves the mailbox, and begins a session; `None` if the account has changed meanwhile.
    async fn begin_by_code(
        &self,
        admitted: Admitted,
        code: &TokenHash,
        attempts: &[Take],
        visitor: &Visitor<'_>,
    ) -> Result<Option<SignIn>, Error> {
        let had_factor = admitted.user.mfa_enabled;
        let admitted = admitted.becoming(|owner| {
            let passkey_enabled = owner.passkey_enabled && owner.email_verified;
            User { email_verified: true, mfa_enabled: false, passkey_enabled, ..owner }
        });
        let entrance = Entrance::by(AuthMethod::EmailOtp);
        let ready = self.ready_session(admitted, entrance, AuditAction::EmailOtpLogin, visitor)?;
        let (user, now) = (&ready.signed_in.principal.user, self.now());
        let mut tx = self.store().begin().await?;
        if !tx.proofs().take_code(user.id, code, now).await? {
            return Err(Error::AuthenticationRequired);
        }
        match tx.users().prove_mailbox(user.id, user.email.key(), now).await? {
            None => return Err(Error::AuthenticationRequired),
            // Somebody else proved it meanwhile and may have kept the factor: it is asked for the next time.
            Some(MailboxProof::Again) if had_factor => return Err(Error::AuthenticationRequired),
            Some(MailboxProof::Again) => {}
            Some(MailboxProof::First) => self.reclaim(&mut *tx, user, visitor.client).await?,
        }
        Ok(self.begin_session(tx, ready, attempts, visitor).await?.map(SignIn::done))
    }

    async fn audit_code_refusal(&self, user: Option<UserId>, client: &ClientInfo) -> Result<(), Error> {
        let event = self
            .event(AuditAction::LoginFailed, Actor::Anonymous, &Resource::User(user), client)
            .failed()
            .with("auth_method", AuthMethod::EmailOtp.name());
        let mut tx = self.store().begin().await?;
        tx.audit().append(&event).await?;
        Ok(tx.commit().await?)
    }

    fn code_attempts(&self, email: &Email, client: &ClientInfo) -> Vec<Take> {
        self.attempts("code", email, client)
    }
}

impl EmailCode<'_> {
    fn check(&self) -> Result<(Email, SignInCode), Error> {
        let email = Email::parse(self.email).map_err(|e| FieldFault::new("email", e));
        let code =
            SignInCode::read(self.code).ok_or_else(|| FieldFault::new("code", "must be six digits, 0 to 9"));
        match (email, code) {
            (Ok(email), Ok(code)) => Ok((email, code)),
            (email, code) => {
                Err(Error::InvalidInput([email.err(), code.err()].into_iter().flatten().collect()))
            }
        }
    }
}
