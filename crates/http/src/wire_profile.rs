//! What travels about the caller's own account (contract §4.7, §5).

use identsphere_core::{Principal, ProfileRecord, UserOrganization};
use identsphere_kernel::{OrganizationId, Timestamp, UserId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::decode::{Json, Text};

/// A user, as they see themselves. Every key is always present.
#[derive(Serialize, ToSchema)]
#[schema(as = Profile)]
pub(crate) struct ProfileView<'a> {
    #[schema(value_type = String, format = "uuid")]
    id: UserId,
    email: &'a str,
    email_verified: bool,
    #[schema(required = true)]
    display_name: Option<&'a str>,
    /// The organisation of this session.
    #[schema(value_type = String, format = "uuid")]
    organization_id: OrganizationId,
    #[schema(required = true)]
    job_title: Option<&'a str>,
    #[schema(required = true)]
    phone_number: Option<&'a str>,
    /// Where the picture is.
    #[schema(required = true)]
    avatar_url: Option<String>,
    #[schema(required = true)]
    bio: Option<&'a str>,
    /// What applications keep with the user.
    #[schema(value_type = Object)]
    preferences: &'a Map<String, Value>,
    /// Whether one-time codes are the second factor.
    mfa_enabled: bool,
    /// Whether there is a passkey.
    passkey_enabled: bool,
    #[schema(value_type = Option<String>, format = "date-time", required = true)]
    last_password_change: Option<Timestamp>,
    #[schema(value_type = String, format = "date-time")]
    created_at: Timestamp,
    #[schema(value_type = String, format = "date-time")]
    updated_at: Timestamp,
}

impl<'a> ProfileView<'a> {
    /// `base` is the public base URL without a slash at its end.
    pub(crate) fn of(record: &'a ProfileRecord, who: &Principal, base: &str) -> Self {
        let ProfileRecord { user, profile } = record;
        Self {
            id: user.id,
            email: user.email.as_str(),
            email_verified: user.email_verified,
            display_name: user.display_name.as_ref().map(|name| name.as_str()),
            organization_id: who.session.organization,
            job_title: profile.job_title.as_ref().map(|text| text.as_str()),
            phone_number: profile.phone_number.as_ref().map(|text| text.as_str()),
            avatar_url: profile.avatar.as_ref().map(|avatar| format!("{base}{}", avatar.path())),
            bio: profile.bio.as_ref().map(|text| text.as_str()),
            preferences: profile.preferences.as_map(),
            mfa_enabled: user.mfa_enabled,
            passkey_enabled: user.passkey_enabled,
            last_password_change: user.last_password_change,
            created_at: user.created_at,
            updated_at: user.updated_at,
        }
    }
}

/// What to change. A field that is absent or null stays; empty text clears it.
#[derive(Deserialize, ToSchema)]
#[schema(as = ProfileChange)]
pub(crate) struct ProfileBody {
    /// The name to show to people.
    #[serde(default)]
    #[schema(value_type = Option<String>, max_length = 200, pattern = r"^[^\u0000-\u001F\u007F-\u009F]*$", examples("Ada Lovelace"))]
    pub(crate) display_name: Text,
    #[serde(default)]
    #[schema(value_type = Option<String>, max_length = 200, pattern = r"^[^\u0000-\u001F\u007F-\u009F]*$", examples("Mathematician"))]
    pub(crate) job_title: Text,
    #[serde(default)]
    #[schema(value_type = Option<String>, max_length = 50, pattern = r"^[^\u0000-\u001F\u007F-\u009F]*$", examples("+44 20 7946 0958"))]
    pub(crate) phone_number: Text,
    /// May have several lines.
    #[serde(default)]
    #[schema(value_type = Option<String>, max_length = 2000,
        pattern = r"^(?:[^\u0000-\u0008\u000B-\u001F\u007F-\u009F]|\r\n)*$", examples("Weaves algebraical patterns."))]
    pub(crate) bio: Text,
    /// Replaced as a whole. At most 16 KiB of JSON, 16 levels deep.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub(crate) preferences: Json,
}

/// An organisation that the caller belongs to.
#[derive(Serialize, ToSchema)]
#[schema(as = OrganizationMembership)]
pub(crate) struct OrganizationMembershipView<'a> {
    #[schema(value_type = String, format = "uuid")]
    id: OrganizationId,
    name: &'a str,
    slug: &'a str,
    #[schema(examples("owner"))]
    role: &'a str,
    #[schema(value_type = String, format = "date-time")]
    joined_at: Timestamp,
}

impl<'a> OrganizationMembershipView<'a> {
    pub(crate) fn of(belongs: &'a UserOrganization) -> Self {
        Self {
            id: belongs.organization.id,
            name: belongs.organization.name.as_str(),
            slug: belongs.organization.slug.as_str(),
            role: belongs.role.name(),
            joined_at: belongs.joined_at,
        }
    }
}

/// The passwords of a change.
#[derive(Deserialize, ToSchema)]
#[schema(as = PasswordChange)]
pub(crate) struct PasswordBody {
    /// The password that holds.
    #[serde(default)]
    #[schema(
        value_type = String, required = true, format = "password", min_length = 1, max_length = 256,
        examples("correct horse battery staple")
    )]
    pub(crate) current_password: Text,
    /// At most 1,024 bytes; none of the passwords that are guessed first, nor made from the address.
    #[serde(default)]
    #[schema(
        value_type = String, required = true, format = "password", min_length = 12, max_length = 256,
        examples("the engine weaves patterns")
    )]
    pub(crate) new_password: Text,
    /// Whether every other session ends, which it does unless this is `false`.
    #[serde(default)]
    #[schema(value_type = Option<bool>, default = true)]
    pub(crate) sign_out_other_sessions: Json,
}

/// The password of somebody who wants to be gone.
#[derive(Deserialize, ToSchema)]
#[schema(as = AccountDeletion)]
pub(crate) struct DeletionBody {
    /// The password of the account.
    #[serde(default)]
    #[schema(
        value_type = String, required = true, format = "password", min_length = 1, max_length = 256,
        examples("correct horse battery staple")
    )]
    pub(crate) password: Text,
}

/// A form with a picture.
#[derive(ToSchema)]
#[schema(as = AvatarUpload)]
#[expect(dead_code, reason = "describes a form that is read part by part")]
pub(crate) struct AvatarForm {
    /// A JPEG, PNG, GIF or WebP picture of at most 5 MiB, 4096 pixels wide and high. The part may be named `file` instead.
    #[schema(value_type = String, format = "binary")]
    avatar: Vec<u8>,
}

/// Where the picture is.
#[derive(Serialize, ToSchema)]
#[schema(as = Avatar)]
pub(crate) struct AvatarView {
    /// The address of the picture. Another picture gets another one.
    #[schema(format = "uri")]
    pub(crate) avatar_url: String,
}
