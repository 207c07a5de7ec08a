//! Time as a value: instants cut to microseconds, so that every store returns exactly what it was given.

use std::fmt;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};

/// Lengths of time; always whole, never negative.
pub use std::time::Duration;

/// An instant in UTC with microsecond resolution.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(DateTime<Utc>);

impl Timestamp {
    /// The Unix epoch.
    pub const EPOCH: Self = Self(DateTime::UNIX_EPOCH);

    /// The instant `micros` microseconds after the Unix epoch; out-of-range values saturate.
    pub fn from_unix_micros(micros: i64) -> Self {
        let limit = if micros < 0 { DateTime::<Utc>::MIN_UTC } else { DateTime::<Utc>::MAX_UTC };
        Self(DateTime::from_timestamp_micros(micros).unwrap_or(limit))
    }

    /// The instant `seconds` seconds after the Unix epoch.
    pub fn from_unix_seconds(seconds: i64) -> Self {
        Self::from_unix_micros(seconds.saturating_mul(1_000_000))
    }

    /// Microseconds since the Unix epoch.
    pub fn unix_micros(self) -> i64 {
        self.0.timestamp_micros()
    }

    /// Whole seconds since the Unix epoch, rounded down (the NumericDate of RFC 7519 §2).
    pub fn unix_seconds(self) -> i64 {
        self.0.timestamp()
    }

    /// Cuts a `chrono` instant to microseconds. For adapters.
    pub fn from_chrono(at: DateTime<Utc>) -> Self {
        Self::from_unix_micros(at.timestamp_micros())
    }

    /// The `chrono` instant. For adapters.
    pub fn to_chrono(self) -> DateTime<Utc> {
        self.0
    }

    /// Fixed-width RFC 3339 with six decimals and `Z`: sorts as text in the order of time.
    pub fn to_rfc3339(self) -> String {
        self.0.to_rfc3339_opts(SecondsFormat::Micros, true)
    }

    /// Reads any RFC 3339 instant, cutting it to microseconds.
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        DateTime::parse_from_rfc3339(text).ok().map(|at| Self::from_chrono(at.to_utc()))
    }

    /// This instant moved forward; saturates at the end of time.
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        Self::from_unix_micros(self.unix_micros().saturating_add(micros(by)))
    }

    /// This instant moved backward; saturates at the beginning of time.
    #[must_use]
    pub fn minus(self, by: Duration) -> Self {
        Self::from_unix_micros(self.unix_micros().saturating_sub(micros(by)))
    }

    /// How long after `earlier` this instant lies; zero when it does not.
    pub fn since(self, earlier: Self) -> Duration {
        let gap = self.unix_micros().saturating_sub(earlier.unix_micros());
        Duration::from_micros(u64::try_from(gap).unwrap_or(0))
    }
}

fn micros(by: Duration) -> i64 {
    TimeDelta::from_std(by).ok().and_then(|d| d.num_microseconds()).unwrap_or(i64::MAX)
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_rfc3339())
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Timestamp({self})")
    }
}

impl serde::Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::parse_rfc3339(&text).ok_or_else(|| serde::de::Error::custom("not an RFC 3339 instant"))
    }
}

/// Where the present comes from. Domain code takes a clock; only the composition root picks one.
pub trait Clock: Send + Sync + 'static {
    /// The present instant.
    fn now(&self) -> Timestamp;
}

/// The clock of the machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        #[expect(clippy::disallowed_methods, reason = "the one place where the machine's clock is read")]
        Timestamp::from_chrono(Utc::now())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn text_round_trips_and_sorts_like_time(a in -2_208_988_800_000_000i64..4_102_444_800_000_000, b in -2_208_988_800_000_000i64..4_102_444_800_000_000) {
            let (a, b) = (Timestamp::from_unix_micros(a), Timestamp::from_unix_micros(b));
            prop_assert_eq!(Timestamp::parse_rfc3339(&a.to_rfc3339()), Some(a));
            prop_assert_eq!(a.to_rfc3339().cmp(&b.to_rfc3339()), a.cmp(&b));
        }

        #[test]
        fn moving_forward_and_back_ends_where_it_began(at in 0i64..4_102_444_800_000_000, by in 0u64..1_000_000_000_000) {
            let at = Timestamp::from_unix_micros(at);
            let by = Duration::from_micros(by);
            prop_assert_eq!(at.plus(by).minus(by), at);
            prop_assert_eq!(at.plus(by).since(at), by);
        }
    }

    #[test]
    fn a_moment_in_the_past_is_no_time_since_a_later_one() {
        assert_eq!(Timestamp::EPOCH.since(Timestamp::from_unix_seconds(5)), Duration::ZERO);
    }
}
