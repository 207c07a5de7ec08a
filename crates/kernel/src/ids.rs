//! The registry of ids. Each kind of thing has its own type, so that a user's id cannot be passed for an
//! organisation's. Raw UUIDs stop at the adapters.

use std::fmt;
use std::str::FromStr;

use uuid::{Builder, Uuid};

use crate::clock::Clock;
use crate::random::SecureRandom;

/// The text is not a UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a UUID")]
pub struct IdError;

macro_rules! typed_ids {
    ($($(#[$doc:meta])* $name:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// A new id: UUID version 7 (RFC 9562 §5.7), so that ids sort by the time they were made.
            pub fn new(clock: &dyn Clock, random: &dyn SecureRandom) -> Self {
                Self(uuid_v7(clock, random))
            }

            /// The id with this value. For adapters.
            pub const fn from_uuid(id: Uuid) -> Self {
                Self(id)
            }

            /// The id with these bytes.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }

            /// The value of this id. For adapters.
            pub const fn as_uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            /// Reads the hyphenated form only, so that an id has one spelling.
            fn from_str(text: &str) -> Result<Self, IdError> {
                if text.len() != 36 {
                    return Err(IdError);
                }
                Uuid::try_parse(text).map(Self).map_err(|_| IdError)
            }
        }
    )+};
}

typed_ids! {
    /// A person with an account (the token's `sub`).
    UserId;
    /// An organisation (the token's `org`).
    OrganizationId;
    /// A session family: the chain of refresh tokens that began at one sign-in (the token's `sid`).
    SessionId;
    /// One access token (the token's `jti`).
    AccessTokenId;
    /// A passkey of a user.
    PasskeyId;
    /// A browser that is asked for no second factor.
    TrustedBrowserId;
    /// A row of the audit log.
    AuditEventId;
    /// One mail.
    MailId;
    /// One HTTP request.
    RequestId;
}

fn uuid_v7(clock: &dyn Clock, random: &dyn SecureRandom) -> Uuid {
    let millis = u64::try_from(clock.now().unix_micros() / 1_000).unwrap_or(0);
    Builder::from_unix_timestamp_millis(millis, &random.bytes::<10>()).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use crate::random::OsRandom;

    #[test]
    fn new_ids_are_version_seven_and_differ() {
        let a = UserId::new(&SystemClock, &OsRandom);
        let b = UserId::new(&SystemClock, &OsRandom);
        assert_ne!(a, b);
        assert_eq!(a.as_uuid().get_version_num(), 7);
    }

    #[test]
    fn an_id_has_one_spelling() {
        let id = UserId::new(&SystemClock, &OsRandom);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(id.as_uuid().simple().to_string().parse::<UserId>(), Err(IdError));
        assert_eq!(id.as_uuid().urn().to_string().parse::<UserId>(), Err(IdError));
    }
}
