//! What people say about themselves. No session check needs any of it, so it is kept apart from [`User`].

use std::fmt;

use identsphere_kernel::{Email, Timestamp, UserId};
use serde_json::{Map, Value};
use unicode_normalization::UnicodeNormalization;

use crate::{DisplayName, FieldError, User};

macro_rules! profile_texts {
    ($($(#[$doc:meta])* $name:ident { max: $max:literal, lines: $lines:ident })+) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq)]
        pub struct $name(String);

        impl $name {
            /// The most characters.
            pub const MAX_CHARS: usize = $max;

            /// Reads the text.
            ///
            /// # Errors
            /// [`FieldError`] says which rule the text breaks.
            pub fn parse(text: &str) -> Result<Self, FieldError> {
                parse_text(text, $max, Lines::$lines).map(Self)
            }

            /// Restores the text from a store. For adapters.
            pub fn from_stored(text: String) -> Self {
                Self(text)
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:?})"), self.0)
            }
        }
    )+};
}

profile_texts! {
    /// What somebody does: one line, trimmed, NFC, at most 200 characters.
    JobTitle { max: 200, lines: One }
    /// A telephone number as its owner writes it: one line, trimmed, at most 50 characters. Nobody is called by it, so
    /// it is not taken apart.
    PhoneNumber { max: 50, lines: One }
    /// What somebody tells about themselves: trimmed, NFC, at most 2,000 characters, line breaks (as `\n`) and tabs among
    /// them.
    Bio { max: 2_000, lines: Many }
}

/// Whether a text may have several lines.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lines {
    One,
    Many,
}

fn parse_text(text: &str, limit: usize, lines: Lines) -> Result<String, FieldError> {
    let mut text: String = text.trim().nfc().collect();
    if lines == Lines::Many {
        text = text.replace("\r\n", "\n");
    }
    let is_refused = |c: char| c.is_control() && !(lines == Lines::Many && matches!(c, '\n' | '\t'));
    match text.chars().count() {
        0 => Err(FieldError::Empty),
        n if n > limit => Err(FieldError::TooLong { limit }),
        _ if text.contains(is_refused) => Err(FieldError::ControlCharacter),
        _ => Ok(text),
    }
}

/// Why something is not taken as preferences.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PreferencesError {
    /// More than 16 KiB as JSON.
    #[error("must be at most {} bytes of JSON", Preferences::MAX_BYTES)]
    TooLarge,
    /// Too many objects and arrays inside one another.
    #[error("must not be nested deeper than {} levels", Preferences::MAX_DEPTH)]
    TooDeep,
    /// U+0000, which not every store can keep.
    #[error("must not contain the character U+0000")]
    NullCharacter,
}

/// What a host application keeps with a user: a JSON object, replaced as a whole, that means nothing here.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Preferences(Map<String, Value>);

impl Preferences {
    /// The most bytes, written as JSON without white space.
    pub const MAX_BYTES: usize = 16 * 1_024;
    /// The deepest nesting, the object itself included.
    pub const MAX_DEPTH: usize = 16;

    /// Takes an object.
    ///
    /// # Errors
    /// [`PreferencesError`] says which rule it breaks.
    pub fn new(members: Map<String, Value>) -> Result<Self, PreferencesError> {
        check_members(&members, Self::MAX_DEPTH)?;
        let fits = serde_json::to_string(&members).is_ok_and(|json| json.len() <= Self::MAX_BYTES);
        if fits { Ok(Self(members)) } else { Err(PreferencesError::TooLarge) }
    }

    /// Restores an object from a store. For adapters.
    pub fn from_stored(members: Map<String, Value>) -> Self {
        Self(members)
    }

    /// The object.
    pub fn as_map(&self) -> &Map<String, Value> {
        &self.0
    }
}

fn check_members(members: &Map<String, Value>, levels: usize) -> Result<(), PreferencesError> {
    let below = levels.checked_sub(1).ok_or(PreferencesError::TooDeep)?;
    members.iter().try_for_each(|(name, member)| check_text(name).and_then(|()| check_value(member, below)))
}

fn check_value(value: &Value, levels: usize) -> Result<(), PreferencesError> {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
        Value::String(text) => check_text(text),
        Value::Array(items) => {
            let below = levels.checked_sub(1).ok_or(PreferencesError::TooDeep)?;
            items.iter().try_for_each(|item| check_value(item, below))
        }
        Value::Object(members) => check_members(members, levels),
    }
}

