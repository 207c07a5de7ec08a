//! One-time codes from an authenticator app: TOTP (RFC 6238) as every app speaks it, HMAC-SHA-1, six digits, thirty
//! seconds.
//!
//! SHA-1 is right here: HMAC does not rest on its collision resistance (RFC 6151 §2 says so of MD5 already), and apps
//! silently ignore a request for anything else.
//!
//! Deliberately absent: a clock of the client's (only the server's time counts), and any normalisation of what was
//! typed. A code has one spelling, because a second one would be a second use of it.

mod code;
mod qr;
mod secret;

use identsphere_kernel::Timestamp;
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

pub use code::{MalformedCode, TotpCode};
pub use qr::{QrError, qr_png_base64};
pub use secret::{SECRET_BYTES, TotpSecret};

/// How long a code is shown, in seconds: the default time step of RFC 6238 §4.1.
pub const PERIOD_SECONDS: u64 = 30;

/// How many steps a code may be early or late: RFC 6238 §5.2 recommends at most one for the network's delay.
const WINDOW: [i8; 3] = [-1, 0, 1];

/// The number of a period since the Unix epoch: `T` of RFC 6238 §4.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimeStep(u64);

impl TimeStep {
    /// The step that contains `now`; `None` before 1970.
    pub fn at(now: Timestamp) -> Option<Self> {
        u64::try_from(now.unix_seconds()).ok().map(|seconds| Self(seconds / PERIOD_SECONDS))
    }

    /// The step with this number. For adapters.
    pub const fn from_number(number: u64) -> Self {
        Self(number)
    }

    /// The number of this step. For adapters.
    pub const fn number(self) -> u64 {
        self.0
    }

    fn moved(self, by: i8) -> Option<Self> {
        self.0.checked_add_signed(by.into()).map(Self)
    }
}

/// The step whose code this is, among the present one and its neighbours; `None` when the code is wrong.
///
/// All candidates are computed and compared in constant time. Should two of them share their code, the newer is meant:
/// then the older one cannot be used again either.
pub fn matching_step(secret: &TotpSecret, code: &TotpCode, now: Timestamp) -> Option<TimeStep> {
    let present = TimeStep::at(now)?;
    let (mut found, mut step) = (Choice::from(0), 0u64);
    for candidate in WINDOW.into_iter().filter_map(|by| present.moved(by)) {
        let same = secret.code_at(candidate).as_bytes().ct_eq(code.as_bytes());
        step.conditional_assign(&candidate.0, same);
        found |= same;
    }
    bool::from(found).then_some(TimeStep(step))
}

/// Whether a matching step may still be used: each step once, and none older than the last one used (RFC 6238 §5.2).
///
/// A store keeps the last accepted step of a user and moves it with one statement that has this condition.
pub fn accepts(step: TimeStep, last_accepted: Option<TimeStep>) -> bool {
    last_accepted.is_none_or(|last| step > last)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The secret of RFC 6238 appendix B.
    fn secret() -> TotpSecret {
        TotpSecret::from_bytes(*b"12345678901234567890")
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_seconds(seconds)
    }

    fn shown_at(seconds: i64) -> TotpCode {
        secret().code_at(TimeStep::at(at(seconds)).unwrap())
    }

    #[test]
    fn codes_are_those_of_rfc_6238() {
        // Appendix B prints eight digits; six digits are the last six of them (RFC 4226 §5.3).
        for (seconds, expected) in [
            (59, "94287082"),
            (1_111_111_109, "07081804"),
            (1_111_111_111, "14050471"),
            (1_234_567_890, "89005924"),
            (2_000_000_000, "69279037"),
            (20_000_000_000, "65353130"),
        ] {
            assert_eq!(shown_at(seconds).as_bytes()[..], expected.as_bytes()[2..], "at {seconds}");
        }
    }

    #[test]
    fn codes_are_those_of_rfc_4226() {
        // Appendix D.
        let expected = [
            "755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871",
            "520489",
        ];
        for (counter, code) in (0..).zip(expected) {
            assert_eq!(secret().code_at(TimeStep(counter)).as_bytes(), code.as_bytes());
        }
    }

    #[test]
    fn a_code_is_good_one_step_before_and_after_its_own() {
        let step = TimeStep::at(at(1_111_111_111)).unwrap();
        let code = shown_at(1_111_111_111);
        let start = i64::try_from(step.number() * PERIOD_SECONDS).unwrap();
        for (moment, good) in [(-31, false), (-30, true), (0, true), (29, true), (59, true), (60, false)] {
            let found = matching_step(&secret(), &code, at(start + moment));
            assert_eq!(found, good.then_some(step), "{moment} s after the step began");
        }
    }

    #[test]
    fn a_step_is_accepted_once_and_none_before_it() {
        let step = TimeStep::from_number(100);
        assert!(accepts(step, None));
        assert!(accepts(step, Some(TimeStep::from_number(99))));
        assert!(!accepts(step, Some(step)));
        assert!(!accepts(step, Some(TimeStep::from_number(101))));
    }

    #[test]
    fn nothing_matches_before_1970() {
        assert_eq!(matching_step(&secret(), &shown_at(0), at(-1)), None);
        assert_eq!(matching_step(&secret(), &shown_at(0), at(0)), Some(TimeStep(0)));
    }

    proptest! {
        #[test]
        fn the_code_of_the_present_matches_and_a_changed_digit_does_not(
            bytes: [u8; SECRET_BYTES],
            seconds in 0i64..20_000_000_000,
            place in 0usize..6,
            by in 1u8..10,
        ) {
            let secret = TotpSecret::from_bytes(bytes);
            let step = TimeStep::at(at(seconds)).unwrap();
            let code = secret.code_at(step);
            let found = matching_step(&secret, &code, at(seconds));
            prop_assert!(found.is_some_and(|found| found >= step));
            let mut digits = *code.as_bytes();
            digits[place] = b'0' + (digits[place] - b'0' + by) % 10;
            let changed = TotpCode::parse(std::str::from_utf8(&digits).unwrap()).unwrap();
            // A neighbouring step may show the changed code by chance.
            prop_assert_ne!(matching_step(&secret, &changed, at(seconds)), Some(step));
        }
    }
}
