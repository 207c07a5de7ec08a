//! Repeatable randomness.

use std::sync::atomic::{AtomicU64, Ordering};

use identsphere_kernel::{SecureRandom, TokenHash};

/// The same bytes in every run; different ones at every call. Not secure, of course.
#[derive(Debug)]
pub struct SeededRandom {
    seed: u64,
    calls: AtomicU64,
}

impl SeededRandom {
    /// The sequence that belongs to `seed`.
    pub fn new(seed: u64) -> Self {
        Self { seed, calls: AtomicU64::new(0) }
    }
}

impl SecureRandom for SeededRandom {
    fn fill(&self, buffer: &mut [u8]) {
        for chunk in buffer.chunks_mut(32) {
            let call = self.calls.fetch_add(1, Ordering::SeqCst);
            let block = TokenHash::of(format!("{} {call}", self.seed).as_bytes());
            chunk.iter_mut().zip(block.as_bytes()).for_each(|(to, from)| *to = *from);
        }
    }
}
