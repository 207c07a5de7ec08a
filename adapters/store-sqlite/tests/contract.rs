//! The suite that every store runs, on a file of its own for each case.

#![expect(clippy::unwrap_used, reason = "without a file there is nothing to test")]

use std::sync::Arc;

use async_trait::async_trait;
use identsphere_core::Store;
use identsphere_store_contract::{Storage, Subject};
use identsphere_store_sqlite::{SqliteOptions, SqliteStore};
use tempfile::TempDir;

/// A folder that is gone when it is dropped.
struct Folder(TempDir);

#[async_trait]
impl Storage for Folder {
    async fn open(&self) -> Arc<dyn Store> {
        let path = self.0.path().join("identsphere.db");
        Arc::new(SqliteStore::open(&path, SqliteOptions::standard()).unwrap())
    }
}

async fn make() -> Subject {
    Subject::on(folder().await).await
}

async fn folder() -> Folder {
    Folder(tempfile::tempdir().unwrap())
}

identsphere_store_contract::store_contract!(make);
identsphere_store_contract::durable_store_contract!(folder);
