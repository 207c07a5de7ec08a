//! `users export`.

use std::fs::OpenOptions;
use std::io::{self, BufWriter, Write};

use identsphere_core::import_format::{Column, csv_line, json_line};
use identsphere_core::{ExportedPasswords, IdentSphere};

use super::files::{create_private, format_of, unusable};
use crate::cli::{ExportArgs, UserFormat};
use crate::failure::Failure;
use crate::output::complain;

/// Writes every user to a file that is not there yet, or to standard output.
pub(super) async fn export(service: &IdentSphere, args: &ExportArgs) -> Result<(), Failure> {
    let path = args.file.clone().unwrap_or_else(|| "standard output".into());
    let format = format_of(args.format, &path).unwrap_or(UserFormat::Ndjson);
    let mut out: Box<dyn Write + Send> = match &args.file {
        Some(path) => Box::new(BufWriter::new(create_private(path, OpenOptions::new().create_new(true))?)),
        None => Box::new(BufWriter::new(io::stdout())),
    };
    let passwords =
        if args.with_password_hashes { ExportedPasswords::Hashed } else { ExportedPasswords::Left };
    let columns: Vec<Column> = Column::ALL
        .iter()
        .copied()
        .filter(|column| *column != Column::PasswordSalt)
        .filter(|column| *column != Column::PasswordHash || args.with_password_hashes)
        .collect();
    if format == UserFormat::Csv {
        let names: Vec<&str> = columns.iter().map(|column| column.name()).collect();
        writeln!(out, "{}", names.join(",")).map_err(|error| unusable(&path, error))?;
    }

    let (mut after, mut written, mut left_out) = (None, 0, 0);
    loop {
        let page = service.export_users(after, passwords).await.map_err(Failure::Users)?;
        for record in &page.records {
            let line = match format {
                UserFormat::Ndjson => json_line(record),
                UserFormat::Csv => csv_line(record, &columns),
            };
            writeln!(out, "{line}").map_err(|error| unusable(&path, error))?;
        }
        written += page.records.len();
        left_out += page.left_out;
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    out.flush().map_err(|error| unusable(&path, error))?;
    complain(&format!("exported {written} users"));
    if left_out > 0 {
        complain(&format!("left out {left_out} who are invited or deleted"));
    }
    Ok(())
}
