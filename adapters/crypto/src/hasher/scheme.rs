//! The configured scheme: how new passwords are hashed.

use std::fmt;

use argon2::{Algorithm, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use identsphere_accounts::PasswordHash;
use identsphere_kernel::store_error::Cause;

use super::cost::{self, Cost, CostError};

/// Bytes of the salt of a new hash.
pub(super) const SALT: usize = 16;
/// Bytes of a new hash.
pub(super) const OUTPUT: usize = 32;

/// Why a setting is not taken as a scheme.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemeError {
    /// Neither scrypt nor Argon2id, or parameters missing, doubled or misspelt.
    #[error(
        "`{setting}` is not a password hash scheme; write `{default}` or `argon2id:m=19456,t=2,p=1`",
        default = HashScheme::DEFAULT
    )]
    Unknown {
        /// What was read.
        setting: String,
    },
    /// Weaker than every row that OWASP gives for the function.
    #[error("`{setting}` is weaker than OWASP advises; the nearest that is not is `{nearest}`")]
    BelowFloor {
        /// What was read.
        setting: String,
        /// The nearest valid setting.
        nearest: String,
    },
    /// Beyond what is ever computed.
    #[error(
        "`{setting}` costs more than is allowed: at most {} MiB; for scrypt ln <= {}, r*p <= {} and 2^ln*r*p <= {}; \
         for argon2id t <= {} and p <= {}",
        cost::MAX_MEMORY_MIB,
        cost::MAX_SCRYPT_LOG_N,
        cost::MAX_SCRYPT_R_P,
        cost::MAX_SCRYPT_WORK,
        cost::MAX_ARGON2_PASSES,
        cost::MAX_ARGON2_LANES
    )]
    TooCostly {
        /// What was read.
        setting: String,
    },
}

/// How new passwords are hashed.
#[derive(Debug, Clone, PartialEq)]
pub struct HashScheme(Cost);

impl HashScheme {
    /// The setting when nothing else is set: 32 MiB and about 0.2 s.
    pub const DEFAULT: &str = "scrypt:ln=15,r=8,p=3";

    /// Reads a setting such as `scrypt:ln=15,r=8,p=3` or `argon2id:m=19456,t=2,p=1` (`m` in KiB).
    ///
    /// # Errors
    /// [`SchemeError`]; everything below the floor of the OWASP Password Storage Cheat Sheet is refused.
    pub fn parse(setting: &str) -> Result<Self, SchemeError> {
        let scheme = Self::below_floor_for_tests(setting)?;
        match scheme.nearest_above_floor() {
            Some(nearest) if nearest == scheme => Ok(scheme),
            nearest => {
                let nearest = nearest.map_or_else(|| Self::DEFAULT.to_owned(), |scheme| scheme.to_string());
                Err(SchemeError::BelowFloor { setting: setting.to_owned(), nearest })
            }
        }
    }

    /// Reads a setting without the floor: for tests, where real hashes would take most of the time, and for
    /// benchmarks that leave the hash out. Never for passwords of people.
    ///
    /// # Errors
    /// [`SchemeError`], never [`SchemeError::BelowFloor`].
    pub fn below_floor_for_tests(setting: &str) -> Result<Self, SchemeError> {
        let unknown = || SchemeError::Unknown { setting: setting.to_owned() };
        let (name, parameters) = setting.split_once(':').ok_or_else(unknown)?;
        let cost = match name {
            "scrypt" => {
                let [log_n, r, p] = numbers(parameters, ["ln", "r", "p"]).ok_or_else(unknown)?;
                u8::try_from(log_n)
                    .map_err(|_| CostError::TooHigh)
                    .and_then(|log_n| Cost::scrypt(log_n, r, p))
            }
            "argon2id" => {
                let [memory_kib, passes, lanes] = numbers(parameters, ["m", "t", "p"]).ok_or_else(unknown)?;
                argon2id(memory_kib, passes, lanes)
            }
            _ => return Err(unknown()),
        };
        cost.map(Self).map_err(|error| match error {
            CostError::Invalid => unknown(),
            CostError::TooHigh => SchemeError::TooCostly { setting: setting.to_owned() },
        })
    }

    /// The memory that one hash holds while it is computed, in MiB.
    pub fn memory_mib(&self) -> u32 {
        self.0.memory_mib()
    }

