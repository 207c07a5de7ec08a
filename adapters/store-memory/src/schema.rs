//! There is no schema: the types are it, and a new process starts empty.

use async_trait::async_trait;
use identsphere_core::{Schema, SchemaState};
use identsphere_kernel::{StoreError, Timestamp};

use crate::MemoryStore;

#[async_trait]
impl Schema for MemoryStore {
    fn engine(&self) -> &'static str {
        "memory"
    }

    async fn ping(&self) -> Result<Option<Timestamp>, StoreError> {
        Ok(None)
    }

    async fn schema_state(&self) -> Result<SchemaState, StoreError> {
        Ok(SchemaState::default())
    }

    async fn migrate_up(&self) -> Result<Vec<String>, StoreError> {
        Ok(Vec::new())
    }

    async fn migrate_down(&self, _steps: u32) -> Result<Vec<String>, StoreError> {
        Ok(Vec::new())
    }
}
