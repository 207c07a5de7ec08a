//! What a successful sign-in or refresh hands out.

use identsphere_accounts::User;
use identsphere_kernel::{Duration, PasskeyId, SecretString, SessionId};
use identsphere_organizations::Role;
use identsphere_sessions::{
    AssuranceLevel, AuthMethod, ClientInfo, Leaf, PendingSignIn, RefreshToken, SecondFactor, Session,
};

use crate::{Error, IdentSphere, Principal, TrustToken};

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
    /// The next token of the trusted browser that stood for the second factor, if one did.
    pub trust: Option<TrustToken>,
}

/// How somebody got in, which decides how sure we are of them (MF-14).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entrance {
    method: AuthMethod,
    second_factor: Option<SecondFactor>,
    passkey: Option<PasskeyId>,
}

impl Entrance {
    /// With one factor.
    pub(crate) fn by(method: AuthMethod) -> Self {
        Self { method, second_factor: None, passkey: None }
    }

    /// With a passkey, which is two factors when it verified its user (WebAuthn §15).
    pub(crate) fn by_passkey(passkey: PasskeyId, user_verified: bool) -> Self {
        let second_factor = user_verified.then_some(SecondFactor::Passkey);
        Self { method: AuthMethod::Passkey, second_factor, passkey: Some(passkey) }
    }

    /// With a second factor after the first.
    pub(crate) fn with(self, second_factor: SecondFactor) -> Self {
        Self { second_factor: Some(second_factor), ..self }
    }

    /// What it began with.
    pub(crate) fn method(&self) -> AuthMethod {
        self.method
    }

    /// The passkey that was used.
    pub(crate) fn passkey(&self) -> Option<PasskeyId> {
        self.passkey
    }

    /// What a sign-in that waited for its second factor ends with, once this one is shown.
    pub(crate) fn after(pending: &PendingSignIn, second_factor: SecondFactor) -> Self {
        let (method, passkey) = (pending.auth_method(), pending.passkey);
        Self { method, second_factor: Some(second_factor), passkey }
    }

    fn level(&self) -> AssuranceLevel {
        if self.second_factor.is_some() { AssuranceLevel::Aal2 } else { AssuranceLevel::Aal1 }
    }

    /// Whether somebody showed a second factor just now. A trusted browser did so some other day.
    fn is_stepped_up(&self) -> bool {
        match self.second_factor {
            Some(SecondFactor::Totp | SecondFactor::RecoveryCode | SecondFactor::Passkey) => true,
            Some(SecondFactor::TrustedBrowser) | None => false,
        }
    }
}

impl IdentSphere {
    /// A new session of `user` in their home organisation, not stored yet, with its first refresh token.
    pub(crate) fn open_session(
        &self,
        user: User,
        role: Role,
        entrance: Entrance,
        client: &ClientInfo,
    ) -> (Principal, RefreshToken) {
        let now = self.now();
        let id = SessionId::new(self.clock(), self.random());
        let token = self.secrets.refresh.first(id, self.random());
        let session = Session {
            id,
            user: user.id,
            organization: user.home_organization,
            auth_method: entrance.method,
            aal: entrance.level(),
            auth_time: now,
            second_factor: entrance.second_factor,
            passkey: entrance.passkey,
            mfa_verified_at: entrance.is_stepped_up().then_some(now),
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
        Ok(SignedIn {
            principal,
            access_token,
            access_expires_in,
            refresh_token,
            refresh_expires_in,
            trust: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// MF-14, and what a trusted browser is worth (ADR 0010).
    #[test]
    fn an_entrance_is_as_sure_as_what_was_shown() {
        let passkey = PasskeyId::from_bytes([1; 16]);
        for method in AuthMethod::ALL {
            let entrance = Entrance::by(*method);
            assert_eq!((entrance.level(), entrance.is_stepped_up()), (AssuranceLevel::Aal1, false));
            for factor in SecondFactor::ALL {
                let entrance = entrance.with(*factor);
                assert_eq!(entrance.level(), AssuranceLevel::Aal2, "{method:?} {factor:?}");
                assert_eq!(entrance.is_stepped_up(), *factor != SecondFactor::TrustedBrowser, "{factor:?}");
            }
        }
        let verified = Entrance::by_passkey(passkey, true);
        assert_eq!((verified.level(), verified.is_stepped_up()), (AssuranceLevel::Aal2, true));
        let present = Entrance::by_passkey(passkey, false);
        assert_eq!((present.level(), present.is_stepped_up()), (AssuranceLevel::Aal1, false));
        assert_eq!((verified.passkey, present.passkey), (Some(passkey), Some(passkey)));
    }
}
