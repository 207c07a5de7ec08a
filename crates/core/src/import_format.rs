//! The format in which users are brought along and taken away: one record a line, as JSON (NDJSON) or CSV.
//!
//! Reading is pure and bounded: a line that is too long is skipped without being held, and nothing that one line says
//! changes how the next is read. So a record of CSV is one line too; RFC 4180 §2.6 allows line breaks in quoted fields,
//! but no column here may hold one, and a quote that is never closed would swallow the rest of the file.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, BufRead, Read as _};

use serde::de::{DeserializeSeed, Deserializer as _, IgnoredAny, MapAccess, Visitor};

/// The most bytes of a line.
pub const MAX_LINE_BYTES: usize = 64 << 10;
/// The most columns of a line of CSV.
const MAX_CSV_COLUMNS: usize = 256;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

macro_rules! columns {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)+) => {
        /// A column of the format.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Column { $($(#[$doc])* $name,)+ }

        impl Column {
            /// Every column, in the order of an export.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// The name in the file.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }

            /// The column with this name.
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($text => Some(Self::$name),)+ _ => None }
            }
        }
    };
}

columns! {
    /// The user's id, a hyphenated UUID; a new one when absent.
    Id = "id";
    /// The address. Required.
    Email = "email";
    /// `true` or `false`; false when absent.
    EmailVerified = "email_verified";
    /// The name to show to people.
    DisplayName = "display_name";
    /// `active` or `disabled`; active when absent.
    Status = "status";
    /// When the account was made (RFC 3339); now when absent.
    CreatedAt = "created_at";
    /// The slug of the home organisation.
    OrganizationSlug = "organization_slug";
    /// The name of the home organisation.
    OrganizationName = "organization_name";
    /// The role there.
    Role = "role";
    /// The password, hashed.
    PasswordHash = "password_hash";
    /// The salt, for hashes that do not carry theirs (Firebase).
    PasswordSalt = "password_salt";
}

/// One line as read: text by column, not checked. Empty values count as absent.
///
/// It is not printable, because it holds password hashes.
#[derive(Clone, Default)]
pub struct ImportRecord {
    values: BTreeMap<Column, String>,
}

impl ImportRecord {
    /// The value of a column.
    pub fn get(&self, column: Column) -> Option<&str> {
        self.values.get(&column).map(String::as_str)
    }

    /// Puts a value in the place of the one that is there. An empty one takes the column out.
    pub fn set(&mut self, column: Column, value: impl Into<String>) {
        let value = value.into();
        if value.is_empty() {
            self.values.remove(&column);
        } else {
            self.values.insert(column, value);
        }
    }

    /// Takes a column out.
    pub fn take(&mut self, column: Column) -> Option<String> {
        self.values.remove(&column)
    }
}

/// Why a line is not a record. Says nothing of what the line holds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LineFault {
    /// Longer than [`MAX_LINE_BYTES`].
    #[error("the line is longer than {MAX_LINE_BYTES} bytes")]
    TooLong,
    /// Not UTF-8.
    #[error("the line is not UTF-8")]
    NotUtf8,
    /// Not one JSON object.
    #[error("the line is not a JSON object")]
    NotAnObject,
    /// A value that is neither text nor, for `email_verified`, true or false.
    #[error("{0} must be text")]
    NotText(&'static str),
    /// A column twice.
    #[error("{0} is there twice")]
    Twice(&'static str),
    /// A quote that is not closed on its line, or text beside a quoted field.
    #[error("the quotes of the line do not match (a record is one line)")]
    Quotes,
    /// Another number of fields than the header has.
    #[error("the line has {found} fields, the header has {expected}")]
    Fields {
        /// Fields of the line.
        found: usize,
        /// Fields of the header.
        expected: usize,
    },
}

/// Why a header of CSV is not usable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeaderFault {
    /// Not a line of CSV.
    #[error(transparent)]
    Line(#[from] LineFault),
    /// A column twice.
    #[error("the header has the column {0} twice")]
    Twice(&'static str),
    /// No column of addresses.
    #[error(
        "the header has no column `email`; the first line of a CSV file names the columns, separated by commas"
    )]
    NoEmail,
}

/// Reads the lines of a file, holding one at a time.
pub struct Lines<R> {
    reader: R,
    number: u64,
}