fn check_text(text: &str) -> Result<(), PreferencesError> {
    if text.contains('\0') { Err(PreferencesError::NullCharacter) } else { Ok(()) }
}

/// Which picture a user shows: the name that it is kept and served under. Every picture has another one, so what is
/// served under a name never changes.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct AvatarName(String);

impl AvatarName {
    /// Where pictures are served. The column `avatar_url` holds this and the name.
    pub const PATH: &str = "/v1/avatars/";

    const ID_CHARS: usize = 32;

    /// A name that nobody can guess.
    pub fn new(random: [u8; 16], format: PictureFormat) -> Self {
        Self(format!("{:032x}.{}", u128::from_be_bytes(random), format.extension()))
    }

    /// Reads a name: 32 hexadecimal digits and the ending of a format.
    pub fn parse(text: &str) -> Option<Self> {
        let (id, extension) = text.split_once('.')?;
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let fits = id.len() == Self::ID_CHARS && id.bytes().all(is_hex);
        (fits && PictureFormat::from_extension(extension).is_some()).then(|| Self(text.to_owned()))
    }

    /// Reads a path as [`path`](Self::path) writes it. For adapters.
    pub fn from_path(path: &str) -> Option<Self> {
        Self::parse(path.strip_prefix(Self::PATH)?)
    }

    /// The path it is served at, below the base URL.
    pub fn path(&self) -> String {
        format!("{}{}", Self::PATH, self.0)
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What the picture is.
    pub fn format(&self) -> PictureFormat {
        let extension = self.0.rsplit('.').next().unwrap_or_default();
        PictureFormat::from_extension(extension).unwrap_or(PictureFormat::Png)
    }
}

impl fmt::Debug for AvatarName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AvatarName({:?})", self.0)
    }
}

/// How pictures are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PictureFormat {
    /// For pictures without transparency.
    Jpeg,
    /// For pictures with it.
    Png,
}

impl PictureFormat {
    /// Every format.
    pub const ALL: [Self; 2] = [Self::Jpeg, Self::Png];

    /// The ending of a name.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Jpeg => "jpg",
            Self::Png => "png",
        }
    }

    /// The media type.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
        }
    }

    fn from_extension(extension: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.extension() == extension)
    }
}

/// What people say about themselves, besides their name.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Profile {
    /// What they do.
    pub job_title: Option<JobTitle>,
    /// How to call them.
    pub phone_number: Option<PhoneNumber>,
    /// What they tell about themselves.
    pub bio: Option<Bio>,
    /// Their picture.
    pub avatar: Option<AvatarName>,
    /// What a host application keeps with them.
    pub preferences: Preferences,
}

/// What becomes of one field.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Edit<T> {
    /// It stays.
    #[default]
    Keep,
    /// It is empty from now on.
    Clear,
    /// It is this from now on.
    Set(T),
}

impl<T> Edit<T> {
    /// `None` keeps, `Some(None)` clears.
    pub fn as_option(&self) -> Option<Option<&T>> {
        match self {
            Self::Keep => None,
            Self::Clear => Some(None),
            Self::Set(value) => Some(Some(value)),
        }
    }

    fn apply(&self, field: &mut Option<T>)
    where
        T: Clone,
    {
        if let Some(value) = self.as_option() {
            *field = value.cloned();
        }
    }
}

/// A change of a profile.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ProfileChange {
    /// The name to show to people.
    pub display_name: Edit<DisplayName>,
    /// What they do.
    pub job_title: Edit<JobTitle>,
    /// How to call them.
    pub phone_number: Edit<PhoneNumber>,
    /// What they tell about themselves.
    pub bio: Edit<Bio>,
    /// Replaced as a whole; `None` keeps them.
    pub preferences: Option<Preferences>,
}

impl ProfileChange {
    /// The names of the fields that do not stay, in the order of the contract.
    pub fn fields(&self) -> Vec<&'static str> {
        let fields = [
            ("display_name", self.display_name != Edit::Keep),
            ("job_title", self.job_title != Edit::Keep),
            ("phone_number", self.phone_number != Edit::Keep),
            ("bio", self.bio != Edit::Keep),
            ("preferences", self.preferences.is_some()),
        ];
        fields.into_iter().filter(|(_, changes)| *changes).map(|(name, _)| name).collect()
    }

    /// Makes the change, at this time. For adapters that keep records as they are.
    pub fn apply(&self, user: &mut User, profile: &mut Profile, at: Timestamp) {
        self.display_name.apply(&mut user.display_name);
        self.job_title.apply(&mut profile.job_title);
        self.phone_number.apply(&mut profile.phone_number);
        self.bio.apply(&mut profile.bio);
        if let Some(preferences) = &self.preferences {
            profile.preferences = preferences.clone();
        }
        user.updated_at = at;
    }
}

