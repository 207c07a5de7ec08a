//! Who waits for a hash, and how long that is going to take.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use identsphere_kernel::Duration;

/// What a hash is taken to last before one was made: longer than most, so that a flood right after the start finds a
/// short queue.
const FIRST_GUESS: Duration = Duration::from_millis(100);
/// What one hash counts in the average: 1 in so many.
const WEIGHT: u64 = 8;

/// The queue before the threads, counted.
pub(super) struct Line {
    threads: usize,
    /// Those who hold a place.
    standing: AtomicUsize,
    /// What a hash took of late, in nanoseconds, the time that its thread had to wait for a core included.
    typical_ns: AtomicU64,
}

impl Line {
    pub(super) fn new(threads: usize) -> Self {
        let typical_ns = AtomicU64::new(nanos(FIRST_GUESS));
        Self { threads: threads.max(1), standing: AtomicUsize::new(0), typical_ns }
    }

    /// A place, unless whoever takes it is going to wait for longer than `bearable`. Then how long that would be.
    pub(super) fn join(self: &Arc<Self>, bearable: Duration) -> Result<Place, Duration> {
        // Counted first: of many at once, no two see the same free place.
        let ahead = self.standing.fetch_add(1, Ordering::Relaxed);
        let place = Place(self.clone());
        let expected = self.expected(ahead);
        if expected > bearable { Err(expected) } else { Ok(place) }
    }

    /// A hash took so long.
    pub(super) fn took(&self, time: Duration) {
        let typical = self.typical_ns.load(Ordering::Relaxed);
        // Of two at once one may go uncounted: this is an estimate.
        let typical = if typical == nanos(FIRST_GUESS) {
            nanos(time)
        } else {
            typical - typical / WEIGHT + nanos(time) / WEIGHT
        };
        self.typical_ns.store(typical, Ordering::Relaxed);
    }

    /// How long somebody waits with so many ahead: until one thread less than there are is left with them.
    fn expected(&self, ahead: usize) -> Duration {
        let Some(before) = (ahead + 1).checked_sub(self.threads) else { return Duration::ZERO };
        let before = u64::try_from(before).unwrap_or(u64::MAX);
        let threads = u64::try_from(self.threads).unwrap_or(u64::MAX);
        Duration::from_nanos(self.typical_ns.load(Ordering::Relaxed).saturating_mul(before) / threads)
    }
}

/// Somebody in the queue, or being served.
pub(super) struct Place(Arc<Line>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.standing.fetch_sub(1, Ordering::Relaxed);
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_hash_takes_is_learnt() {
        let line = Arc::new(Line::new(1));
        line.took(Duration::from_secs(8));
        assert_eq!(line.expected(1), Duration::from_secs(8), "the first says more than a guess");
        line.took(Duration::from_secs(16));
        assert_eq!(line.expected(1), Duration::from_secs(9));
        (0..100).for_each(|_| line.took(Duration::from_secs(1)));
        assert!(line.expected(1) < Duration::from_millis(1_100));
    }

    #[test]
    fn nobody_waits_while_a_thread_is_idle() {
        let line = Arc::new(Line::new(4));
        assert_eq!(line.expected(3), Duration::ZERO);
        assert_eq!(line.expected(4), FIRST_GUESS / 4);
    }
}
