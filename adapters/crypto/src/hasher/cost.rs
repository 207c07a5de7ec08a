//! The two memory-hard functions with parameters whose cost is known to be bearable.

use std::cell::RefCell;

use argon2::{Algorithm, Argon2, Block, Version};
use identsphere_kernel::store_error::Cause;

const MIB: u64 = 1 << 20;

/// The most memory that one hash may take (PW-07).
pub(super) const MAX_MEMORY_MIB: u64 = 256;
/// The most passes of Argon2 (PW-07).
pub(super) const MAX_ARGON2_PASSES: u32 = 16;
/// The most lanes of Argon2.
pub(super) const MAX_ARGON2_LANES: u32 = 64;
/// The highest logarithm of scrypt's N.
pub(super) const MAX_SCRYPT_LOG_N: u8 = 20;
/// The most `r·p` of scrypt: its lanes then take 1 MiB beside the memory proper.
pub(super) const MAX_SCRYPT_R_P: u64 = 1 << 13;
/// The most `N·r·p` of scrypt: eight times what OWASP advises, about two seconds.
pub(super) const MAX_SCRYPT_WORK: u64 = 1 << 23;

/// Why parameters are not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum CostError {
    /// The function is not defined for them.
    #[error("the parameters are not valid")]
    Invalid,
    /// Computing it would take too much memory or time.
    #[error("the parameters cost more than is allowed")]
    TooHigh,
}

/// A function to hash with. A value exists only with parameters under the ceilings above.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cost {
    /// scrypt (RFC 7914).
    Scrypt(scrypt::Params),
    /// Argon2 (RFC 9106).
    Argon2(Algorithm, Version, argon2::Params),
}

impl Cost {
    /// scrypt with N = 2^`log_n`.
    pub(super) fn scrypt(log_n: u8, r: u32, p: u32) -> Result<Self, CostError> {
        if log_n == 0 || r == 0 || p == 0 {
            return Err(CostError::Invalid);
        }
        let r_p = u64::from(r) * u64::from(p);
        if log_n > MAX_SCRYPT_LOG_N
            || r_p > MAX_SCRYPT_R_P
            || r_p << log_n > MAX_SCRYPT_WORK
            || scrypt_bytes(log_n, r) > MAX_MEMORY_MIB * MIB
        {
            return Err(CostError::TooHigh);
        }
        scrypt::Params::new(log_n, r, p).map(Self::Scrypt).map_err(|_| CostError::Invalid)
    }

    /// Argon2 with `memory_kib` KiB.
    pub(super) fn argon2(
        algorithm: Algorithm,
        version: Version,
        memory_kib: u32,
        passes: u32,
        lanes: u32,
    ) -> Result<Self, CostError> {
        if u64::from(memory_kib) > MAX_MEMORY_MIB << 10
            || passes > MAX_ARGON2_PASSES
            || lanes > MAX_ARGON2_LANES
        {
            return Err(CostError::TooHigh);
        }
        let params = argon2::Params::new(memory_kib, passes, lanes, None).map_err(|_| CostError::Invalid)?;
        Ok(Self::Argon2(algorithm, version, params))
    }

    /// The memory that one hash holds while it is computed, in MiB, rounded up.
    pub(super) fn memory_mib(&self) -> u32 {
        let bytes = match self {
            Self::Scrypt(params) => scrypt_bytes(params.log_n(), params.r()),
            Self::Argon2(_, _, params) => u64::from(params.m_cost()) << 10,
        };
        u32::try_from(bytes.div_ceil(MIB)).unwrap_or(u32::MAX)
    }

    /// Computes the hash. Fails when the memory cannot be had.
    pub(super) fn compute(&self, password: &[u8], salt: &[u8], output: &mut [u8]) -> Result<(), Cause> {
        match self {
            Self::Scrypt(params) => scrypt::scrypt(password, salt, params, output)?,
            Self::Argon2(algorithm, version, params) => {
                let function = Argon2::new(*algorithm, *version, params.clone());
                with_blocks(params.block_count(), |blocks| {
                    let done = function.hash_password_into_with_memory(password, salt, output, blocks);
                    done.map_err(|error| error.to_string().into())
                })?;
            }
        }
        Ok(())
    }
}

/// RFC 7914 §5: a vector of N blocks of 128·r bytes.
fn scrypt_bytes(log_n: u8, r: u32) -> u64 {
    (128 * u64::from(r)) << log_n
}

/// Lends memory for Argon2, which the thread keeps for its next hash.
///
/// An allocator may not return what is freed: glibc scatters blocks of up to 32 MiB over its arenas, and a flood of
/// sign-ins then holds many times the memory that is in use. What is larger it returns at once.
fn with_blocks<T>(count: usize, work: impl FnOnce(&mut [Block]) -> Result<T, Cause>) -> Result<T, Cause> {
    const KEPT: usize = 32 << 10;
    thread_local! {
        static BLOCKS: RefCell<Vec<Block>> = const { RefCell::new(Vec::new()) };
    }
    if count > KEPT {
        return work(&mut blocks(count)?);
    }
    BLOCKS.with_borrow_mut(|kept| {
        if kept.len() < count {
            *kept = Vec::new();
            *kept = blocks(count)?;
        }
        work(kept)
    })
}

/// So many blocks of 1 KiB, unless there is no memory for them.
fn blocks(count: usize) -> Result<Vec<Block>, Cause> {
    let mut blocks = Vec::new();
    blocks.try_reserve_exact(count)?;
    blocks.resize(count, Block::default());
    Ok(blocks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_was_used_before_changes_no_hash() {
        let compute = |memory_kib, lanes| {
            let cost = Cost::argon2(Algorithm::Argon2id, Version::V0x13, memory_kib, 2, lanes).unwrap();
            let mut output = [0; 32];
            cost.compute(b"correct horse battery", b"0123456789abcdef", &mut output).unwrap();
            output
        };
        let costs = [(64, 1), (256, 2), (64, 1), (32, 4), (256, 2)];
        let fresh =
            costs.map(|(memory, lanes)| std::thread::spawn(move || compute(memory, lanes)).join().unwrap());
        assert_eq!(costs.map(|(memory, lanes)| compute(memory, lanes)), fresh);
    }
}
