//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// The IdentSphere authentication service.
///
/// Without a command: applies pending migrations and serves. Settings come from flags, the environment
/// (IDENTSPHERE_*), identsphere.toml and defaults, in this order; `identsphere-server config --reference` explains
/// each of them. Secrets are never taken from the command line.
#[derive(Debug, Parser)]
#[command(name = "identsphere-server", version, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) options: Options,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// Settings by flag.
#[derive(Debug, Args)]
#[command(next_help_heading = "Settings")]
pub(crate) struct Options {
    /// Address and port of the service, for example 127.0.0.1:4000
    #[arg(long, global = true, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// The settings file [default: identsphere.toml, if there is one]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// What is logged: a level, or filters such as info,identsphere_core=debug
    #[arg(long, global = true, value_name = "FILTER")]
    log: Option<String>,
    /// Any other setting but secrets, for example --set access_expiry_secs=600
    #[arg(long, global = true, value_name = "NAME=VALUE", value_parser = assignment)]
    set: Vec<(String, String)>,
}

impl Options {
    /// The settings given by flag; the last one of a name wins.
    pub(crate) fn into_flags(self) -> Vec<(String, String)> {
        let Self { listen, config, log, set } = self;
        let config = config.map(|path| path.to_string_lossy().into_owned());
        let named = [("listen", listen), ("config", config), ("log", log)];
        let named = named.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        set.into_iter().chain(named).collect()
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Apply pending migrations and serve
    Serve(ServeArgs),
    /// Change or show the schema of the store
    #[command(subcommand)]
    Migrate(MigrateCommand),
    /// Show, rotate or discard the keys that sign access tokens
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Bring users along from another system, or take them away
    #[command(subcommand)]
    Users(UsersCommand),
    /// Check settings, store, keys and this machine, and say what to do about what is wrong
    Doctor,
    /// Print the settings that hold, with secrets masked
    Config(ConfigArgs),
    /// Print the description of the HTTP interface (OpenAPI 3.1)
    Openapi,
}

#[derive(Debug, Default, Args)]
pub(crate) struct ServeArgs {
    /// Greet with an example to paste, as on a terminal
    #[arg(long)]
    pub(crate) hello: bool,
    /// Leave pending migrations alone and refuse to serve on them
    #[arg(long)]
    pub(crate) no_migrate: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum MigrateCommand {
    /// Apply every pending migration
    Up,
    /// Show which migrations are applied
    Status,
    /// Revert the newest migrations; what they held is lost
    Down {
        /// How many
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        steps: u32,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Show every key and where it stands
    List,
    /// Publish a new key that takes over signing after a while
    Rotate {
        /// How long the new key is published before it signs [default: 86400]
        #[arg(long, value_name = "N")]
        publish_ahead_secs: Option<u64>,
    },
    /// Delete every key after a leak or the loss of the master key: no token that was issued stays valid
    Discard,
}

#[derive(Debug, Subcommand)]
pub(crate) enum UsersCommand {
    /// Add the users of a file; those who are there already are left as they are
    Import(ImportArgs),
    /// Write every user who is active or disabled to a new file, or to standard output
    Export(ExportArgs),
    /// Remove the second factor of a user who has lost it and every recovery code; make sure who asks
    DisableMfa {
        /// The address of the user
        email: String,
    },
}

/// How users are written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum UserFormat {
    /// One JSON object a line
    Ndjson,
    /// One record a line, with a header that names the columns
    Csv,
}

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// The file
    pub(crate) file: PathBuf,
    /// Its format [default: by its extension: ndjson, jsonl, json, csv]
    #[arg(long)]
    pub(crate) format: Option<UserFormat>,
    /// Check everything, also against the store, and write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Write what became of every line here (NDJSON), instead of what was refused to standard error
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
    /// The password hash parameters of a Firebase project, as its console shows them
    #[arg(long, value_name = "FILE")]
    pub(crate) firebase_config: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// The file, which must not be there yet [default: standard output]
    pub(crate) file: Option<PathBuf>,
    /// Its format [default: by its extension, else ndjson]
    #[arg(long)]
    pub(crate) format: Option<UserFormat>,
    /// Write the password hashes too: whoever reads them can guess the passwords at leisure
    #[arg(long)]
    pub(crate) with_password_hashes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    /// Print the reference of all settings (Markdown) instead
    #[arg(long)]
    pub(crate) reference: bool,
}

fn assignment(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("give a name and a value: NAME=VALUE")?;
    Ok((name.trim().to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn settings_may_stand_before_or_after_the_command() {
        let before = Cli::try_parse_from(["x", "--set", "workers=2", "--listen", "a", "serve"]).unwrap();
        let after = Cli::try_parse_from(["x", "serve", "--set", "workers=2", "--listen", "a"]).unwrap();
        let expected = [("workers", "2"), ("listen", "a")].map(|(a, b)| (a.to_owned(), b.to_owned()));
        assert_eq!(before.options.into_flags(), expected);
        assert_eq!(after.options.into_flags(), expected);
    }
}
