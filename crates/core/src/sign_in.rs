//! What every way to sign in ends with.

use identsphere_audit::{AuditAction, AuditEvent};
use identsphere_kernel::StoreError;

use crate::events::Resource;
use crate::post::NEWS_LIFETIME;
use crate::{Error, IdentSphere, MailContent, OutboxEntry, Principal, Tx, Visitor};

/// What is written when somebody has signed in.
pub(crate) struct SignInWrites {
    event: AuditEvent,
    notice: OutboxEntry,
}

impl IdentSphere {
    /// Prepares what is written when `who` has signed in: to be made before the transaction begins.
    pub(crate) fn sign_in_writes(
        &self,
        who: &Principal,
        action: AuditAction,
        visitor: &Visitor<'_>,
    ) -> Result<SignInWrites, Error> {
        let Principal { user, session, .. } = who;
        let event = self
            .event_by(who, action, &Resource::Session(session.id), visitor.client)
            .with("auth_method", session.auth_method.name());
        let token = self.ports.secrets.disown.token(user.id, session.id);
        let content = MailContent::NewSignIn {
            at: session.auth_time,
            user_agent: visitor.client.user_agent.clone(),
            ip_address: visitor.client.ip_address,
            link: self.link("not-me", token.expose()),
        };
        let notice = self.mail_to(user, visitor.language, content, NEWS_LIFETIME)?;
        Ok(SignInWrites { event, notice })
    }

    /// Keeps the session, notes the sign-in, and tells its owner if it comes from a browser that they never used.
    pub(crate) async fn write_sign_in(
        &self,
        tx: &mut dyn Tx,
        who: &Principal,
        writes: &SignInWrites,
        visitor: &Visitor<'_>,
    ) -> Result<(), StoreError> {
        tx.sessions().insert(&who.session).await?;
        let at = who.session.auth_time;
        tx.outbox().greet_browser(who.user.id, &visitor.browser(), at, Some(&writes.notice)).await?;
        tx.audit().append(&writes.event).await
    }
}
