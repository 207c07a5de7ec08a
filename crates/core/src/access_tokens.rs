//! Issuing and verifying access tokens.

use std::sync::Arc;

use identsphere_kernel::{AccessTokenId, Clock, Duration, SecretString, SecureRandom, Timestamp, TokenHash};
use identsphere_tokens::{AccessClaims, TokenType, Unverified, sign};
use moka::sync::Cache;

use crate::key_ring::KeyRing;
use crate::{Error, KEY_INTERVAL, Policy, Principal};

/// How far another node's clock may be ahead of ours (TK-07).
const LEEWAY: Duration = Duration::from_secs(30);
/// How many verified tokens are remembered: a few hundred bytes each.
const REMEMBERED: u64 = 50_000;

/// Issues and verifies access tokens. A token whose signature was verified is remembered by its hash, so that the
/// signature is checked once a token and not once a request; whether its session still lives is asked every time.
pub(crate) struct AccessTokens {
    ring: KeyRing,
    issuer: String,
    audience: Option<String>,
    ttl: Duration,
    verified: Cache<[u8; 32], Arc<AccessClaims>>,
}

impl AccessTokens {
    /// Tokens of this issuer, for this audience, valid for `ttl`.
    pub(crate) fn new(ring: KeyRing, issuer: String, audience: Option<String>, ttl: Duration) -> Self {
        let verified = Cache::builder().max_capacity(REMEMBERED).time_to_live(Policy::MAX_ACCESS_TTL).build();
        Self { ring, issuer, audience, ttl, verified }
    }

    /// The keys.
    pub(crate) fn ring(&self) -> &KeyRing {
        &self.ring
    }

    /// Forgets which tokens were verified: a key is gone, so each must be checked again.
    pub(crate) fn forget_verified(&self) {
        self.verified.invalidate_all();
    }

    /// A token for this principal, and for how long it is valid: never past the session's end.
    ///
    /// # Errors
    /// [`Error::Overloaded`] when no key signs (yet), [`Error::Internal`] when the key does not.
    pub(crate) fn issue(
        &self,
        principal: &Principal,
        clock: &dyn Clock,
        random: &dyn SecureRandom,
    ) -> Result<(SecretString, Duration), Error> {
        let now = clock.now();
        let Principal { user, session, role } = principal;
        let valid_for = self.ttl.min(session.expires_at.since(now));
        let claims = AccessClaims {
            iss: self.issuer.clone(),
            sub: user.id,
            org: session.organization,
            aud: self.audience.clone(),
            iat: now.unix_seconds(),
            exp: now.plus(valid_for).unix_seconds(),
            typ: TokenType::Access,
            jti: AccessTokenId::new(clock, random),
            sid: session.id,
            aal: session.aal.name().to_owned(),
            auth_time: session.auth_time.unix_seconds(),
            auth_method: session.auth_method.name().to_owned(),
            email: user.email_verified.then(|| user.email.as_str().to_owned()),
            role: role.name().to_owned(),
            mfa_verified_at: session.mfa_verified_at.map(Timestamp::unix_seconds),
        };
        let no_key =
            || Error::Overloaded { retry_after: KEY_INTERVAL, source: "no signing key is active".into() };
        let key = self.ring.current(now).ok_or_else(no_key)?;
        let token = sign(&key.header, &claims, &*key.signer)?;
        Ok((SecretString::new(token), valid_for))
    }

    /// The claims of a token that we signed and that is valid at `now`. Touches no store.
    pub(crate) fn verify(&self, token: &str, now: Timestamp) -> Option<Arc<AccessClaims>> {
        let memory_key = *TokenHash::of(token.as_bytes()).as_bytes();
        let claims = match self.verified.get(&memory_key) {
            Some(claims) => claims,
            None => {
                let claims = Arc::new(self.check_signature(token)?);
                self.verified.insert(memory_key, claims.clone());
                claims
            }
        };
        self.is_valid(&claims, now).then_some(claims)
    }

    fn check_signature(&self, token: &str) -> Option<AccessClaims> {
        let token = Unverified::split(token)?;
        let key = self.ring.by_header(token.header)?;
        let signature = token.signature()?;
        if !key.verifier.verify(token.message.as_bytes(), &signature) {
            return None;
        }
        token.claims()
    }

    fn is_valid(&self, claims: &AccessClaims, now: Timestamp) -> bool {
        let max_life = i64::try_from(Policy::MAX_ACCESS_TTL.as_secs()).unwrap_or(i64::MAX);
        claims.iss == self.issuer
            && claims.aud == self.audience
            && claims.exp > now.unix_seconds()
            && claims.iat <= now.plus(LEEWAY).unix_seconds()
            && claims.exp.saturating_sub(claims.iat) <= max_life
    }
}
