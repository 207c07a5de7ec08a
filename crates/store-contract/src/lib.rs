//! The suite that every store runs, so that one store can take the place of another.
//!
//! An adapter calls [`store_contract!`] in one of its integration tests; one whose data outlives the process calls
//! [`durable_store_contract!`] too. Each case becomes a test of its own, and an adapter cannot leave one out:
//!
//! ```text
//! async fn make() -> Subject {
//!     Subject::new(Arc::new(MyStore::new()), ())
//! }
//! identsphere_store_contract::store_contract!(make);
//! ```
//!
//! The cases speak to the ports only, with times and ids of their own making. They are strict: unless a port's
//! documentation says otherwise, a store may not answer `Retry` where it could have waited its turn.
//!
//! To add a case: an `async fn` in the file of its port and its name in the list in `cases.rs`; the compiler reports
//! a case that is in no list as dead code.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a store that fails where it must not has failed the case"
)]

mod assurance;
mod audit;
mod cases;
mod ceremonies;
mod directory;
mod durability;
mod factor_races;
mod factors;
mod keys;
mod limits;
mod migrations;
mod organizations;
mod outbox;
mod passkey_races;
mod passkeys;
mod pending;
mod principals;
mod profiles;
mod proofs;
mod rotation;
mod scene;
mod schema;
mod sessions;
mod shared_factors;
mod sign_ins;
mod transactions;
mod trust;
mod users;

use std::any::Any;
use std::sync::Arc;

use async_trait::async_trait;
use identsphere_core::Store;

/// A store under test.
pub struct Subject {
    /// The store: migrated and empty.
    pub store: Arc<dyn Store>,
    /// What has to live as long as the store: a temporary folder, the guard of a schema.
    pub keep: Box<dyn Any + Send + Sync>,
}

impl Subject {
    /// A store, and what has to live as long as it does.
    pub fn new(store: Arc<dyn Store>, keep: impl Any + Send + Sync) -> Self {
        Self { store, keep: Box::new(keep) }
    }

    /// A first handle to an empty storage, migrated.
    pub async fn on(storage: impl Storage) -> Self {
        let store = storage.open().await;
        store.migrate_up().await.unwrap();
        Self::new(store, storage)
    }
}

/// A place where data outlives the handles to it: a database file, a schema on a server. It is empty, not even migrated,
/// when it is made, and gone when it is dropped.
#[async_trait]
pub trait Storage: Send + Sync + 'static {
    /// Opens a handle of its own, as another process would. Does not migrate.
    async fn open(&self) -> Arc<dyn Store>;
}

/// Expands to one test for each case of the contract. `$make` names an `async fn() -> Subject`.
#[macro_export]
macro_rules! store_contract {
    ($make:ident) => {
        $crate::__store_cases! { __tests [run $make] }
    };
}

/// Expands to one test for each case about data that outlives its process. `$make` names an
/// `async fn() -> impl Storage`.
#[macro_export]
macro_rules! durable_store_contract {
    ($make:ident) => {
        $crate::__durable_store_cases! { __tests [run_durable $make] }
    };
}

/// One test for each case.
#[doc(hidden)]
#[macro_export]
macro_rules! __tests {
    ([$run:ident $make:ident] $($family:ident { $($case:ident)+ })+) => {$(
        mod $family {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
                async fn $case() {
                    $crate::$run::$family::$case(super::$make().await).await;
                }
            )+
        }
    )+};
}

/// One public door to each case. A case without a door is dead code, which the compiler reports.
macro_rules! doors {
    ([$what:ty] $($family:ident { $($case:ident)+ })+) => {$(
        pub mod $family {
            $(
                pub async fn $case(subject: $what) {
                    crate::scene::in_time(async move { crate::$family::$case(&subject.into()).await }).await;
                }
            )+
        }
    )+};
}
use doors as __doors;

#[doc(hidden)]
pub mod run {
    crate::__store_cases! { __doors [crate::Subject] }
}

#[doc(hidden)]
pub mod run_durable {
    crate::__durable_store_cases! { __doors [impl crate::Storage] }
}