/// A line: its number, from one, and its text without the line break.
pub type NumberedLine = (u64, Result<String, LineFault>);

impl<R: BufRead> Lines<R> {
    /// The lines behind this reader.
    pub fn new(reader: R) -> Self {
        Self { reader, number: 0 }
    }

    /// The next line that is not blank; `None` at the end. A byte order mark before the first is no part of it.
    ///
    /// # Errors
    /// What the reader answers.
    pub fn next_line(&mut self) -> io::Result<Option<NumberedLine>> {
        loop {
            let mut bytes = Vec::new();
            // One byte more than allowed tells a line that is too long, two more hold its line break.
            let most = u64::try_from(MAX_LINE_BYTES + 2).unwrap_or(u64::MAX);
            if self.reader.by_ref().take(most).read_until(b'\n', &mut bytes)? == 0 {
                return Ok(None);
            }
            self.number += 1;
            let ended = bytes.ends_with(b"\n");
            let mut line = bytes.as_slice();
            if self.number == 1 {
                line = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line);
            }
            line = line.strip_suffix(b"\n").unwrap_or(line);
            line = line.strip_suffix(b"\r").unwrap_or(line);
            if line.len() > MAX_LINE_BYTES {
                if !ended {
                    skip_line(&mut self.reader)?;
                }
                return Ok(Some((self.number, Err(LineFault::TooLong))));
            }
            match std::str::from_utf8(line) {
                Ok(text) if text.trim().is_empty() => {}
                Ok(text) => return Ok(Some((self.number, Ok(text.to_owned())))),
                Err(_) => return Ok(Some((self.number, Err(LineFault::NotUtf8)))),
            }
        }
    }
}

/// Reads up to the next line break without holding what is read.
fn skip_line(reader: &mut impl BufRead) -> io::Result<()> {
    loop {
        let buffer = match reader.fill_buf() {
            Ok(buffer) => buffer,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if buffer.is_empty() {
            return Ok(());
        }
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let used = end.map_or(buffer.len(), |at| at + 1);
        reader.consume(used);
        if end.is_some() {
            return Ok(());
        }
    }
}

/// Reads a line of NDJSON. Names of columns that are not known are handed to `unknown`.
///
/// # Errors
/// [`LineFault`].
pub fn parse_json_line(line: &str, unknown: &mut dyn FnMut(&str)) -> Result<ImportRecord, LineFault> {
    let mut fault = None;
    let mut reader = serde_json::Deserializer::from_str(line);
    let read = reader.deserialize_map(Object { unknown, fault: &mut fault });
    match (fault, read) {
        (Some(fault), _) => Err(fault),
        (None, Ok(record)) if reader.end().is_ok() => Ok(record),
        (None, _) => Err(LineFault::NotAnObject),
    }
}

/// Which column is where in a file of CSV.
#[derive(Debug, Clone)]
pub struct CsvHeader {
    columns: Vec<Option<Column>>,
}

impl CsvHeader {
    /// Reads the first line. Names of columns that are not known are handed to `unknown`.
    ///
    /// # Errors
    /// [`HeaderFault`].
    pub fn parse(line: &str, unknown: &mut dyn FnMut(&str)) -> Result<Self, HeaderFault> {
        let names = split_csv(line)?;
        let mut columns: Vec<Option<Column>> = Vec::with_capacity(names.len());
        for name in &names {
            let column = Column::from_name(name.trim());
            match column {
                Some(known) if columns.contains(&column) => return Err(HeaderFault::Twice(known.name())),
                Some(_) => {}
                None => unknown(name),
            }
            columns.push(column);
        }
        if columns.contains(&Some(Column::Email)) { Ok(Self { columns }) } else { Err(HeaderFault::NoEmail) }
    }

    /// Reads a further line.
    ///
    /// # Errors
    /// [`LineFault`].
    pub fn parse_line(&self, line: &str) -> Result<ImportRecord, LineFault> {
        let fields = split_csv(line)?;
        if fields.len() != self.columns.len() {
            return Err(LineFault::Fields { found: fields.len(), expected: self.columns.len() });
        }
        let mut record = ImportRecord::default();
        for (column, value) in self.columns.iter().zip(fields) {
            if let Some(column) = column {
                record.set(*column, value);
            }
        }
        Ok(record)
    }
}

/// A record as a line of NDJSON, without the line break. Absent columns are left out.
pub fn json_line(record: &ImportRecord) -> String {
    let values = record.values.iter().map(|(column, text)| {
        let value = match (column, text.as_str()) {
            (Column::EmailVerified, "true") => serde_json::Value::Bool(true),
            (Column::EmailVerified, "false") => serde_json::Value::Bool(false),
            (_, text) => serde_json::Value::from(text),
        };
        (column.name().to_owned(), value)
    });
    serde_json::Value::Object(values.collect()).to_string()
}

/// The values of a record in these columns as a line of CSV, without the line break.
pub fn csv_line(record: &ImportRecord, columns: &[Column]) -> String {
    let field = |column: &Column| match record.get(*column).unwrap_or_default() {
        text if text.contains([',', '"', '\r', '\n']) || text.trim() != text => {
            format!("\"{}\"", text.replace('"', "\"\""))
        }
        text => text.to_owned(),
    };
    columns.iter().map(field).collect::<Vec<_>>().join(",")
}

/// Splits a line of CSV (RFC 4180 §2).
fn split_csv(line: &str) -> Result<Vec<String>, LineFault> {
    let mut fields = Vec::new();
    let mut rest = line;
    loop {
        let (field, behind) = match rest.strip_prefix('"') {
            Some(quoted) => quoted_field(quoted)?,
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                let (field, behind) = rest.split_at(end);
                if field.contains('"') {
                    return Err(LineFault::Quotes);
                }
                (field.to_owned(), behind)
            }
        };
        fields.push(field);
        if fields.len() > MAX_CSV_COLUMNS {
            return Err(LineFault::Fields { found: fields.len(), expected: MAX_CSV_COLUMNS });
        }
        match behind.strip_prefix(',') {
            Some(next) => rest = next,
            None if behind.is_empty() => return Ok(fields),
            None => return Err(LineFault::Quotes),
        }
    }
}

