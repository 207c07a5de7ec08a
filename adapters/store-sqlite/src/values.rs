//! How a domain value looks in its column. A column that does not hold such a value is corrupt, and says so while
//! its row is read.

use std::fmt::Debug;
use std::net::IpAddr;

use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::expression::AsExpression;
use diesel::serialize::{self, IsNull, Output, ToSql};
use diesel::sql_types::{BigInt, Binary, Text};
use diesel::sqlite::{Sqlite, SqliteValue};
use identsphere_accounts::{AvatarName, Preferences, UserStatus};
use identsphere_factors::passkey::{Aaguid, CeremonyKind, CoseKey, CredentialId, Transports, UserHandle};
use identsphere_factors::totp::TimeStep;
use identsphere_kernel::{
    AuditEventId, MailId, OrganizationId, PasskeyId, SessionId, Timestamp, TokenHash, TrustedBrowserId,
    UserId,
};
use identsphere_sessions::{AssuranceLevel, AuthMethod, SecondFactor};
use uuid::Uuid;

/// A value in a text column.
#[derive(Debug, Clone, Copy, AsExpression, FromSqlRow)]
#[diesel(sql_type = Text)]
pub(crate) struct AsText<T>(pub(crate) T);

/// A value in a binary column.
#[derive(Debug, Clone, Copy, AsExpression, FromSqlRow)]
#[diesel(sql_type = Binary)]
pub(crate) struct AsBytes<T>(pub(crate) T);

/// A value in a column of numbers.
#[derive(Debug, Clone, Copy, AsExpression, FromSqlRow)]
#[diesel(sql_type = BigInt)]
pub(crate) struct AsNumber<T>(pub(crate) T);

/// A value with one spelling.
pub(crate) trait TextForm: Sized {
    /// The spelling; `None` for a value that has none.
    fn to_text(&self) -> Option<String>;
    /// The value that is spelt so.
    fn from_text(text: &str) -> Option<Self>;
}

/// A value that is some bytes.
pub(crate) trait BytesForm: Sized {
    /// The bytes.
    fn to_bytes(&self) -> Vec<u8>;
    /// The value with these bytes.
    fn from_bytes(bytes: &[u8]) -> Option<Self>;
}

/// A value that is a number: a count, a step.
pub(crate) trait NumberForm: Sized {
    /// The number; `None` for a value that no column can hold.
    fn to_number(&self) -> Option<i64>;
    /// The value with this number.
    fn from_number(number: i64) -> Option<Self>;
}

impl<T: TextForm + Debug> ToSql<Text, Sqlite> for AsText<T> {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        out.set_value(self.0.to_text().ok_or_else(|| format!("{:?} has no text form", self.0))?);
        Ok(IsNull::No)
    }
}

impl<T: TextForm> FromSql<Text, Sqlite> for AsText<T> {
    fn from_sql(mut value: SqliteValue<'_, '_, '_>) -> deserialize::Result<Self> {
        let text = value.read_text();
        T::from_text(text).map(Self).ok_or_else(|| format!("a column holds {text:?}").into())
    }
}

impl<T: BytesForm + Debug> ToSql<Binary, Sqlite> for AsBytes<T> {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        out.set_value(self.0.to_bytes());
        Ok(IsNull::No)
    }
}

impl<T: BytesForm> FromSql<Binary, Sqlite> for AsBytes<T> {
    fn from_sql(mut value: SqliteValue<'_, '_, '_>) -> deserialize::Result<Self> {
        let bytes = value.read_blob();
        T::from_bytes(bytes).map(Self).ok_or_else(|| format!("a column holds {} bytes", bytes.len()).into())
    }
}

impl<T: NumberForm + Debug> ToSql<BigInt, Sqlite> for AsNumber<T> {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        out.set_value(self.0.to_number().ok_or_else(|| format!("{:?} is too large", self.0))?);
        Ok(IsNull::No)
    }
}

