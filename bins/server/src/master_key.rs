//! Where the master key comes from.

use std::fs::{self, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use identsphere_core::Store;
use identsphere_crypto::MasterKey;
use identsphere_kernel::SecureRandom;
use identsphere_settings::{Settings, StoreLocation};

use crate::failure::Failure;

/// Where the master key is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum KeyPlace {
    /// In the settings.
    Settings,
    /// In a file beside the database.
    File(PathBuf),
    /// Nowhere: it ends with the process, as its store does.
    Process,
}

impl std::fmt::Display for KeyPlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Settings => f.write_str("IDENTSPHERE_MASTER_KEY"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Process => f.write_str("none, gone when the server ends"),
        }
    }
}

/// Where the master key of these settings is kept.
pub(crate) fn place(settings: &Settings) -> KeyPlace {
    match (&settings.master_key, &settings.store.location) {
        (Some(_), _) => KeyPlace::Settings,
        (None, StoreLocation::Sqlite(database)) => {
            let mut name = database.clone().into_os_string();
            name.push(".key");
            KeyPlace::File(name.into())
        }
        // PostgreSQL without a master key is refused with the settings.
        (None, StoreLocation::Memory | StoreLocation::Postgres(_)) => KeyPlace::Process,
    }
}

/// The master key that is there; `None` when there is none yet.
pub(crate) fn find(settings: &Settings, place: &KeyPlace) -> Result<Option<MasterKey>, Failure> {
    match (place, &settings.master_key) {
        (KeyPlace::File(path), _) => match read_private(path) {
            Ok(text) => read(path, &text).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Failure::KeyFile { path: path.clone(), source: error.into() }),
        },
        (KeyPlace::Settings, Some(text)) => {
            MasterKey::parse(text.expose()).map(Some).map_err(|error| Failure::Compose(error.into()))
        }
        (KeyPlace::Settings, None) | (KeyPlace::Process, _) => Ok(None),
    }
}

/// The master key, drawn now if there is none and nothing is sealed under a lost one.
pub(crate) async fn find_or_draw(
    settings: &Settings,
    store: &dyn Store,
    random: &dyn SecureRandom,
) -> Result<(MasterKey, KeyPlace), Failure> {
    let place = place(settings);
    if let Some(key) = find(settings, &place)? {
        return Ok((key, place));
    }
    let KeyPlace::File(path) = &place else { return Ok((MasterKey::generate(random), place)) };
    if !store.list_signing_keys().await?.is_empty() {
        return Err(Failure::KeyFileMissing(path.clone()));
    }
    let drawn = MasterKey::generate(random);
    let key = match write(path, &drawn, random) {
        Ok(()) => drawn,
        // Another process was faster: its key is the one.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            find(settings, &place)?.ok_or_else(|| Failure::KeyFileMissing(path.clone()))?
        }
        Err(error) => return Err(Failure::KeyFile { path: path.clone(), source: error.into() }),
    };
    Ok((key, place))
}

/// The text of a file that nobody but its owner may read: what others have read is no secret.
fn read_private(path: &Path) -> io::Result<String> {
    let mut file = fs::File::open(path)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = file.metadata()?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(io::Error::other(format!(
                "others on this machine may use it: its mode is {mode:04o}"
            )));
        }
    }
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    Ok(text)
}

fn read(path: &Path, text: &str) -> Result<MasterKey, Failure> {
    MasterKey::parse(text).map_err(|error| Failure::KeyFile { path: path.to_owned(), source: error.into() })
}

/// Writes a key file that only its owner may read. It appears whole and on the disk, or not at all, and never replaces
/// another: whatever is sealed under a key is lost with it.
fn write(path: &Path, key: &MasterKey, random: &dyn SecureRandom) -> io::Result<()> {
    let [a, b, c, d] = random.bytes();
    let draft = path.with_extension(format!("{a:02x}{b:02x}{c:02x}{d:02x}"));
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(&draft).and_then(|mut file| {
        writeln!(file, "{}", key.to_base64().expose())?;
        file.sync_all()?;
        fs::hard_link(&draft, path)
    });
    let removed = fs::remove_file(&draft);
    written.and(removed)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    fs::File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use identsphere_kernel::OsRandom;

    use super::*;

    #[test]
    fn a_key_file_is_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db.key");
        write(&path, &MasterKey::generate(&OsRandom), &OsRandom).unwrap();
        let first = fs::read_to_string(&path).unwrap();
        let error = write(&path, &MasterKey::generate(&OsRandom), &OsRandom).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&path).unwrap(), first);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no draft is left behind");
    }
}
