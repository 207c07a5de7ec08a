//! A code as somebody typed it.

use identsphere_kernel::SecretBytes;

const DIGITS: usize = 6;

/// The text is not six ASCII digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be exactly six digits")]
pub struct MalformedCode;

/// Six digits that may or may not be the right ones.
#[derive(Debug, Clone)]
pub struct TotpCode(SecretBytes<DIGITS>);

impl TotpCode {
    /// Reads a code: `^[0-9]{6}$` and nothing else. Spaces, signs, digits of other scripts and shorter numbers are
    /// refused instead of repaired, so that a code has one spelling and is counted as one attempt.
    ///
    /// # Errors
    /// [`MalformedCode`].
    pub fn parse(text: &str) -> Result<Self, MalformedCode> {
        let digits: [u8; DIGITS] = text.as_bytes().try_into().map_err(|_| MalformedCode)?;
        if !digits.iter().all(u8::is_ascii_digit) {
            return Err(MalformedCode);
        }
        Ok(Self(SecretBytes::new(digits)))
    }

    /// The last six decimal digits of `number`, with leading zeros.
    pub(super) fn of_number(number: u32) -> Self {
        let mut digits = [b'0'; DIGITS];
        let mut rest = number;
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + u8::try_from(rest % 10).unwrap_or(0);
            rest /= 10;
        }
        Self(SecretBytes::new(digits))
    }

    /// The digits in ASCII.
    pub fn as_bytes(&self) -> &[u8; DIGITS] {
        self.0.expose()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn six_ascii_digits_are_read_as_they_are() {
        for text in ["000000", "012345", "999999"] {
            assert_eq!(TotpCode::parse(text).unwrap().as_bytes(), text.as_bytes());
        }
    }

    #[test]
    fn nothing_else_is_a_code() {
        for text in [
            "",
            "0",
            "12345",
            "1234567",
            " 12345",
            "12345 ",
            "123 456",
            "123-456",
            "12345\n",
            "\t12345",
            "+12345",
            "-12345",
            "0x1234",
            "1e1000",
            "12345a",
            "12345\0",
            "１２３４５６",
            "１２",
            "٠١٢٣٤٥",
            "०१२३४५",
            "𝟏𝟐𝟑𝟒𝟓𝟔",
            "12345\u{200b}",
            "\u{feff}12345",
            "1\u{301}2345",
            "②②",
        ] {
            assert!(TotpCode::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_code_does_not_print_itself() {
        assert!(!format!("{:?}", TotpCode::parse("314159").unwrap()).contains("314159"));
    }

    proptest! {
        #[test]
        fn any_text_is_a_code_exactly_when_it_is_six_digits(text in prop_oneof![any::<String>(), "[0-9]{4,8}", "\\d{6}"]) {
            let is_code = text.len() == 6 && text.bytes().all(|byte| byte.is_ascii_digit());
            prop_assert_eq!(TotpCode::parse(&text).is_ok(), is_code);
        }
    }
}
