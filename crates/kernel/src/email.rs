//! E-mail addresses: one canonical form, computed here and nowhere else, decides identity in every store.

use std::fmt;

use email_address::{EmailAddress, Options};
use unicode_normalization::UnicodeNormalization;

/// Longest address in bytes (RFC 5321 §4.5.3.1.3, less the angle brackets).
pub const MAX_BYTES: usize = 254;
/// Longest part before the `@` in bytes (RFC 5321 §4.5.3.1.1).
const MAX_LOCAL_BYTES: usize = 64;

/// Why a text is not an address this service takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EmailError {
    /// Longer than 254 bytes, or more than 64 before the `@`.
    #[error("must be at most 254 bytes, and at most 64 before the @")]
    TooLong,
    /// Not an address, or one of a form that is never taken (quoted names, comments, IP literals).
    #[error("must be an e-mail address such as name@example.com")]
    NotAnAddress,
}

/// An address as its owner typed it, trimmed, together with the key that decides whose it is.
#[derive(Clone, PartialEq, Eq)]
pub struct Email {
    typed: String,
    key: EmailKey,
}

/// The comparison key of an address: NFKC, lower case, domain in its ASCII form. Two addresses are the same
/// person's exactly when their keys are equal byte for byte.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EmailKey(String);

impl Email {
    /// Reads an address. Outer white space is ignored; the name part must be a dot-atom (RFC 5322 §3.2.3) in
    /// ASCII once normalised, the domain a host name with at least two labels (internationalised ones as by UTS #46).
    ///
    /// # Errors
    /// [`EmailError`] says which rule the text breaks.
    pub fn parse(text: &str) -> Result<Self, EmailError> {
        let typed = text.trim();
        if typed.len() > MAX_BYTES {
            return Err(EmailError::TooLong);
        }
        let key = canonical(typed)?;
        Ok(Self { typed: typed.to_owned(), key })
    }

    /// Restores an address from a store that keeps both forms. For adapters.
    pub fn from_stored(typed: String, key: String) -> Self {
        Self { typed, key: EmailKey(key) }
    }

    /// The address as typed.
    pub fn as_str(&self) -> &str {
        &self.typed
    }

    /// The comparison key.
    pub fn key(&self) -> &EmailKey {
        &self.key
    }
}

impl EmailKey {
    /// Restores a key from a store. For adapters.
    pub fn from_stored(key: String) -> Self {
        Self(key)
    }

    /// The key as text. For adapters and rate limits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part before the `@`.
    pub fn local_part(&self) -> &str {
        self.0.split('@').next().unwrap_or_default()
    }
}

fn canonical(typed: &str) -> Result<EmailKey, EmailError> {
    let normal: String = typed.nfkc().collect::<String>().to_lowercase().nfkc().collect();
    let (local, domain) = normal.split_once('@').ok_or(EmailError::NotAnAddress)?;
    if typed.matches('@').count() != 1 || domain.contains('@') || typed.contains(is_invisible) {
        return Err(EmailError::NotAnAddress);
    }
    let domain = idna::domain_to_ascii_strict(domain).map_err(|_| EmailError::NotAnAddress)?;
    if !local.is_ascii() || domain.split('.').all(|label| label.bytes().all(|b| b.is_ascii_digit())) {
        return Err(EmailError::NotAnAddress);
    }
    if local.len() > MAX_LOCAL_BYTES || local.len() + 1 + domain.len() > MAX_BYTES {
        return Err(EmailError::TooLong);
    }
    let address = format!("{local}@{domain}");
    let options = Options::default().without_display_text().without_domain_literal().with_required_tld();
    let parsed = EmailAddress::parse_with_options(&address, options).map_err(|_| EmailError::NotAnAddress)?;
    if parsed.local_part().starts_with('"') {
        return Err(EmailError::NotAnAddress);
    }
    Ok(EmailKey(address))
}

/// Characters that a reader cannot see and that domain processing drops without a word (UTS #46 §4).
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{e0000}'..='\u{e0fff}')
}

impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Email({:?})", self.typed)
    }
}

impl fmt::Debug for EmailKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EmailKey({:?})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(text: &str) -> Result<String, EmailError> {
        Email::parse(text).map(|email| email.key.0)
    }

    #[test]
    fn spellings_of_one_address_share_a_key() {
        for spelling in ["Ada@Example.com", " ada@example.COM\t", "ａｄａ@example.com", "ada@ｅxample.com"]
        {
            assert_eq!(key(spelling).as_deref(), Ok("ada@example.com"), "{spelling}");
        }
        assert_eq!(key("ada@bücher.example"), key("ada@xn--bcher-kva.example"));
        assert_ne!(key("ada+tag@example.com"), key("ada@example.com"));
    }

    #[test]
    fn the_address_is_kept_as_typed() {
        assert_eq!(Email::parse(" Ada@Example.com ").unwrap().as_str(), "Ada@Example.com");
    }

    /// RC-12: forms that other services were tricked with.
    #[test]
    fn hostile_addresses_are_refused() {
        let long_local = format!("{}@example.com", "a".repeat(65));
        let long_domain = format!("a@{}.com", "b".repeat(250));
        for text in [
            "",
            "@",
            "a",
            "a@",
            "@example.com",
            "a@b",
            "a@@example.com",
            "a@b@example.com",
            "\"a\"@example.com",
            "\"a@evil.example\"@example.com",
            "a(comment)@example.com",
            "a@[127.0.0.1]",
            "a@127.0.0.1",
            "a@example..com",
            "a@.example.com",
            "a@example.com.",
            ".a@example.com",
            "a.@example.com",
            "a..b@example.com",
            "a b@example.com",
            "a@exa mple.com",
            "a,b@example.com",
            "a;b@example.com",
            "a@example.com,b@example.com",
            "a@example.com;b@example.com",
            "<a@example.com>",
            "Ada <a@example.com>",
            "a\n@example.com",
            "a@example.com\r\nBcc: b@example.com",
            "a\0@example.com",
            "a＠evil.example@example.com",
            "a@example.com＠evil.example",
            "a﹫example.com",
            "a，b@example.com",
            "a@-example.com",
            "a@example-.com",
            "a@exam_ple.com",
            "a@ex\u{200b}ample.com",
            "añ@example.com",
            "а@example.com",
            "a\u{202e}@example.com",
            "a@example.com\u{3002}",
            "a@1.2.3.4",
            long_local.as_str(),
            long_domain.as_str(),
        ] {
            assert!(key(text).is_err(), "accepted {text:?}");
        }
    }

    proptest! {
        #[test]
        fn the_canonical_form_is_stable_and_has_one_at(text in "[a-zA-Zａ-ｚＡ-Ｚ0-9.+_ -]{1,12}@[a-zA-Zａ-ｚäöß0-9.-]{1,12}\\.[a-zA-Z]{2,4}") {
            if let Ok(first) = key(&text) {
                prop_assert_eq!(first.matches('@').count(), 1);
                prop_assert_eq!(key(&first), Ok(first.clone()));
            }
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in any::<String>()) {
            let _ = key(&text);
        }
    }
}
