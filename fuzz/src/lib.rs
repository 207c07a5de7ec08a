//! What is asserted of every parser that meets bytes of strangers. A target in `targets/` is one of these functions.
//!
//! Each goes through the same door as a request does wherever there is one ([`World::answer`]): a panic behind it
//! becomes a 500, and a 500 fails the target. Where a right answer can be told, it is asserted too.

pub mod factors;
mod world;

use std::collections::BTreeMap;
use std::io::BufReader;
use std::path::Path;

use identsphere_accounts::PasswordHash;
use identsphere_core::import_format::{Column, CsvHeader, Lines, json_line, parse_json_line};
use identsphere_core::{PasswordHasher as _, Verification};
use identsphere_crypto::FirebaseProject;
use identsphere_factors::passkey::RelyingParty;
use identsphere_http::ENDPOINTS;
use identsphere_kernel::Email;
use identsphere_settings::{Sources, load};
use identsphere_tokens::Unverified;

use crate::world::{LISTED, Request, World};

/// Starts the service before the first input, whose time is taken: making a key may need seconds.
pub fn prepare() {
    World::get();
}

/// A token of any bytes, and a genuine one with bytes exchanged: neither is accepted.
pub fn access_token(bytes: &[u8]) {
    let world = World::get();
    let text = String::from_utf8_lossy(bytes);
    if let Some(token) = Unverified::split(&text) {
        let _ = (token.signature(), token.claims());
    }
    assert!(world.app.core().verify_access_token(&text).is_none());
    let mut changed = world.access.clone().into_bytes();
    for change in bytes.chunks_exact(3) {
        let at = usize::from(u16::from_be_bytes([change[0], change[1]])) % changed.len();
        changed[at] = change[2];
    }
    if let Ok(changed) = String::from_utf8(changed) {
        let accepted = world.app.core().verify_access_token(&changed).is_some();
        assert_eq!(accepted, changed == world.access);
    }
}

/// Any `Cookie` header signs nobody in.
pub fn cookies(bytes: &[u8]) {
    let fields: Vec<(&str, &[u8])> =
        bytes.split(|byte| *byte == b'\n').map(|value| ("cookie", value)).collect();
    for (method, path) in
        [("GET", "/v1/auth/session"), ("POST", "/v1/auth/logout"), ("POST", "/v1/auth/refresh")]
    {
        let status =
            World::get().answer(&Request { method, path, fields: &fields, ..Request::default() }).status;
        assert!(matches!((path, status), (_, 400 | 401) | ("/v1/auth/logout", 204)), "{path}: {status}");
    }
}

/// With a genuine session cookie, neither a pair of invented CSRF tokens lets a write pass, nor the session's own one
/// with bytes exchanged or cut off.
pub fn csrf_token(bytes: &[u8]) {
    let (header, cookie) =
        bytes.split_at(bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len()));
    let cookie = if cookie.is_empty() { header } else { &cookie[1..] };
    refuse_write(header, cookie);
    let Some((cut, changes)) = bytes.split_first() else { return };
    let genuine = World::get().csrf.as_bytes();
    let mut changed = genuine.to_vec();
    for change in changes.chunks_exact(2) {
        let at = usize::from(change[0]) % changed.len();
        changed[at] = change[1];
    }
    changed.truncate(changed.len() - usize::from(*cut) % changed.len());
    if changed != genuine {
        refuse_write(&changed, &changed);
    }
}

fn refuse_write(header: &[u8], cookie: &[u8]) {
    let world = World::get();
    let line = [b"identsphere_at=", world.cookie.as_bytes(), b"; identsphere_csrf=", cookie].concat();
    let fields: [(&str, &[u8]); 2] = [("cookie", &line), ("x-csrf-token", header)];
    let request =
        Request { method: "DELETE", path: "/v1/auth/sessions", fields: &fields, ..Request::default() };
    let status = world.answer(&request).status;
    assert!(matches!(status, 400 | 403), "{status}");
}

/// The key of an address is the key of itself.
pub fn email(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(address) = Email::parse(text) {
        let key = address.key().as_str();
        assert_eq!(key.matches('@').count(), 1);
        assert!(key.is_ascii() && !key.contains(|c: char| c.is_ascii_whitespace() || c.is_ascii_control()));
        let again = Email::parse(key).expect("a key is an address");
        assert_eq!(again.key().as_str(), key);
    }
}

/// A refresh token of any bytes, and a genuine one with bytes exchanged: neither is read.
pub fn refresh_token(bytes: &[u8]) {
    let World { refresh: genuine, refresh_key: key, .. } = World::get();
    let text = String::from_utf8_lossy(bytes);
    assert!(key.read(&text).is_none());
    assert!(key.read(&format!("isr_{text}")).is_none());
    let mut changed = genuine.clone().into_bytes();
    for change in bytes.chunks_exact(2) {
        let at = usize::from(change[0]) % changed.len();
        changed[at] = change[1];
    }
    if let Ok(changed) = String::from_utf8(changed) {
        assert_eq!(key.read(&changed).is_some(), &changed == genuine);
    }
}

