//! A change of the password by somebody who knows it.

use identsphere_accounts::{Password, PasswordHash};
use identsphere_audit::AuditAction;
use identsphere_sessions::RevocationReason;

use crate::events::Resource;
use crate::post::NEWS_LIFETIME;
use crate::{BucketKey, Error, FieldFault, IdentSphere, MailContent, Principal, Take, Verification, Visitor};

/// How often a password is checked when its stored hash changes under the check: a sign-in may replace the hash by one of
/// the same password.
const ATTEMPTS: usize = 3;

/// The passwords of a change.
#[derive(Clone, Copy)]
pub struct ChangePassword<'a> {
    /// The one that holds.
    pub current_password: &'a str,
    /// The one that is to hold.
    pub new_password: &'a str,
    /// Which sessions end.
    pub end: ChangeEnds,
}

/// Which sessions a change of the password ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeEnds {
    /// All but the one that asks (PW-06).
    OtherSessions,
    /// None.
    Nothing,
}

/// A password that was right a moment ago.
pub(crate) struct Confirmed {
    /// What the check took out of the buckets; given back by a change that succeeds.
    pub(crate) attempts: Vec<Take>,
}

impl IdentSphere {
    /// Sets a new password for this principal's user, who proves to know the present one. Every other session ends unless
    /// the user wishes otherwise: whoever else knows the old password may be in one.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] for a new password that is not acceptable or is the old one;
    /// [`Error::InvalidCredentials`] for a wrong present one; [`Error::Conflict`] when the account has none;
    /// [`Error::RateLimited`]; [`Error::Overloaded`].
    pub async fn change_password(
        &self,
        who: &Principal,
        input: ChangePassword<'_>,
        visitor: &Visitor<'_>,
    ) -> Result<(), Error> {
        let (current, new) = input.check(who)?;
        let _place = self.hasher.place()?;
        let attempts = self.password_attempts(who);
        self.take(&attempts).await?;
        let mut new_hash = None;
        for _ in 0..ATTEMPTS {
            let old = self.verify_own_password(who, &current, "current_password").await?;
            let hash = match &new_hash {
                Some(hash) => hash,
                None => new_hash.insert(self.hasher.hash(new.clone()).await?),
            };
            if self.write_password(who, &old, hash, input.end, &attempts, visitor).await? {
                return Ok(());
            }
        }
        Err(Error::InvalidCredentials)
    }

    /// Checks the password of this principal's user before something that cannot be undone. Attempts are counted before the
    /// check, so that parallel guesses share one budget (AU-05).
    pub(crate) async fn confirm_password(
        &self,
        who: &Principal,
        password: &Password,
        field: &'static str,
    ) -> Result<Confirmed, Error> {
        let _place = self.hasher.place()?;
        let attempts = self.password_attempts(who);
        self.take(&attempts).await?;
        self.verify_own_password(who, password, field).await?;
        Ok(Confirmed { attempts })
    }

    /// The stored hash of the user's password, if this is the password.
    async fn verify_own_password(
        &self,
        who: &Principal,
        password: &Password,
        field: &'static str,
    ) -> Result<PasswordHash, Error> {
        let record = self.store().find_sign_in(who.user.email.key()).await?;
        let record = record.filter(|record| record.user.id == who.user.id);
        let stored = record.ok_or(Error::AuthenticationRequired)?.password_hash;
        let message = "cannot be checked: the account has no password";
        let stored = stored.ok_or(Error::Conflict { field, message })?;
        match self.hasher.verify(password.clone(), Some(stored.clone())).await? {
            Verification::Match | Verification::MatchOutdated => Ok(stored),
            Verification::Mismatch => Err(Error::InvalidCredentials),
        }
    }

    async fn write_password(
        &self,
        who: &Principal,
        old: &PasswordHash,
        new: &PasswordHash,
        end: ChangeEnds,
        attempts: &[Take],
        visitor: &Visitor<'_>,
    ) -> Result<bool, Error> {
        let (user, now) = (who.user.id, self.now());
        let content = MailContent::PasswordChanged { at: now };
        let notice = self.mail_to(&who.user, visitor.language, content, NEWS_LIFETIME)?;
        let mut tx = self.store().begin().await?;
        if !tx.users().set_password_hash(user, old, new, now).await? {
            return Ok(false);
        }
        let ended = match end {
            ChangeEnds::Nothing => 0,
            ChangeEnds::OtherSessions => {
                let reason = RevocationReason::PasswordChanged;
                tx.sessions().revoke_all(user, Some(who.session.id), reason, now).await?.len()
            }
        };
        let event = self
            .event_by(who, AuditAction::PasswordChanged, &Resource::User(Some(user)), visitor.client)
            .with("sessions_ended", ended);
        for attempt in attempts {
            tx.limits().give_back(attempt).await?;
        }
        self.void_everything(&mut *tx, user).await?;
        tx.outbox().post(&notice).await?;
        tx.audit().append(&event).await?;
        tx.commit().await?;
        Ok(true)
    }

    fn password_attempts(&self, who: &Principal) -> Vec<Take> {
        let Some(limits) = self.policy.limits else { return vec![] };
        let bucket = BucketKey::of_account("password", who.user.email.key());
        vec![Take { bucket, quota: limits.password_account }]
    }
}

impl ChangePassword<'_> {
    fn check(&self, who: &Principal) -> Result<(Password, Password), Error> {
        let current =
            Password::present(self.current_password).map_err(|e| FieldFault::new("current_password", e));
        let new = Password::choose(self.new_password, Some(who.user.email.key()))
            .map_err(|e| FieldFault::new("new_password", e));
        match (current, new) {
            (Ok(current), Ok(new)) if current.as_bytes() == new.as_bytes() => {
                let fault = FieldFault::new("new_password", "must differ from the current password");
                Err(Error::InvalidInput(vec![fault]))
            }
            (Ok(current), Ok(new)) => Ok((current, new)),
            (current, new) => {
                Err(Error::InvalidInput([current.err(), new.err()].into_iter().flatten().collect()))
            }
        }
    }
}
