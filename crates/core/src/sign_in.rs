//! What every way to sign in ends with: a session, or the question for a second factor.

use identsphere_accounts::User;
use identsphere_audit::{Actor, AuditAction, AuditEvent};
use identsphere_kernel::{Duration, OpaqueToken, StoreError, Timestamp, TokenPurpose};
use identsphere_organizations::Role;
use identsphere_sessions::{PendingSignIn, SecondFactor};

use crate::events::{EventExt, Resource};
use crate::issue::Entrance;
use crate::post::NEWS_LIFETIME;
use crate::{Error, IdentSphere, MailContent, OutboxEntry, SignedIn, Take, Tx, Visitor};

/// How a sign-in goes on after its first factor.
#[derive(Debug, Clone)]
pub enum SignIn {
    /// A session has begun.
    Done(Box<SignedIn>),
    /// A second factor is due. There is no session before it was shown (MF-06).
    SecondFactorDue(SecondFactorDue),
}

/// The question for a second factor.
#[derive(Debug, Clone)]
pub struct SecondFactorDue {
    /// Names the sign-in that waits; good for nothing else.
    pub token: OpaqueToken,
    /// How long it waits.
    pub expires_in: Duration,
    /// What may be shown.
    pub methods: &'static [SecondFactor],
}

/// What may be shown as a second factor after another one.
const METHODS: &[SecondFactor] = &[SecondFactor::Totp, SecondFactor::RecoveryCode];

/// A trusted browser's next token, for its cookie.
#[derive(Debug, Clone)]
pub struct TrustToken {
    /// The token.
    pub token: OpaqueToken,
    /// Until when the browser is trusted.
    pub expires_at: Timestamp,
}

/// A session that is about to begin, and what is written when it does.
pub(crate) struct ReadySession {
    pub(crate) signed_in: SignedIn,
    event: AuditEvent,
    notice: OutboxEntry,
}

impl ReadySession {
    /// The same, with a fact more in the audit log.
    pub(crate) fn noting(mut self, key: &'static str, value: impl Into<serde_json::Value>) -> Self {
        self.event = self.event.with(key, value);
        self
    }
}

/// A sign-in that is about to wait for its second factor.
pub(crate) struct ReadyQuestion {
    pub(crate) due: SecondFactorDue,
    pending: PendingSignIn,
    event: AuditEvent,
}

impl IdentSphere {
    /// Prepares a session: to be made before the transaction begins, for signing takes its time.
    pub(crate) fn ready_session(
        &self,
        user: User,
        role: Role,
        entrance: Entrance,
        action: AuditAction,
        visitor: &Visitor<'_>,
    ) -> Result<ReadySession, Error> {
        let (principal, refresh_token) = self.open_session(user, role, entrance, visitor.client);
        let signed_in = self.issue(principal, &refresh_token)?;
        let (user, session) = (&signed_in.principal.user, &signed_in.principal.session);
        let event = self
            .event_by(&signed_in.principal, action, &Resource::Session(session.id), visitor.client)
            .with("auth_method", session.auth_method.name())
            .with("aal", session.aal.name());
        let token = self.ports.secrets.disown.token(user.id, session.id);
        let content = MailContent::NewSignIn {
            at: session.auth_time,
            user_agent: visitor.client.user_agent.clone(),
            ip_address: visitor.client.ip_address,
            link: self.link("not-me", token.expose()),
        };
        let notice = self.mail_to(user, visitor.language, content, NEWS_LIFETIME)?;
        Ok(ReadySession { signed_in, event, notice })
    }

    /// Keeps the session, notes the sign-in, tells its owner if it comes from a browser that they never used, and gives
    /// the attempt back.
    pub(crate) async fn begin_session(
        &self,
        tx: &mut dyn Tx,
        ready: &ReadySession,
        attempts: &[Take],
        visitor: &Visitor<'_>,
    ) -> Result<(), StoreError> {
        let who = &ready.signed_in.principal;
        tx.sessions().insert(&who.session).await?;
        let at = who.session.auth_time;
        tx.outbox().greet_browser(who.user.id, &visitor.browser(), at, Some(&ready.notice)).await?;
        for attempt in attempts {
            tx.limits().give_back(attempt).await?;
        }
        tx.audit().append(&ready.event).await
    }

    /// Prepares the question for a second factor, to whoever got past this first one.
    pub(crate) fn ready_question(
        &self,
        user: &User,
        first: Entrance,
        action: AuditAction,
        visitor: &Visitor<'_>,
    ) -> ReadyQuestion {
        let (token, now) = (OpaqueToken::new(self.random()), self.now());
        let pending = PendingSignIn {
            hash: token.hash(TokenPurpose::SecondFactor),
            user: user.id,
            first_factor: first.method(),
            passkey: first.passkey(),
            browser: visitor.mark(),
            created_at: now,
            expires_at: now.plus(PendingSignIn::LIFETIME),
        };
        let event = self
            .event(action, Actor::User(user.id), &Resource::User(Some(user.id)), visitor.client)
            .within(user.home_organization)
            .with("auth_method", first.method().name());
        let due = SecondFactorDue { token, expires_in: PendingSignIn::LIFETIME, methods: METHODS };
        ReadyQuestion { due, pending, event }
    }

    /// Keeps the sign-in that waits, notes it, and gives the attempt back: the first factor was right.
    pub(crate) async fn ask_for_second_factor(
        &self,
        tx: &mut dyn Tx,
        ready: &ReadyQuestion,
        attempts: &[Take],
    ) -> Result<(), StoreError> {
        tx.pending().put_pending(&ready.pending).await?;
        for attempt in attempts {
            tx.limits().give_back(attempt).await?;
        }
        tx.audit().append(&ready.event).await
    }
}
