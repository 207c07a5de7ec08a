//! Somebody who sees every request and every answer, and remembers what was secret in them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use identsphere_testkit::CodeApp;
use serde_json::Value;

use crate::machine::{Server, Whole};

/// Members of answers that are secrets, on whatever level. `secret` and `uri` are those of an authenticator.
const SECRETS: [&str; 8] = [
    "access_token",
    "refresh_token",
    "mfa_token",
    "secret",
    "otpauth_uri",
    "recovery_codes",
    "challenge",
    "qr_code_base64",
];

/// What was secret.
#[derive(Default)]
pub(super) struct Seen {
    /// The secret, and what it is.
    secrets: BTreeMap<String, &'static str>,
    /// Numbers of six digits, which stand by chance within longer ones.
    codes: BTreeSet<String>,
    refusals: String,
}

pub(super) struct Witness {
    pub(super) server: Server,
    seen: Seen,
    mails: BTreeSet<String>,
}

impl Witness {
    pub(super) fn at(server: Server) -> Self {
        Self { server, seen: Seen::default(), mails: BTreeSet::new() }
    }

    /// Something that must be found nowhere.
    pub(super) fn remember(&mut self, what: &'static str, secret: &str) -> String {
        if secret.len() == 6 && secret.bytes().all(|byte| byte.is_ascii_digit()) {
            self.seen.codes.insert(secret.to_owned());
        } else {
            assert!(secret.len() >= 8, "{what} is too short to be looked for: {secret}");
            self.seen.secrets.insert(secret.to_owned(), what);
        }
        secret.to_owned()
    }

    /// Sends a request: `line` is method and path, `fields` are further header fields, each with its line break.
    pub(super) fn send(&mut self, line: &str, fields: &str, body: &Value) -> (u16, Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.send_text(line, fields, &body)
    }

    /// As [`send`](Self::send), with a body that need not be JSON, but says so.
    pub(super) fn send_text(&mut self, line: &str, fields: &str, body: &str) -> (u16, Value) {
        let length = body.len();
        let fields = match length {
            0 => fields.to_owned(),
            _ => format!("{fields}Content-Type: application/json\r\nContent-Length: {length}\r\n"),
        };
        let Whole { status, head, body } = self.server.whole(line, &fields, body);
        for cookie in head.lines().filter_map(|line| line.strip_prefix("set-cookie: ")) {
            let (_, rest) = cookie.split_once('=').unwrap();
            let value = rest.split(';').next().unwrap();
            if !value.is_empty() {
                self.remember("a cookie", value);
            }
        }
        if status >= 400 {
            self.seen.refusals.push_str(&format!("{head}\n{body}\n"));
        }
        let answer: Value = serde_json::from_str(&body).unwrap_or_default();
        self.collect(&answer);
        (status, answer)
    }

    /// As [`send`](Self::send); the answer, which must be a success.
    pub(super) fn succeed(&mut self, line: &str, fields: &str, body: &Value) -> Value {
        let (status, answer) = self.send(line, fields, body);
        assert!(status < 300, "{line}: {status} {answer}");
        answer
    }

    /// As [`send`](Self::send); the answer must be a refusal of this status.
    pub(super) fn refuse(&mut self, status: u16, line: &str, fields: &str, body: &Value) {
        let (found, answer) = self.send(line, fields, body);
        assert_eq!(found, status, "{line}: {answer}");
    }

