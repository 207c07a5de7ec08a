//! The audit log.

use async_trait::async_trait;
use diesel::prelude::*;
use identsphere_audit::{AuditEvent, AuditRepo};
use identsphere_kernel::StoreError;

use crate::tables::audit_logs;
use crate::tx::SqliteTx;
use crate::values::{AsBytes, AsText};

#[async_trait]
impl AuditRepo for SqliteTx {
    async fn append(&mut self, event: &AuditEvent) -> Result<(), StoreError> {
        let metadata = serde_json::to_string(&event.metadata).map_err(StoreError::corrupt)?;
        let event = event.clone();
        self.hold(move |connection| {
            diesel::insert_into(audit_logs::table)
                .values((
                    audit_logs::id.eq(AsBytes(event.id)),
                    audit_logs::organization_id.eq(event.organization.map(AsBytes)),
                    audit_logs::actor_id.eq(event.actor.user().map(AsBytes)),
                    audit_logs::actor_type.eq(event.actor.kind()),
                    audit_logs::action.eq(event.action.name()),
                    audit_logs::resource_type.eq(event.resource_type),
                    audit_logs::resource_id.eq(event.resource_id),
                    audit_logs::status.eq(event.status.name()),
                    audit_logs::user_agent.eq(event.user_agent),
                    audit_logs::ip_address.eq(event.ip_address.map(AsText)),
                    audit_logs::metadata.eq(metadata),
                    audit_logs::created_at.eq(AsText(event.created_at)),
                ))
                .execute(connection)
                .map(drop)
        })
    }
}
