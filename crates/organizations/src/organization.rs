//! Organisations and who belongs to them.

use identsphere_kernel::{OrganizationId, Timestamp, UserId};

use crate::Role;

/// Why a text is not an organisation's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to {} characters without control characters", OrganizationName::MAX_CHARS)]
pub struct NameError;

/// An organisation's name: trimmed, 1 to 100 characters, no control characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrganizationName(String);

impl OrganizationName {
    /// The most characters a name may have.
    pub const MAX_CHARS: usize = 100;

    /// Reads a name.
    ///
    /// # Errors
    /// [`NameError`] when the text breaks the rule.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let name = text.trim();
        let fits = (1..=Self::MAX_CHARS).contains(&name.chars().count());
        if fits && !name.contains(char::is_control) { Ok(Self(name.to_owned())) } else { Err(NameError) }
    }

    /// Restores a name from a store. For adapters.
    pub fn from_stored(name: String) -> Self {
        Self(name)
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a text is not a slug.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to {} characters out of a-z, 0-9 and -", Slug::MAX_CHARS)]
pub struct SlugError;

/// An organisation's short name in addresses: `[a-z0-9-]{1,100}`, unique.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slug(String);

impl Slug {
    /// The most characters a slug may have.
    pub const MAX_CHARS: usize = 100;
    /// What a name without a single usable character becomes.
    const FALLBACK: &'static str = "organization";

    /// Reads a slug.
    ///
    /// # Errors
    /// [`SlugError`] when the text breaks the rule.
    pub fn parse(text: &str) -> Result<Self, SlugError> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let fits = (1..=Self::MAX_CHARS).contains(&text.len());
        if fits && text.bytes().all(allowed) { Ok(Self(text.to_owned())) } else { Err(SlugError) }
    }

    /// A slug made from a name: lower case, runs of other characters become one hyphen.
    pub fn derive(name: &OrganizationName) -> Self {
        let mut slug = String::new();
        for c in name.as_str().to_lowercase().chars() {
            if c.is_ascii_alphanumeric() {
                slug.push(c);
            } else if !slug.is_empty() && !slug.ends_with('-') {
                slug.push('-');
            }
        }
        slug.truncate(Self::MAX_CHARS);
        let slug = slug.trim_end_matches('-');
        Self(if slug.is_empty() { Self::FALLBACK } else { slug }.to_owned())
    }

    /// This slug with a suffix that tells it from its namesakes.
    #[must_use]
    pub fn with_suffix(&self, random: [u8; 4]) -> Self {
        let suffix = format!("-{:08x}", u32::from_be_bytes(random));
        let kept: String = self.0.chars().take(Self::MAX_CHARS - suffix.len()).collect();
        Self(kept + &suffix)
    }

    /// Restores a slug from a store. For adapters.
    pub fn from_stored(slug: String) -> Self {
        Self(slug)
    }

    /// The slug.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An organisation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Organization {
    /// The organisation's id.
    pub id: OrganizationId,
    /// The name to show to people.
    pub name: OrganizationName,
    /// The short name in addresses.
    pub slug: Slug,
    /// When it was made.
    pub created_at: Timestamp,
    /// When the row last changed.
    pub updated_at: Timestamp,
}

/// That a user belongs to an organisation, and as what. The role here is authoritative.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// Who belongs.
    pub user: UserId,
    /// Where.
    pub organization: OrganizationId,
    /// As what.
    pub role: Role,
    /// Since when.
    pub joined_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn derived(name: &str) -> String {
        Slug::derive(&OrganizationName::parse(name).unwrap()).0
    }

    #[test]
    fn slugs_are_derived_from_names() {
        assert_eq!(derived("Acme, Inc."), "acme-inc");
        assert_eq!(derived("  Zürich & Söhne  "), "z-rich-s-hne");
        assert_eq!(derived("東京"), "organization");
    }

    proptest! {
        #[test]
        fn every_name_derives_a_valid_slug(name in ".{1,100}", random in any::<[u8; 4]>()) {
            if let Ok(name) = OrganizationName::parse(&name) {
                let slug = Slug::derive(&name);
                prop_assert_eq!(Slug::parse(slug.as_str()), Ok(slug.clone()));
                let other = slug.with_suffix(random);
                prop_assert_eq!(Slug::parse(other.as_str()), Ok(other.clone()));
                prop_assert_ne!(other, slug);
            }
        }
    }
}
