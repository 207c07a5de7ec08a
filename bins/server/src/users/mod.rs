//! `users`: bringing users along from another system, and taking them away.

mod export;
mod files;
mod import;

use std::sync::Arc;

use identsphere_core::IdentSphere;
use identsphere_crypto::MasterKey;
use identsphere_kernel::OsRandom;
use identsphere_settings::{Loaded, StoreLocation};

use crate::cli::UsersCommand;
use crate::compose;
use crate::failure::Failure;

/// Imports or exports users.
pub(crate) async fn users(loaded: Loaded, command: &UsersCommand) -> Result<(), Failure> {
    let settings = loaded.settings;
    if matches!(settings.store.location, StoreLocation::Memory) {
        return Err(Failure::MemoryHasNoUsers);
    }
    let store = compose::open_store(&settings).await?;
    compose::demand_schema(&*store).await?;
    // Nothing is sealed or signed, so any master key does.
    let service: Arc<IdentSphere> =
        compose::join(&settings, store, compose::mailer(&settings)?.0, &MasterKey::generate(&OsRandom))?;
    match command {
        UsersCommand::Import(args) => import::import(&service, args).await,
        UsersCommand::Export(args) => export::export(&service, args).await,
    }
}
