//! What people call their things.

use std::fmt;

/// The text cannot be a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to {} characters, none of them control characters", Label::MAX_CHARS)]
pub struct LabelError;

/// What somebody calls a thing of theirs: trimmed, at most 100 characters, no control characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label(String);

impl Label {
    /// The most characters.
    pub const MAX_CHARS: usize = 100;

    /// Reads a label.
    ///
    /// # Errors
    /// [`LabelError`].
    pub fn parse(text: &str) -> Result<Self, LabelError> {
        let text = text.trim();
        let fits = (1..=Self::MAX_CHARS).contains(&text.chars().count()) && !text.contains(char::is_control);
        if fits { Ok(Self(text.to_owned())) } else { Err(LabelError) }
    }

    /// Restores a label from a store, or takes one of our own. For adapters.
    pub fn from_stored(label: impl Into<String>) -> Self {
        Self(label.into())
    }

    /// The label.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_short_and_on_one_line() {
        assert_eq!(Label::parse("  Ada's laptop ").unwrap().as_str(), "Ada's laptop");
        assert!(Label::parse(&"ä".repeat(100)).is_ok());
        for wrong in ["", " ", "a\nb", "a\u{7f}", &"a".repeat(101)] {
            assert_eq!(Label::parse(wrong), Err(LabelError), "{wrong:?}");
        }
    }
}
