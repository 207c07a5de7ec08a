//! A sign-in whose first factor was right and that waits for the second. It is no session: nothing but the route that
//! takes a second factor accepts its token (MF-05, MF-06).

use identsphere_kernel::{Duration, PasskeyId, Timestamp, TokenHash, UserId};

use crate::{AuthMethod, SecondFactor};

/// A sign-in that waits for its second factor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingSignIn {
    /// Of its token.
    pub hash: TokenHash,
    /// Whose.
    pub user: UserId,
    /// What it was begun with.
    pub first_factor: AuthMethod,
    /// The passkey that it was begun with, if it was one: the session will rest on it, too.
    pub passkey: Option<PasskeyId>,
    /// The browser that began it, if that could be told; it alone may end it.
    pub browser: Option<TokenHash>,
    /// When it was begun.
    pub created_at: Timestamp,
    /// When it is over.
    pub expires_at: Timestamp,
}

impl PendingSignIn {
    /// How long one waits (contract §10).
    pub const LIFETIME: Duration = Duration::from_secs(300);
    /// How many second factors may be tried on one (MF-04).
    pub const ATTEMPTS: u32 = 5;

    /// The `auth_method` of the session that it ends in. A password and a code have a word of their own; of every other
    /// way in the method stays, and the level says the rest.
    pub fn auth_method(&self) -> AuthMethod {
        match self.first_factor {
            AuthMethod::Password | AuthMethod::PasswordWithMfa => AuthMethod::PasswordWithMfa,
            other @ (AuthMethod::Passkey | AuthMethod::SocialOauth | AuthMethod::EmailOtp) => other,
        }
    }
}

/// What an attempt on a pending sign-in meets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PendingAttempt {
    /// The attempt counts; the second factor may be looked at.
    Counted(PendingSignIn),
    /// [`PendingSignIn::ATTEMPTS`] were made: until it is over, no factor is looked at.
    Locked(PendingSignIn),
    /// There is none: never begun, ended, or over.
    Absent,
}

/// Which factor was removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RemovedFactor {
    /// The codes of the authenticator, and what depends on them.
    Codes,
    /// This passkey.
    Passkey(PasskeyId),
}

impl RemovedFactor {
    /// The second factors that are gone with the codes of the authenticator.
    pub const CODES: [SecondFactor; 3] =
        [SecondFactor::Totp, SecondFactor::RecoveryCode, SecondFactor::TrustedBrowser];
}
