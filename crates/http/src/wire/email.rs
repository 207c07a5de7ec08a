//! What travels about mailboxes.

use serde::Deserialize;
use utoipa::ToSchema;

use super::TokenTransport;
use crate::decode::Text;

/// Which mailbox.
#[derive(Deserialize, ToSchema)]
#[schema(as = EmailAddress)]
pub(crate) struct EmailBody {
    /// The address of the account.
    #[serde(default)]
    #[schema(value_type = String, required = true, format = "email", max_length = 254, examples("ada@example.com"))]
    pub(crate) email: Text,
}

/// What a link in a mail carries.
#[derive(Deserialize, ToSchema)]
#[schema(as = MailToken)]
pub(crate) struct TokenBody {
    /// The `token` parameter of the link.
    #[serde(default)]
    #[schema(value_type = String, required = true, min_length = 1)]
    pub(crate) token: Text,
}

/// Who signs in with a code.
#[derive(Deserialize, ToSchema)]
#[schema(as = EmailCode)]
pub(crate) struct EmailCodeBody {
    /// The address that the code was sent to.
    #[serde(default)]
    #[schema(value_type = String, required = true, format = "email", max_length = 254, examples("ada@example.com"))]
    pub(crate) email: Text,
    /// The code.
    #[serde(default)]
    #[schema(value_type = String, required = true, pattern = "^[0-9]{6}$", examples("204816"))]
    pub(crate) code: Text,
    /// How the tokens travel.
    #[serde(default)]
    #[schema(value_type = Option<TokenTransport>)]
    pub(crate) token_transport: Text,
}

/// Another password, by way of the mailbox.
#[derive(Deserialize, ToSchema)]
#[schema(as = ResetPassword)]
pub(crate) struct ResetPasswordBody {
    /// The `token` parameter of the link.
    #[serde(default)]
    #[schema(value_type = String, required = true, min_length = 1)]
    pub(crate) token: Text,
    /// At most 1,024 bytes; none of the passwords that are guessed first, nor made from the address.
    #[serde(default)]
    #[schema(
        value_type = String, required = true, format = "password", min_length = 12, max_length = 256,
        examples("correct horse battery staple")
    )]
    pub(crate) new_password: Text,
}

/// Another address for the account.
#[derive(Deserialize, ToSchema)]
#[schema(as = ChangeEmail)]
pub(crate) struct ChangeEmailBody {
    /// The address to be.
    #[serde(default)]
    #[schema(value_type = String, required = true, format = "email", max_length = 254, examples("ada@example.org"))]
    pub(crate) new_email: Text,
    /// The password of the account.
    #[serde(default)]
    #[schema(value_type = String, required = true, format = "password", min_length = 1, max_length = 256)]
    pub(crate) password: Text,
}
