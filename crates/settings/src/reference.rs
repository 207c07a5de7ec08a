//! The reference of all settings, as `docs/settings.md` holds it.

use std::fmt::Write as _;

use crate::registry::{Preset, SETTINGS, Setting};

const INTRODUCTION: &str = "\
# Settings

Written by `identsphere-server config --reference`; a test compares this page with the program.

Flags win over the environment, the environment over the settings file (TOML), the file over defaults. A name in the
file is the variable's without `IDENTSPHERE_`, in lower case: `access_expiry_secs = 600`. Tables and lists are other
ways to write the same: `[cookie]` with `prefix = \"auth\"` is `cookie_prefix`, and a list stands for its items
separated by commas. On the command line `--set access_expiry_secs=600`; secrets are refused there. A variable that is
set but empty counts as not set. `identsphere-server config` prints what holds, and why.

The value of a variable marked † may instead stand in a file, named by the same variable with `_FILE` at its end
(`IDENTSPHERE_MASTER_KEY_FILE=/run/secrets/master-key`).

";

/// The whole page, in Markdown.
pub fn reference() -> String {
    let mut page = INTRODUCTION.to_owned();
    page.push_str("| variable | default | value | meaning |\n|---|---|---|---|\n");
    for setting in SETTINGS {
        if let Some(rule) = setting.rule {
            let default = match setting.default {
                Preset::Value(text) => format!("`{text}`"),
                Preset::Derived(words) => words.to_owned(),
                Preset::Absent => "none".to_owned(),
            };
            row(&mut page, &[&name(setting), &default, &rule.describe(), setting.doc]);
        }
    }
    page.push_str("\n## Not in this version\n\nThese names are known and have no effect yet; the server says so when one is set.\n\n");
    page.push_str("| variable | meaning |\n|---|---|\n");
    for setting in SETTINGS.iter().filter(|setting| !setting.has_effect()) {
        row(&mut page, &[&name(setting), setting.doc]);
    }
    page
}

fn name(setting: &Setting) -> String {
    let mark = if setting.has_file_variant() { " †" } else { "" };
    format!("`{}`{mark}", setting.variable())
}

fn row(page: &mut String, cells: &[&str]) {
    let cells: Vec<_> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
    // Writing to a `String` cannot fail.
    let _ = writeln!(page, "| {} |", cells.join(" | "));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_in_the_docs_is_the_one_written_here() {
        let kept = include_str!("../../../docs/settings.md");
        assert!(
            kept == reference(),
            "run `cargo run -p identsphere-server -- config --reference > docs/settings.md`"
        );
    }
}
