//! `users`: bringing users along from another system, taking them away, helping one who is locked out.

mod export;
mod files;
mod import;

use identsphere_core::{Error, IdentSphere};
use identsphere_crypto::MasterKey;
use identsphere_kernel::OsRandom;
use identsphere_settings::{Loaded, StoreLocation};

use crate::cli::UsersCommand;
use crate::compose;
use crate::failure::Failure;
use crate::output::say;

/// Imports or exports users, or helps one of them.
pub(crate) async fn users(loaded: Loaded, command: &UsersCommand) -> Result<(), Failure> {
    let settings = loaded.settings;
    if matches!(settings.store.location, StoreLocation::Memory) {
        return Err(Failure::MemoryHasNoUsers);
    }
    let store = compose::open_store(&settings).await?;
    compose::demand_schema(&*store).await?;
    let mailer = compose::mailer(&settings)?.0;
    // Nothing is sealed or signed, so any master key does.
    let keyless = || MasterKey::generate(&OsRandom);
    match command {
        UsersCommand::Import(args) => {
            let service = compose::join(&settings, store, mailer, &keyless())?;
            import::import(&service, args).await
        }
        UsersCommand::Export(args) => {
            let service = compose::join(&settings, store, mailer, &keyless())?;
            export::export(&service, args).await
        }
        // The mail that tells the user is sealed.
        UsersCommand::DisableMfa { email } => {
            disable_mfa(&compose::compose(&settings, store, mailer).await?.service, email).await
        }
    }
}

async fn disable_mfa(service: &IdentSphere, email: &str) -> Result<(), Failure> {
    match service.disable_mfa_of(email).await {
        Ok(true) => {
            say(&format!("{email} has no second factor any more; sessions that rested on it have ended"))
        }
        Ok(false) => say(&format!("nothing to do: {email} has no second factor")),
        Err(error @ (Error::NotFound | Error::InvalidInput(_))) => {
            return Err(Failure::NoSuchUser { email: email.to_owned(), source: error });
        }
        Err(error) => return Err(Failure::Prepare(error)),
    }
    Ok(())
}
