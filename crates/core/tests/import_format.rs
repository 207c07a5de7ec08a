//! The format of imports: what is read, and that nothing of a stranger's file breaks the reader.

#![expect(clippy::unwrap_used, reason = "a test whose preparations fail has failed")]

use std::io::BufReader;

use identsphere_core::import_format::{
    Column, CsvHeader, HeaderFault, ImportRecord, LineFault, Lines, MAX_LINE_BYTES, csv_line, json_line,
    parse_json_line,
};
use proptest::prelude::*;

fn lines(bytes: &[u8], buffer: usize) -> Vec<(u64, Result<String, LineFault>)> {
    let mut lines = Lines::new(BufReader::with_capacity(buffer, bytes));
    std::iter::from_fn(|| lines.next_line().unwrap()).collect()
}

fn json(line: &str) -> Result<ImportRecord, LineFault> {
    parse_json_line(line, &mut |_| ())
}

fn header(line: &str) -> CsvHeader {
    CsvHeader::parse(line, &mut |_| ()).unwrap()
}

fn ignored(_: &str) {}

#[test]
fn lines_are_counted_as_an_editor_counts_them() {
    let read = lines(b"\xef\xbb\xbfone\r\n\n  \ntwo\nthree", 3);
    let expected = [(1, "one"), (4, "two"), (5, "three")];
    assert_eq!(read, expected.map(|(number, text)| (number, Ok(text.to_owned()))));
}

#[test]
fn a_line_that_is_too_long_or_no_text_is_a_fault_of_its_own() {
    let longest = "x".repeat(MAX_LINE_BYTES);
    let mut file =
        [longest.as_bytes(), b"\r\n", longest.as_bytes(), b"x\n", &vec![b'y'; 1 << 20], b"\n"].concat();
    file.extend(b"\xff\xfe\nlast");
    for buffer in [7, 8_192, 4 << 20] {
        let read = lines(&file, buffer);
        assert_eq!(read[0], (1, Ok(longest.clone())));
        assert_eq!(read[1..3], [(2, Err(LineFault::TooLong)), (3, Err(LineFault::TooLong))]);
        assert_eq!(read[3..], [(4, Err(LineFault::NotUtf8)), (5, Ok("last".to_owned()))]);
    }
}

#[test]
fn json_is_read_column_by_column() {
    let mut unknown = Vec::new();
    let line =
        r#"{"email":"a@b.example","email_verified":true,"display_name":null,"bio":{"x":[1]},"role":""}"#;
    let record = parse_json_line(line, &mut |name| unknown.push(name.to_owned())).unwrap();
    assert_eq!(record.get(Column::Email), Some("a@b.example"));
    assert_eq!(record.get(Column::EmailVerified), Some("true"));
    assert_eq!((record.get(Column::DisplayName), record.get(Column::Role)), (None, None));
    assert_eq!(unknown, ["bio"]);
}

#[test]
fn json_that_is_no_record_is_refused_without_repeating_it() {
    for (line, fault) in [
        ("", LineFault::NotAnObject),
        ("null", LineFault::NotAnObject),
        ("[]", LineFault::NotAnObject),
        ("{", LineFault::NotAnObject),
        ("{}{}", LineFault::NotAnObject),
        (r#"{"email":"a"} trailing"#, LineFault::NotAnObject),
        (r#"{"email":"\ud800"}"#, LineFault::NotAnObject),
        (r#"{"email":["a@b.example"]}"#, LineFault::NotText("email")),
        (r#"{"email":{"a":1}}"#, LineFault::NotText("email")),
        (r#"{"email":true}"#, LineFault::NotText("email")),
        (r#"{"email_verified":1}"#, LineFault::NotText("email_verified")),
        (r#"{"password_hash":1e9}"#, LineFault::NotText("password_hash")),
        (r#"{"email":"a","email":"b"}"#, LineFault::Twice("email")),
        (r#"{"email":null,"email":"b"}"#, LineFault::Twice("email")),
    ] {
        assert_eq!(json(line).err(), Some(fault), "{line}");
    }
    assert_eq!(json(&"[".repeat(60_000)).err(), Some(LineFault::NotAnObject));
    assert_eq!(json(&format!("{{\"x\":{}", "[".repeat(60_000))).err(), Some(LineFault::NotAnObject));
}

#[test]
fn csv_is_read_with_its_quotes() {
    let header = header("display_name,ignored,email,password_hash");
    let record = header.parse_line(r#""Lovelace, ""Ada""",,ada@example.com,"#).unwrap();
    assert_eq!(record.get(Column::DisplayName), Some("Lovelace, \"Ada\""));
    assert_eq!(record.get(Column::Email), Some("ada@example.com"));
    assert_eq!(record.get(Column::PasswordHash), None);
    for line in [r#""Ada,,a@b.example,"#, r#""Ada"x,,a@b.example,"#, r#"A"da,,a@b.example,"#, "\"\"\","] {
        assert_eq!(header.parse_line(line).err(), Some(LineFault::Quotes), "{line}");
    }
    let fault = header.parse_line("only,two").err();
    assert_eq!(fault, Some(LineFault::Fields { found: 2, expected: 4 }));
    assert!(header.parse_line(&",".repeat(60_000)).is_err());
}

#[test]
fn a_header_names_each_column_once_and_the_address_for_sure() {
    let twice = CsvHeader::parse("email,role,role", &mut ignored).err();
    assert_eq!(twice, Some(HeaderFault::Twice("role")));
    assert_eq!(CsvHeader::parse("name;email", &mut ignored).err(), Some(HeaderFault::NoEmail));
    assert_eq!(CsvHeader::parse("\"email", &mut ignored).err(), Some(LineFault::Quotes.into()));
    header(" \"email\"".trim());
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), buffer in 1usize..20) {
        let header = header("email,display_name");
        for (_, line) in lines(&bytes, buffer) {
            if let Ok(line) = line {
                let _ = json(&line);
                let _ = header.parse_line(&line);
                let _ = CsvHeader::parse(&line, &mut |_| ());
            }
        }
    }

    #[test]
    fn what_is_written_is_read_again(values in prop::collection::vec("[^\r\n]{0,20}", Column::ALL.len())) {
        let mut record = ImportRecord::default();
        for (column, value) in Column::ALL.iter().zip(&values) {
            record.set(*column, value.clone());
        }
        let again = json(&json_line(&record)).unwrap();
        let names = Column::ALL.iter().map(|column| column.name()).collect::<Vec<_>>().join(",");
        let from_csv = header(&names).parse_line(&csv_line(&record, Column::ALL)).unwrap();
        for column in Column::ALL {
            prop_assert_eq!(again.get(*column), record.get(*column));
            prop_assert_eq!(from_csv.get(*column), record.get(*column));
        }
    }
}
