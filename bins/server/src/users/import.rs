//! `users import`.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{BufReader, BufWriter, IsTerminal as _, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use identsphere_core::import_format::{Column, CsvHeader, ImportRecord, Lines, parse_json_line};
use identsphere_core::{IdentSphere, ImportLine, ImportMode, ImportOutcome, ImportReport, ImportRun};
use identsphere_crypto::FirebaseProject;
use serde_json::json;

use super::files::{Counted, create_private, format_of, unusable};
use crate::cli::{ImportArgs, UserFormat};
use crate::failure::Failure;
use crate::output::{complain, say};

/// Names of unknown columns that are warned of; what a file has beyond that is not a list of columns.
const MOST_WARNINGS: usize = 20;

/// Brings the users of a file along.
pub(super) async fn import(service: &IdentSphere, args: &ImportArgs) -> Result<(), Failure> {
    let mut source = Source::open(args)?;
    let mut report = Report::open(args)?;
    let mode = if args.dry_run { ImportMode::DryRun } else { ImportMode::Write };
    let mut run = ImportRun::new(mode);
    loop {
        let batch = source.next_batch(&args.file)?;
        if batch.is_empty() {
            break;
        }
        let reports = match service.import_users(&mut run, batch).await {
            Ok(reports) => reports,
            Err(error) => {
                report.finish()?;
                return Err(Failure::Users(error));
            }
        };
        for line in &reports {
            report.add(line)?;
        }
        report.show_progress(source.progress());
    }
    report.finish()?;
    let Report { created, unchanged, refused, .. } = report;
    let (begin, done) = if args.dry_run { ("dry run: ", "would be created") } else { ("", "created") };
    say(&format!("{begin}{created} {done}, {unchanged} unchanged, {refused} refused"));
    if refused == 0 { Ok(()) } else { Err(Failure::LinesRefused(refused)) }
}

/// The file, read line by line.
struct Source {
    lines: Lines<BufReader<Counted<File>>>,
    header: Option<CsvHeader>,
    firebase: Option<FirebaseProject>,
    unknown: BTreeSet<String>,
    bytes: Arc<AtomicU64>,
    length: u64,
}

impl Source {
    fn open(args: &ImportArgs) -> Result<Self, Failure> {
        let path = &args.file;
        let format = format_of(args.format, path).ok_or_else(|| Failure::UnknownFormat(path.clone()))?;
        let firebase = args.firebase_config.as_deref().map(read_firebase).transpose()?;
        let file = File::open(path).map_err(|error| unusable(path, error))?;
        let length = file.metadata().map_or(0, |metadata| metadata.len());
        let bytes = Arc::new(AtomicU64::new(0));
        let mut lines = Lines::new(BufReader::new(Counted { inner: file, bytes: bytes.clone() }));
        let mut unknown = BTreeSet::new();
        let header = match format {
            UserFormat::Ndjson => None,
            UserFormat::Csv => {
                let first = lines.next_line().map_err(|error| unusable(path, error))?;
                let first = first.map_or_else(|| Ok(String::new()), |(_, line)| line);
                let first = first.map_err(|fault| unusable(path, fault))?;
                let header = CsvHeader::parse(&first, &mut |name| warn_of(&mut unknown, name));
                Some(header.map_err(|fault| unusable(path, fault))?)
            }
        };
        Ok(Self { lines, header, firebase, unknown, bytes, length })
    }

    fn next_batch(&mut self, path: &Path) -> Result<Vec<ImportLine>, Failure> {
        let mut batch = Vec::with_capacity(ImportRun::BATCH);
        while batch.len() < ImportRun::BATCH {
            let next = self.lines.next_line().map_err(|error| unusable(path, error))?;
            let Some((number, line)) = next else { break };
            let record = line.and_then(|line| match &self.header {
                Some(header) => header.parse_line(&line),
                None => parse_json_line(&line, &mut |name| warn_of(&mut self.unknown, name)),
            });
            let record = record.map_err(|fault| fault.to_string());
            let record = record.and_then(|record| translate(self.firebase.as_ref(), record));
            batch.push(ImportLine { number, record });
        }
        Ok(batch)
    }

