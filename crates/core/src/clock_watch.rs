//! This node's clock against the store's, which all nodes share.
//!
//! Every instant that is stored or signed is this node's: the clock is a port, so that tests can set it, and a statement
//! needs no second opinion. What makes that sound is that a node whose clock is known to be wrong makes nothing.

use std::sync::atomic::{AtomicBool, Ordering};

use identsphere_kernel::{Duration, Timestamp};

use crate::{Error, IdentSphere, Policy};

/// How often the clocks are compared.
pub const CLOCK_INTERVAL: Duration = Duration::from_secs(5);

/// What is known of this node's clock.
#[derive(Debug, Default)]
pub(crate) struct ClockWatch(AtomicBool);

impl ClockWatch {
    /// Whether it was wrong when it was last compared.
    pub(crate) fn is_off(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl IdentSphere {
    /// Compares this node's clock with the store's and remembers the outcome. While they are known to lie further apart
    /// than [`Policy::MAX_CLOCK_DRIFT`], nobody signs in or refreshes here, no attempt is counted, and keys and ended
    /// rows are left alone: with a clock that is a month ahead, sessions of the living would be swept.
    ///
    /// A store that does not answer changes nothing about what is known.
    ///
    /// # Errors
    /// [`Error::Overloaded`] when the store is away.
    pub async fn watch_clock(&self) -> Result<(), Error> {
        let drift = self.clock_drift().await?;
        let is_off = drift > Policy::MAX_CLOCK_DRIFT;
        let was_off = self.clock_watch.0.swap(is_off, Ordering::Relaxed);
        let drift_secs = drift.as_secs();
        if is_off && !was_off {
            tracing::error!(
                drift_secs,
                "this node's clock and the store's differ: nobody signs in or refreshes here"
            );
        } else if was_off && !is_off {
            tracing::info!(drift_secs, "this node's clock and the store's agree again");
        }
        Ok(())
    }

    /// How far this node's clock lies from the store's at least; zero for a store within this process.
    pub(crate) async fn clock_drift(&self) -> Result<Duration, Error> {
        let asked = self.now();
        let time = self.store().ping().await?;
        Ok(time.map_or(Duration::ZERO, |time| drift(asked, time, self.now())))
    }

    /// Refuses to make anything by a clock that is wrong.
    pub(crate) fn demand_clock(&self) -> Result<(), Error> {
        if self.clock_watch.is_off() {
            let source = "this node's clock and the store's differ".into();
            return Err(Error::Overloaded { retry_after: CLOCK_INTERVAL, source });
        }
        Ok(())
    }
}

/// How far `time`, which somebody else's clock showed at some moment from `asked` to `answered`, lies from this clock
/// at least: however long the answer took, it is not held against either.
fn drift(asked: Timestamp, time: Timestamp, answered: Timestamp) -> Duration {
    asked.since(time).max(time.since(answered))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_answer_is_no_drift() {
        let at = Timestamp::from_unix_seconds;
        assert_eq!(drift(at(100), at(100), at(109)), Duration::ZERO);
        assert_eq!(drift(at(100), at(109), at(109)), Duration::ZERO);
        assert_eq!(drift(at(100), at(94), at(109)), Duration::from_secs(6));
        assert_eq!(drift(at(100), at(115), at(109)), Duration::from_secs(6));
    }
}
