//! Signing keys. There are a handful, so they are kept in a list, oldest first.

use async_trait::async_trait;
use identsphere_kernel::StoreError;
use identsphere_tokens::{KeyId, KeyRepo, KeyStore, SigningKey};

use crate::MemoryStore;
use crate::tx::{MemoryTx, conflict};

#[derive(Clone, Default)]
pub(crate) struct Keys(Vec<SigningKey>);

impl Keys {
    fn insert(&mut self, key: &SigningKey) -> Result<(), StoreError> {
        if self.0.iter().any(|other| other.kid == key.kid) {
            return Err(conflict("signing_keys_pkey"));
        }
        if self.0.iter().any(|other| other.predecessor == key.predecessor) {
            return Err(conflict("signing_keys_predecessor_key"));
        }
        let place = self.0.partition_point(|other| other.created_at <= key.created_at);
        self.0.insert(place, key.clone());
        Ok(())
    }

    fn delete(&mut self, kid: &KeyId) -> bool {
        let before = self.0.len();
        self.0.retain(|key| key.kid != *kid);
        self.0.len() < before
    }
}

#[async_trait]
impl KeyStore for MemoryStore {
    async fn list_signing_keys(&self) -> Result<Vec<SigningKey>, StoreError> {
        Ok(self.snapshot().keys.0.clone())
    }
}

#[async_trait]
impl KeyRepo for MemoryTx {
    async fn insert(&mut self, key: &SigningKey) -> Result<(), StoreError> {
        let outcome = self.state.keys.insert(key);
        self.written(outcome)
    }

    async fn delete(&mut self, kid: &KeyId) -> Result<bool, StoreError> {
        Ok(self.state.keys.delete(kid))
    }
}
