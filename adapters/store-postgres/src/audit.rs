//! The audit log.

use async_trait::async_trait;
use diesel::prelude::*;
use identsphere_audit::{AuditEvent, AuditRepo};
use identsphere_kernel::{OrganizationId, StoreError, UserId};
use ipnet::IpNet;
use serde_json::Value;

use crate::tables::audit_logs;
use crate::tx::PgTx;

#[async_trait]
impl AuditRepo for PgTx {
    async fn append(&mut self, event: &AuditEvent) -> Result<(), StoreError> {
        self.hold(diesel::insert_into(audit_logs::table).values((
            audit_logs::id.eq(event.id.as_uuid()),
            audit_logs::organization_id.eq(event.organization.map(OrganizationId::as_uuid)),
            audit_logs::actor_id.eq(event.actor.user().map(UserId::as_uuid)),
            audit_logs::actor_type.eq(event.actor.kind()),
            audit_logs::action.eq(event.action.name()),
            audit_logs::resource_type.eq(event.resource_type),
            audit_logs::resource_id.eq(event.resource_id.clone()),
            audit_logs::status.eq(event.status.name()),
            audit_logs::user_agent.eq(event.user_agent.clone()),
            audit_logs::ip_address.eq(event.ip_address.map(IpNet::from)),
            audit_logs::metadata.eq(Value::Object(event.metadata.clone())),
            audit_logs::created_at.eq(event.created_at.to_chrono()),
        )));
        Ok(())
    }
}
