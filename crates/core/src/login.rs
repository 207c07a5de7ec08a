//! Sign-in with a password.

use identsphere_accounts::{Password, PasswordHash, UserStatus};
use identsphere_audit::{Actor, AuditAction};
use identsphere_kernel::{Email, StoreError, UserId};
use identsphere_sessions::{AuthMethod, ClientInfo};

use crate::events::{EventExt, Resource};
use crate::issue::Entrance;
use crate::sign_in::{Admitted, LOOKS};
use crate::trusted_browsers::TrustedLogin;
use crate::{Error, FieldFault, IdentSphere, SignIn, SignInRecord, Take, Tx, Verification, Visitor};

/// What somebody signs in with.
#[derive(Clone, Copy)]
pub struct Login<'a> {
    /// The address.
    pub email: &'a str,
    /// The password.
    pub password: &'a str,
}

/// How the check of a password ended.
enum Judgement {
    Known(Known),
    Refused { user: Option<UserId>, reason: &'static str },
}

/// Somebody who knows the password of an account that may be used.
struct Known {
    admitted: Admitted,
    /// The stored hash, and whether another is due.
    hash: PasswordHash,
    outdated: bool,
}

impl IdentSphere {
    /// Begins a session for somebody who knows the password, or asks for the second factor that they have set up; a browser
    /// that they trust stands for it. An unknown address, a wrong password and an account that
    /// may not sign in get the same answer after the same work (AU-01, AU-02).
    ///
    /// Attempts are counted before the password is looked at, so that parallel guesses share one budget (AU-05); a
    /// sign-in that succeeds gives its attempt back.
    ///
    /// # Errors
    /// [`Error::InvalidCredentials`]; [`Error::InvalidInput`] for what cannot be an address or a password;
    /// [`Error::RateLimited`]; [`Error::Overloaded`].
    pub async fn login(&self, input: Login<'_>, visitor: &Visitor<'_>) -> Result<SignIn, Error> {
        let (email, password) = input.check()?;
        self.demand_clock()?;
        let mut place = Some(self.hasher.place()?);
        let attempts = self.login_attempts(&email, visitor.client);
        self.take(&attempts).await?;
        let mut overtaken = None;
        for _ in 0..LOOKS {
            let held = match place.take() {
                Some(place) => place,
                None => self.hasher.place()?,
            };
            let record = self.store().find_sign_in(email.key()).await?;
            let stored = record.as_ref().and_then(|record| record.password_hash.clone());
            let verification = self.hasher.verify(password.clone(), stored).await?;
            let known = match judge(record, verification) {
                Judgement::Known(known) => known,
                Judgement::Refused { user, reason } => {
                    drop(held);
                    return self.refuse_login(user, reason, visitor.client).await;
                }
            };
            let upgraded = match known.outdated {
                true => self.hasher.hash(password.clone()).await.ok(),
                false => None,
            };
            drop(held);
            overtaken = Some(known.admitted.user.id);
            if let Some(sign_in) = self.admit(known, upgraded, &attempts, visitor).await? {
                return Ok(sign_in);
            }
        }
        self.refuse_login(overtaken, "changed_meanwhile", visitor.client).await
    }

    /// Begins the session, or asks for a second factor; `None` if the account has changed meanwhile.
    async fn admit(
        &self,
        known: Known,
        upgraded: Option<PasswordHash>,
        attempts: &[Take],
        visitor: &Visitor<'_>,
    ) -> Result<Option<SignIn>, Error> {
        let Known { admitted, hash, .. } = known;
        let (user, mfa_enabled) = (admitted.user.id, admitted.user.mfa_enabled);
        let admitted = admitted.knowing(upgraded.as_ref().unwrap_or(&hash).clone());
        let upgrade = upgraded.map(|new| (hash, new));
        if mfa_enabled {
            let trusted = self.trusted_browser(&admitted.user, visitor).await?;
            if let Some(trusted) = trusted {
                let login = TrustedLogin { admitted: admitted.clone(), upgrade: upgrade.clone(), trusted };
                if let Some(signed_in) = self.sign_in_trusted(login, attempts, visitor).await? {
                    return Ok(Some(SignIn::done(signed_in)));
                }
            }
            let action = AuditAction::LoginMfaRequired;
            let first = Entrance::by(AuthMethod::Password);
            let ready = self.ready_question(&admitted, first, action, visitor);
            let mut tx = self.store().begin().await?;
            self.upgrade_hash(&mut *tx, user, upgrade).await?;
            return Ok(self.ask_for_second_factor(tx, ready, attempts).await?);
        }
        let entrance = Entrance::by(AuthMethod::Password);
        let ready = self.ready_session(admitted, entrance, AuditAction::Login, visitor)?;
        let mut tx = self.store().begin().await?;
        self.upgrade_hash(&mut *tx, user, upgrade).await?;
        Ok(self.begin_session(tx, ready, attempts, visitor).await?.map(SignIn::done))
    }