/// The picture that a change took away, if there was one: to be deleted from where pictures are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplacedAvatar(pub Option<AvatarName>);

/// The address of a user who is gone. It frees the one they had, and nobody can register it: the top-level domain
/// `invalid` has no second label here (RFC 6761 §6.4).
pub fn tombstone(user: UserId) -> Email {
    let address = format!("deleted+{user}@invalid");
    Email::from_stored(address.clone(), address)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn preferences(value: Value) -> Result<Preferences, PreferencesError> {
        let Value::Object(members) = value else { unreachable!("an object") };
        Preferences::new(members)
    }

    fn nested(depth: usize) -> Value {
        (1..depth).fold(json!({}), |inner, _| json!({ "a": inner }))
    }

    #[test]
    fn one_line_is_one_line() {
        for text in ["a\r\nBcc: b", "a\nb", "a\tb", "a\0b", "a\u{85}b"] {
            assert_eq!(JobTitle::parse(text), Err(FieldError::ControlCharacter), "{text:?}");
            assert_eq!(PhoneNumber::parse(text), Err(FieldError::ControlCharacter), "{text:?}");
        }
        assert_eq!(Bio::parse(" a\r\n\tb\n").unwrap().as_str(), "a\n\tb");
        assert_eq!(Bio::parse("a\rb"), Err(FieldError::ControlCharacter));
    }

    #[test]
    fn limits_are_counted_in_characters() {
        assert!(JobTitle::parse(&"é".repeat(200)).is_ok());
        assert_eq!(JobTitle::parse(&"é".repeat(201)), Err(FieldError::TooLong { limit: 200 }));
        assert_eq!(PhoneNumber::parse(&"1".repeat(51)), Err(FieldError::TooLong { limit: 50 }));
        assert_eq!(Bio::parse(&"🦀".repeat(2_001)), Err(FieldError::TooLong { limit: 2_000 }));
        assert_eq!(JobTitle::parse(" "), Err(FieldError::Empty));
    }

    #[test]
    fn preferences_have_bounds() {
        assert!(preferences(nested(16)).is_ok());
        assert_eq!(preferences(nested(17)), Err(PreferencesError::TooDeep));
        let sized = |bytes: usize| json!({ "a": "x".repeat(bytes - r#"{"a":""}"#.len()) });
        assert!(preferences(sized(Preferences::MAX_BYTES)).is_ok());
        assert_eq!(preferences(sized(Preferences::MAX_BYTES + 1)), Err(PreferencesError::TooLarge));
        for nul in [json!({ "a": "\0" }), json!({ "\0": 1 }), json!({ "a": [{ "b": "x\0" }] })] {
            assert_eq!(preferences(nul), Err(PreferencesError::NullCharacter));
        }
    }

    #[test]
    fn nobody_can_register_the_address_of_a_user_who_is_gone() {
        let gone = tombstone(UserId::from_bytes([7; 16]));
        assert!(Email::parse(gone.as_str()).is_err());
        assert_eq!(gone.as_str(), gone.key().as_str());
    }

    #[test]
    fn names_of_pictures_have_one_form() {
        for format in PictureFormat::ALL {
            let name = AvatarName::new([0xab; 16], format);
            assert_eq!(AvatarName::parse(name.as_str()), Some(name.clone()));
            assert_eq!(AvatarName::from_path(&name.path()), Some(name.clone()));
            assert_eq!(name.format(), format);
        }
        let id = "0".repeat(32);
        for text in
            [String::new(), id.clone(), format!("{id}.svg"), format!("{id}.png.png"), format!("../{id}.png")]
        {
            assert_eq!(AvatarName::parse(&text), None, "{text}");
        }
        assert_eq!(AvatarName::parse(&format!("{}.png", "A".repeat(32))), None);
    }

    proptest! {
        #[test]
        fn what_is_taken_is_taken_again_unchanged(text in any::<String>()) {
            if let Ok(bio) = Bio::parse(&text) {
                prop_assert_eq!(Bio::parse(bio.as_str()), Ok(bio));
            }
        }
    }
}
