//! The files of an import and an export.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::cli::UserFormat;
use crate::failure::Failure;

/// The format that was asked for, or that of the file's name.
pub(super) fn format_of(asked: Option<UserFormat>, path: &Path) -> Option<UserFormat> {
    let extension = path.extension().and_then(|extension| extension.to_str()).map(str::to_ascii_lowercase);
    asked.or(match extension.as_deref() {
        Some("csv") => Some(UserFormat::Csv),
        Some("ndjson" | "jsonl" | "json") => Some(UserFormat::Ndjson),
        Some(_) | None => None,
    })
}

/// Makes a file that only its owner may read. One that is there is replaced where `options` say so.
pub(super) fn create_private(path: &Path, options: &mut OpenOptions) -> Result<File, Failure> {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options.write(true).open(path).map_err(|error| unusable(path, error))
}

pub(super) fn unusable(path: &Path, error: impl Into<crate::failure::Cause>) -> Failure {
    Failure::UserFile { path: path.to_owned(), source: error.into() }
}

/// A reader that tells how far it is.
pub(super) struct Counted<R> {
    pub(super) inner: R,
    pub(super) bytes: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.bytes.fetch_add(u64::try_from(read).unwrap_or(0), Ordering::Relaxed);
        Ok(read)
    }
}
