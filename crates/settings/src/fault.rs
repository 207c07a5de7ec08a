//! What is wrong with the settings, all of it at once.

use std::fmt;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The setting, spelled as the operator spelled it.
    pub name: String,
    /// What was given; `None` for a secret and where nothing was given.
    pub given: Option<String>,
    /// The rule that is broken, as a clause that follows the name.
    pub rule: String,
    /// The nearest value (or name) that would pass.
    pub nearest: Option<String>,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if let Some(given) = &self.given {
            write!(f, " = {given:?}")?;
        }
        write!(f, ": {}", self.rule)?;
        match &self.nearest {
            Some(nearest) => write!(f, "; try `{nearest}`"),
            None => Ok(()),
        }
    }
}

/// Everything that is wrong; never empty.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Faults(pub Vec<Fault>);

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => f.write_str("1 setting is wrong")?,
            count => write!(f, "{count} settings are wrong")?,
        }
        self.0.iter().try_for_each(|fault| write!(f, "\n  {fault}"))
    }
}
