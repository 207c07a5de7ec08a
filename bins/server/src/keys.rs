//! `keys`: the keys that sign access tokens.

use std::sync::Arc;

use identsphere_core::{IdentSphere, Store};
use identsphere_crypto::MasterKey;
use identsphere_kernel::{Clock as _, Duration, OsRandom, SystemClock};
use identsphere_settings::{Loaded, Settings, StoreLocation};
use identsphere_tokens::KeyChain;

use crate::cli::KeysCommand;
use crate::compose;
use crate::failure::Failure;
use crate::output::say;

/// Shows or changes the keys.
pub(crate) async fn keys(loaded: Loaded, command: &KeysCommand) -> Result<(), Failure> {
    let settings = loaded.settings;
    if matches!(settings.store.location, StoreLocation::Memory) {
        return Err(Failure::MemoryHasNoKeys);
    }
    let store = compose::open_store(&settings).await?;
    compose::demand_schema(&*store).await?;
    match command {
        KeysCommand::List => list(&settings, &*store).await,
        KeysCommand::Rotate { publish_ahead_secs } => {
            let service = compose::compose(&settings, store, compose::mailer(&settings)?.0).await?.service;
            rotate(&service, &settings, *publish_ahead_secs).await
        }
        KeysCommand::Discard => discard(&settings, store).await,
    }
}

/// Needs no master key, so it works where that is not to be had.
async fn list(settings: &Settings, store: &dyn Store) -> Result<(), Failure> {
    let chain = KeyChain::new(store.list_signing_keys().await?);
    if chain.keys().is_empty() {
        say("no keys yet: the first start of the server makes one");
    }
    for (key, stage) in chain.stages(SystemClock.now(), &compose::key_policy(settings)) {
        say(&format!(
            "{:<8} {}  published {}  signs from {}",
            stage.name(),
            key.kid,
            key.created_at,
            key.activates_at
        ));
    }
    Ok(())
}

async fn rotate(service: &IdentSphere, settings: &Settings, ahead: Option<u64>) -> Result<(), Failure> {
    let policy = service.policy().keys;
    let ahead = ahead.map_or(policy.publish_ahead, Duration::from_secs);
    let cached = settings.keys.jwks_max_age;
    service.watch_clock().await.map_err(Failure::Prepare)?;
    match service.rotate_keys(ahead).await.map_err(Failure::Prepare)? {
        Some(kid) => say(&format!("published {kid}, which signs in {} s", ahead.as_secs())),
        None => say("nothing to do: a new key is waiting for its turn (see `keys list`)"),
    }
    if ahead < cached {
        say(&format!(
            "warning: others may cache the key set for {} s and refuse tokens of the new key until then",
            cached.as_secs()
        ));
    }
    Ok(())
}

/// Needs no master key, which may be lost: what is deleted is not opened, so any key does.
async fn discard(settings: &Settings, store: Arc<dyn Store>) -> Result<(), Failure> {
    let service =
        compose::join(settings, store, compose::mailer(settings)?.0, &MasterKey::generate(&OsRandom))?;
    match service.discard_keys().await.map_err(Failure::Prepare)? {
        0 => say("nothing to do: there are no keys"),
        count => say(&format!(
            "discarded {count}; a server that runs makes a new one within seconds, else the next start does. Refresh \
             tokens stay valid until the master key is changed as well"
        )),
    }
    Ok(())
}
