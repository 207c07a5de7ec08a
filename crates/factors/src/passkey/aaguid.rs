//! Which model of authenticator holds a passkey.

use std::fmt;

/// The list of names; a line is an AAGUID, a space and a name.
const NAMES: &str = include_str!("aaguids.txt");

/// The model of an authenticator (WebAuthn §6.5.1), as the authenticator claims it. Nothing proves the claim, so it is
/// for people to read and never for a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Aaguid([u8; 16]);

impl Aaguid {
    /// The model with these bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes. For adapters.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// What people call the model, if it says which it is and is on our list.
    pub fn name(self) -> Option<&'static str> {
        if self.0 == [0; 16] {
            return None;
        }
        let text = self.to_string();
        NAMES
            .lines()
            .filter_map(|line| line.split_once(' '))
            .find(|(id, _)| *id == text)
            .map(|(_, name)| name)
    }
}

/// Written like a UUID.
impl fmt::Display for Aaguid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, byte) in self.0.iter().enumerate() {
            let hyphen = if matches!(place, 4 | 6 | 8 | 10) { "-" } else { "" };
            write!(f, "{hyphen}{byte:02x}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_models_have_names() {
        let windows = Aaguid([
            8, 0x98, 0x70, 0x58, 0xca, 0xdc, 0x4b, 0x81, 0xb6, 0xe1, 0x30, 0xde, 0x50, 0xdc, 0xbe, 0x96,
        ]);
        assert_eq!(windows.to_string(), "08987058-cadc-4b81-b6e1-30de50dcbe96");
        assert_eq!(windows.name(), Some("Windows Hello"));
        assert_eq!(Aaguid([1; 16]).name(), None);
        assert_eq!(Aaguid([0; 16]).name(), None);
    }

    #[test]
    fn every_line_of_the_list_can_be_found() {
        let mut ids = std::collections::HashSet::new();
        for line in NAMES.lines().filter(|line| !line.starts_with('#')) {
            let (id, name) = line.split_once(' ').unwrap();
            let digits: String = id.split('-').collect();
            let bytes: Vec<u8> =
                (0..16).map(|at| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).unwrap()).collect();
            assert_eq!(Aaguid(bytes.try_into().unwrap()).name(), Some(name), "{line}");
            assert!(ids.insert(id), "{id} comes twice");
        }
        assert!(ids.len() > 10);
    }
}
