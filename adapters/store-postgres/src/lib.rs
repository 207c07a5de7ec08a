//! The PostgreSQL store: Diesel over an asynchronous connection, without libpq.
//!
//! Every port is a file of its own. A call on [`PgStore`] is one statement, prepared once a connection, so one network
//! round trip. A transaction holds its writes back and sends them together with `BEGIN` and `COMMIT` in one round
//! trip; a call that must answer before the commit costs a second one.
//!
//! A transition is one conditional statement. Where what it decides by is spread over rows of one user, it locks the row
//! of that user first; rows of one kind are locked in the order of their ids. So no two transactions wait crosswise.
//!
//! This crate must never know a use case or a wire format, and never calls a clock or a random source. What is
//! deliberately absent:
//! 1. Retries. A call that may succeed when repeated answers [`StoreError::Retry`]; whether to repeat is the use
//!    case's to say.
//!
//! To add a port: its table in `tables`, its migration in `migrations/postgres` (and the same number and name for the
//! other engines), and a file named after it.

mod audit;
mod config;
mod directory;
mod errors;
mod factors;
mod keys;
mod limits;
mod organizations;
mod outbox;
mod passkeys;
mod pool;
mod prepared;
mod principals;
mod profiles;
mod proofs;
mod schema;
mod sessions;
mod sign_ins;
mod tables;
mod tls;
mod trust;
mod tx;
mod users;

use async_trait::async_trait;
use identsphere_core::{Store, Tx};
use identsphere_kernel::StoreError;

pub use config::{OpenError, PgConfig, SchemaName, SchemaNameError};
pub use tls::Protection;

use crate::pool::Pool;
use crate::tx::PgTx;

/// A PostgreSQL database. Cheap to clone; clones share the connections.
#[derive(Clone)]
pub struct PgStore {
    pool: Pool,
}

impl PgStore {
    /// Prepares a store. Connections are made when they are first needed, so a database that is down now is noticed
    /// by the first call ([`StoreError::Unavailable`]), and forgotten once it is back.
    ///
    /// Connections live on the Tokio runtime that this is called on, whichever runtime uses them later: it must
    /// outlive the store. Those of web workers live with them ([`PgConfig::workers`]).
    ///
    /// # Errors
    /// [`OpenError`] when the URL does not read, the authorities that it names do not, or there is no runtime.
    pub fn open(config: &PgConfig) -> Result<Self, OpenError> {
        Ok(Self { pool: Pool::new(config)? })
    }
}

#[async_trait]
impl Store for PgStore {
    async fn begin(&self) -> Result<Box<dyn Tx>, StoreError> {
        Ok(Box::new(PgTx::new(self.pool.clone())))
    }
}
