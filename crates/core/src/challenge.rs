//! The second factor of a sign-in that waits for it.

use identsphere_accounts::{User, UserStatus};
use identsphere_audit::{Actor, AuditAction};
use identsphere_kernel::{OpaqueToken, TokenPurpose, UserId};
use identsphere_organizations::Role;
use identsphere_sessions::{ClientInfo, PendingAttempt, PendingSignIn};

use crate::events::{EventExt, Resource};
use crate::issue::Entrance;
use crate::post::NEWS_LIFETIME;
use crate::second_factor::{RightFactor, Spent};
use crate::{Error, IdentSphere, MailContent, ShownFactor, SignInRecord, SignedIn, Take, Visitor};

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

        let (user, role) = self.whoever_waits(&pending).await?;
        let Some(factor) = self.look_at(&user, answer.shown).await? else {
            return self.refuse_factor(user.id, visitor.client).await;
        };
        let entered = self.enter(&pending, user, role, &factor, &attempts, visitor).await?;
        match entered {
            Ok(signed_in) => Ok(signed_in),
            Err(user) => self.refuse_factor(user, visitor.client).await,
        }
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
    async fn whoever_waits(&self, pending: &PendingSignIn) -> Result<(User, Role), Error> {
        let record = self.store().find_sign_in_of(pending.user).await?;
        record
            .filter(|record| record.user.status == UserStatus::Active && record.user.mfa_enabled)
            .and_then(|SignInRecord { user, role, .. }| Some((user, role?)))
            .ok_or(Error::AuthenticationRequired)
    }

    /// Begins the session, if the factor can be spent; else whose it was.
    async fn enter(
        &self,
        pending: &PendingSignIn,
        user: User,
        role: Role,
        factor: &RightFactor,
        attempts: &[Take],
        visitor: &Visitor<'_>,
    ) -> Result<Result<SignedIn, UserId>, Error> {
        let now = self.now();
        let entrance = Entrance::after(pending, factor.kind());
        let action = AuditAction::MfaChallengeSucceeded;
        let ready = self.ready_session(user, role, entrance, action, visitor)?;
        let ready = ready.noting("second_factor", factor.kind().name());
        let user = &ready.signed_in.principal.user;

        let mut tx = self.store().begin().await?;
        let Some(Spent { recovery_codes_left }) = self.spend(&mut *tx, user.id, factor).await? else {
            return Ok(Err(user.id));
        };
        if !tx.pending().take_pending(&pending.hash, now).await? {
            return Err(Error::AuthenticationRequired);
        }
        if let Some(left) = recovery_codes_left {
            let content = MailContent::RecoveryCodeUsed { at: now, left };
            tx.outbox().post(&self.mail_to(user, visitor.language, content, NEWS_LIFETIME)?).await?;
        }
        self.begin_session(&mut *tx, &ready, attempts, visitor).await?;
        tx.commit().await?;
        Ok(Ok(ready.signed_in))
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
