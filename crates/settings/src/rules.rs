//! What values settings may have: each rule says itself in words and reads a text.

mod mail;
mod network;
mod passkey;
mod text;

pub(crate) use mail::{Address, MailServer, WebAddress};
pub(crate) use network::{ListenAddress, Networks, OriginRule, Origins};
pub(crate) use passkey::{PasskeyOrigins, RpId, is_host_name};
pub(crate) use text::{Blobs, CookieDomain, CookiePrefix, MasterKey, PathRule, Schema, Store, Text, Word};

use crate::distance::nearest;

/// Why a text is no value of a setting.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rejection {
    /// What is wrong in particular; `None` when the rule in words says it all.
    pub reason: Option<String>,
    /// The nearest text that would pass.
    pub nearest: Option<String>,
}

impl Rejection {
    pub(crate) fn near(nearest: impl Into<String>) -> Self {
        Self { reason: None, nearest: Some(nearest.into()) }
    }

    /// What another crate says is wrong, in its own words.
    pub fn because(reason: impl ToString) -> Self {
        Self { reason: Some(reason.to_string()), nearest: None }
    }
}

/// Says a rule in words.
pub(crate) trait Describe: Sync {
    /// The rule as a noun: "a whole number from 1 to 5".
    fn describe(&self) -> String;
}

/// Reads a text that follows a rule.
pub(crate) trait Rule: Describe {
    /// What comes out.
    type Value;

    /// Reads the text, which is trimmed and never empty.
    fn read(&self, text: &str) -> Result<Self::Value, Rejection>;
}

/// A whole number in a range, both ends included.
pub(crate) struct Whole {
    pub(crate) min: u32,
    pub(crate) max: u32,
}

impl Describe for Whole {
    fn describe(&self) -> String {
        format!("a whole number from {} to {}", self.min, self.max)
    }
}

impl Rule for Whole {
    type Value = u32;

    fn read(&self, text: &str) -> Result<u32, Rejection> {
        match text.parse::<i128>() {
            Ok(number) => {
                let near = number.clamp(i128::from(self.min), i128::from(self.max));
                let inside = u32::try_from(number).ok().filter(|_| near == number);
                inside.ok_or_else(|| Rejection::near(near.to_string()))
            }
            Err(_) => Err(Rejection::default()),
        }
    }
}

/// One of a few words.
pub(crate) struct Choice<T: 'static>(pub(crate) &'static [(&'static str, T)]);

/// On or off.
pub(crate) const SWITCH: Choice<bool> = Choice(&[("on", true), ("off", false)]);

impl<T: Sync> Describe for Choice<T> {
    fn describe(&self) -> String {
        let words: Vec<_> = self.0.iter().map(|(word, _)| format!("`{word}`")).collect();
        words.join(" or ")
    }
}

impl<T: Copy + Sync> Rule for Choice<T> {
    type Value = T;

    fn read(&self, text: &str) -> Result<T, Rejection> {
        let word = match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "1" if self.knows("on") => "on".to_owned(),
            "false" | "no" | "0" if self.knows("off") => "off".to_owned(),
            word => word.to_owned(),
        };
        let found = self.0.iter().find(|(known, _)| *known == word);
        found.map(|(_, value)| *value).ok_or_else(|| {
            let near = nearest(&word, self.0.iter().map(|(known, _)| *known));
            near.map_or_else(Rejection::default, Rejection::near)
        })
    }
}

impl<T> Choice<T> {
    fn knows(&self, word: &str) -> bool {
        self.0.iter().any(|(known, _)| *known == word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_outside_the_range_name_its_nearer_end() {
        let rule = Whole { min: 60, max: 3_600 };
        assert_eq!(rule.read("60"), Ok(60));
        assert_eq!(rule.read("3600"), Ok(3_600));
        assert_eq!(rule.read("-5"), Err(Rejection::near("60")));
        assert_eq!(rule.read("99999999999999"), Err(Rejection::near("3600")));
        assert_eq!(rule.read("15m"), Err(Rejection::default()));
    }

    #[test]
    fn switches_know_the_usual_words() {
        for text in ["on", "ON", "true", "yes", "1"] {
            assert_eq!(SWITCH.read(text), Ok(true), "{text}");
        }
        assert_eq!(SWITCH.read("false"), Ok(false));
        assert_eq!(SWITCH.read("onn"), Err(Rejection::near("on")));
        assert_eq!(SWITCH.read("perhaps"), Err(Rejection::default()));
    }
}
