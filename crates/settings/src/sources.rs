//! Where settings come from, and which of them wins.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::Path;

use identsphere_kernel::SecretString;

use crate::distance::nearest;
use crate::fault::Fault;
use crate::load::Check;
use crate::registry::{PREFIX, Secrecy, find, known_keys};
use crate::store_location::holds_password;

/// Reads a file as text.
pub type ReadFile = dyn Fn(&Path) -> io::Result<String>;

/// Everything settings are made of.
pub struct Sources<'a> {
    /// Settings from the command line: name (in the file's or the variable's spelling) and value. The last one wins.
    pub flags: Vec<(String, String)>,
    /// The whole environment.
    pub environment: BTreeMap<String, String>,
    /// Reads the settings file and files that hold a secret.
    pub read_file: &'a ReadFile,
    /// How many processor cores the process may use.
    pub cores: u32,
    /// Rules that belong to other crates.
    pub checks: &'a [Check],
}

/// Where the effective value of a setting comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The table of settings.
    Default,
    /// Other settings, or the machine.
    Derived,
    /// The settings file.
    File,
    /// The environment.
    Environment,
    /// The command line.
    Flag,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Default => "default",
            Self::Derived => "derived",
            Self::File => "file",
            Self::Environment => "environment",
            Self::Flag => "flag",
        })
    }
}

/// A value that somebody set.
pub(crate) struct Given {
    /// The name as it was written.
    pub(crate) spelled: String,
    /// The value, or the path of the file that holds it.
    pub(crate) text: SecretString,
    pub(crate) in_file: bool,
    pub(crate) source: Source,
}

/// The winning value of every setting that was set.
#[derive(Default)]
pub(crate) struct Gathered {
    pub(crate) given: BTreeMap<&'static str, Given>,
    pub(crate) faults: Vec<Fault>,
    pub(crate) warnings: Vec<String>,
}

/// A name and a value, as written somewhere.
struct Entry {
    spelled: String,
    key: String,
    text: String,
}

/// Lays the sources over one another.
pub(crate) fn gather(sources: &Sources<'_>) -> Gathered {
    let mut gathered = Gathered::default();
    let flags = sources.flags.iter().map(flag_entry).collect();
    let environment = environment_entries(&sources.environment);
    let path = [&flags, &environment].into_iter().find_map(|entries: &Vec<Entry>| {
        entries.iter().rfind(|entry| entry.key == "config" && !entry.text.is_empty())
    });
    let file = file_entries(path, sources.read_file, &mut gathered);
    gathered.lay(Source::File, file);
    gathered.lay(Source::Environment, environment);
    gathered.lay(Source::Flag, flags);
    gathered
}

impl Gathered {
    fn lay(&mut self, source: Source, entries: Vec<Entry>) {
        let mut laid: BTreeMap<&'static str, bool> = BTreeMap::new();
        for Entry { spelled, key, text } in entries {
            let text = text.trim();
            let Some((setting, in_file)) = find(&key) else {
                self.faults.push(unknown(spelled, &key, source));
                continue;
            };
            let exposed = match setting.secrecy {
                _ if in_file => false,
                Secrecy::Open => false,
                Secrecy::Location => holds_password(text),
                Secrecy::Secret => true,
            };
            if source == Source::Flag && exposed {
                let rule =
                    format!("is a secret and others can read the command line: set {}", setting.variable());
                self.faults.push(Fault { name: spelled, given: None, rule, nearest: None });
            } else if text.is_empty() {
                // Left empty is not set: compose files pass variables on whether they have a value or not.
            } else if !setting.has_effect() {
                self.warnings.push(format!("{spelled} has no effect in this version"));
            } else if laid.insert(setting.key, in_file).is_some_and(|earlier| earlier != in_file) {
                let rule = format!("set it or {}_FILE, not both", setting.variable());
                self.faults.push(Fault { name: setting.variable(), given: None, rule, nearest: None });
            } else {
                let given = Given { spelled, text: SecretString::new(text), in_file, source };
                self.given.insert(setting.key, given);
            }
        }
    }
}

fn flag_entry((name, text): &(String, String)) -> Entry {
    let lower = name.to_ascii_lowercase().replace('-', "_");
    let key = lower.strip_prefix(&PREFIX.to_ascii_lowercase()).unwrap_or(&lower).to_owned();
    Entry { spelled: format!("--set {name}"), key, text: text.clone() }
}

