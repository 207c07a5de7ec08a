//! Looking at a second factor: one place for every endpoint, so that attempts are counted and codes are spent over all of
//! them alike (MF-02, MF-04).

use identsphere_accounts::User;
use identsphere_factors::Authenticator;
use identsphere_factors::recovery::RecoveryCode;
use identsphere_factors::totp::{SECRET_BYTES, TimeStep, TotpCode, TotpSecret, matching_step};
use identsphere_kernel::{StoreError, TokenHash, UserId};
use identsphere_sessions::SecondFactor;

use crate::{Error, FieldFault, IdentSphere, Tx};

/// What somebody shows after the first factor.
#[derive(Clone, Copy)]
pub enum ShownFactor<'a> {
    /// A code of their authenticator.
    Code(&'a str),
    /// One of their recovery codes.
    RecoveryCode(&'a str),
}

/// A second factor that is right, to be spent in the transaction of what it is for.
pub(crate) enum RightFactor {
    Step { sealed: Vec<u8>, step: TimeStep },
    Recovery(TokenHash),
}

impl RightFactor {
    pub(crate) fn kind(&self) -> SecondFactor {
        match self {
            Self::Step { .. } => SecondFactor::Totp,
            Self::Recovery(_) => SecondFactor::RecoveryCode,
        }
    }
}

/// A factor that was spent.
pub(crate) struct Spent {
    /// How many recovery codes are left, if it was one of them.
    pub(crate) recovery_codes_left: Option<u32>,
}

impl IdentSphere {
    /// Looks at what is shown: `None` if it is wrong. The attempt must have been counted before (MF-04): even of what cannot
    /// be a code.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] for what cannot be a code (MF-03).
    pub(crate) async fn look_at(
        &self,
        user: &User,
        shown: ShownFactor<'_>,
    ) -> Result<Option<RightFactor>, Error> {
        match shown {
            ShownFactor::Code(text) => {
                let code = read_code(text)?;
                let Some(authenticator) = self.store().find_authenticator(user.id).await? else {
                    return Ok(None);
                };
                let step =
                    self.step_of(user.id, &authenticator, &code)?.filter(|_| authenticator.is_confirmed);
                Ok(step.map(|step| RightFactor::Step { sealed: authenticator.sealed, step }))
            }
            ShownFactor::RecoveryCode(text) => {
                let code = RecoveryCode::parse(text)
                    .map_err(|error| Error::InvalidInput(vec![FieldFault::new("recovery_code", error)]))?;
                Ok(Some(RightFactor::Recovery(code.hash(user.id))))
            }
        }
    }

    /// Spends a factor, once: `None` when somebody was faster, it was used before, or (a recovery code) there is none.
    pub(crate) async fn spend(
        &self,
        tx: &mut dyn Tx,
        user: UserId,
        factor: &RightFactor,
    ) -> Result<Option<Spent>, StoreError> {
        match factor {
            RightFactor::Step { sealed, step } => {
                let accepted = tx.factors().advance_step(user, sealed, *step).await?;
                Ok(accepted.then_some(Spent { recovery_codes_left: None }))
            }
            RightFactor::Recovery(hash) => {
                let left = tx.factors().take_recovery_code(user, hash).await?;
                Ok(left.map(|left| Spent { recovery_codes_left: Some(left) }))
            }
        }
    }

    /// The time step at which an authenticator shows this code.
    pub(crate) fn step_of(
        &self,
        user: UserId,
        authenticator: &Authenticator,
        code: &TotpCode,
    ) -> Result<Option<TimeStep>, Error> {
        let opened = self.secrets.authenticators.open(&user.to_string(), &authenticator.sealed);
        let opened = opened.map_err(Error::internal)?;
        let bytes = <[u8; SECRET_BYTES]>::try_from(opened.as_slice()).map_err(Error::internal)?;
        Ok(matching_step(&TotpSecret::from_bytes(bytes), code, self.now()))
    }
}

/// A code of an authenticator as somebody typed it.
pub(crate) fn read_code(text: &str) -> Result<TotpCode, Error> {
    TotpCode::parse(text).map_err(|error| Error::InvalidInput(vec![FieldFault::new("code", error)]))
}
