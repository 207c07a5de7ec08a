//! The modified scrypt of Firebase Authentication (<https://github.com/firebase/scrypt>).
//!
//! Firebase encrypts a key of the project, the signer key, by AES-256-CTR under a key that scrypt makes from the password,
//! and keeps the ciphertext. A ciphertext in counter mode is the plaintext XOR the key stream (NIST SP 800-38A §6.5), and
//! the signer key is the same for every user. So it is taken out once, when a user is brought along: what is kept is the
//! key stream alone, which the password makes again by itself. The signer key, a secret of the project, is then needed by
//! nobody, is in no row, and need not outlive the import.

use aes::Aes256;
use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD_NO_PAD};
use base64::engine::{DecodePaddingMode, general_purpose};
use ctr::Ctr128BE;
use ctr::cipher::{KeyIvInit as _, StreamCipher as _};
use identsphere_accounts::PasswordHash;
use identsphere_kernel::store_error::Cause;
use zeroize::Zeroizing;

use super::cost::{Cost, CostError};
use super::stored::StoredError;

/// The scheme of the form that is kept: `$firebase-scrypt$ln=14,r=8,p=1$salt$keystream`.
pub(super) const SCHEME: &str = "firebase-scrypt";
/// Bytes of a signer key, and so of a key stream. A shorter one would match by chance.
const KEY_STREAM: std::ops::RangeInclusive<usize> = 32..=64;
const MAX_SALT: usize = 128;

/// Why a hash of Firebase is not taken over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FirebaseError {
    /// The parameters lack one, or hold something else under its name.
    #[error(
        "the hash parameters of Firebase need a valid `{0}`: copy all of them, as the console shows them under \
         Authentication, Users, Password hash parameters"
    )]
    Parameter(&'static str),
    /// The parameters ask for more memory or time than is allowed.
    #[error("the hash parameters of Firebase cost more than is allowed")]
    TooCostly,
    /// The hash or the salt of a user is not base64 or has not the length that the signer key gives it.
    #[error("is not a hash or salt of this Firebase project")]
    Foreign,
}

/// The hash parameters of a Firebase project.
pub struct FirebaseProject {
    signer_key: Zeroizing<Vec<u8>>,
    salt_separator: Vec<u8>,
    rounds: u32,
    mem_cost: u8,
}

impl FirebaseProject {
    /// Reads the parameters as Firebase's console shows them:
    ///
    /// ```text
    /// hash_config {
    ///   algorithm: SCRYPT,
    ///   base64_signer_key: …,
    ///   base64_salt_separator: Bw==,
    ///   rounds: 8,
    ///   mem_cost: 14,
    /// }
    /// ```
    ///
    /// # Errors
    /// [`FirebaseError::Parameter`], [`FirebaseError::TooCostly`].
    pub fn parse(text: &str) -> Result<Self, FirebaseError> {
        let value = |name: &'static str| {
            let mut values = text.lines().filter_map(|line| {
                let (found, value) = line.split_once(':')?;
                let value = value.trim().trim_end_matches(',').trim_matches('"');
                (found.trim().trim_matches('"') == name).then_some(value)
            });
            values.next().ok_or(FirebaseError::Parameter(name))
        };
        if value("algorithm")? != "SCRYPT" {
            return Err(FirebaseError::Parameter("algorithm"));
        }
        let bytes = |name| decode(value(name)?).ok_or(FirebaseError::Parameter(name));
        let project = Self {
            signer_key: Zeroizing::new(bytes("base64_signer_key")?),
            salt_separator: bytes("base64_salt_separator")?,
            rounds: value("rounds")?.parse().map_err(|_| FirebaseError::Parameter("rounds"))?,
            mem_cost: value("mem_cost")?.parse().map_err(|_| FirebaseError::Parameter("mem_cost"))?,
        };
        if !KEY_STREAM.contains(&project.signer_key.len()) {
            return Err(FirebaseError::Parameter("base64_signer_key"));
        }
        match Cost::scrypt(project.mem_cost, project.rounds, 1) {
            Ok(_) => Ok(project),
            Err(CostError::TooHigh) => Err(FirebaseError::TooCostly),
            Err(CostError::Invalid) => Err(FirebaseError::Parameter("mem_cost")),
        }
    }

    /// Turns what Firebase exports of a user, `passwordHash` and `salt`, into a hash that needs no signer key.
    ///
    /// # Errors
    /// [`FirebaseError::Foreign`].
    pub fn convert(&self, hash: &str, salt: &str) -> Result<PasswordHash, FirebaseError> {
        let (mut stream, mut salt) = decode(hash).zip(decode(salt)).ok_or(FirebaseError::Foreign)?;
        salt.extend(&self.salt_separator);
        if stream.len() != self.signer_key.len() || salt.len() > MAX_SALT {
            return Err(FirebaseError::Foreign);
        }
        stream.iter_mut().zip(self.signer_key.iter()).for_each(|(byte, key)| *byte ^= key);
        Ok(PasswordHash::new(format!(
            "${SCHEME}$ln={},r={},p=1${}${}",
            self.mem_cost,
            self.rounds,
            STANDARD_NO_PAD.encode(salt),
            STANDARD_NO_PAD.encode(stream)
        )))
    }
}

