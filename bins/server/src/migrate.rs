//! `migrate`: the schema of the store.

use identsphere_core::Store;
use identsphere_settings::Loaded;

use crate::cli::MigrateCommand;
use crate::compose;
use crate::failure::Failure;
use crate::output::say;

/// Changes or shows the schema.
pub(crate) async fn migrate(loaded: Loaded, command: &MigrateCommand) -> Result<(), Failure> {
    let settings = loaded.settings;
    let store = compose::open_store(&settings).await?;
    match command {
        MigrateCommand::Up => report("applied", &store.migrate_up().await?),
        MigrateCommand::Down { steps } => report("reverted", &store.migrate_down(*steps).await?),
        MigrateCommand::Status => status(&*store).await?,
    }
    Ok(())
}

async fn status(store: &dyn Store) -> Result<(), Failure> {
    let state = store.schema_state().await?;
    let applied = state.applied.iter().map(|name| format!("applied  {name}"));
    let pending = state.pending.iter().map(|name| format!("pending  {name}"));
    let newer = state.newer.iter().map(|version| format!("applied  {version}, by a newer version"));
    let lines: Vec<_> = applied.chain(newer).chain(pending).collect();
    say(&if lines.is_empty() {
        format!("a {} store has no migrations", store.engine())
    } else {
        lines.join("\n")
    });
    Ok(())
}

fn report(done: &str, names: &[String]) {
    match names {
        [] => say("nothing to do"),
        names => names.iter().for_each(|name| say(&format!("{done}  {name}"))),
    }
}