fn environment_entries(environment: &BTreeMap<String, String>) -> Vec<Entry> {
    let plain = environment.get("DATABASE_URL").map(|text| Entry {
        spelled: "DATABASE_URL".to_owned(),
        key: "database_url".to_owned(),
        text: text.clone(),
    });
    let own: Vec<_> = environment
        .iter()
        .filter(|(name, text)| !is_service_link(name, text))
        .filter_map(|(name, text)| {
            let key = name.strip_prefix(PREFIX)?.to_ascii_lowercase();
            Some(Entry { spelled: name.clone(), key, text: text.clone() })
        })
        .collect();
    let located = own.iter().any(|entry| entry.key.starts_with("database_url") && !entry.text.is_empty());
    plain.filter(|_| !located).into_iter().chain(own).collect()
}

/// Whether a variable is one that Kubernetes makes for a service called `identsphere`, for example
/// `IDENTSPHERE_PORT_4000_TCP=tcp://10.0.0.11:4000`.
fn is_service_link(name: &str, text: &str) -> bool {
    let Some(name) = name.strip_prefix(PREFIX) else { return false };
    let link = name.starts_with("PORT_") || name.contains("_PORT_");
    let protocol = ["_TCP", "_UDP", "_SCTP"].iter().any(|protocol| name.contains(protocol));
    name.ends_with("SERVICE_HOST")
        || name.contains("SERVICE_PORT")
        || (link && protocol)
        || (name.ends_with("PORT") && text.contains("://"))
}

const DEFAULT_FILE: &str = "identsphere.toml";

/// The entries of the settings file; none when no file is named and the usual one does not exist.
fn file_entries(named: Option<&Entry>, read_file: &ReadFile, gathered: &mut Gathered) -> Vec<Entry> {
    let file = named.map_or(DEFAULT_FILE, |entry| &entry.text);
    let table = match read_file(Path::new(file)) {
        Ok(text) => text.parse::<toml::Table>().map_err(|error| unparsable(&text, &error)),
        Err(error) if named.is_none() && error.kind() == io::ErrorKind::NotFound => return Vec::new(),
        Err(error) => Err(format!("cannot be read: {error}")),
    };
    if named.is_none() {
        let text = SecretString::new(file);
        let given = Given { spelled: file.to_owned(), text, in_file: false, source: Source::Derived };
        gathered.given.insert("config", given);
    }
    let mut entries = Vec::new();
    match table {
        Ok(table) => flatten("", table, &mut |key, text| {
            entries.push(Entry { spelled: format!("{key} in {file}"), key, text });
        }),
        Err(rule) => {
            gathered.faults.push(Fault { name: file.to_owned(), given: None, rule, nearest: None });
        }
    }
    let (own, rest): (Vec<_>, Vec<_>) = entries.into_iter().partition(|entry| entry.key == "config");
    gathered.faults.extend(own.into_iter().map(|entry| Fault {
        name: entry.spelled,
        given: None,
        rule: "names the file it stands in: set it by flag or variable".to_owned(),
        nearest: None,
    }));
    rest
}

/// The message of the parser without the line it quotes, which may hold a secret.
fn unparsable(text: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| text.get(..span.start));
    let line = before.map_or(1, |before| before.matches('\n').count() + 1);
    format!("is not TOML at line {line}: {}", error.message().replace('\n', " "))
}

/// Tables are another way to write long names: `[cookie] prefix` is `cookie_prefix`. Lists are joined by commas.
fn flatten(stem: &str, table: toml::Table, emit: &mut dyn FnMut(String, String)) {
    for (name, value) in table {
        let key = format!("{stem}{}", name.to_ascii_lowercase());
        match value {
            toml::Value::Table(inner) => flatten(&format!("{key}_"), inner, emit),
            toml::Value::Array(items) => {
                let items: Vec<_> = items.into_iter().map(scalar).collect();
                emit(key, items.join(","));
            }
            value @ (toml::Value::String(_)
            | toml::Value::Integer(_)
            | toml::Value::Float(_)
            | toml::Value::Boolean(_)
            | toml::Value::Datetime(_)) => emit(key, scalar(value)),
        }
    }
}

fn scalar(value: toml::Value) -> String {
    match value {
        toml::Value::String(text) => text,
        other @ (toml::Value::Integer(_)
        | toml::Value::Float(_)
        | toml::Value::Boolean(_)
        | toml::Value::Datetime(_)
        | toml::Value::Array(_)
        | toml::Value::Table(_)) => other.to_string(),
    }
}

fn unknown(spelled: String, key: &str, source: Source) -> Fault {
    let keys = known_keys();
    let nearest = nearest(key, keys.iter().map(String::as_str)).map(|key| match source {
        Source::Environment => format!("{PREFIX}{}", key.to_ascii_uppercase()),
        Source::Default | Source::Derived | Source::File | Source::Flag => key.to_owned(),
    });
    Fault { name: spelled, given: None, rule: "is not a setting".to_owned(), nearest }
}
