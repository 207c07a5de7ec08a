//! What every way to sign in ends with: a session, or the question for a second factor.

use identsphere_accounts::{PasswordHash, Standing, User, UserStatus};
use identsphere_audit::{Actor, AuditAction, AuditEvent};
use identsphere_kernel::{Duration, OpaqueToken, StoreError, Timestamp, TokenPurpose, UserId};
use identsphere_organizations::Role;
use identsphere_sessions::{PendingSignIn, SecondFactor};

use crate::events::{EventExt, Resource};
use crate::issue::Entrance;
use crate::post::NEWS_LIFETIME;
use crate::{Error, IdentSphere, MailContent, OutboxEntry, SignInRecord, SignedIn, Take, Tx, Visitor};

/// How often a sign-in looks at its user. A second time when what it rested on has changed before it was kept: then it
/// ends as one that came a moment later. Whoever changes again meanwhile is refused.
pub(crate) const LOOKS: usize = 2;

/// How a sign-in goes on after its first factor.
#[derive(Debug, Clone)]
pub enum SignIn {
    /// A session has begun.
    Done(Box<SignedIn>),
    /// A second factor is due. There is no session before it was shown (MF-06).
    SecondFactorDue(SecondFactorDue),
}

impl SignIn {
    pub(crate) fn done(signed_in: SignedIn) -> Self {
        Self::Done(Box::new(signed_in))
    }
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

/// Somebody who may sign in, as they were read.
#[derive(Clone)]
pub(crate) struct Admitted {
    pub(crate) user: User,
    pub(crate) role: Role,
    standing: Standing,
}

impl Admitted {
    /// Whoever is active and a member at home (AU-09).
    pub(crate) fn of(record: SignInRecord) -> Option<Self> {
        let SignInRecord { user, role, .. } = record;
        let role = role.filter(|_| user.status == UserStatus::Active)?;
        Some(Self { standing: Standing::of(&user), user, role })
    }

    /// The same, who has shown the password that has this hash.
    pub(crate) fn knowing(self, hash: PasswordHash) -> Self {
        Self { standing: self.standing.with_password(hash), ..self }
    }

    /// The same as this very sign-in leaves them, who has shown no password.
    pub(crate) fn becoming(self, change: impl FnOnce(User) -> User) -> Self {
        let user = change(self.user);
        Self { standing: Standing::of(&user), user, ..self }
    }
}

/// A session that is about to begin, and what is written when it does.
pub(crate) struct ReadySession {
    pub(crate) signed_in: SignedIn,
    standing: Standing,
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
    standing: Standing,
    event: AuditEvent,
}

impl IdentSphere {
    /// Looks again at somebody who has changed since they were read: as they are now, if they may still sign in.
    pub(crate) async fn look_again(&self, user: UserId) -> Result<Admitted, Error> {
        let record = self.store().find_sign_in_of(user).await?;
        record.and_then(Admitted::of).ok_or(Error::AuthenticationRequired)
    }

    /// Prepares a session: to be made before the transaction begins, for signing takes its time.
    pub(crate) fn ready_session(
        &self,
        admitted: Admitted,
        entrance: Entrance,
        action: AuditAction,
        visitor: &Visitor<'_>,
    ) -> Result<ReadySession, Error> {
        let Admitted { user, role, standing } = admitted;
        let (principal, refresh_token) = self.open_session(user, role, entrance, visitor.client);
        let signed_in = self.issue(principal, &refresh_token)?;
        let (user, session) = (&signed_in.principal.user, &signed_in.principal.session);
        let event = self
            .event_by(&signed_in.principal, action, &Resource::Session(session.id), visitor.client)
            .with("auth_method", session.auth_method.name())
            .with("aal", session.aal.name());
        let token = self.secrets.disown.token(user.id, session.id);
        let content = MailContent::NewSignIn {
            at: session.auth_time,
            user_agent: visitor.client.user_agent.clone(),
            ip_address: visitor.client.ip_address,
            link: self.link("not-me", token.expose()),
        };
        let notice = self.mail_to(user, visitor.language, content, NEWS_LIFETIME)?;
        Ok(ReadySession { signed_in, standing, event, notice })
    }

    /// Keeps the session, notes the sign-in, tells its owner if it comes from a browser that they never used, gives the
    /// attempt back, and commits. `None`, and nothing is kept, if what it rests on has changed meanwhile.
    pub(crate) async fn begin_session(
        &self,
        tx: Box<dyn Tx>,
        ready: ReadySession,
        attempts: &[Take],
        visitor: &Visitor<'_>,
    ) -> Result<Option<SignedIn>, StoreError> {
        unless_overtaken(self.keep_session(tx, &ready, attempts, visitor).await.map(|()| ready.signed_in))
    }

    async fn keep_session(
        &self,
        mut tx: Box<dyn Tx>,
        ready: &ReadySession,
        attempts: &[Take],
        visitor: &Visitor<'_>,
    ) -> Result<(), StoreError> {
        let who = &ready.signed_in.principal;
        tx.sign_ins().begin_session(&who.session, &ready.standing).await?;
        let at = who.session.auth_time;
        tx.outbox().greet_browser(who.user.id, &visitor.browser(), at, Some(&ready.notice)).await?;
        for attempt in attempts {
            tx.limits().give_back(attempt).await?;
        }
        tx.audit().append(&ready.event).await?;
        tx.commit().await
    }

    /// Prepares the question for a second factor, to whoever got past this first one.
    pub(crate) fn ready_question(
        &self,
        admitted: &Admitted,
        first: Entrance,
        action: AuditAction,
        visitor: &Visitor<'_>,
    ) -> ReadyQuestion {
        let Admitted { user, standing, .. } = admitted;
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
        ReadyQuestion { due, pending, standing: standing.clone(), event }
    }

    /// Keeps the sign-in that waits, notes it, gives the attempt back, for the first factor was right, and commits. `None`,
    /// and nothing is kept, if what it rests on has changed meanwhile.
    pub(crate) async fn ask_for_second_factor(
        &self,
        tx: Box<dyn Tx>,
        ready: ReadyQuestion,
        attempts: &[Take],
    ) -> Result<Option<SignIn>, StoreError> {
        let asked = self.keep_question(tx, &ready, attempts).await;
        unless_overtaken(asked.map(|()| SignIn::SecondFactorDue(ready.due)))
    }

    async fn keep_question(
        &self,
        mut tx: Box<dyn Tx>,
        ready: &ReadyQuestion,
        attempts: &[Take],
    ) -> Result<(), StoreError> {
        tx.sign_ins().put_pending(&ready.pending, &ready.standing).await?;
        for attempt in attempts {
            tx.limits().give_back(attempt).await?;
        }
        tx.audit().append(&ready.event).await?;
        tx.commit().await
    }
}

fn unless_overtaken<T>(outcome: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
    match outcome {
        Ok(kept) => Ok(Some(kept)),
        Err(StoreError::Overtaken) => Ok(None),
        Err(error) => Err(error),
    }
}
