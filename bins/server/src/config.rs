//! `config`: the settings that hold, as a settings file with the source of each beside it.

use identsphere_settings::{EffectiveValue, Loaded};

use crate::output::say;

/// Prints the effective settings.
pub(crate) fn config(loaded: &Loaded) {
    let width = loaded.effective.iter().map(|row| assignment(row).chars().count()).max().unwrap_or(0);
    let lines: Vec<_> =
        loaded.effective.iter().map(|row| format!("{:width$}  # {}", assignment(row), row.source)).collect();
    say(&lines.join("\n"));
}

fn assignment(row: &EffectiveValue) -> String {
    match &row.value {
        Some(value) => format!("{} = {value:?}", row.key),
        None => format!("# {} is not set", row.key),
    }
}