impl<T: NumberForm> FromSql<BigInt, Sqlite> for AsNumber<T> {
    fn from_sql(mut value: SqliteValue<'_, '_, '_>) -> deserialize::Result<Self> {
        let number = value.read_long();
        T::from_number(number).map(Self).ok_or_else(|| format!("a column holds {number}").into())
    }
}

impl TextForm for Timestamp {
    /// Years of four digits only: others would not sort as text.
    fn to_text(&self) -> Option<String> {
        const WIDTH: usize = "2026-11-21T12:00:00.000000Z".len();
        Some(self.to_rfc3339()).filter(|text| text.len() == WIDTH)
    }

    fn from_text(text: &str) -> Option<Self> {
        Self::parse_rfc3339(text)
    }
}

impl TextForm for IpAddr {
    fn to_text(&self) -> Option<String> {
        Some(self.to_string())
    }

    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl TextForm for AvatarName {
    fn to_text(&self) -> Option<String> {
        Some(self.path())
    }

    fn from_text(text: &str) -> Option<Self> {
        Self::from_path(text)
    }
}

impl TextForm for Preferences {
    fn to_text(&self) -> Option<String> {
        serde_json::to_string(self.as_map()).ok()
    }

    fn from_text(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok().map(Self::from_stored)
    }
}

impl TextForm for Transports {
    fn to_text(&self) -> Option<String> {
        serde_json::to_string(self.as_slice()).ok()
    }

    fn from_text(text: &str) -> Option<Self> {
        serde_json::from_str::<Vec<String>>(text).ok().map(Self::keep)
    }
}

macro_rules! text_form_by_name {
    ($($name:ident),+) => {$(
        impl TextForm for $name {
            fn to_text(&self) -> Option<String> {
                Some(self.name().to_owned())
            }

            fn from_text(text: &str) -> Option<Self> {
                Self::from_name(text)
            }
        }
    )+};
}

text_form_by_name!(UserStatus, AuthMethod, AssuranceLevel, SecondFactor, CeremonyKind);

macro_rules! bytes_form_of_ids {
    ($($name:ident),+) => {$(
        impl BytesForm for $name {
            fn to_bytes(&self) -> Vec<u8> {
                self.as_uuid().into_bytes().into()
            }

            fn from_bytes(bytes: &[u8]) -> Option<Self> {
                Uuid::from_slice(bytes).ok().map(Self::from_uuid)
            }
        }
    )+};
}

bytes_form_of_ids!(UserId, OrganizationId, SessionId, AuditEventId, MailId, PasskeyId, TrustedBrowserId);

impl BytesForm for TokenHash {
    fn to_bytes(&self) -> Vec<u8> {
        Self::as_bytes(self).to_vec()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self::from_bytes)
    }
}

impl BytesForm for UserHandle {
    fn to_bytes(&self) -> Vec<u8> {
        Self::as_bytes(self).to_vec()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Self::parse(bytes)
    }
}

impl BytesForm for CredentialId {
    fn to_bytes(&self) -> Vec<u8> {
        Self::as_bytes(self).to_vec()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Self::parse(bytes).ok()
    }
}

impl BytesForm for CoseKey {
    fn to_bytes(&self) -> Vec<u8> {
        Self::as_bytes(self).to_vec()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Self::parse(bytes).ok()
    }
}

impl BytesForm for Aaguid {
    fn to_bytes(&self) -> Vec<u8> {
        Self::as_bytes(self).to_vec()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self::from_bytes)
    }
}

impl NumberForm for u32 {
    fn to_number(&self) -> Option<i64> {
        Some(i64::from(*self))
    }

    fn from_number(number: i64) -> Option<Self> {
        Self::try_from(number).ok()
    }
}

impl NumberForm for TimeStep {
    fn to_number(&self) -> Option<i64> {
        i64::try_from(self.number()).ok()
    }

    fn from_number(number: i64) -> Option<Self> {
        u64::try_from(number).ok().map(Self::from_number)
    }
}
