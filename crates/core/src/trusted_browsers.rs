//! Browsers that stand for the second factor of a sign-in with the password (contract §4.5).

use identsphere_accounts::{PasswordHash, User};
use identsphere_audit::AuditAction;
use identsphere_kernel::{OpaqueToken, TokenPurpose, TrustedBrowserId};
use identsphere_sessions::{AuthMethod, ClientInfo, SecondFactor, TrustRotation, TrustedBrowser};

use crate::events::Resource;
use crate::issue::Entrance;
use crate::passkeys::read_label;
use crate::sign_in::{Admitted, TrustToken};
use crate::{Error, IdentSphere, Principal, SignedIn, StepUpRule, Take, Visitor};

/// A browser that is trusted from now on, with the token for its cookie.
#[derive(Debug)]
pub struct NewlyTrusted {
    /// The browser.
    pub browser: TrustedBrowser,
    /// What it will show.
    pub token: TrustToken,
}

/// Somebody who knows the password and comes with a browser that they trust.
pub(crate) struct TrustedLogin {
    pub(crate) admitted: Admitted,
    /// The hash that is outdated and the one that takes its place.
    pub(crate) upgrade: Option<(PasswordHash, PasswordHash)>,
    pub(crate) trusted: TrustedBrowser,
}

impl IdentSphere {
    /// Trusts the browser that asks, in a session in which its user has shown a second factor.
    ///
    /// # Errors
    /// [`Error::MfaRequired`] in any other session; [`Error::InvalidInput`] for what cannot be a label;
    /// [`Error::Overloaded`].
    pub async fn trust_browser(
        &self,
        who: &Principal,
        label: Option<&str>,
        client: &ClientInfo,
    ) -> Result<NewlyTrusted, Error> {
        self.demand_step_up(who, StepUpRule::Shown)?;
        let label = label.map(read_label).transpose()?;
        let (token, now) = (OpaqueToken::new(self.random()), self.now());
        let browser = TrustedBrowser {
            id: TrustedBrowserId::new(self.clock(), self.random()),
            user: who.user.id,
            hash: token.hash(TokenPurpose::TrustedBrowser),
            label,
            client: client.clone(),
            created_at: now,
            last_seen_at: now,
            expires_at: now.plus(TrustedBrowser::LIFETIME),
        };
        let resource = Resource::TrustedBrowser(browser.id);
        let event = self.event_by(who, AuditAction::TrustedBrowserAdded, &resource, client);
        let mut tx = self.store().begin().await?;
        tx.trust().insert_trusted(&browser).await?;
        tx.audit().append(&event).await?;
        tx.commit().await?;
        let token = TrustToken { token, expires_at: browser.expires_at };
        Ok(NewlyTrusted { browser, token })
    }

    /// The browsers that this principal's user trusts, newest first.
    ///
    /// # Errors
    /// [`Error::Overloaded`].
    pub async fn list_trusted_browsers(&self, who: &Principal) -> Result<Vec<TrustedBrowser>, Error> {
        Ok(self.store().list_trusted(who.user.id, self.now()).await?)
    }

    /// Trusts a browser of this principal's user no more.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none, or it is somebody else's; [`Error::Overloaded`].
    pub async fn distrust_browser(
        &self,
        who: &Principal,
        id: TrustedBrowserId,
        client: &ClientInfo,
    ) -> Result<(), Error> {
        let resource = Resource::TrustedBrowser(id);
        let event = self.event_by(who, AuditAction::TrustedBrowserRevoked, &resource, client);
        let mut tx = self.store().begin().await?;
        if !tx.trust().remove_trusted(id, who.user.id).await? {
            return Err(Error::NotFound);
        }
        tx.audit().append(&event).await?;
        Ok(tx.commit().await?)
    }

    /// The trusted browser that comes, if it is one of this user's.
    pub(crate) async fn trusted_browser(
        &self,
        user: &User,
        visitor: &Visitor<'_>,
    ) -> Result<Option<TrustedBrowser>, Error> {
        let Some(token) = visitor.trust_token.and_then(OpaqueToken::read) else { return Ok(None) };
        let hash = token.hash(TokenPurpose::TrustedBrowser);
        Ok(self.store().find_trusted(user.id, &hash, self.now()).await?)
    }

    /// Begins a session for somebody who knows the password and comes with a trusted browser, whose token is replaced:
    /// `None` if somebody else has used it meanwhile, or the account has changed.
    pub(crate) async fn sign_in_trusted(
        &self,
        login: TrustedLogin,
        attempts: &[Take],
        visitor: &Visitor<'_>,
    ) -> Result<Option<SignedIn>, Error> {
        let TrustedLogin { admitted, upgrade, trusted } = login;
        let entrance = Entrance::by(AuthMethod::PasswordWithMfa).with(SecondFactor::TrustedBrowser);
        let ready = self.ready_session(admitted, entrance, AuditAction::Login, visitor)?;
        let ready = ready.noting("trusted_browser", trusted.id.to_string());
        let token = OpaqueToken::new(self.random());
        let rotation = TrustRotation {
            user: trusted.user,
            presented: trusted.hash,
            successor: token.hash(TokenPurpose::TrustedBrowser),
            client: visitor.client.clone(),
            at: self.now(),
        };
        let mut tx = self.store().begin().await?;
        // First: whoever removes the browser changes its user before it.
        self.upgrade_hash(&mut *tx, trusted.user, upgrade).await?;
        let Some(trusted) = tx.trust().rotate_trusted(&rotation).await? else { return Ok(None) };
        let signed_in = self.begin_session(tx, ready, attempts, visitor).await?;
        let trust = Some(TrustToken { token, expires_at: trusted.expires_at });
        Ok(signed_in.map(|signed_in| SignedIn { trust, ..signed_in }))
    }
}
