//! Showing a second factor within a session (a step-up), and asking whether one was shown lately.

use identsphere_audit::AuditAction;
use identsphere_kernel::{Duration, Timestamp};
use identsphere_sessions::{AssuranceLevel, ClientInfo, SecondFactor};

use crate::events::{EventExt, Resource};
use crate::second_factor::Spent;
use crate::{Error, IdentSphere, Principal, ShownFactor, Visitor};

/// A step-up that was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SteppedUp {
    /// When.
    pub at: Timestamp,
    /// How long it counts from then on.
    pub expires_in: Duration,
}

/// What a route asks of the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepUpRule {
    /// Nothing more.
    Never,
    /// A fresh second factor of everybody who has one: those without could not show it.
    IfEnrolled,
    /// A second factor that was shown in this session, however long ago, and by its user: a trusted browser is none.
    Shown,
    /// A fresh second factor.
    Always,
}

impl StepUpRule {
    fn is_met(self, who: &Principal, ttl: Duration, now: Timestamp) -> bool {
        let Principal { user, session, .. } = who;
        let is_fresh = || session.stepped_up_until(ttl, now).is_some();
        match self {
            Self::Never => true,
            Self::IfEnrolled => !user.mfa_enabled || is_fresh(),
            Self::Shown => session.aal == AssuranceLevel::Aal2 && session.mfa_verified_at.is_some(),
            Self::Always => is_fresh(),
        }
    }
}

impl IdentSphere {
    /// Refuses a principal whose session does not meet the rule. What counts is the session as it is kept, not a token.
    ///
    /// # Errors
    /// [`Error::MfaRequired`].
    pub fn demand_step_up(&self, who: &Principal, rule: StepUpRule) -> Result<(), Error> {
        let is_met = rule.is_met(who, self.policy.step_up_ttl, self.now());
        if is_met { Ok(()) } else { Err(Error::MfaRequired) }
    }

    /// Notes in this principal's session that they have shown a code of their authenticator.
    ///
    /// # Errors
    /// [`Error::Forbidden`] without a confirmed authenticator; [`Error::AuthenticationRequired`] for a wrong or used code;
    /// [`Error::InvalidInput`] for what cannot be one; [`Error::RateLimited`]; [`Error::Overloaded`].
    pub async fn step_up(
        &self,
        who: &Principal,
        code: &str,
        visitor: &Visitor<'_>,
    ) -> Result<SteppedUp, Error> {
        let user = &who.user;
        if !user.mfa_enabled {
            return Err(Error::Forbidden);
        }
        let attempts = self.second_factor_attempts(user.id);
        self.take(&attempts).await?;
        let Some(factor) = self.look_at(user, ShownFactor::Code(code)).await? else {
            return self.refuse_step_up(who, SecondFactor::Totp, visitor.client).await;
        };
        let now = self.now();
        let event = self
            .event_by(who, AuditAction::MfaStepUp, &Resource::Session(who.session.id), visitor.client)
            .with("second_factor", factor.kind().name());
        let mut tx = self.store().begin().await?;
        let Some(Spent { .. }) = self.spend(&mut *tx, user.id, &factor).await? else {
            drop(tx);
            return self.refuse_step_up(who, SecondFactor::Totp, visitor.client).await;
        };
        if !tx.sessions().step_up(who.session.id, user.id, factor.kind(), None, now).await? {
            return Err(Error::AuthenticationRequired);
        }
        for attempt in &attempts {
            tx.limits().give_back(attempt).await?;
        }
        tx.audit().append(&event).await?;
        tx.commit().await?;
        Ok(self.stepped_up(now))
    }

    pub(crate) fn stepped_up(&self, at: Timestamp) -> SteppedUp {
        SteppedUp { at, expires_in: self.policy.step_up_ttl }
    }

    pub(crate) async fn refuse_step_up<T>(
        &self,
        who: &Principal,
        factor: SecondFactor,
        client: &ClientInfo,
    ) -> Result<T, Error> {
        let event = self
            .event_by(who, AuditAction::MfaStepUp, &Resource::Session(who.session.id), client)
            .failed()
            .with("second_factor", factor.name());
        let mut tx = self.store().begin().await?;
        tx.audit().append(&event).await?;
        tx.commit().await?;
        Err(Error::AuthenticationRequired)
    }
}

#[cfg(test)]
mod tests {
    use identsphere_accounts::User;
    use identsphere_organizations::Role;
    use identsphere_sessions::Session;
    use identsphere_testkit::World;

    use super::*;

    const TTL: Duration = Duration::from_secs(1_800);

    /// Which rules a session meets: never, if enrolled, shown, always.
    fn met(mfa_enabled: bool, session: impl FnOnce(Session, Timestamp) -> Session) -> [bool; 4] {
        let world = World::default();
        let (account, now) = (world.account(), world.now());
        let user = User { mfa_enabled, ..account.user };
        let session = session(world.session(&user), now);
        let who = Principal { user, session, role: Role::OWNER };
        [StepUpRule::Never, StepUpRule::IfEnrolled, StepUpRule::Shown, StepUpRule::Always]
            .map(|rule| rule.is_met(&who, TTL, now))
    }

    fn shown(session: Session, at: Timestamp) -> Session {
        Session { aal: AssuranceLevel::Aal2, mfa_verified_at: Some(at), ..session }
    }

    #[test]
    fn a_rule_is_met_by_what_was_shown_in_the_session() {
        assert_eq!(met(false, |session, _| session), [true, true, false, false]);
        assert_eq!(met(true, |session, _| session), [true, false, false, false]);
        assert_eq!(met(true, shown), [true, true, true, true]);
        assert_eq!(met(false, shown), [true, true, true, true]);
    }

    #[test]
    fn what_was_shown_grows_stale() {
        let at_the_end = |session, now: Timestamp| shown(session, now.minus(TTL));
        assert_eq!(met(true, at_the_end), [true, false, true, false]);
        let just_before = |session, now: Timestamp| shown(session, now.minus(TTL - Duration::from_micros(1)));
        assert_eq!(met(true, just_before), [true, true, true, true]);
    }

    /// ADR 0010, rule 4.
    #[test]
    fn a_trusted_browser_has_shown_nothing() {
        let trusted = |session, _| Session { aal: AssuranceLevel::Aal2, ..session };
        assert_eq!(met(true, trusted), [true, false, false, false]);
    }
}
