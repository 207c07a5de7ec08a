//! The audit log: its newest rows.

use async_trait::async_trait;
use identsphere_audit::{AuditEvent, AuditRepo};
use identsphere_kernel::StoreError;
use rpds::QueueSync;

use crate::tx::MemoryTx;

/// How many rows of the audit log are kept; older ones make room. Deployments that must keep them all use a store that
/// outlives its process.
pub const AUDIT_ROWS: usize = 10_000;

#[derive(Clone, Default)]
pub(crate) struct AuditLog(QueueSync<AuditEvent>);

impl AuditLog {
    /// Oldest first.
    pub(crate) fn rows(&self) -> impl Iterator<Item = &AuditEvent> {
        self.0.iter()
    }

    fn append(&mut self, event: &AuditEvent) {
        if self.0.len() >= AUDIT_ROWS {
            self.0.dequeue_mut();
        }
        self.0.enqueue_mut(event.clone());
    }
}

#[async_trait]
impl AuditRepo for MemoryTx {
    async fn append(&mut self, event: &AuditEvent) -> Result<(), StoreError> {
        self.state.audit.append(event);
        Ok(())
    }
}
