//! Signing keys.

use async_trait::async_trait;
use diesel::prelude::*;
use identsphere_kernel::{StoreError, Timestamp};
use identsphere_tokens::{KeyId, KeyRepo, KeyStore, PublicKey, SealedKey, SigningKey};

use crate::SqliteStore;
use crate::tables::signing_keys;
use crate::tx::SqliteTx;
use crate::values::AsText;

/// The predecessor of the first key. Not NULL, so that of two first keys one violates the uniqueness.
const NONE: &str = "";

#[derive(Queryable, Selectable)]
#[diesel(table_name = signing_keys)]
struct SigningKeyRow {
    kid: String,
    public_n: Vec<u8>,
    public_e: Vec<u8>,
    private_sealed: Vec<u8>,
    predecessor: String,
    created_at: AsText<Timestamp>,
    activates_at: AsText<Timestamp>,
}

impl From<SigningKeyRow> for SigningKey {
    fn from(row: SigningKeyRow) -> Self {
        Self {
            kid: KeyId::new(row.kid),
            public: PublicKey { n: row.public_n, e: row.public_e },
            private: SealedKey(row.private_sealed),
            predecessor: Some(row.predecessor).filter(|kid| kid != NONE).map(KeyId::new),
            created_at: row.created_at.0,
            activates_at: row.activates_at.0,
        }
    }
}

#[async_trait]
impl KeyStore for SqliteStore {
    async fn list_signing_keys(&self) -> Result<Vec<SigningKey>, StoreError> {
        self.readers
            .run(|connection| {
                let rows = signing_keys::table
                    .order((signing_keys::created_at, signing_keys::kid))
                    .select(SigningKeyRow::as_select())
                    .load(connection)?;
                Ok(rows.into_iter().map(SigningKey::from).collect())
            })
            .await
    }
}

#[async_trait]
impl KeyRepo for SqliteTx {
    async fn insert(&mut self, key: &SigningKey) -> Result<(), StoreError> {
        let key = key.clone();
        self.hold(move |connection| {
            diesel::insert_into(signing_keys::table)
                .values((
                    signing_keys::kid.eq(key.kid.as_str()),
                    signing_keys::public_n.eq(key.public.n),
                    signing_keys::public_e.eq(key.public.e),
                    signing_keys::private_sealed.eq(key.private.0),
                    signing_keys::predecessor.eq(key.predecessor.as_ref().map_or(NONE, KeyId::as_str)),
                    signing_keys::created_at.eq(AsText(key.created_at)),
                    signing_keys::activates_at.eq(AsText(key.activates_at)),
                ))
                .execute(connection)
                .map(drop)
        })
    }

    async fn delete(&mut self, kid: &KeyId) -> Result<bool, StoreError> {
        let kid = kid.clone();
        self.ask(move |connection| {
            let deleted = diesel::delete(signing_keys::table.find(kid.as_str())).execute(connection)?;
            Ok(deleted == 1)
        })
        .await
    }
}