    /// Hashes a password into a PHC string.
    pub(super) fn hash(&self, password: &[u8], salt: &[u8; SALT]) -> Result<PasswordHash, Cause> {
        let mut output = [0; OUTPUT];
        self.0.compute(password, salt, &mut output)?;
        let [salt, output] = [&salt[..], &output].map(|bytes| STANDARD_NO_PAD.encode(bytes));
        Ok(PasswordHash::new(match &self.0 {
            Cost::Scrypt(cost) => {
                format!("$scrypt$ln={},r={},p={}${salt}${output}", cost.log_n(), cost.r(), cost.p())
            }
            Cost::Argon2(algorithm, version, cost) => format!(
                "${algorithm}$v={}$m={},t={},p={}${salt}${output}",
                u32::from(*version),
                cost.m_cost(),
                cost.t_cost(),
                cost.p_cost()
            ),
        }))
    }

    /// Does the work of [`HashScheme::hash`] for nothing.
    pub(super) fn work_for_nothing(&self, password: &[u8]) -> Result<(), Cause> {
        let mut output = [0; OUTPUT];
        self.0.compute(password, &[0; SALT], &mut output)?;
        std::hint::black_box(output);
        Ok(())
    }

    /// Whether a hash with this cost and these lengths is one that [`HashScheme::hash`] makes.
    pub(super) fn makes(&self, cost: &Cost, salt: usize, output: usize) -> bool {
        self.0 == *cost && salt == SALT && output == OUTPUT
    }

    /// The cheapest scheme (of equals, the one with the least memory) that is nowhere below this one and at or above a
    /// row of the floor: itself when it is strong enough, `None` when nothing under the ceilings is.
    fn nearest_above_floor(&self) -> Option<Self> {
        match &self.0 {
            Cost::Scrypt(cost) => SCRYPT_FLOOR
                .iter()
                .map(|(log_n, r, p)| (cost.log_n().max(*log_n), cost.r().max(*r), cost.p().max(*p)))
                .min_by_key(|(log_n, r, p)| ((u64::from(*r) * u64::from(*p)) << log_n, *log_n))
                .and_then(|(log_n, r, p)| Cost::scrypt(log_n, r, p).ok()),
            Cost::Argon2(_, _, cost) => ARGON2ID_FLOOR
                .iter()
                .map(|(memory_kib, passes)| (cost.m_cost().max(*memory_kib), cost.t_cost().max(*passes)))
                .min_by_key(|(memory_kib, passes)| u64::from(*memory_kib) * u64::from(*passes))
                .and_then(|(memory_kib, passes)| argon2id(memory_kib, passes, cost.p_cost()).ok()),
        }
        .map(Self)
    }
}

/// The setting.
impl fmt::Display for HashScheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Cost::Scrypt(cost) => write!(f, "scrypt:ln={},r={},p={}", cost.log_n(), cost.r(), cost.p()),
            Cost::Argon2(algorithm, _, cost) => {
                write!(f, "{algorithm}:m={},t={},p={}", cost.m_cost(), cost.t_cost(), cost.p_cost())
            }
        }
    }
}

/// OWASP Password Storage Cheat Sheet, scrypt: log₂ N, r, p.
const SCRYPT_FLOOR: [(u8, u32, u32); 5] = [(17, 8, 1), (16, 8, 2), (15, 8, 3), (14, 8, 5), (13, 8, 10)];

/// OWASP Password Storage Cheat Sheet, Argon2id: KiB of memory, passes.
const ARGON2ID_FLOOR: [(u32, u32); 5] = [(47_104, 1), (19_456, 2), (12_288, 3), (9_216, 4), (7_168, 5)];

fn argon2id(memory_kib: u32, passes: u32, lanes: u32) -> Result<Cost, CostError> {
    Cost::argon2(Algorithm::Argon2id, Version::V0x13, memory_kib, passes, lanes)
}

