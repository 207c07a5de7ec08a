//! Who is behind an access token.

use std::sync::Arc;

use identsphere_tokens::AccessClaims;

use crate::{Error, IdentSphere, Principal};

impl IdentSphere {
    /// The claims of an access token of ours that has not expired. Touches no store: a revoked session is found by
    /// [`authenticate`](Self::authenticate).
    pub fn verify_access_token(&self, token: &str) -> Option<Arc<AccessClaims>> {
        self.tokens.verify(token, self.now())
    }

    /// Who is behind these claims: user, session and role, as the store has them after every change that was made through
    /// this node, and at most half a second after a change that was made through another.
    ///
    /// # Errors
    /// [`Error::AuthenticationRequired`] when the session has ended, the user may not sign in, or is no member of the
    /// session's organisation any more.
    pub async fn authenticate(&self, claims: &AccessClaims) -> Result<Arc<Principal>, Error> {
        let (session, now) = (claims.sid, self.now());
        let ask = async { self.store().find_principal(session, now).await };
        let principal = self.recent.find(session, now, ask).await?;
        principal.filter(|principal| principal.user.id == claims.sub).ok_or(Error::AuthenticationRequired)
    }
}
