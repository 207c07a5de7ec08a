//! Audit events as the use cases make them.

use identsphere_audit::{Actor, AuditAction, AuditEvent, AuditStatus};
use identsphere_kernel::{AuditEventId, OrganizationId, PasskeyId, SessionId, TrustedBrowserId, UserId};
use identsphere_sessions::ClientInfo;
use serde_json::Map;

use crate::{IdentSphere, Principal};

/// What something was done to.
pub(crate) enum Resource<'a> {
    User(Option<UserId>),
    Session(SessionId),
    SigningKey(&'a str),
    Passkey(PasskeyId),
    TrustedBrowser(TrustedBrowserId),
}

impl IdentSphere {
    /// A success in no organisation, to be made more particular by the caller.
    pub(crate) fn event(
        &self,
        action: AuditAction,
        actor: Actor,
        resource: &Resource<'_>,
        client: &ClientInfo,
    ) -> AuditEvent {
        let (resource_type, resource_id) = match resource {
            Resource::User(id) => ("user", id.map(|id| id.to_string())),
            Resource::Session(id) => ("session", Some(id.to_string())),
            Resource::SigningKey(kid) => ("signing_key", Some((*kid).to_owned())),
            Resource::Passkey(id) => ("passkey", Some(id.to_string())),
            Resource::TrustedBrowser(id) => ("trusted_browser", Some(id.to_string())),
        };
        AuditEvent {
            id: AuditEventId::new(self.clock(), self.random()),
            created_at: self.now(),
            action,
            status: AuditStatus::Success,
            actor,
            organization: None,
            resource_type,
            resource_id,
            ip_address: client.ip_address,
            user_agent: client.user_agent.clone(),
            metadata: Map::new(),
        }
    }

    /// Something that a principal did in the organisation of their session.
    pub(crate) fn event_by(
        &self,
        who: &Principal,
        action: AuditAction,
        resource: &Resource<'_>,
        client: &ClientInfo,
    ) -> AuditEvent {
        self.event(action, Actor::User(who.user.id), resource, client).within(who.session.organization)
    }
}

/// Refinements of an event.
pub(crate) trait EventExt {
    fn within(self, organization: OrganizationId) -> Self;
    fn failed(self) -> Self;
}

impl EventExt for AuditEvent {
    fn within(mut self, organization: OrganizationId) -> Self {
        self.organization = Some(organization);
        self
    }

    fn failed(mut self) -> Self {
        self.status = AuditStatus::Failure;
        self
    }
}
