//! Why a command failed, and what to do about it.

use std::error::Error;
use std::path::PathBuf;

use identsphere_kernel::StoreError;
use identsphere_mail::TemplateFaults;
use identsphere_settings::Faults;
use identsphere_tokens::KeyError;

/// Any other crate's error.
pub(crate) type Cause = Box<dyn Error + Send + Sync>;

/// Why a command failed. Errors that an operator can mend have a variant and a hint.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Settings(#[from] Faults),
    #[error("the store {location} cannot be opened")]
    StoreOpen { location: String, source: Cause },
    #[error("the store {location} does not answer")]
    StoreAway { location: String, source: StoreError },
    #[error("a call to the store failed")]
    Store(#[from] StoreError),
    #[error("{} migrations are pending", .0.len())]
    PendingMigrations(Vec<String>),
    #[error("the key file {} cannot be used", path.display())]
    KeyFile { path: PathBuf, source: Cause },
    #[error("the database holds signing keys, but the key file {} that opens them is missing", .0.display())]
    KeyFileMissing(PathBuf),
    #[error("the signing keys in the store do not open under this master key")]
    ForeignKeys(#[source] KeyError),
    #[error("the clock of this machine is {behind_secs} s behind the newest signing key")]
    ClockBehind { behind_secs: u64 },
    #[error("a store in memory has no keys outside of its server")]
    MemoryHasNoKeys,
    #[error("a store in memory has no users outside of its server")]
    MemoryHasNoUsers,
    #[error("the file {} cannot be used", path.display())]
    UserFile { path: PathBuf, source: Cause },
    #[error("the name of {} does not tell its format", .0.display())]
    UnknownFormat(PathBuf),
    #[error("no active user has the address {email}")]
    NoSuchUser { email: String, source: identsphere_core::Error },
    #[error("the run ended early")]
    Users(#[source] identsphere_core::Error),
    /// Each has been reported.
    #[error("{0} lines were refused")]
    LinesRefused(u64),
    #[error("the service could not be prepared")]
    Prepare(#[source] identsphere_core::Error),
    #[error("the service refused the settings")]
    Compose(#[source] Cause),
    #[error("the templates in {} cannot be used", folder.display())]
    Templates { folder: PathBuf, source: TemplateFaults },
    #[error("the mail server {server} cannot be used")]
    MailServer { server: String, source: Cause },
    #[error("cannot listen on {address}")]
    Listen { address: String, source: std::io::Error },
    #[error("the server stopped")]
    Server(#[source] std::io::Error),
    #[error("told twice to stop: requests in flight were abandoned")]
    Abandoned,
    #[error("the system refused")]
    System(#[source] std::io::Error),
    /// The checks have printed what they found.
    #[error("{0} of the checks failed")]
    Unhealthy(usize),
}

impl Failure {
    /// The failure with all its causes, and what to do next, for a person.
    pub(crate) fn report(&self) -> String {
        let hint = self.hint().map(|hint| format!("\nhint: {hint}")).unwrap_or_default();
        format!("error: {}{hint}", self.chain())
    }

    /// The failure with all its causes.
    pub(crate) fn chain(&self) -> String {
        let causes = std::iter::successors(self.source(), |error| (*error).source());
        causes.fold(self.to_string(), |text, cause| format!("{text}: {cause}"))
    }

    /// What to do next.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::Settings(_) => "`identsphere-server config --reference` explains every setting",
            Self::StoreOpen { .. } | Self::StoreAway { .. } => {
                "check IDENTSPHERE_DATABASE_URL, and that the database is up, lets this user in and, when asked for its \
                 certificate, has one that fits"
            }
            Self::PendingMigrations(_) => "run `identsphere-server migrate up`",
            Self::KeyFile { .. } => "check its owner, its mode (0600) and its content",
            Self::KeyFileMissing(_) => {
                "bring the file back from a backup, or set IDENTSPHERE_MASTER_KEY to the key that was used; a new one \
                 would open nothing. If it is lost, `identsphere-server keys discard` ends what was issued under it"
            }
            Self::ForeignKeys(_) => {
                "set the master key that this database was used with; nothing has been changed. If that key has leaked or \
                 is lost, run `identsphere-server keys discard` first"
            }
            Self::ClockBehind { .. } => "set the clock: tokens would be issued in the past",
            Self::Templates { .. } => {
                "mend these files, or remove them: the built-in ones then stand for them"
            }
            Self::MailServer { .. } => {
                "check IDENTSPHERE_SMTP_URL, and that the server is up, lets this user in and has a certificate that this \
                 machine trusts"
            }
            Self::MemoryHasNoKeys | Self::MemoryHasNoUsers => {
                "set IDENTSPHERE_DATABASE_URL to the database of the server"
            }
            Self::UnknownFormat(_) => "give --format ndjson or --format csv",
            Self::Users(_) => {
                "what was written stays; the same command goes on from there, since users who are there are left alone"
            }
            Self::LinesRefused(_) => {
                "all other lines were done; mend these and run the command again, which leaves the others alone"
            }
            Self::Listen { .. } => {
                "is another server running there? IDENTSPHERE_LISTEN names another address"
            }
            Self::Store(_)
            | Self::Prepare(_)
            | Self::Compose(_)
            | Self::Server(_)
            | Self::System(_)
            | Self::Abandoned
            | Self::UserFile { .. }
            | Self::NoSuchUser { .. }
            | Self::Unhealthy(_) => return None,
        })
    }
}
