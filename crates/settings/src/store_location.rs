//! Where data lives, as a URL.

use std::fmt;
use std::path::PathBuf;

use identsphere_kernel::SecretString;
use url::Url;

/// Which store, and where.
#[derive(Clone)]
pub enum StoreLocation {
    /// A PostgreSQL server. The URL may hold a password.
    Postgres(SecretString),
    /// A SQLite database in this file.
    Sqlite(PathBuf),
    /// In this process, gone when it ends.
    Memory,
}

impl StoreLocation {
    /// Reads `postgres://...`, `sqlite://PATH` (two slashes and a relative path, or three and an absolute one) or
    /// `memory:`.
    ///
    /// # Errors
    /// The nearest location that would be taken.
    pub fn parse(text: &str) -> Result<Self, Option<String>> {
        let Some((scheme, rest)) = text.split_once(':') else {
            let file = [".db", ".sqlite", ".sqlite3"].iter().any(|ending| text.ends_with(ending));
            return Err(file.then(|| format!("sqlite://{text}")));
        };
        match scheme {
            "postgres" | "postgresql" => Self::parse_postgres(text),
            "sqlite" => Self::parse_sqlite(rest),
            "memory" if rest.is_empty() || rest == "//" => Ok(Self::Memory),
            "memory" => Err(Some("memory:".to_owned())),
            _ => Err(None),
        }
    }

    /// The location without its password.
    pub fn masked(text: &str) -> String {
        let Ok(mut url) = Url::parse(text) else { return "***".to_owned() };
        if url.password().is_some() && url.set_password(Some("***")).is_err() {
            return "***".to_owned();
        }
        if url.query_pairs().any(|(name, _)| is_secret_parameter(&name)) {
            let pairs: Vec<_> = url.query_pairs().into_owned().collect();
            url.query_pairs_mut().clear().extend_pairs(pairs.into_iter().map(|(name, value)| {
                let value = if is_secret_parameter(&name) { "***".to_owned() } else { value };
                (name, value)
            }));
        }
        // The parser adds what the operator did not write to a path-only URL; a location without password is as typed.
        if holds_password(text) { url.to_string() } else { text.to_owned() }
    }

    fn parse_postgres(text: &str) -> Result<Self, Option<String>> {
        let named = Url::parse(text).is_ok_and(|url| !url.path().trim_matches('/').is_empty());
        if named { Ok(Self::Postgres(SecretString::new(text))) } else { Err(None) }
    }

    fn parse_sqlite(rest: &str) -> Result<Self, Option<String>> {
        let path = rest.strip_prefix("//").unwrap_or(rest);
        if path == ":memory:" {
            return Err(Some("memory:".to_owned()));
        }
        if let Some((path, _)) = path.split_once(['?', '#']) {
            return Err(Some(format!("sqlite://{path}")));
        }
        if path.is_empty() || path.ends_with('/') {
            return Err(Some(format!("sqlite://{path}identsphere.db")));
        }
        Ok(Self::Sqlite(PathBuf::from(path)))
    }
}

/// Never shows the password.
impl fmt::Display for StoreLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Postgres(url) => f.write_str(&Self::masked(url.expose())),
            Self::Sqlite(path) => write!(f, "sqlite://{}", path.display()),
            Self::Memory => f.write_str("memory:"),
        }
    }
}

/// Never shows the password.
impl fmt::Debug for StoreLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoreLocation({self})")
    }
}

/// Whether the URL carries a password. What cannot be read may.
pub(crate) fn holds_password(text: &str) -> bool {
    Url::parse(text).map_or(true, |url| {
        url.password().is_some() || url.query_pairs().any(|(name, _)| is_secret_parameter(&name))
    })
}

fn is_secret_parameter(name: &str) -> bool {
    name.eq_ignore_ascii_case("password") || name.eq_ignore_ascii_case("sslpassword")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_store_is_told_by_its_scheme() {
        for (text, shown) in [
            ("sqlite://identsphere.db", "sqlite://identsphere.db"),
            ("sqlite:///var/lib/identsphere.db", "sqlite:///var/lib/identsphere.db"),
            ("sqlite:data/a.db", "sqlite://data/a.db"),
            ("memory:", "memory:"),
            ("postgres://u:hunter2@db:5432/auth", "postgres://u:***@db:5432/auth"),
            ("postgresql://u@db/auth?password=hunter2&a=b", "postgresql://u@db/auth?password=***&a=b"),
        ] {
            assert_eq!(StoreLocation::parse(text).unwrap().to_string(), shown);
        }
    }

    #[test]
    fn a_location_that_is_not_taken_names_a_near_one() {
        for (text, nearest) in [
            ("sqlite::memory:", Some("memory:")),
            ("sqlite://a.db?mode=rwc", Some("sqlite://a.db")),
            ("data/auth.db", Some("sqlite://data/auth.db")),
            ("postgres://db", None),
            ("mysql://db/auth", None),
        ] {
            assert_eq!(StoreLocation::parse(text).err(), Some(nearest.map(str::to_owned)), "{text}");
        }
    }

    #[test]
    fn debug_output_never_shows_the_password() {
        let location = StoreLocation::parse("postgres://u:hunter2@db/auth").unwrap();
        assert!(!format!("{location:?}").contains("hunter2"));
    }
}
