//! The authenticator of a user and their recovery codes: set up, confirmed, removed.

use identsphere_accounts::{Password, UserStatus};
use identsphere_audit::{Actor, AuditAction};
use identsphere_factors::recovery::RecoveryCode;
use identsphere_factors::totp::{TotpSecret, qr_png_base64};
use identsphere_kernel::{Email, SecretString};
use identsphere_sessions::{ClientInfo, RemovedFactor, SecondFactor};

use crate::change_password::Confirmed;
use crate::events::{EventExt, Resource};
use crate::post::NEWS_LIFETIME;
use crate::second_factor::read_code;
use crate::{Error, FieldFault, IdentSphere, Language, MailContent, Principal, Visitor};

/// Whether a user has a second factor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MfaStatus {
    /// Whether an authenticator is confirmed.
    pub is_enabled: bool,
    /// How many recovery codes are left.
    pub recovery_codes_left: u32,
}

/// What an authenticator is set up with. Shown once, to its owner.
#[derive(Debug)]
pub struct AuthenticatorSetup {
    /// The secret in base32 (RFC 4648 §6), for typing.
    pub secret: SecretString,
    /// The same for opening an app.
    pub otpauth_uri: SecretString,
    /// The same as a picture to scan: a PNG in base64.
    pub qr_code: SecretString,
}

const IS_ON: Error = Error::Conflict { field: "mfa", message: "is on already; turn it off first" };

impl IdentSphere {
    /// Whether this principal's user has a second factor.
    ///
    /// # Errors
    /// [`Error::Overloaded`].
    pub async fn mfa_status(&self, who: &Principal) -> Result<MfaStatus, Error> {
        let left = self.store().count_recovery_codes(who.user.id).await?;
        Ok(MfaStatus { is_enabled: who.user.mfa_enabled, recovery_codes_left: left })
    }

    /// Sets up an authenticator. It is inert until a code confirms it, and can be set up anew until then (MF-12).
    ///
    /// # Errors
    /// [`Error::Conflict`] when one is confirmed already; [`Error::Overloaded`].
    pub async fn set_up_mfa(&self, who: &Principal) -> Result<AuthenticatorSetup, Error> {
        let user = &who.user;
        let secret = TotpSecret::generate(self.random());
        let uri = secret.otpauth_uri(self.policy.relying_party.name(), user.email.as_str());
        let qr_code = qr_png_base64(&uri).map_err(Error::internal)?;
        let row = user.id.to_string();
        let sealed = self.secrets.authenticators.seal(&row, secret.expose(), self.random());
        let mut tx = self.store().begin().await?;
        if !tx.factors().set_up_authenticator(user.id, &sealed, self.now()).await? {
            return Err(IS_ON);
        }
        tx.commit().await?;
        Ok(AuthenticatorSetup { secret: secret.to_base32(), otpauth_uri: uri, qr_code })
    }

    /// Confirms the authenticator by one of its codes; from now on sign-ins ask for it. The codes for the day on which it
    /// is lost. It was shown in this session, so it counts as a step-up.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] when none is set up, or for what cannot be a code; [`Error::AuthenticationRequired`] for a
    /// wrong code; [`Error::Conflict`] when one is confirmed already; [`Error::RateLimited`]; [`Error::Overloaded`].
    pub async fn enable_mfa(
        &self,
        who: &Principal,
        code: &str,
        visitor: &Visitor<'_>,
    ) -> Result<Vec<SecretString>, Error> {
        let user = &who.user;
        if user.mfa_enabled {
            return Err(IS_ON);
        }
        let attempts = self.second_factor_attempts(user.id);
        self.take(&attempts).await?;
        let code = read_code(code)?;
        let Some(authenticator) = self.store().find_authenticator(user.id).await? else {
            let fault = FieldFault::new("code", "cannot be checked: set up an authenticator first");
            return Err(Error::InvalidInput(vec![fault]));
        };
        if authenticator.is_confirmed {
            return Err(IS_ON);
        }
        let step = self.step_of(user.id, &authenticator, &code)?.ok_or(Error::AuthenticationRequired)?;

        let now = self.now();
        let codes = RecoveryCode::generate_set(self.random());
        let hashes: Vec<_> = codes.iter().map(|code| code.hash(user.id)).collect();
        let notice =
            self.mail_to(user, visitor.language, MailContent::MfaEnabled { at: now }, NEWS_LIFETIME)?;
        let event =
            self.event_by(who, AuditAction::MfaEnabled, &Resource::User(Some(user.id)), visitor.client);
        let mut tx = self.store().begin().await?;
        if !tx.factors().confirm_authenticator(user.id, &authenticator.sealed, step, now).await? {
            return Err(IS_ON);
        }
        if !tx.factors().replace_recovery_codes(user.id, &hashes, now).await? {
            return Err(Error::AuthenticationRequired);
        }
        if !tx.sessions().step_up(who.session.id, user.id, SecondFactor::Totp, None, now).await? {
            return Err(Error::AuthenticationRequired);
        }
        for attempt in &attempts {
            tx.limits().give_back(attempt).await?;
        }
        tx.outbox().post(&notice).await?;
        tx.audit().append(&event).await?;
        tx.commit().await?;
        Ok(codes.iter().map(RecoveryCode::text).collect())
    }

