//! What a successful sign-in or refresh hands out.

use identsphere_accounts::User;
use identsphere_kernel::{Duration, OrganizationId, SecretString, SessionId};
use identsphere_organizations::Role;
use identsphere_sessions::{AssuranceLevel, AuthMethod, ClientInfo, Leaf, RefreshToken, Session};

use crate::{Error, IdentSphere, Principal};

/// A session and the tokens to use it with.
#[derive(Debug, Clone)]
pub struct SignedIn {
    /// Who signed in.
    pub principal: Principal,
    /// The access token.
    pub access_token: SecretString,
    /// How long it is valid.
    pub access_expires_in: Duration,
    /// The refresh token.
    pub refresh_token: SecretString,
    /// How long it is valid: until the session's absolute end, in whole seconds.
    pub refresh_expires_in: Duration,
}

impl IdentSphere {
    /// A new session of `user`, not stored yet, with its first refresh token.
    pub(crate) fn open_session(
        &self,
        user: User,
        organization: OrganizationId,
        role: Role,
        auth_method: AuthMethod,
        client: &ClientInfo,
    ) -> (Principal, RefreshToken) {
        let now = self.now();
        let id = SessionId::new(self.clock(), self.random());
        let token = self.ports.secrets.refresh.first(id, self.random());
        let session = Session {
            id,
            user: user.id,
            organization,
            auth_method,
            aal: AssuranceLevel::Aal1,
            auth_time: now,
            second_factor: None,
            passkey: None,
            mfa_verified_at: None,
            leaf: Leaf { hash: token.hash(), generation: token.generation(), issued_at: now },
            client: client.clone(),
            created_at: now,
            last_active_at: now,
            expires_at: now.plus(self.policy.session_ttl),
        };
        (Principal { user, session, role }, token)
    }

    /// The tokens for a session. Signing takes its time: never call it inside a transaction.
    pub(crate) fn issue(
        &self,
        principal: Principal,
        refresh_token: &RefreshToken,
    ) -> Result<SignedIn, Error> {
        self.demand_clock()?;
        let (access_token, access_expires_in) = self.tokens.issue(&principal, self.clock(), self.random())?;
        // To the nearest second: the moment since the session was opened is not to be seen in it.
        let left = principal.session.expires_at.since(self.now()) + Duration::from_millis(500);
        let refresh_expires_in = Duration::from_secs(left.as_secs());
        let refresh_token = refresh_token.text().clone();
        Ok(SignedIn { principal, access_token, access_expires_in, refresh_token, refresh_expires_in })
    }
}
