//! Stored hashes: our own and those of the systems that people come from, told apart by how they begin.

use std::str::FromStr;

use argon2::{Algorithm, Version};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use bcrypt::HashParts;
use identsphere_kernel::SecretString;
use identsphere_kernel::store_error::Cause;
use password_hash::phc::{self, Output, Salt};
use pbkdf2::pbkdf2_hmac;
use sha2::{Sha256, Sha512};
use subtle::ConstantTimeEq;

use super::HashScheme;
use super::cost::{Cost, CostError};
use super::firebase::{self, FirebaseHash};

const MAX_TEXT: usize = 512;
/// About a second; each step doubles it.
const MAX_BCRYPT_COST: u32 = 14;
/// A few seconds.
const MAX_PBKDF2_ROUNDS: u32 = 5_000_000;
/// A shorter hash would match by chance, an empty one always.
const PBKDF2_OUTPUT: std::ops::RangeInclusive<usize> = 16..=64;

/// Why a stored hash is not verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum StoredError {
    /// It begins like nothing that is known here.
    #[error("the scheme is not known")]
    Unknown,
    /// It does not keep to the form of its scheme.
    #[error("the form is not that of its scheme")]
    Malformed,
    /// Verifying it would take more memory or time than is allowed (PW-07).
    #[error("the parameters cost more than is allowed")]
    TooCostly,
}

impl From<CostError> for StoredError {
    fn from(error: CostError) -> Self {
        match error {
            CostError::Invalid => Self::Malformed,
            CostError::TooHigh => Self::TooCostly,
        }
    }
}

/// A stored hash that can be verified at a bearable cost.
pub(super) enum Stored {
    /// scrypt, Argon2id, Argon2i: PHC strings.
    MemoryHard(Cost, Salt, Output),
    /// bcrypt (`$2a$`, `$2b$`, `$2y$`), which by its own rule looks at the first 72 bytes of a password only.
    Bcrypt(SecretString),
    /// PBKDF2 (RFC 8018 §5.2): PHC strings, and those of passlib and Django.
    Pbkdf2 {
        /// The pseudorandom function.
        prf: Prf,
        /// How often it is applied.
        rounds: u32,
        /// The salt, decoded where the form encodes it.
        salt: Vec<u8>,
        /// The hash.
        output: Vec<u8>,
    },
    /// The modified scrypt of Firebase, without the signer key.
    Firebase(FirebaseHash),
}

/// The pseudorandom function of PBKDF2.
#[derive(Debug, Clone, Copy)]
pub(super) enum Prf {
    /// HMAC-SHA-256.
    HmacSha256,
    /// HMAC-SHA-512.
    HmacSha512,
}

impl Stored {
    /// Reads a stored hash.
    pub(super) fn parse(text: &str) -> Result<Self, StoredError> {
        if text.len() > MAX_TEXT {
            return Err(StoredError::Malformed);
        }
        let fields: Vec<&str> = text.split('$').collect();
        match fields[..] {
            ["", "scrypt" | "argon2id" | "argon2i", ..] => memory_hard(text),
            ["", "2a" | "2b" | "2y", ..] => bcrypt(text),
            ["", firebase::SCHEME, parameters, salt, stream] => {
                FirebaseHash::parse(parameters, salt, stream).map(Stored::Firebase)
            }
            // Django's names before the forms that everybody uses.
            ["argon2", "argon2id" | "argon2i", ..] => memory_hard(text.trim_start_matches("argon2")),
            ["bcrypt", "", "2a" | "2b" | "2y", ..] => bcrypt(text.trim_start_matches("bcrypt$")),
            ["scrypt", n, salt, r, p, output] => django_scrypt(n, salt, r, p, output),
            ["", "pbkdf2-sha256", rounds, salt, output] => pbkdf2(Prf::HmacSha256, rounds, salt, output),
            ["", "pbkdf2-sha512", rounds, salt, output] => pbkdf2(Prf::HmacSha512, rounds, salt, output),
            ["pbkdf2_sha256", rounds, salt, output] => django(rounds, salt, output),
            ["", "pbkdf2-sha256" | "pbkdf2-sha512" | firebase::SCHEME, ..]
            | ["pbkdf2_sha256" | "scrypt", ..] => Err(StoredError::Malformed),
            _ => Err(StoredError::Unknown),
        }
    }

