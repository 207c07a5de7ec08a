//! From sources to settings.

use std::collections::BTreeMap;
use std::path::Path;

use crate::fault::{Fault, Faults};
use crate::registry::{Preset, SETTINGS, Secrecy, Setting, Values};
use crate::resolve::resolve;
use crate::rules::{Rejection, Rule};
use crate::settings::Settings;
use crate::sources::{Gathered, Given, ReadFile, Source, Sources, gather};
use crate::store_location::StoreLocation;

/// A rule that belongs to another crate, so that its faults are reported together with all others.
pub struct Check {
    /// The setting it judges.
    pub key: &'static str,
    /// Refuses a text that already follows the rule of the table.
    pub check: fn(&str) -> Result<(), Rejection>,
}

/// Settings without a fault.
#[derive(Debug)]
pub struct Loaded {
    /// The settings.
    pub settings: Settings,
    /// Each setting as it holds, in the order of the reference, fit to be printed.
    pub effective: Vec<EffectiveValue>,
    /// What an operator should know though nothing is wrong.
    pub warnings: Vec<String>,
}

/// What holds for one setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EffectiveValue {
    /// The name, as in the settings file.
    pub key: &'static str,
    /// The value, secrets masked; `None`: nothing is set.
    pub value: Option<String>,
    /// Where it comes from.
    pub source: Source,
}

/// Makes settings of their sources.
///
/// # Errors
/// Everything that is wrong, at once.
pub fn load(sources: &Sources<'_>) -> Result<Loaded, Faults> {
    let mut reader = Reader::new(gather(sources), sources);
    let values = Values::read(&mut reader);
    let derived = resolve(values, sources.cores, &mut reader);
    match derived {
        Some((settings, derived)) if reader.faults.is_empty() => {
            Ok(Loaded { settings, effective: reader.effective(&derived), warnings: reader.warnings })
        }
        _ => Err(Faults(reader.faults)),
    }
}

/// Reads values one by one and collects what is wrong with them.
pub(crate) struct Reader<'a> {
    given: BTreeMap<&'static str, Given>,
    faults: Vec<Fault>,
    warnings: Vec<String>,
    read_file: &'a ReadFile,
    checks: &'a [Check],
}

impl<'a> Reader<'a> {
    fn new(gathered: Gathered, sources: &Sources<'a>) -> Self {
        let Gathered { given, faults, warnings } = gathered;
        Self { given, faults, warnings, read_file: sources.read_file, checks: sources.checks }
    }

    /// The value of a setting; `None` when nothing is set, or when what is set was refused, which is then a fault.
    pub(crate) fn read<R: Rule>(&mut self, key: &'static str, rule: &R) -> Option<R::Value> {
        let text = match self.given.get(key) {
            Some(given) if given.in_file => match (self.read_file)(Path::new(given.text.expose())) {
                Ok(text) => text.trim().to_owned(),
                Err(error) => {
                    self.faults.push(Fault {
                        name: given.spelled.clone(),
                        given: Some(given.text.expose().to_owned()),
                        rule: format!("cannot be read: {error}"),
                        nearest: None,
                    });
                    return None;
                }
            },
            Some(given) => given.text.expose().to_owned(),
            None => match setting(key).map(|setting| setting.default) {
                Some(Preset::Value(text)) => text.to_owned(),
                Some(Preset::Derived(_) | Preset::Absent) | None => return None,
            },
        };
        let checked = rule.read(&text).and_then(|value| {
            let mut checks = self.checks.iter().filter(|check| check.key == key);
            checks.try_for_each(|check| (check.check)(&text)).map(|()| value)
        });
        match checked {
            Ok(value) => Some(value),
            Err(rejection) => {
                let rule = rejection.reason.unwrap_or_else(|| format!("must be {}", rule.describe()));
                self.refuse(key, rule, rejection.nearest.or_else(|| example(key)));
                None
            }
        }
    }

    /// Adds the fault that a setting, as it stands, breaks a rule.
    pub(crate) fn refuse(&mut self, key: &str, rule: impl Into<String>, nearest: Option<String>) {
        let Some(setting) = setting(key) else { return };
        let given = self.given.get(key);
        let name = given.map_or_else(|| setting.variable(), |given| given.spelled.clone());
        let shown = given.and_then(|given| match setting.secrecy {
            _ if given.in_file => Some(given.text.expose().to_owned()),
            Secrecy::Secret => None,
            Secrecy::Open | Secrecy::Location => Some(masked(setting, given.text.expose())),
        });
        self.faults.push(Fault { name, given: shown, rule: rule.into(), nearest });
    }

    /// Says what an operator should know though nothing is wrong.
    pub(crate) fn warn(&mut self, warning: impl Into<String>) {
        self.warnings.push(warning.into());
    }

    /// Whether somebody set it, to whatever.
    pub(crate) fn is_given(&self, key: &str) -> bool {
        self.given.contains_key(key)
    }

    fn effective(&self, derived: &BTreeMap<&'static str, String>) -> Vec<EffectiveValue> {
        let shown = SETTINGS.iter().filter(|setting| setting.has_effect()).map(|setting| {
            let key = setting.key;
            let (value, source) = match (self.given.get(key), setting.default) {
                (Some(given), _) if given.in_file => {
                    (Some(format!("*** (from {})", given.text.expose())), given.source)
                }
                (Some(given), _) => (Some(masked(setting, given.text.expose())), given.source),
                (None, Preset::Value(text)) => (Some(text.to_owned()), Source::Default),
                (None, Preset::Derived(_)) if derived.contains_key(key) => {
                    (derived.get(key).cloned(), Source::Derived)
                }
                (None, Preset::Derived(_) | Preset::Absent) => (None, Source::Default),
            };
            EffectiveValue { key, value, source }
        });
        shown.collect()
    }
}

fn setting(key: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.key == key)
}

fn example(key: &str) -> Option<String> {
    match setting(key)?.default {
        Preset::Value(text) => Some(text.to_owned()),
        Preset::Derived(_) | Preset::Absent => None,
    }
}

fn masked(setting: &Setting, text: &str) -> String {
    match setting.secrecy {
        Secrecy::Open => text.to_owned(),
        Secrecy::Location => StoreLocation::masked(text),
        Secrecy::Secret => "***".to_owned(),
    }
}
