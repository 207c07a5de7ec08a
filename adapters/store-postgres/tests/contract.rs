//! The contract that every store keeps, each case on a schema of its own.

#![expect(clippy::unwrap_used, reason = "what fails here has failed the test")]

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use identsphere_core::Store;
use identsphere_kernel::SecretString;
use identsphere_store_contract::{Storage, Subject, durable_store_contract, store_contract};
use identsphere_store_postgres::{PgConfig, PgStore, SchemaName};
use identsphere_testkit::{PostgresServer, fresh_schema_name};

/// A schema on the server that the tests share; both vanish with the test process.
struct FreshSchema(PgConfig);

#[async_trait]
impl Storage for FreshSchema {
    async fn open(&self) -> Arc<dyn Store> {
        Arc::new(PgStore::open(&self.0).unwrap())
    }
}

async fn make_storage() -> FreshSchema {
    let mut config = PgConfig::new(SecretString::new(PostgresServer::shared().url()));
    config.schema = SchemaName::parse(&fresh_schema_name()).unwrap();
    // The races of the contract queue for connections, on machines that are busy with other tests.
    config.acquire_timeout = Duration::from_secs(30);
    FreshSchema(config)
}

async fn make_subject() -> Subject {
    Subject::on(make_storage().await).await
}

store_contract!(make_subject);
durable_store_contract!(make_storage);