    /// The memory that a verification holds, in MiB; at least one.
    pub(super) fn memory_mib(&self) -> u32 {
        match self {
            Self::MemoryHard(cost, ..) | Self::Firebase(FirebaseHash { cost, .. }) => cost.memory_mib(),
            Self::Bcrypt(_) | Self::Pbkdf2 { .. } => 1,
        }
    }

    /// Whether this is a hash of `password`. Fails when the memory for the work cannot be had.
    pub(super) fn verify(&self, password: &[u8]) -> Result<bool, Cause> {
        match self {
            Self::MemoryHard(cost, salt, expected) => {
                let mut output = vec![0; expected.len()];
                cost.compute(password, salt, &mut output)?;
                Ok(output.ct_eq(expected.as_bytes()).into())
            }
            Self::Firebase(hash) => Ok(hash.compute(password)?.ct_eq(&hash.stream).into()),
            Self::Bcrypt(text) => Ok(bcrypt::verify(password, text.expose())?),
            Self::Pbkdf2 { prf, rounds, salt, output: expected } => {
                let mut output = vec![0; expected.len()];
                match prf {
                    Prf::HmacSha256 => pbkdf2_hmac::<Sha256>(password, salt, *rounds, &mut output),
                    Prf::HmacSha512 => pbkdf2_hmac::<Sha512>(password, salt, *rounds, &mut output),
                }
                Ok(output.ct_eq(expected).into())
            }
        }
    }

    /// Whether `scheme` would make such a hash today.
    pub(super) fn is_made_by(&self, scheme: &HashScheme) -> bool {
        match self {
            Self::MemoryHard(cost, salt, output) => scheme.makes(cost, salt.len(), output.len()),
            Self::Bcrypt(_) | Self::Pbkdf2 { .. } | Self::Firebase(_) => false,
        }
    }
}

/// `$scrypt$ln=15,r=8,p=3$salt$hash`, `$argon2id$v=19$m=19456,t=2,p=1$salt$hash`.
fn memory_hard(text: &str) -> Result<Stored, StoredError> {
    let hash = phc::PasswordHash::new(text).map_err(|_| StoredError::Malformed)?;
    let (Some(salt), Some(output)) = (hash.salt, hash.hash) else { return Err(StoredError::Malformed) };
    let cost = match (hash.algorithm.as_str(), hash.version) {
        ("scrypt", None) => {
            let [log_n, r, p] = decimals(&hash.params, ["ln", "r", "p"])?;
            u8::try_from(log_n).map_err(|_| CostError::TooHigh).and_then(|log_n| Cost::scrypt(log_n, r, p))
        }
        ("argon2id" | "argon2i", version) => {
            let algorithm = Algorithm::from_str(hash.algorithm.as_str()).map_err(|_| StoredError::Unknown)?;
            // The first form of these strings had no version field and meant version 1.0.
            let version = version.map_or(Ok(Version::V0x10), Version::try_from);
            let version = version.map_err(|_| StoredError::Malformed)?;
            let [memory_kib, passes, lanes] = decimals(&hash.params, ["m", "t", "p"])?;
            Cost::argon2(algorithm, version, memory_kib, passes, lanes)
        }
        _ => return Err(StoredError::Malformed),
    };
    Ok(Stored::MemoryHard(cost?, salt, output))
}

/// The values of exactly these parameters. What is read here is what is computed later: a parameter given twice, or
/// one that is not known, could mean something else to another reader.
fn decimals(params: &phc::ParamsString, names: [&str; 3]) -> Result<[u32; 3], StoredError> {
    let values = names.map(|name| params.get_decimal(name));
    match values {
        [Some(a), Some(b), Some(c)] if params.iter().count() == names.len() => Ok([a, b, c]),
        _ => Err(StoredError::Malformed),
    }
}

/// `$2b$12$` and 53 characters.
fn bcrypt(text: &str) -> Result<Stored, StoredError> {
    let parts = HashParts::from_str(text).map_err(|_| StoredError::Malformed)?;
    match parts.get_cost() {
        0..4 => Err(StoredError::Malformed),
        4..=MAX_BCRYPT_COST => Ok(Stored::Bcrypt(SecretString::new(text))),
        _ => Err(StoredError::TooCostly),
    }
}