    fn collect(&mut self, answer: &Value) {
        match answer {
            Value::Object(members) => {
                for (name, member) in members {
                    if !SECRETS.contains(&name.as_str()) {
                        self.collect(member);
                        continue;
                    }
                    let listed = member.as_array().into_iter().flatten().filter_map(Value::as_str);
                    for secret in member.as_str().into_iter().chain(listed) {
                        self.remember("a secret of an answer", secret);
                    }
                }
            }
            Value::Array(list) => list.iter().for_each(|member| self.collect(member)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    /// The token of the link, or the code, in the next mail whose text contains this, once it is there.
    pub(super) fn mailed(&mut self, text: &str) -> String {
        for _ in 0..2_000 {
            let list = self.server.get("/dev/mail").1;
            let ids: Vec<String> =
                list.split("/dev/mail/").skip(1).map(|rest| rest[..36].to_owned()).collect();
            for id in ids {
                if !self.mails.insert(id.clone()) {
                    continue;
                }
                let mail = self.server.get(&format!("/dev/mail/{id}")).1;
                let plain = mail.split("<h2>As plain text</h2>").nth(1).unwrap();
                let secret = secret_of(plain);
                if let Some(secret) = &secret {
                    self.remember("the secret of a mail", secret);
                }
                if plain.contains(text) {
                    return secret.unwrap_or_else(|| panic!("no secret in {plain}"));
                }
            }
        }
        panic!("no mail with {text:?}")
    }

    /// The server, which ends, and what was secret.
    pub(super) fn end(mut self) -> (Server, Seen) {
        self.server.signal("INT");
        self.server.rest_of_log();
        (self.server, self.seen)
    }
}

/// The token of a link, else a number of six digits.
fn secret_of(plain: &str) -> Option<String> {
    if let Some((_, rest)) = plain.split_once("token=") {
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')));
        return Some(rest[..end.unwrap_or(rest.len())].to_owned());
    }
    let mut words = plain.split(|c: char| !c.is_ascii_digit());
    words.find(|word| word.len() == 6).map(str::to_owned)
}

impl Seen {
    /// Everything that was said in refusals.
    pub(super) fn told_to_others(&self) -> &str {
        &self.refusals
    }

    /// Checks that a place holds no secret: as it is, in hexadecimal, in base64, and the bytes that it stands for.
    pub(super) fn assert_absent(&self, place: &str, bytes: &[u8]) {
        assert!(self.secrets.len() >= 60 && self.codes.len() >= 4, "{} secrets", self.secrets.len());
        let mut needles = Needles::default();
        for (secret, what) in &self.secrets {
            forms(secret).into_iter().for_each(|needle| needles.add(needle, what));
        }
        if let Some((at, what)) = needles.find_in(bytes) {
            panic!("{what} is in {place}: {}", around(bytes, at));
        }
        for (at, word) in numbers(bytes) {
            assert!(!self.codes.contains(word), "a code is in {place}: {}", around(bytes, at));
        }
    }
}

/// What is looked for, all at once: by its first two bytes, then by its first eight.
#[derive(Default)]
struct Needles {
    begins: BTreeSet<[u8; 2]>,
    by_start: HashMap<[u8; 8], Vec<(Vec<u8>, &'static str)>>,
}

impl Needles {
    fn add(&mut self, needle: Vec<u8>, what: &'static str) {
        // Anything shorter stands somewhere by chance.
        if let Some(start) = needle.first_chunk::<8>().copied() {
            self.begins.insert([start[0], start[1]]);
            self.by_start.entry(start).or_default().push((needle, what));
        }
    }

    fn find_in(&self, haystack: &[u8]) -> Option<(usize, &'static str)> {
        let mut begins = vec![false; 1 << 16];
        for [a, b] in &self.begins {
            begins[usize::from(*a) << 8 | usize::from(*b)] = true;
        }
        let mut pair = 0;
        for (end, byte) in haystack.iter().enumerate() {
            pair = (pair << 8 | usize::from(*byte)) & 0xffff;
            if !begins[pair] || end == 0 {
                continue;
            }
            let rest = &haystack[end - 1..];
            let known = rest.first_chunk::<8>().and_then(|start| self.by_start.get(start));
            let found = known.into_iter().flatten().find(|(needle, _)| rest.starts_with(needle));
            if let Some((_, what)) = found {
                return Some((end - 1, what));
            }
        }
        None
    }
}

/// The numbers of six digits that stand alone, and where.
fn numbers(bytes: &[u8]) -> impl Iterator<Item = (usize, &str)> {
    let in_word = |byte: &u8| byte.is_ascii_alphanumeric() || b".-+/=_".contains(byte);
    let mut at = 0;
    bytes.split(move |byte| !in_word(byte)).filter_map(move |word| {
        let start = at;
        at += word.len() + 1;
        let is_code = word.len() == 6 && word.iter().all(u8::is_ascii_digit);
        is_code.then(|| (start, std::str::from_utf8(word).unwrap()))
    })
}

/// How a secret could be written down.
fn forms(secret: &str) -> Vec<Vec<u8>> {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let both = |bytes: &[u8]| [hex(bytes).into_bytes(), hex(bytes).to_uppercase().into_bytes()];
    let mut forms = vec![
        secret.as_bytes().to_vec(),
        STANDARD_NO_PAD.encode(secret).into_bytes(),
        URL_SAFE_NO_PAD.encode(secret).into_bytes(),
    ];
    forms.extend(both(secret.as_bytes()));
    let mut raw: Vec<Vec<u8>> = CodeApp::with(secret).iter().map(|app| app.bytes().to_vec()).collect();
    // What stands behind a prefix, between dots, or without the dashes of people. Not less: some tokens hold an id.
    let prefixed = secret.split_once('_').filter(|(prefix, _)| prefix.len() <= 4);
    for part in secret.split('.').chain([secret]).chain(prefixed.map(|(_, token)| token)) {
        raw.extend([URL_SAFE_NO_PAD.decode(part), STANDARD.decode(part)].into_iter().flatten());
        let plain = part.replace('-', "");
        if plain.len() >= 12 && plain != secret {
            forms.push(plain.into_bytes());
        }
    }
    // Header and claims of an access token are no secrets: their ids and times are in tables.
    for raw in raw.into_iter().filter(|raw| raw.len() >= 10 && !raw.starts_with(b"{")) {
        forms.extend(both(&raw));
        forms.push(raw);
    }
    forms
}

fn around(bytes: &[u8], at: usize) -> String {
    let end = bytes.len().min(at + 200);
    String::from_utf8_lossy(&bytes[at.saturating_sub(300)..end]).into_owned()
}