    /// How much of the file has been read, in percent.
    fn progress(&self) -> u64 {
        let read = self.bytes.load(Ordering::Relaxed).saturating_mul(100);
        read.checked_div(self.length).unwrap_or(100).min(100)
    }
}

fn read_firebase(path: &Path) -> Result<FirebaseProject, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| unusable(path, error))?;
    FirebaseProject::parse(&text).map_err(|error| unusable(path, error))
}

/// Makes a hash with its salt, as Firebase has them, one text. Other hashes are left alone.
fn translate(firebase: Option<&FirebaseProject>, mut record: ImportRecord) -> Result<ImportRecord, String> {
    let Some(project) = firebase else { return Ok(record) };
    let Some(salt) = record.take(Column::PasswordSalt) else { return Ok(record) };
    let hash = record.get(Column::PasswordHash).unwrap_or_default();
    let hash = project.convert(hash, &salt).map_err(|error| format!("password_hash {error}"))?;
    record.set(Column::PasswordHash, hash.as_str());
    Ok(record)
}

fn warn_of(unknown: &mut BTreeSet<String>, name: &str) {
    if unknown.len() < MOST_WARNINGS && !unknown.contains(name) {
        unknown.insert(name.to_owned());
        let shown: String = name.chars().take(60).collect();
        complain(&format!("warning: the column {shown:?} is not known and is left out"));
    }
}

/// What became of the lines: all in a file, or those refused on standard error.
struct Report {
    file: Option<(BufWriter<File>, std::path::PathBuf)>,
    created: u64,
    unchanged: u64,
    refused: u64,
    has_bar: bool,
}

impl Report {
    fn open(args: &ImportArgs) -> Result<Self, Failure> {
        let file = match &args.report {
            Some(path) => {
                let file = create_private(path, OpenOptions::new().create(true).truncate(true))?;
                Some((BufWriter::new(file), path.clone()))
            }
            None => None,
        };
        let has_bar = std::io::stderr().is_terminal();
        Ok(Self { file, created: 0, unchanged: 0, refused: 0, has_bar })
    }

    fn add(&mut self, line: &ImportReport) -> Result<(), Failure> {
        let ImportReport { number, email, outcome } = line;
        let (count, name, reason) = match outcome {
            ImportOutcome::Created => (&mut self.created, "created", None),
            ImportOutcome::Unchanged => (&mut self.unchanged, "unchanged", None),
            ImportOutcome::Refused(reason) => (&mut self.refused, "refused", Some(reason)),
        };
        *count += 1;
        if let Some((file, path)) = &mut self.file {
            let line = json!({ "line": number, "email": email, "outcome": name, "reason": reason });
            return writeln!(file, "{line}").map_err(|error| unusable(path, error));
        }
        if let Some(reason) = reason {
            // Quoted and escaped: the file is not to draw on the terminal.
            let email = email.as_deref().map(|email| format!(" {email:?}")).unwrap_or_default();
            self.clear_bar();
            complain(&format!("line {number}{email}: {reason}"));
        }
        Ok(())
    }

    fn show_progress(&self, percent: u64) {
        if self.has_bar {
            let filled = usize::try_from(percent / 4).unwrap_or(25);
            let lines = self.created + self.unchanged + self.refused;
            let _ =
                write!(std::io::stderr(), "\r[{:<25}] {percent:>3} %  {lines} lines ", "#".repeat(filled));
        }
    }

    fn clear_bar(&self) {
        if self.has_bar {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }

    fn finish(&mut self) -> Result<(), Failure> {
        self.clear_bar();
        match &mut self.file {
            Some((file, path)) => file.flush().map_err(|error| unusable(path, error)),
            None => Ok(()),
        }
    }
}
