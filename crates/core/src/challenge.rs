//! The second factor of a sign-in that waits for it.

use identsphere_audit::{Actor, AuditAction};
use identsphere_kernel::{OpaqueToken, TokenPurpose, UserId};
use identsphere_sessions::{ClientInfo, PendingAttempt, PendingSignIn};

use crate::events::{EventExt, Resource};
use crate::issue::Entrance;
use crate::post::NEWS_LIFETIME;
use crate::second_factor::{RightFactor, Spent};
use crate::sign_in::{Admitted, LOOKS};
use crate::{Error, IdentSphere, MailContent, ShownFactor, SignedIn, Take, Visitor};

/// The answer to the question for a second factor.
#[derive(Clone, Copy)]
pub struct ChallengeAnswer<'a> {
    /// The token of the sign-in that waits.
    pub mfa_token: &'a str,
    /// What is shown.
    pub shown: ShownFactor<'a>,
}

impl IdentSphere {
    /// Ends a sign-in with its second factor. Attempts are counted before anything is looked at: five a sign-in, and ten an
    /// hour for the user over all of them (MF-04). Everything that a sign-in depends on is read anew.
    ///
    /// # Errors
    /// [`Error::AuthenticationRequired`] for an unknown, used or expired token, in another browser than it was given to, and
    /// for a wrong or used factor; [`Error::InvalidInput`] for what cannot be one; [`Error::RateLimited`] after too many;
    /// [`Error::Overloaded`].
    pub async fn answer_challenge(
        &self,
        answer: ChallengeAnswer<'_>,
        visitor: &Visitor<'_>,
    ) -> Result<SignedIn, Error> {
        let mut attempts = self.answers("challenge", visitor.client);
        self.take(&attempts).await?;
        let token = OpaqueToken::read(answer.mfa_token).ok_or(Error::AuthenticationRequired)?;
        let pending = self.count_attempt(&token, visitor).await?;
        let of_user = self.second_factor_attempts(pending.user);
        self.take(&of_user).await?;
        attempts.extend(of_user);

        for _ in 0..LOOKS {
            let admitted = self.whoever_waits(&pending).await?;
            let Some(factor) = self.look_at(&admitted.user, answer.shown).await? else {
                return self.refuse_factor(pending.user, visitor.client).await;
            };
            if let Some(signed_in) = self.enter(&pending, admitted, &factor, &attempts, visitor).await? {
                return Ok(signed_in);
            }
        }
        Err(Error::AuthenticationRequired)
    }

    async fn count_attempt(
        &self,
        token: &OpaqueToken,
        visitor: &Visitor<'_>,
    ) -> Result<PendingSignIn, Error> {
        let (hash, now) = (token.hash(TokenPurpose::SecondFactor), self.now());
        match self.store().count_pending_attempt(&hash, now).await? {
            PendingAttempt::Counted(pending) if visitor.may_end(pending.browser) => Ok(pending),
            PendingAttempt::Counted(_) | PendingAttempt::Absent => Err(Error::AuthenticationRequired),
            PendingAttempt::Locked(pending) => {
                self.audit_challenge(AuditAction::MfaChallengeLocked, pending.user, visitor.client).await?;
                Err(Error::RateLimited { retry_after: pending.expires_at.since(now) })
            }
        }
    }

    /// The user of a sign-in that waits, if they still may sign in, and still with a second factor.
    async fn whoever_waits(&self, pending: &PendingSignIn) -> Result<Admitted, Error> {
        let admitted = self.look_again(pending.user).await?;
        if admitted.user.mfa_enabled { Ok(admitted) } else { Err(Error::AuthenticationRequired) }
    }

    /// Begins the session, if the factor can be spent; `None` if the account has changed meanwhile.
    async fn enter(
        &self,
        pending: &PendingSignIn,
        admitted: Admitted,
        factor: &RightFactor,
        attempts: &[Take],
        visitor: &Visitor<'_>,
    ) -> Result<Option<SignedIn>, Error> {
        let now = self.now();
        let entrance = Entrance::after(pending, factor.kind());
        let action = AuditAction::MfaChallengeSucceeded;
        let ready = self.ready_session(admitted, entrance, action, visitor)?;
        let ready = ready.noting("second_factor", factor.kind().name());
        let user = &ready.signed_in.principal.user;

        let mut tx = self.store().begin().await?;
        let Some(Spent { recovery_codes_left }) = self.spend(&mut *tx, user.id, factor).await? else {
            drop(tx);
            return self.refuse_factor(user.id, visitor.client).await;
        };
        if !tx.pending().take_pending(&pending.hash, now).await? {
            return Err(Error::AuthenticationRequired);
        }
        if let Some(left) = recovery_codes_left {
            let content = MailContent::RecoveryCodeUsed { at: now, left };
            tx.outbox().post(&self.mail_to(user, visitor.language, content, NEWS_LIFETIME)?).await?;
        }
        Ok(self.begin_session(tx, ready, attempts, visitor).await?)
    }

    async fn refuse_factor<T>(&self, user: UserId, client: &ClientInfo) -> Result<T, Error> {
        self.audit_challenge(AuditAction::MfaChallengeFailed, user, client).await?;
        Err(Error::AuthenticationRequired)
    }

    async fn audit_challenge(
        &self,
        action: AuditAction,
        user: UserId,
        client: &ClientInfo,
    ) -> Result<(), Error> {
        let event = self.event(action, Actor::Anonymous, &Resource::User(Some(user)), client).failed();
        let mut tx = self.store().begin().await?;
        tx.audit().append(&event).await?;
        Ok(tx.commit().await?)
    }
}
