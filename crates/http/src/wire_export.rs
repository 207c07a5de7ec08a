//! What travels when users ask for everything that is held about them. One section for each kind of thing.

use identsphere_audit::AuditEntry;
use identsphere_core::{Export, HeldSession, Principal};
use identsphere_kernel::{AuditEventId, OrganizationId, SessionId, Timestamp};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::names;
use crate::wire::mfa::TrustedBrowserView;
use crate::wire::passkeys::PasskeyView;
use crate::wire_profile::{OrganizationMembershipView, ProfileView};

/// Everything that is held about a user.
#[derive(Serialize, ToSchema)]
#[schema(as = Export)]
pub(crate) struct ExportView<'a> {
    profile: ProfileView<'a>,
    organizations: Vec<OrganizationMembershipView<'a>>,
    /// Ended ones too, for as long as they are kept. Newest first.
    sessions: Vec<ExportedSessionView<'a>>,
    factors: FactorsView<'a>,
    /// What the user did: the newest 1,000 rows of the audit log, newest first.
    audit_logs: Vec<ExportedEventView<'a>>,
}

/// The means to sign in; never what they are made of.
#[derive(Serialize, ToSchema)]
#[schema(as = ExportedFactors)]
pub(crate) struct FactorsView<'a> {
    passwords: u32,
    authenticators: u32,
    recovery_codes: u32,
    passkeys: Vec<PasskeyView<'a>>,
    trusted_browsers: Vec<TrustedBrowserView<'a>>,
}

impl<'a> FactorsView<'a> {
    fn of(export: &'a Export) -> Self {
        Self {
            passwords: u32::from(export.has_password),
            authenticators: u32::from(export.mfa.is_enabled),
            recovery_codes: export.mfa.recovery_codes_left,
            passkeys: export.passkeys.iter().map(PasskeyView::of).collect(),
            trusted_browsers: export.trusted_browsers.iter().map(TrustedBrowserView::of).collect(),
        }
    }
}

/// A session, live or ended.
#[derive(Serialize, ToSchema)]
#[schema(as = ExportedSession)]
pub(crate) struct ExportedSessionView<'a> {
    #[schema(value_type = String, format = "uuid")]
    id: SessionId,
    #[schema(value_type = String, format = "uuid")]
    organization_id: OrganizationId,
    #[schema(required = true)]
    ip_address: Option<String>,
    #[schema(required = true)]
    user_agent: Option<&'a str>,
    #[schema(schema_with = names::auth_methods)]
    auth_method: &'a str,
    #[schema(schema_with = names::assurance_levels)]
    aal: &'a str,
    #[schema(value_type = String, format = "date-time")]
    created_at: Timestamp,
    #[schema(value_type = String, format = "date-time")]
    last_active_at: Timestamp,
    #[schema(value_type = String, format = "date-time")]
    expires_at: Timestamp,
    /// When it was ended before its time.
    #[schema(value_type = Option<String>, format = "date-time", required = true)]
    revoked_at: Option<Timestamp>,
}

/// A row of the audit log.
#[derive(Serialize, ToSchema)]
#[schema(as = ExportedEvent)]
pub(crate) struct ExportedEventView<'a> {
    #[schema(value_type = String, format = "uuid")]
    id: AuditEventId,
    #[schema(examples("auth.login"))]
    action: &'a str,
    #[schema(examples("success"))]
    status: &'a str,
    #[schema(value_type = Option<String>, format = "uuid", required = true)]
    organization_id: Option<OrganizationId>,
    resource_type: &'a str,
    #[schema(required = true)]
    resource_id: Option<&'a str>,
    #[schema(required = true)]
    ip_address: Option<String>,
    #[schema(required = true)]
    user_agent: Option<&'a str>,
    #[schema(value_type = Object)]
    metadata: &'a Map<String, Value>,
    #[schema(value_type = String, format = "date-time")]
    created_at: Timestamp,
}

impl<'a> ExportView<'a> {
    pub(crate) fn of(export: &'a Export, who: &Principal, base: &str) -> Self {
        Self {
            profile: ProfileView::of(&export.profile, who, base),
            organizations: export.organizations.iter().map(OrganizationMembershipView::of).collect(),
            sessions: export.sessions.iter().map(ExportedSessionView::of).collect(),
            factors: FactorsView::of(export),
            audit_logs: export.events.iter().map(ExportedEventView::of).collect(),
        }
    }
}

impl<'a> ExportedSessionView<'a> {
    fn of(HeldSession { session, revoked_at }: &'a HeldSession) -> Self {
        Self {
            id: session.id,
            organization_id: session.organization,
            ip_address: session.client.ip_address.map(|address| address.to_string()),
            user_agent: session.client.user_agent.as_deref(),
            auth_method: session.auth_method.name(),
            aal: session.aal.name(),
            created_at: session.created_at,
            last_active_at: session.last_active_at,
            expires_at: session.expires_at,
            revoked_at: *revoked_at,
        }
    }
}

impl<'a> ExportedEventView<'a> {
    fn of(entry: &'a AuditEntry) -> Self {
        Self {
            id: entry.id,
            action: &entry.action,
            status: &entry.status,
            organization_id: entry.organization,
            resource_type: &entry.resource_type,
            resource_id: entry.resource_id.as_deref(),
            ip_address: entry.ip_address.map(|address| address.to_string()),
            user_agent: entry.user_agent.as_deref(),
            metadata: &entry.metadata,
            created_at: entry.created_at,
        }
    }
}
