//! What crosses the network, how often, and what happens when it does not arrive.

#![expect(clippy::unwrap_used, reason = "what fails here has failed the test")]

mod faults;
mod round_trips;
mod tls;
mod workers;

use identsphere_core::Schema;
use identsphere_kernel::SecretString;
use identsphere_store_postgres::{PgConfig, PgStore, SchemaName};
use identsphere_testkit::fresh_schema_name;

/// A schema of one's own at `url`, one connection at a time.
fn config(url: String) -> PgConfig {
    let mut config = PgConfig::new(SecretString::new(url));
    config.schema = SchemaName::parse(&fresh_schema_name()).unwrap();
    config.pool_size = 1;
    config
}

/// The configured store, migrated.
async fn migrated(config: &PgConfig) -> PgStore {
    let store = PgStore::open(config).unwrap();
    store.migrate_up().await.unwrap();
    store
}
