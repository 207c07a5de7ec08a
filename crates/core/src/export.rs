//! Everything that is held about a user, for that user.

use identsphere_audit::AuditEntry;
use identsphere_factors::passkey::Passkey;
use identsphere_sessions::TrustedBrowser;

use crate::{Error, HeldSession, IdentSphere, MfaStatus, Principal, ProfileRecord, UserOrganization};

/// How many rows of the audit log an export shows: the newest.
const AUDIT_ROWS: u32 = 1_000;

/// Everything that is held about a user. A table that holds something of a user has its section here.
#[derive(Debug, Clone, PartialEq)]
pub struct Export {
    /// The user and what they say about themselves.
    pub profile: ProfileRecord,
    /// Whether there is a password; never what is kept of it.
    pub has_password: bool,
    /// Whether there is an authenticator, and how many recovery codes are left; never the secrets.
    pub mfa: MfaStatus,
    /// Passkeys, newest first; of their keys only the public halves are held.
    pub passkeys: Vec<Passkey>,
    /// Trusted browsers, newest first.
    pub trusted_browsers: Vec<TrustedBrowser>,
    /// Where they belong.
    pub organizations: Vec<UserOrganization>,
    /// From where they were signed in, ended sessions too.
    pub sessions: Vec<HeldSession>,
    /// What they did: the newest 1,000 rows of the audit log.
    pub events: Vec<AuditEntry>,
}

impl IdentSphere {
    /// Everything that is held about this principal's user.
    ///
    /// # Errors
    /// [`Error::AuthenticationRequired`] when the user is gone by now; [`Error::Overloaded`].
    pub async fn export(&self, who: &Principal) -> Result<Export, Error> {
        let (store, user) = (self.store(), who.user.id);
        let profile = self.profile(who).await?;
        let sign_in = store.find_sign_in(profile.user.email.key()).await?;
        Ok(Export {
            has_password: sign_in.is_some_and(|record| record.password_hash.is_some()),
            profile,
            mfa: self.mfa_status(who).await?,
            passkeys: store.list_passkeys(user).await?,
            trusted_browsers: store.list_trusted(user, self.now()).await?,
            organizations: store.list_organizations(user).await?,
            sessions: store.list_held_sessions(user).await?,
            events: store.list_events_by(user, AUDIT_ROWS).await?,
        })
    }
}