/// The parts of the form that is kept.
pub(super) struct FirebaseHash {
    pub(super) cost: Cost,
    salt: Vec<u8>,
    pub(super) stream: Vec<u8>,
}

impl FirebaseHash {
    /// Reads the fields behind the scheme.
    pub(super) fn parse(parameters: &str, salt: &str, stream: &str) -> Result<Self, StoredError> {
        let cost = parameters
            .strip_prefix("ln=")
            .and_then(|rest| rest.strip_suffix(",p=1"))
            .and_then(|rest| rest.split_once(",r="))
            .and_then(|(log_n, r)| Some((number(log_n)?, number(r)?)))
            .ok_or(StoredError::Malformed)?;
        let log_n = u8::try_from(cost.0).map_err(|_| StoredError::TooCostly)?;
        let cost = Cost::scrypt(log_n, cost.1, 1)?;
        let decode = |text| STANDARD_NO_PAD.decode(text).map_err(|_| StoredError::Malformed);
        let (salt, stream) = (decode(salt)?, decode(stream)?);
        if salt.len() > MAX_SALT || !KEY_STREAM.contains(&stream.len()) {
            return Err(StoredError::Malformed);
        }
        Ok(Self { cost, salt, stream })
    }

    /// The key stream that `password` makes, as long as the one that is kept.
    pub(super) fn compute(&self, password: &[u8]) -> Result<Vec<u8>, Cause> {
        let mut key = Zeroizing::new([0; 32]);
        self.cost.compute(password, &self.salt, &mut *key)?;
        let mut stream = vec![0; self.stream.len()];
        Ctr128BE::<Aes256>::new(&(*key).into(), &[0; 16].into()).apply_keystream(&mut stream);
        Ok(stream)
    }
}

/// Base64 of either alphabet, padded or not: Firebase's interface and its tools write different ones.
fn decode(text: &str) -> Option<Vec<u8>> {
    const LENIENT: GeneralPurposeConfig = general_purpose::NO_PAD
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    const READER: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
    READER.decode(text.replace('-', "+").replace('_', "/")).ok()
}

fn number(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARAMETERS: &str = "hash_config {\n  algorithm: SCRYPT,\n  base64_signer_key: \
        jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA==,\n  \
        base64_salt_separator: Bw==,\n  rounds: 8,\n  mem_cost: 14,\n}\n";

    fn refused(from: &str, to: &str) -> FirebaseError {
        assert!(PARAMETERS.contains(from));
        FirebaseProject::parse(&PARAMETERS.replace(from, to)).err().unwrap()
    }

    #[test]
    fn what_is_kept_holds_no_signer_key() {
        let project = FirebaseProject::parse(PARAMETERS).unwrap();
        let hash = "lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZqAjTdn3aoItz+VHjoZilo78198JAdRuid5lQ==";
        let kept = project.convert(hash, "42xEC+ixf3L2lw==").unwrap();
        let kept = kept.as_str();
        assert!(kept.starts_with("$firebase-scrypt$ln=14,r=8,p=1$42xEC+ixf3L2lwc$"), "{kept}");
        assert!(!kept.contains("jxspr8Ki0RYy") && !kept.contains("lSrfV15cpx95"), "{kept}");
        let url_safe = hash.replace('+', "-").replace('/', "_");
        assert_eq!(project.convert(&url_safe, "42xEC-ixf3L2lw").unwrap().as_str(), kept);
    }

    #[test]
    fn parameters_that_are_wrong_are_named() {
        assert_eq!(refused("SCRYPT", "STANDARD_SCRYPT"), FirebaseError::Parameter("algorithm"));
        assert_eq!(refused("jxspr8", "jx$pr8"), FirebaseError::Parameter("base64_signer_key"));
        assert_eq!(refused("rounds: 8", "rounds: -8"), FirebaseError::Parameter("rounds"));
        assert_eq!(refused("mem_cost: 14", ""), FirebaseError::Parameter("mem_cost"));
        assert_eq!(refused("mem_cost: 14", "mem_cost: 30"), FirebaseError::TooCostly);
    }

    #[test]
    fn what_is_not_of_the_project_is_refused() {
        let project = FirebaseProject::parse(PARAMETERS).unwrap();
        for (hash, salt) in
            [("", "42xEC+ixf3L2lw=="), ("AAAA", "42xEC+ixf3L2lw=="), ("§", "AAAA"), ("AAAA", "§")]
        {
            assert_eq!(project.convert(hash, salt).err(), Some(FirebaseError::Foreign));
        }
    }
}