/// `$pbkdf2-sha256$i=600000,l=32$salt$hash` (PHC), `$pbkdf2-sha256$29000$salt$hash` (passlib, which writes `.` for `+`).
fn pbkdf2(prf: Prf, parameters: &str, salt: &str, output: &str) -> Result<Stored, StoredError> {
    let (rounds, length) = match parameters.strip_prefix("i=").map(|phc| phc.split_once(",l=")) {
        Some(Some((rounds, length))) => (rounds, Some(length)),
        Some(None) => (parameters.trim_start_matches("i="), None),
        None => (parameters, None),
    };
    let decode =
        |text: &str| STANDARD_NO_PAD.decode(text.replace('.', "+")).map_err(|_| StoredError::Malformed);
    let (salt, output) = (decode(salt)?, decode(output)?);
    if length.is_some_and(|length| length != output.len().to_string()) {
        return Err(StoredError::Malformed);
    }
    with_rounds(prf, rounds, salt, output)
}

/// `pbkdf2_sha256$600000$salt$hash`, the salt as it is.
fn django(rounds: &str, salt: &str, output: &str) -> Result<Stored, StoredError> {
    let output = STANDARD.decode(output).map_err(|_| StoredError::Malformed)?;
    with_rounds(Prf::HmacSha256, rounds, salt.as_bytes().to_vec(), output)
}

/// `scrypt$16384$salt$8$5$hash`, the salt as it is.
fn django_scrypt(n: &str, salt: &str, r: &str, p: &str, output: &str) -> Result<Stored, StoredError> {
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits {
            return Err(StoredError::Malformed);
        }
        text.parse::<u32>().map_err(|_| StoredError::TooCostly)
    };
    let n = number(n)?;
    if !n.is_power_of_two() {
        return Err(StoredError::Malformed);
    }
    let log_n = u8::try_from(n.ilog2()).map_err(|_| StoredError::TooCostly)?;
    let cost = Cost::scrypt(log_n, number(r)?, number(p)?)?;
    let output = STANDARD.decode(output).map_err(|_| StoredError::Malformed)?;
    let salt = Salt::new(salt.as_bytes()).map_err(|_| StoredError::Malformed)?;
    let output = Output::new(&output).map_err(|_| StoredError::Malformed)?;
    Ok(Stored::MemoryHard(cost, salt, output))
}

