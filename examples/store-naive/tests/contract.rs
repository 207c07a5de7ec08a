//! The store contract, kept by the naive store.

use std::sync::Arc;

use identsphere_example_store::NaiveStore;
use identsphere_store_contract::{Subject, store_contract};

async fn make() -> Subject {
    Subject::new(Arc::new(NaiveStore::default()), ())
}

store_contract!(make);
