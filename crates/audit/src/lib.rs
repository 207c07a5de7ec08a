//! The audit log: what happened, who did it, from where.
//!
//! An event is one row, written in the transaction of the change it records and never changed afterwards. This crate
//! must never hold a secret: metadata takes typed values only through [`AuditEvent::with`].
//!
//! To record something new: one line in the registry of [`AuditAction`].

use async_trait::async_trait;
use identsphere_kernel::{AuditEventId, OrganizationId, StoreError, Timestamp, UserId};
use serde_json::{Map, Value};
use std::net::IpAddr;

macro_rules! actions {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)+) => {
        /// What happened.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum AuditAction { $($(#[$doc])* $name,)+ }

        impl AuditAction {
            /// Every action.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// The stable name.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }

            /// The action with this stable name.
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($text => Some(Self::$name),)+ _ => None }
            }
        }
    };
}

actions! {
    /// An account was made.
    Register = "auth.register";
    /// Somebody signed in.
    Login = "auth.login";
    /// A sign-in was refused.
    LoginFailed = "auth.login.failed";
    /// A password was right, and a second factor is due.
    LoginMfaRequired = "auth.login.mfa_required";
    /// Somebody signed out.
    Logout = "auth.logout";
    /// A session was ended from the list of sessions.
    SessionRevoked = "auth.session.revoked";
    /// A replaced refresh token was presented; its family was revoked.
    SessionReuseDetected = "auth.session.reuse_detected";
    /// A user changed what they say about themselves.
    ProfileUpdated = "users.profile_updated";
    /// A user changed their password.
    PasswordChanged = "users.password_changed";
    /// A user deleted their account.
    UserDeleted = "users.deleted";
    /// Somebody signed in with a code from their mailbox.
    EmailOtpLogin = "auth.email_otp.login";
    /// A code from a mailbox was right, and a second factor is due.
    EmailOtpMfaRequired = "auth.email_otp.mfa_required";
    /// A user set up an authenticator, and confirmed it.
    MfaEnabled = "auth.mfa.enabled";
    /// A user removed their authenticator.
    MfaDisabled = "auth.mfa.disabled";
    /// A second factor was shown in a session.
    MfaStepUp = "auth.mfa.step_up";
    /// Somebody signed in with a second factor after the first.
    MfaChallengeSucceeded = "auth.mfa.challenge.succeeded";
    /// A second factor was wrong.
    MfaChallengeFailed = "auth.mfa.challenge.failed";
    /// A sign-in met too many wrong second factors.
    MfaChallengeLocked = "auth.mfa.challenge.locked";
    /// A user got other recovery codes.
    MfaRecoveryCodesRegenerated = "auth.mfa.recovery_codes_regenerated";
    /// A user made a passkey.
    PasskeyAdded = "auth.passkey.added";
    /// A user called a passkey something else.
    PasskeyRenamed = "auth.passkey.renamed";
    /// A user removed a passkey.
    PasskeyRemoved = "auth.passkey.removed";
    /// Somebody signed in with a passkey.
    PasskeyLogin = "auth.passkey.login";
    /// A passkey was right, and a second factor is due, because it did not verify its user.
    PasskeyMfaRequired = "auth.passkey.mfa_required";
    /// A user trusts a browser from now on.
    TrustedBrowserAdded = "auth.trusted_browser.added";
    /// A user trusts a browser no more.
    TrustedBrowserRevoked = "auth.trusted_browser.revoked";
    /// A link to choose another password was sent.
    PasswordResetRequested = "auth.password_reset.requested";
    /// A password was chosen anew with such a link.
    PasswordResetConsumed = "auth.password_reset.consumed";
    /// A mailbox was proven.
    EmailVerified = "users.email_verified";
    /// An account has another address.
    EmailChanged = "users.email_changed";
    /// A new signing key was published.
    KeysRotated = "keys.rotated";
    /// The operator brought users along from another system.
    UsersImported = "admin.users_imported";
}

/// Who did it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    /// A user.
    User(UserId),
    /// Somebody who could not be identified.
    Anonymous,
    /// IdentSphere itself or its operator at the command line.
    System,
}

impl Actor {
    /// The stable name of the kind (`actor_type`). Somebody unidentified is a user without an id.
    pub const fn kind(self) -> &'static str {
        match self {
            Self::User(_) | Self::Anonymous => "user",
            Self::System => "system",
        }
    }

    /// The user, if there is one (`actor_id`).
    pub const fn user(self) -> Option<UserId> {
        match self {
            Self::User(id) => Some(id),
            Self::Anonymous | Self::System => None,
        }
    }
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuditStatus {
    /// It was done.
    Success,
    /// It was refused.
    Failure,
}

impl AuditStatus {
    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
        }
    }
}

/// One row of the audit log.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditEvent {
    /// The row's id.
    pub id: AuditEventId,
    /// When.
    pub created_at: Timestamp,
    /// What.
    pub action: AuditAction,
    /// How it ended.
    pub status: AuditStatus,
    /// Who.
    pub actor: Actor,
    /// In which organisation, if in one.
    pub organization: Option<OrganizationId>,
    /// What kind of thing it was done to: `user`, `session`, `signing_key`, `passkey`, `trusted_browser`.
    pub resource_type: &'static str,
    /// Which one, if known.
    pub resource_id: Option<String>,
    /// From which address.
    pub ip_address: Option<IpAddr>,
    /// With which user agent.
    pub user_agent: Option<String>,
    /// Further facts; never secrets.
    pub metadata: Map<String, Value>,
}

impl AuditEvent {
    /// Adds a fact.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl Into<Value>) -> Self {
        self.metadata.insert(key.to_owned(), value.into());
        self
    }
}

/// A row of the audit log as it is read: in words, so that rows of newer programs can be shown too.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditEntry {
    /// The row's id.
    pub id: AuditEventId,
    /// When.
    pub created_at: Timestamp,
    /// What: the name of an [`AuditAction`].
    pub action: String,
    /// How it ended: the name of an [`AuditStatus`].
    pub status: String,
    /// In which organisation, if in one.
    pub organization: Option<OrganizationId>,
    /// What kind of thing it was done to.
    pub resource_type: String,
    /// Which one, if known.
    pub resource_id: Option<String>,
    /// From which address.
    pub ip_address: Option<IpAddr>,
    /// With which user agent.
    pub user_agent: Option<String>,
    /// Further facts.
    pub metadata: Map<String, Value>,
}

impl From<&AuditEvent> for AuditEntry {
    fn from(event: &AuditEvent) -> Self {
        Self {
            id: event.id,
            created_at: event.created_at,
            action: event.action.name().to_owned(),
            status: event.status.name().to_owned(),
            organization: event.organization,
            resource_type: event.resource_type.to_owned(),
            resource_id: event.resource_id.clone(),
            ip_address: event.ip_address,
            user_agent: event.user_agent.clone(),
            metadata: event.metadata.clone(),
        }
    }
}

/// Where events are kept, inside a transaction. There is no way to change or delete one.
#[async_trait]
pub trait AuditRepo: Send {
    /// Adds a row. May be held back until commit.
    async fn append(&mut self, event: &AuditEvent) -> Result<(), StoreError>;
}