/// The first byte chooses a route that takes a body, the rest is the body.
pub fn json_body(bytes: &[u8]) {
    let Some((choice, body)) = bytes.split_first() else { return };
    let paths = ["/v1/auth/login", "/v1/auth/register", "/v1/auth/refresh"];
    let path = paths[usize::from(*choice) % paths.len()];
    let fields: [(&str, &[u8]); 1] = [("content-type", b"application/json")];
    let status = World::get().answer(&Request { method: "POST", path, fields: &fields, body }).status;
    // Somebody registers by chance, and signs in afterwards.
    let expected = match path {
        "/v1/auth/register" => matches!(status, 201 | 400 | 409),
        "/v1/auth/login" => matches!(status, 200 | 400 | 401),
        _ => matches!(status, 400 | 401),
    };
    assert!(expected, "{path}: {status}");
}

/// A stored password hash of any text: a mismatch, whatever it demands.
pub fn stored_hash(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let world = World::get();
    let stored = Some(PasswordHash::new(text.to_owned()));
    let verified = world.wait(world.hasher.verify(world.password(), stored));
    assert!(matches!(verified, Ok(Verification::Mismatch)), "{text}");
}

/// A file of users of any bytes, as NDJSON and as CSV: each record that is read comes back from what is written of it.
pub fn import_file(bytes: &[u8]) {
    let ignore = &mut |_: &str| ();
    let mut lines = Lines::new(BufReader::with_capacity(16, bytes));
    let mut header = None;
    while let Some((_, line)) = lines.next_line().expect("memory is read") {
        let Ok(line) = line else { continue };
        let from_csv = header.as_ref().map(|header: &CsvHeader| header.parse_line(&line));
        header = header.or_else(|| CsvHeader::parse(&line, ignore).ok());
        for record in
            [parse_json_line(&line, ignore).ok(), from_csv.and_then(Result::ok)].into_iter().flatten()
        {
            let again = parse_json_line(&json_line(&record), ignore).expect("what is written is read");
            assert!(Column::ALL.iter().all(|column| again.get(*column) == record.get(*column)));
        }
    }
    let project =
        "algorithm: SCRYPT\nbase64_salt_separator: Bw==\nrounds: 8\nmem_cost: 1\nbase64_signer_key: ";
    let _ = FirebaseProject::parse(&format!("{project}{}", String::from_utf8_lossy(bytes)));
}

/// Any chain of proxies, behind one that is trusted.
pub fn forwarded_for(bytes: &[u8]) {
    let fields: Vec<(&str, &[u8])> =
        bytes.split(|byte| *byte == b'\n').map(|value| ("x-forwarded-for", value)).collect();
    let request = Request { method: "POST", path: "/v1/auth/logout", fields: &fields, ..Request::default() };
    assert!(matches!(World::get().answer(&request).status, 204 | 400));
}

/// A write passes from our own origin and the listed one, and from no other; an answer opens to the listed one alone.
pub fn origin(bytes: &[u8]) {
    let fields: [(&str, &[u8]); 1] = [("origin", bytes)];
    let request = Request { method: "POST", path: "/v1/auth/logout", fields: &fields, ..Request::default() };
    let reply = World::get().answer(&request);
    let passes = [world::BASE, LISTED].iter().any(|origin| origin.as_bytes() == bytes);
    assert_eq!(reply.status == 204, passes);
    assert_eq!(reply.header("access-control-allow-origin").is_some(), bytes == LISTED.as_bytes());
}

/// The key set is answered whole, or with 304.
pub fn if_none_match(bytes: &[u8]) {
    let fields: [(&str, &[u8]); 1] = [("if-none-match", bytes)];
    let request = Request { path: "/.well-known/jwks.json", fields: &fields, ..Request::default() };
    let reply = World::get().answer(&request);
    assert!(match reply.status {
        200 => !reply.body.is_empty(),
        304 => reply.body.is_empty(),
        400 => bytes.len() > 8_192,
        _ => false,
    });
}

/// A settings file of any text is read or refused, and what was read is a relying party of passkeys.
pub fn settings(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let text = text.to_owned();
    let read_file = move |_: &Path| Ok(text.clone());
    let environment = BTreeMap::from([("IDENTSPHERE_CONFIG".to_owned(), "/identsphere.toml".to_owned())]);
    match load(&Sources { flags: vec![], environment, read_file: &read_file, cores: 2, checks: &[] }) {
        Ok(loaded) => {
            assert!(!loaded.effective.is_empty());
            let passkeys = loaded.settings.passkeys;
            let origins = passkeys.origins.iter().map(ToString::to_string).collect();
            let party = RelyingParty::new(&passkeys.rp_id, &passkeys.name, origins);
            assert!(party.is_ok(), "{party:?}");
        }
        Err(faults) => assert!(!faults.to_string().is_empty()),
    }
}

/// Any method, path and query, separated by line feeds, at every endpoint.
pub fn request_line(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut parts = text.splitn(2, '\n');
    let (method, path) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let reply = World::get().answer(&Request { method, path, ..Request::default() });
    let known = ENDPOINTS.iter().any(|endpoint| endpoint.matches(path.split('?').next().unwrap_or_default()));
    assert!(matches!(reply.status, 400 | 404) || known, "{}", reply.status);
}
