//! The store contract, kept by the in-memory store.

use std::sync::Arc;

use identsphere_store_contract::{Subject, store_contract};
use identsphere_store_memory::MemoryStore;

async fn make() -> Subject {
    Subject::new(Arc::new(MemoryStore::new()), ())
}

store_contract!(make);