    /// Removes the authenticator, the recovery codes and every trusted browser. Sessions that have their level from them end
    /// (MF-15), but for the one that asks, which goes down a level. Removing what is not there is no error.
    ///
    /// # Errors
    /// [`Error::InvalidCredentials`] for a wrong password; [`Error::Conflict`] when the account has none;
    /// [`Error::InvalidInput`]; [`Error::RateLimited`]; [`Error::Overloaded`].
    pub async fn disable_mfa(
        &self,
        who: &Principal,
        password: &str,
        visitor: &Visitor<'_>,
    ) -> Result<(), Error> {
        let (user, now) = (&who.user, self.now());
        let Confirmed { attempts } = self.confirm_password(who, &present(password)?, "password").await?;
        let notice =
            self.mail_to(user, visitor.language, MailContent::MfaDisabled { at: now }, NEWS_LIFETIME)?;
        let mut tx = self.store().begin().await?;
        for attempt in &attempts {
            tx.limits().give_back(attempt).await?;
        }
        if tx.factors().remove_authenticator(user.id, now).await? {
            tx.trust().remove_all_trusted(user.id).await?;
            tx.pending().void_pending(user.id).await?;
            let spare = Some(who.session.id);
            let ended = tx.sessions().drop_factor(user.id, RemovedFactor::Codes, spare, now).await?;
            let event = self
                .event_by(who, AuditAction::MfaDisabled, &Resource::User(Some(user.id)), visitor.client)
                .with("sessions_ended", ended.len());
            tx.outbox().post(&notice).await?;
            tx.audit().append(&event).await?;
        }
        Ok(tx.commit().await?)
    }

    /// Removes the authenticator of a user who has lost it and every recovery code, for an operator whom they have convinced
    /// that they are who they say. Whoever is signed in with its help is signed out. Whether there was one.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] for what cannot be an address; [`Error::NotFound`] when no active user has it;
    /// [`Error::Overloaded`].
    pub async fn disable_mfa_of(&self, email: &str) -> Result<bool, Error> {
        let email =
            Email::parse(email).map_err(|e| Error::InvalidInput(vec![FieldFault::new("email", e)]))?;
        let record = self.store().find_sign_in(email.key()).await?;
        let user = record.map(|record| record.user).filter(|user| user.status == UserStatus::Active);
        let (user, now) = (user.ok_or(Error::NotFound)?, self.now());
        let content = MailContent::MfaDisabled { at: now };
        let notice = self.mail_to(&user, Language::default(), content, NEWS_LIFETIME)?;
        let client = ClientInfo::default();
        let event = self
            .event(AuditAction::MfaDisabled, Actor::System, &Resource::User(Some(user.id)), &client)
            .within(user.home_organization);
        let mut tx = self.store().begin().await?;
        let was_there = tx.factors().remove_authenticator(user.id, now).await?;
        if was_there {
            tx.sessions().drop_factor(user.id, RemovedFactor::Codes, None, now).await?;
            self.void_everything(&mut *tx, user.id).await?;
            tx.outbox().post(&notice).await?;
            tx.audit().append(&event).await?;
        }
        tx.commit().await?;
        Ok(was_there)
    }

    /// Other recovery codes; those before are worth nothing from now on.
    ///
    /// # Errors
    /// [`Error::InvalidCredentials`] for a wrong password; [`Error::Forbidden`] without a confirmed authenticator;
    /// [`Error::Conflict`] when the account has no password; [`Error::InvalidInput`]; [`Error::RateLimited`];
    /// [`Error::Overloaded`].
    pub async fn replace_recovery_codes(
        &self,
        who: &Principal,
        password: &str,
        visitor: &Visitor<'_>,
    ) -> Result<Vec<SecretString>, Error> {
        let (user, now) = (&who.user, self.now());
        let Confirmed { attempts } = self.confirm_password(who, &present(password)?, "password").await?;
        let codes = RecoveryCode::generate_set(self.random());
        let hashes: Vec<_> = codes.iter().map(|code| code.hash(user.id)).collect();
        let content = MailContent::RecoveryCodesReplaced { at: now };
        let notice = self.mail_to(user, visitor.language, content, NEWS_LIFETIME)?;
        let action = AuditAction::MfaRecoveryCodesRegenerated;
        let event = self.event_by(who, action, &Resource::User(Some(user.id)), visitor.client);
        let mut tx = self.store().begin().await?;
        if !tx.factors().replace_recovery_codes(user.id, &hashes, now).await? {
            return Err(Error::Forbidden);
        }
        for attempt in &attempts {
            tx.limits().give_back(attempt).await?;
        }
        tx.outbox().post(&notice).await?;
        tx.audit().append(&event).await?;
        tx.commit().await?;
        Ok(codes.iter().map(RecoveryCode::text).collect())
    }
}

fn present(password: &str) -> Result<Password, Error> {
    Password::present(password).map_err(|error| Error::InvalidInput(vec![FieldFault::new("password", error)]))
}
