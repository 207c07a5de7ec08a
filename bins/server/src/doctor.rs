//! `doctor`: looks at everything and changes nothing. Every line says what to do next.

mod checks;

use std::fmt;
use std::sync::Arc;

use identsphere_core::Store;
use identsphere_settings::{Faults, Loaded, Settings, StoreLocation};

use crate::compose;
use crate::failure::Failure;
use crate::output::say;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Grade {
    Ok,
    Warn,
    Fail,
}

impl fmt::Display for Grade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
        })
    }
}

/// What a check found, and what to do about it.
#[derive(Debug)]
pub(crate) struct Finding {
    grade: Grade,
    about: &'static str,
    found: String,
    next: Option<String>,
}

impl Finding {
    pub(crate) fn ok(about: &'static str, found: impl Into<String>) -> Self {
        Self { grade: Grade::Ok, about, found: found.into(), next: None }
    }

    pub(crate) fn warn(about: &'static str, found: impl Into<String>, next: impl Into<String>) -> Self {
        Self { grade: Grade::Warn, about, found: found.into(), next: Some(next.into()) }
    }

    pub(crate) fn fail(about: &'static str, found: impl Into<String>, next: impl Into<String>) -> Self {
        Self { grade: Grade::Fail, about, found: found.into(), next: Some(next.into()) }
    }

    /// A finding out of a failure, which knows what to do about itself.
    pub(crate) fn failure(about: &'static str, failure: &Failure) -> Self {
        let next = failure.hint().map(str::to_owned);
        Self { grade: Grade::Fail, about, found: failure.chain(), next }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<4}  {:<12}  {}", self.grade, self.about, self.found)?;
        match &self.next {
            Some(next) => write!(f, "\n{:20}-> {next}", ""),
            None => Ok(()),
        }
    }
}

/// Looks at everything.
///
/// # Errors
/// [`Failure::Unhealthy`] when a check failed.
pub(crate) async fn doctor(loaded: Result<Loaded, Faults>) -> Result<(), Failure> {
    let findings = match loaded {
        Ok(loaded) => examine(&loaded).await,
        Err(faults) => vec![Finding::failure("settings", &faults.into())],
    };
    findings.iter().for_each(|finding| say(&finding.to_string()));
    match findings.iter().filter(|finding| finding.grade == Grade::Fail).count() {
        0 => Ok(()),
        failed => Err(Failure::Unhealthy(failed)),
    }
}

async fn examine(loaded: &Loaded) -> Vec<Finding> {
    let settings = &loaded.settings;
    let mut findings = vec![checks::settings(loaded)];
    findings.extend(checks::exposure(settings));
    match existing_store(settings).await {
        Ok(Some(store)) => {
            findings
                .push(Finding::ok("store", format!("{} answers and takes writes", settings.store.location)));
            findings.extend(checks::store(settings, &*store).await);
        }
        Ok(None) => findings.push(Finding::warn(
            "store",
            format!("{} does not exist yet", settings.store.location),
            "the first start of the server makes it",
        )),
        Err(failure) => findings.push(Finding::failure("store", &failure)),
    }
    findings.extend(checks::database(settings));
    findings.extend(checks::files(settings));
    findings.push(checks::hashing(settings).await);
    findings.extend(checks::mail(settings).await);
    findings
}

/// The store; `None` when opening it would make it.
async fn existing_store(settings: &Settings) -> Result<Option<Arc<dyn Store>>, Failure> {
    match &settings.store.location {
        StoreLocation::Sqlite(path) if !path.exists() => Ok(None),
        StoreLocation::Sqlite(_) | StoreLocation::Postgres(_) | StoreLocation::Memory => {
            compose::open_store(settings).await.map(Some)
        }
    }
}
