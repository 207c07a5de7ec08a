//! Sign-in with a password.

use identsphere_accounts::{Password, PasswordHash, UserStatus};
use identsphere_audit::{Actor, AuditAction};
use identsphere_kernel::{Email, UserId};
use identsphere_organizations::Role;
use identsphere_sessions::{AuthMethod, ClientInfo};

use crate::events::{EventExt, Resource};
use crate::{Error, FieldFault, IdentSphere, SignInRecord, SignedIn, Take, Verification, Visitor};

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

impl IdentSphere {
    /// Begins a session for somebody who knows the password. An unknown address, a wrong password and an account that
    /// may not sign in get the same answer after the same work (AU-01, AU-02).
    ///
    /// Attempts are counted before the password is looked at, so that parallel guesses share one budget (AU-05); a
    /// sign-in that succeeds gives its attempt back.
    ///
    /// # Errors
    /// [`Error::InvalidCredentials`]; [`Error::InvalidInput`] for what cannot be an address or a password;
    /// [`Error::RateLimited`]; [`Error::Overloaded`].
    pub async fn login(&self, input: Login<'_>, visitor: &Visitor<'_>) -> Result<SignedIn, Error> {
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
                self.admit(record, role, upgraded, &attempts, visitor).await
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
        record: SignInRecord,
        role: Role,
        upgraded: Option<PasswordHash>,
        attempts: &[Take],
        visitor: &Visitor<'_>,
    ) -> Result<SignedIn, Error> {
        let SignInRecord { user, password_hash, .. } = record;
        let organization = user.home_organization;
        let (principal, refresh_token) =
            self.open_session(user, organization, role, AuthMethod::Password, visitor.client);
        let signed_in = self.issue(principal, &refresh_token)?;
        let who = &signed_in.principal;
        let writes = self.sign_in_writes(who, AuditAction::Login, visitor)?;

        let mut tx = self.store().begin().await?;
        if let (Some(old), Some(new)) = (&password_hash, &upgraded) {
            tx.users().upgrade_password_hash(who.user.id, old, new, self.now()).await?;
        }
        self.write_sign_in(&mut *tx, who, &writes, visitor).await?;
        for attempt in attempts {
            tx.limits().give_back(attempt).await?;
        }
        tx.commit().await?;
        Ok(signed_in)
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
