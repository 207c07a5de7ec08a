//! Settings out of this machine: the one place that reads the environment.

use std::fmt::Display;
use std::path::Path;

use identsphere_crypto::{HashScheme, MasterKey};
use identsphere_mail::SmtpUrl;
use identsphere_settings::{
    Check, Fault, Faults, Loaded, PasswordSettings, Rejection, Sources, load as load_settings,
};

use crate::output::complain;
use crate::telemetry;

/// Rules that belong to the crates that use a value.
const CHECKS: &[Check] = &[
    Check { key: "master_key", check: |text| refused(MasterKey::parse(text)) },
    Check { key: "password_hash", check: |text| refused(HashScheme::parse(text)) },
    Check { key: "smtp_url", check: |text| refused(SmtpUrl::parse(text)) },
    Check { key: "log", check: |text| refused(telemetry::filter(text)) },
];

/// Reads the settings. What has no effect is said on standard error.
pub(crate) fn load(flags: Vec<(String, String)>) -> Result<Loaded, Faults> {
    let environment = std::env::vars_os()
        .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
        .collect();
    let read_file = |path: &Path| std::fs::read_to_string(path);
    let cores =
        std::thread::available_parallelism().map_or(1, |cores| u32::try_from(cores.get()).unwrap_or(1));
    let loaded =
        load_settings(&Sources { flags, environment, read_file: &read_file, cores, checks: CHECKS })?;
    for warning in &loaded.warnings {
        complain(&format!("warning: {warning}"));
    }
    judge_hashing(&loaded.settings.passwords)?;
    Ok(loaded)
}

/// Refuses less memory for password hashing than one hash takes.
fn judge_hashing(passwords: &PasswordSettings) -> Result<(), Faults> {
    let needed_mib = HashScheme::parse(&passwords.scheme).map_or(0, |scheme| scheme.memory_mib());
    if needed_mib <= passwords.memory_mib {
        return Ok(());
    }
    Err(Faults(vec![Fault {
        name: "IDENTSPHERE_HASH_MEMORY_MIB".to_owned(),
        given: Some(passwords.memory_mib.to_string()),
        rule: format!("is less than one hash with {} takes", passwords.scheme),
        nearest: Some(needed_mib.to_string()),
    }]))
}

fn refused<T, E: Display>(read: Result<T, E>) -> Result<(), Rejection> {
    read.map(drop).map_err(Rejection::because)
}