/// The values of `a=1,b=2,c=3`, each name once and in this order.
fn numbers(text: &str, names: [&str; 3]) -> Option<[u32; 3]> {
    let mut pairs = text.split(',');
    let values = names.map(|name| {
        let (found, value) = pairs.next()?.split_once('=')?;
        (found == name && value.bytes().all(|byte| byte.is_ascii_digit())).then(|| value.parse().ok())?
    });
    let [Some(a), Some(b), Some(c)] = values else { return None };
    pairs.next().is_none().then_some([a, b, c])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_row_of_the_floor_is_taken_as_it_is() {
        let scrypt = SCRYPT_FLOOR.map(|(log_n, r, p)| format!("scrypt:ln={log_n},r={r},p={p}"));
        let argon2id =
            ARGON2ID_FLOOR.map(|(memory_kib, passes)| format!("argon2id:m={memory_kib},t={passes},p=1"));
        for setting in scrypt.iter().chain(&argon2id) {
            assert_eq!(HashScheme::parse(setting).unwrap().to_string(), *setting);
        }
        assert_eq!(HashScheme::parse(HashScheme::DEFAULT).unwrap().memory_mib(), 32);
        assert_eq!(HashScheme::parse("argon2id:m=19456,t=2,p=1").unwrap().memory_mib(), 19);
    }

    #[test]
    fn what_is_above_a_row_is_taken() {
        for setting in [
            "scrypt:ln=16,r=8,p=3",
            "scrypt:ln=17,r=16,p=1",
            "argon2id:m=65536,t=3,p=4",
            "argon2id:m=19457,t=2,p=1",
        ] {
            assert_eq!(HashScheme::parse(setting).unwrap().to_string(), setting);
        }
    }

    #[test]
    fn what_is_below_every_row_is_refused_with_the_nearest_that_is_not() {
        for (setting, nearest) in [
            ("scrypt:ln=14,r=8,p=1", "scrypt:ln=14,r=8,p=5"),
            ("scrypt:ln=15,r=8,p=2", "scrypt:ln=15,r=8,p=3"),
            ("scrypt:ln=16,r=8,p=1", "scrypt:ln=16,r=8,p=2"),
            ("scrypt:ln=17,r=4,p=1", "scrypt:ln=17,r=8,p=1"),
            ("scrypt:ln=1,r=1,p=1", "scrypt:ln=13,r=8,p=10"),
            ("scrypt:ln=20,r=1,p=1", HashScheme::DEFAULT),
            ("argon2id:m=19456,t=1,p=1", "argon2id:m=19456,t=2,p=1"),
            ("argon2id:m=8192,t=4,p=1", "argon2id:m=9216,t=4,p=1"),
            ("argon2id:m=47103,t=1,p=1", "argon2id:m=47104,t=1,p=1"),
        ] {
            let error = HashScheme::parse(setting).unwrap_err();
            assert_eq!(
                error,
                SchemeError::BelowFloor { setting: setting.to_owned(), nearest: nearest.to_owned() }
            );
            HashScheme::parse(nearest).unwrap();
            HashScheme::below_floor_for_tests(setting).unwrap();
        }
    }

    #[test]
    fn what_costs_too_much_is_refused() {
        for setting in [
            "scrypt:ln=19,r=8,p=1",
            "scrypt:ln=21,r=1,p=1",
            "scrypt:ln=400,r=8,p=1",
            "scrypt:ln=17,r=8,p=9",
            "scrypt:ln=1,r=8,p=4294967295",
            "scrypt:ln=1,r=4294967295,p=4294967295",
            "argon2id:m=262145,t=1,p=1",
            "argon2id:m=19456,t=17,p=1",
            "argon2id:m=19456,t=2,p=65",
        ] {
            let error = HashScheme::parse(setting).unwrap_err();
            assert_eq!(error, SchemeError::TooCostly { setting: setting.to_owned() });
        }
    }

    #[test]
    fn what_is_not_a_scheme_is_refused() {
        for setting in [
            "",
            "scrypt",
            "scrypt:",
            "bcrypt:cost=12",
            "argon2i:m=19456,t=2,p=1",
            "scrypt:ln=15,r=8",
            "scrypt:ln=15,r=8,p=3,x=1",
            "scrypt:ln=15,ln=15,r=8,p=3",
            "scrypt:r=8,ln=15,p=3",
            "scrypt:ln=15,r=8,p=0",
            "scrypt:ln=+15,r=8,p=3",
            "scrypt:ln=15,r=8,p=99999999999",
            "argon2id:m=7,t=2,p=1",
            "argon2id:m=19456,t=0,p=1",
        ] {
            assert!(matches!(HashScheme::parse(setting), Err(SchemeError::Unknown { .. })), "{setting}");
        }
    }

    proptest! {
        #[test]
        fn a_scheme_is_taken_exactly_when_it_is_at_or_above_a_row(log_n in 10u8..18, r in 4u32..12, p in 1u32..12) {
            let setting = format!("scrypt:ln={log_n},r={r},p={p}");
            let strong = SCRYPT_FLOOR.iter().any(|row| log_n >= row.0 && r >= row.1 && p >= row.2);
            match HashScheme::parse(&setting) {
                Ok(_) => prop_assert!(strong),
                Err(SchemeError::BelowFloor { nearest, .. }) => {
                    prop_assert!(!strong);
                    prop_assert!(HashScheme::parse(&nearest).is_ok());
                }
                Err(SchemeError::TooCostly { .. }) => prop_assert!(u64::from(r * p) << log_n > cost::MAX_SCRYPT_WORK),
                Err(SchemeError::Unknown { .. }) => prop_assert!(false),
            }
        }
    }
}