/// The field whose opening quote stands before `text`, and what is behind its closing one.
fn quoted_field(text: &str) -> Result<(String, &str), LineFault> {
    let mut field = String::new();
    let mut rest = text;
    loop {
        let (piece, behind) = rest.split_once('"').ok_or(LineFault::Quotes)?;
        field.push_str(piece);
        match behind.strip_prefix('"') {
            Some(next) => {
                field.push('"');
                rest = next;
            }
            None => return Ok((field, behind)),
        }
    }
}

/// Reads an object column by column, so that a fault names its column and never a value.
struct Object<'a> {
    unknown: &'a mut dyn FnMut(&str),
    fault: &'a mut Option<LineFault>,
}

impl<'de> Visitor<'de> for Object<'_> {
    type Value = ImportRecord;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ImportRecord, A::Error> {
        let mut record = ImportRecord::default();
        let mut seen = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            let Some(column) = Column::from_name(&name) else {
                (self.unknown)(&name);
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            if seen.contains(&column) {
                self.fault.get_or_insert(LineFault::Twice(column.name()));
            }
            seen.push(column);
            match map.next_value_seed(Text)? {
                Some(Value::Text(text)) => record.set(column, text),
                Some(Value::Flag(flag)) if column == Column::EmailVerified => {
                    record.set(column, flag.to_string());
                }
                Some(Value::Absent) => {}
                Some(Value::Flag(_)) | None => {
                    self.fault.get_or_insert(LineFault::NotText(column.name()));
                }
            }
        }
        Ok(record)
    }
}

struct Text;

enum Value {
    Text(String),
    Flag(bool),
    Absent,
}

impl<'de> DeserializeSeed<'de> for Text {
    type Value = Option<Value>;

    fn deserialize<D: serde::Deserializer<'de>>(self, value: D) -> Result<Option<Value>, D::Error> {
        value.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Text {
    type Value = Option<Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_str<E>(self, text: &str) -> Result<Option<Value>, E> {
        Ok(Some(Value::Text(text.to_owned())))
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Option<Value>, E> {
        Ok(Some(Value::Flag(flag)))
    }

    fn visit_unit<E>(self) -> Result<Option<Value>, E> {
        Ok(Some(Value::Absent))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Option<Value>, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Option<Value>, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Option<Value>, E> {
        Ok(None)
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut list: A) -> Result<Option<Value>, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Option<Value>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}
