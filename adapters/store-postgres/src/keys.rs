//! Signing keys.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use futures::FutureExt;
use identsphere_kernel::{StoreError, Timestamp};
use identsphere_tokens::{KeyId, KeyRepo, KeyStore, PublicKey, SealedKey, SigningKey};

use crate::PgStore;
use crate::tables::signing_keys;
use crate::tx::PgTx;

#[async_trait]
impl KeyStore for PgStore {
    async fn list_signing_keys(&self) -> Result<Vec<SigningKey>, StoreError> {
        let query = signing_keys::table
            .order((signing_keys::created_at, signing_keys::kid))
            .select(KeyRow::as_select());
        let rows: Vec<KeyRow> = self.pool.ask(|mut connection| query.load(&mut connection).boxed()).await?;
        Ok(rows.into_iter().map(SigningKey::from).collect())
    }
}

#[async_trait]
impl KeyRepo for PgTx {
    async fn insert(&mut self, key: &SigningKey) -> Result<(), StoreError> {
        self.hold(diesel::insert_into(signing_keys::table).values(KeyRow::from(key)));
        Ok(())
    }

    async fn delete(&mut self, kid: &KeyId) -> Result<bool, StoreError> {
        let delete = diesel::delete(signing_keys::table.filter(signing_keys::kid.eq(kid.as_str())));
        Ok(self.ask(|mut connection| delete.execute(&mut connection)).await? > 0)
    }
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = signing_keys)]
struct KeyRow {
    kid: String,
    public_n: Vec<u8>,
    public_e: Vec<u8>,
    private_sealed: Vec<u8>,
    /// Empty for the first key.
    predecessor: String,
    created_at: DateTime<Utc>,
    activates_at: DateTime<Utc>,
}

impl From<&SigningKey> for KeyRow {
    fn from(key: &SigningKey) -> Self {
        Self {
            kid: key.kid.as_str().to_owned(),
            public_n: key.public.n.clone(),
            public_e: key.public.e.clone(),
            private_sealed: key.private.0.clone(),
            predecessor: key.predecessor.as_ref().map(|kid| kid.as_str().to_owned()).unwrap_or_default(),
            created_at: key.created_at.to_chrono(),
            activates_at: key.activates_at.to_chrono(),
        }
    }
}

impl From<KeyRow> for SigningKey {
    fn from(row: KeyRow) -> Self {
        Self {
            kid: KeyId::new(row.kid),
            public: PublicKey { n: row.public_n, e: row.public_e },
            private: SealedKey(row.private_sealed),
            predecessor: Some(row.predecessor).filter(|kid| !kid.is_empty()).map(KeyId::new),
            created_at: Timestamp::from_chrono(row.created_at),
            activates_at: Timestamp::from_chrono(row.activates_at),
        }
    }
}