fn with_rounds(prf: Prf, rounds: &str, salt: Vec<u8>, output: Vec<u8>) -> Result<Stored, StoredError> {
    if rounds.is_empty() || !rounds.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(StoredError::Malformed);
    }
    match rounds.parse() {
        Ok(0) => Err(StoredError::Malformed),
        Ok(1..=MAX_PBKDF2_ROUNDS) if !PBKDF2_OUTPUT.contains(&output.len()) => Err(StoredError::Malformed),
        Ok(rounds @ 1..=MAX_PBKDF2_ROUNDS) => Ok(Stored::Pbkdf2 { prf, rounds, salt, output }),
        Ok(_) | Err(_) => Err(StoredError::TooCostly),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SALT: &str = "AAECAwQFBgcICQoLDA0ODw";
    const HASH: &str = "wk79EttC618m617oirShLZuxJkXcX6rXHrrS9rQQ/44";
    const BCRYPT: &str = "vVYL/fNmGafj/jNNcmYKP.I6lK2IpbBBKBT9m163eaxg/.bSsMc4S";

    fn refused(text: &str) -> StoredError {
        Stored::parse(text).err().unwrap_or_else(|| panic!("{text} was taken"))
    }

    /// PW-07: what a row of the store says about cost is not believed.
    #[test]
    fn what_costs_too_much_is_refused_before_any_work() {
        for parameters in [
            "scrypt$ln=30,r=8,p=1",
            "scrypt$ln=19,r=8,p=1",
            "scrypt$ln=255,r=8,p=1",
            "scrypt$ln=256,r=8,p=1",
            "scrypt$ln=1,r=8,p=536870912",
            "scrypt$ln=1,r=4294967295,p=4294967295",
            "scrypt$ln=17,r=8,p=9",
            "argon2id$v=19$m=262145,t=2,p=1",
            "argon2id$v=19$m=4294967295,t=2,p=1",
            "argon2id$v=19$m=19456,t=17,p=1",
            "argon2i$v=19$m=19456,t=2,p=16777215",
            "pbkdf2-sha256$i=5000001",
            "pbkdf2-sha512$4294967296",
        ] {
            let text = format!("${parameters}${SALT}${HASH}");
            assert_eq!(refused(&text), StoredError::TooCostly, "{text}");
        }
        assert_eq!(refused(&format!("$2b$15${BCRYPT}")), StoredError::TooCostly);
        assert_eq!(refused(&format!("$2b$31${BCRYPT}")), StoredError::TooCostly);
    }

    #[test]
    fn the_ceilings_themselves_are_within_reach() {
        for (parameters, memory_mib) in [
            ("scrypt$ln=18,r=8,p=1", 256),
            ("scrypt$ln=20,r=1,p=1", 128),
            ("scrypt$ln=10,r=8,p=1024", 1),
            ("argon2id$v=19$m=262144,t=16,p=64", 256),
            ("argon2i$m=19456,t=2,p=1", 19),
            ("pbkdf2-sha256$i=5000000", 1),
        ] {
            let stored = Stored::parse(&format!("${parameters}${SALT}${HASH}")).unwrap();
            assert_eq!(stored.memory_mib(), memory_mib, "{parameters}");
        }
        assert_eq!(Stored::parse(&format!("$2b$14${BCRYPT}")).unwrap().memory_mib(), 1);
    }

    #[test]
    fn what_is_not_exactly_of_its_form_is_refused() {
        for text in [
            format!("$scrypt$ln=10,r=8,p=1,ln=30${SALT}${HASH}"),
            format!("$scrypt$ln=10,ln=10,p=1${SALT}${HASH}"),
            format!("$scrypt$v=1$ln=10,r=8,p=1${SALT}${HASH}"),
            format!("$scrypt$ln=10,r=8${SALT}${HASH}"),
            format!("$scrypt$ln=0,r=8,p=1${SALT}${HASH}"),
            format!("$scrypt$ln=10,r=8,p=1${SALT}"),
            format!("$scrypt$ln=10,r=8,p=1${SALT}$"),
            format!("$scrypt$ln=10,r=8,p=1${SALT}${HASH}$"),
            format!("$argon2id$v=18$m=1024,t=2,p=1${SALT}${HASH}"),
            format!("$argon2id$v=19$m=8,t=2,p=2${SALT}${HASH}"),
            format!("$argon2id$v=19$m=1024,t=2,p=1,data=AAAA${SALT}${HASH}"),
            format!("$argon2id$v=19$m=1024,t=2,p=1${SALT}$AAAA"),
            format!("$2b$03${BCRYPT}"),
            format!("$2b$xx${BCRYPT}"),
            format!("$2b$10${BCRYPT}A"),
            "$2b$10$äöüäöüäöüäöüäöüäöüäöüäöüäöüäöüäöüäöüäöüäöüä".to_owned(),
            format!("$pbkdf2-sha256$i=0${SALT}${HASH}"),
            format!("$pbkdf2-sha256$i=-1${SALT}${HASH}"),
            format!("$pbkdf2-sha256$i=1000,l=16${SALT}${HASH}"),
            format!("$pbkdf2-sha256$i=1000${SALT}$"),
            format!("$pbkdf2-sha256$1000${SALT}$AAAA"),
            format!("$pbkdf2-sha256$1000${SALT}"),
            "pbkdf2_sha256$1000$salt$".to_owned(),
            format!("pbkdf2_sha256$1000$salt${HASH}"),
            format!("$scrypt$ln=10,r=8,p=1${SALT}${}", "A".repeat(512)),
        ] {
            assert_eq!(refused(&text), StoredError::Malformed, "{text}");
        }
        for text in
            ["", "$", "$$", "plain text", "$1$salt$hash", "$argon2d$v=19$m=1024,t=2,p=1$a$b", "$2x$10$", "!"]
        {
            assert_eq!(refused(text), StoredError::Unknown, "{text}");
        }
    }

    proptest! {
        /// PW-08.
        #[test]
        fn no_text_makes_the_reader_panic(text in any::<String>()) {
            let _ = Stored::parse(&text);
        }

        /// PW-08, close to what is valid: every field may be anything.
        #[test]
        fn no_field_makes_the_reader_panic(
            scheme in r"\$?(scrypt|argon2id?|2[aby]|pbkdf2-sha(256|512)|pbkdf2_sha256)",
            fields in prop::collection::vec(prop_oneof![
                r"(v|i|ln|m)=[0-9]{1,20}(,(r|t|p|l|ln)=[0-9]{1,11}){0,3}",
                r"[0-9]{1,11}",
                r"[A-Za-z0-9+/.=]{0,90}",
                any::<String>(),
            ], 0..5),
        ) {
            let _ = Stored::parse(&format!("{scheme}${}", fields.join("$")));
        }
    }
}
