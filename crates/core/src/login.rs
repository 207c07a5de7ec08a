//! Sign-in with a password.

use identsphere_accounts::{Password, PasswordHash, UserStatus};
use identsphere_audit::{Actor, AuditAction};
use identsphere_kernel::{Email, StoreError, UserId};
use identsphere_organizations::Role;
use identsphere_sessions::{AuthMethod, ClientInfo};

use crate::events::{EventExt, Resource};
use crate::issue::Entrance;
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
    Admitted { record: SignInRecord, role: Role, outdated: bool },
    Refused { user: Option<UserId>, reason: &'static str },
}

/// Somebody who knows the password of an account that may be used.
struct Admitted {
    record: SignInRecord,
    role: Role,
    /// The hash that takes the place of an outdated one.
    upgraded: Option<PasswordHash>,
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
        let place = self.ports.hasher.place()?;
        let attempts = self.login_attempts(&email, visitor.client);
        self.take(&attempts).await?;

        let record = self.store().find_sign_in(email.key()).await?;
        let stored = record.as_ref().and_then(|record| record.password_hash.clone());
        let verification = self.ports.hasher.verify(password.clone(), stored).await?;
        match judge(record, verification) {
            Judgement::Admitted { record, role, outdated } => {
                let upgraded = if outdated { self.ports.hasher.hash(password).await.ok() } else { None };
                drop(place);
                let login = Admitted { record, role, upgraded };
                self.admit(login, &attempts, visitor).await
            }
            Judgement::Refused { user, reason } => {
                drop(place);
                self.audit_refusal(user, reason, visitor.client).await?;
                Err(Error::InvalidCredentials)
            }
        }
    }

    async fn admit(
        &self,
        login: Admitted,
        attempts: &[Take],
        visitor: &Visitor<'_>,
    ) -> Result<SignIn, Error> {
        let Admitted { record, role, upgraded } = login;
        let SignInRecord { user, password_hash, .. } = record;
        let upgrade = password_hash.zip(upgraded);
        if user.mfa_enabled {
            let trusted = self.trusted_browser(&user, visitor).await?;
            if let Some(trusted) = trusted {
                let login = TrustedLogin { user: user.clone(), role, upgrade: upgrade.clone(), trusted };
                if let Some(signed_in) = self.sign_in_trusted(login, attempts, visitor).await? {
                    return Ok(SignIn::Done(Box::new(signed_in)));
                }
            }
            let action = AuditAction::LoginMfaRequired;
            let first = Entrance::by(AuthMethod::Password);
            let ready = self.ready_question(&user, first, action, visitor);
            let mut tx = self.store().begin().await?;
            self.upgrade_hash(&mut *tx, user.id, upgrade).await?;
            self.ask_for_second_factor(&mut *tx, &ready, attempts).await?;
            tx.commit().await?;
            return Ok(SignIn::SecondFactorDue(ready.due));
        }
        let id = user.id;
        let entrance = Entrance::by(AuthMethod::Password);
        let ready = self.ready_session(user, role, entrance, AuditAction::Login, visitor)?;
        let mut tx = self.store().begin().await?;
        self.upgrade_hash(&mut *tx, id, upgrade).await?;
        self.begin_session(&mut *tx, &ready, attempts, visitor).await?;
        tx.commit().await?;
        Ok(SignIn::Done(Box::new(ready.signed_in)))
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

    async fn audit_refusal(
        &self,
        user: Option<UserId>,
        reason: &'static str,
        client: &ClientInfo,
    ) -> Result<(), Error> {
        let event = self
            .event(AuditAction::LoginFailed, Actor::Anonymous, &Resource::User(user), client)
            .failed()
            .with("reason", reason);
        let mut tx = self.store().begin().await?;
        tx.audit().append(&event).await?;
        Ok(tx.commit().await?)
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
    if record.user.status != UserStatus::Active {
        return Judgement::Refused { user, reason: "account_not_active" };
    }
    match record.role.clone() {
        Some(role) => Judgement::Admitted { record, role, outdated },
        None => Judgement::Refused { user, reason: "not_a_member" },
    }
}

#[cfg(test)]
mod tests {
    use identsphere_testkit::World;

    use super::*;

    fn record(status: UserStatus, role: Option<Role>) -> SignInRecord {
        let account = World::default().account();
        SignInRecord {
            user: identsphere_accounts::User { status, ..account.user },
            password_hash: None,
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
                    let admitted = matches!(judgement, Judgement::Admitted { .. });
                    assert_eq!(admitted, expected, "{status:?} {role:?} {verification:?}");
                    if let Judgement::Admitted { outdated, .. } = judgement {
                        assert_eq!(outdated, verification == Verification::MatchOutdated);
                    }
                }
            }
        }
    }

    #[test]
    fn nobody_is_admitted_without_an_account() {
        for verification in [Verification::Match, Verification::MatchOutdated, Verification::Mismatch] {
            assert!(matches!(judge(None, verification), Judgement::Refused { user: None, .. }));
        }
    }
}
