//! The IdentSphere server: the composition root and the command line.
//!
//! This is the one place that reads the environment and picks adapters. A command is a file named after it; what several
//! share is in [`compose`] (the service out of settings) and [`inputs`] (settings out of the machine). Exit codes: 0, 1
//! when a command fails, 2 when it was asked wrongly.

mod cli;
mod compose;
mod config;
mod doctor;
mod failure;
mod hello;
mod inputs;
mod keys;
mod mail;
mod master_key;
mod metrics;
mod migrate;
mod openapi;
mod output;
mod serve;
mod signals;
mod telemetry;
mod users;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Command};
use crate::failure::Failure;
use crate::output::say;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&Failure::System(error)),
    };
    let ended = runtime.block_on(run(cli));
    // Whatever still runs has nobody left to answer to.
    runtime.shutdown_background();
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => fail(&failure),
    }
}

async fn run(cli: Cli) -> Result<(), Failure> {
    let flags = cli.options.into_flags();
    let command = cli.command.unwrap_or(Command::Serve(cli::ServeArgs::default()));
    match command {
        Command::Serve(args) => serve::serve(inputs::load(flags)?, &args).await,
        Command::Migrate(command) => migrate::migrate(inputs::load(flags)?, &command).await,
        Command::Keys(command) => keys::keys(inputs::load(flags)?, &command).await,
        Command::Users(command) => users::users(inputs::load(flags)?, &command).await,
        Command::Doctor => doctor::doctor(inputs::load(flags)).await,
        Command::Config(args) if args.reference => {
            say(&identsphere_settings::reference());
            Ok(())
        }
        Command::Config(_) => {
            config::config(&inputs::load(flags)?);
            Ok(())
        }
        Command::Openapi => openapi::openapi(&inputs::load(flags)?),
    }
}

fn fail(failure: &Failure) -> ExitCode {
    output::complain(&failure.report());
    ExitCode::FAILURE
}
