//! Randomness as a parameter.

/// A cryptographically secure source of random bytes.
pub trait SecureRandom: Send + Sync + 'static {
    /// Fills `buffer` with unpredictable bytes.
    fn fill(&self, buffer: &mut [u8]);
}

impl dyn SecureRandom {
    /// `N` unpredictable bytes.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut buffer = [0; N];
        self.fill(&mut buffer);
        buffer
    }
}

/// The random source of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct OsRandom;

impl SecureRandom for OsRandom {
    fn fill(&self, buffer: &mut [u8]) {
        #[expect(clippy::disallowed_methods, reason = "the one place where the system's randomness is read")]
        #[expect(
            clippy::expect_used,
            reason = "without randomness nothing here is safe: stopping is the only answer"
        )]
        getrandom::fill(buffer).expect("the operating system provides randomness");
    }
}
