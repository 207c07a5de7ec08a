//! What happens often is told of once a second.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Lets one event a second through, and counts the others.
pub(crate) struct NowAndThen {
    began: Instant,
    /// The second of which something was told, counted from 1; 0 before the first.
    told: AtomicU64,
    untold: AtomicU64,
}

impl NowAndThen {
    pub(crate) fn new() -> Self {
        Self { began: Instant::now(), told: AtomicU64::new(0), untold: AtomicU64::new(0) }
    }

    /// Something happened: how many others happened since the last that was told, if this one is to be told.
    pub(crate) fn is_due(&self) -> Option<u64> {
        self.is_due_in(self.began.elapsed().as_secs() + 1)
    }

    fn is_due_in(&self, second: u64) -> Option<u64> {
        if self.told.fetch_max(second, Ordering::Relaxed) < second {
            return Some(self.untold.swap(0, Ordering::Relaxed));
        }
        self.untold.fetch_add(1, Ordering::Relaxed);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_a_second_is_told_and_says_how_many_were_not() {
        let log = NowAndThen::new();
        let told = [1, 1, 1, 2, 2, 2, 2, 7].map(|second| log.is_due_in(second));
        assert_eq!(told, [Some(0), None, None, Some(2), None, None, None, Some(3)]);
    }
}