    /// Replaces an outdated hash by the one beside it.
    pub(crate) async fn upgrade_hash(
        &self,
        tx: &mut dyn Tx,
        user: UserId,
        upgrade: Option<(PasswordHash, PasswordHash)>,
    ) -> Result<(), StoreError> {
        match upgrade {
            Some((old, new)) => tx.users().upgrade_password_hash(user, &old, &new, self.now()).await,
            None => Ok(()),
        }
    }

    async fn refuse_login(
        &self,
        user: Option<UserId>,
        reason: &'static str,
        client: &ClientInfo,
    ) -> Result<SignIn, Error> {
        let event = self
            .event(AuditAction::LoginFailed, Actor::Anonymous, &Resource::User(user), client)
            .failed()
            .with("reason", reason);
        let mut tx = self.store().begin().await?;
        tx.audit().append(&event).await?;
        tx.commit().await?;
        Err(Error::InvalidCredentials)
    }

    pub(crate) fn login_attempts(&self, email: &Email, client: &ClientInfo) -> Vec<Take> {
        self.attempts("login", email, client)
    }
}

impl Login<'_> {
    fn check(&self) -> Result<(Email, Password), Error> {
        let email = Email::parse(self.email).map_err(|e| FieldFault::new("email", e));
        let password = Password::present(self.password).map_err(|e| FieldFault::new("password", e));
        match (email, password) {
            (Ok(email), Ok(password)) => Ok((email, password)),
            (email, password) => {
                Err(Error::InvalidInput([email.err(), password.err()].into_iter().flatten().collect()))
            }
        }
    }
}

fn judge(record: Option<SignInRecord>, verification: Verification) -> Judgement {
    let Some(record) = record else {
        return Judgement::Refused { user: None, reason: "unknown_email" };
    };
    let user = Some(record.user.id);
    let outdated = match verification {
        Verification::Mismatch => return Judgement::Refused { user, reason: "wrong_password" },
        Verification::Match => false,
        Verification::MatchOutdated => true,
    };
    let (is_active, hash) = (record.user.status == UserStatus::Active, record.password_hash.clone());
    match (Admitted::of(record), hash) {
        (Some(admitted), Some(hash)) => Judgement::Known(Known { admitted, hash, outdated }),
        (None, _) if is_active => Judgement::Refused { user, reason: "not_a_member" },
        (None, _) => Judgement::Refused { user, reason: "account_not_active" },
        (Some(_), None) => Judgement::Refused { user, reason: "wrong_password" },
    }
}

#[cfg(test)]
mod tests {
    use identsphere_organizations::Role;
    use identsphere_testkit::World;

    use super::*;

    fn record(status: UserStatus, role: Option<Role>) -> SignInRecord {
        let account = World::default().account();
        SignInRecord {
            user: identsphere_accounts::User { status, ..account.user },
            password_hash: account.password_hash,
            role,
        }
    }

    /// AU-09 for passwords: every state that must not sign in, with the right password and the wrong one.
    #[test]
    fn only_an_active_member_with_the_right_password_is_admitted() {
        for status in UserStatus::ALL {
            for role in [None, Some(Role::VIEWER)] {
                for verification in [Verification::Match, Verification::MatchOutdated, Verification::Mismatch]
                {
                    let judgement = judge(Some(record(status, role.clone())), verification);
                    let expected = status == UserStatus::Active
                        && role.is_some()
                        && verification != Verification::Mismatch;
                    let known = matches!(judgement, Judgement::Known(_));
                    assert_eq!(known, expected, "{status:?} {role:?} {verification:?}");
                    if let Judgement::Known(Known { outdated, .. }) = judgement {
                        assert_eq!(outdated, verification == Verification::MatchOutdated);
                    }
                }
            }
        }
    }

    /// What the audit log tells operators, and nobody else learns.
    #[test]
    fn each_refusal_has_its_reason() {
        let reason = |record, verification| match judge(record, verification) {
            Judgement::Refused { reason, .. } => reason,
            Judgement::Known(_) => panic!("admitted"),
        };
        let (role, right) = (Some(Role::VIEWER), Verification::Match);
        assert_eq!(reason(None, right), "unknown_email");
        assert_eq!(reason(Some(record(UserStatus::Active, None)), right), "not_a_member");
        for status in [UserStatus::Invited, UserStatus::Disabled, UserStatus::Deleted] {
            assert_eq!(reason(Some(record(status, role.clone())), right), "account_not_active");
        }
        let wrong = record(UserStatus::Active, role.clone());
        assert_eq!(reason(Some(wrong), Verification::Mismatch), "wrong_password");
        let without = SignInRecord { password_hash: None, ..record(UserStatus::Active, role) };
        assert_eq!(reason(Some(without), right), "wrong_password");
    }

    #[test]
    fn nobody_is_admitted_without_an_account() {
        for verification in [Verification::Match, Verification::MatchOutdated, Verification::Mismatch] {
            assert!(matches!(judge(None, verification), Judgement::Refused { user: None, .. }));
        }
    }
}
