//! Mail as the use cases know it: what it says and to whom. How it looks and how it leaves is the [`Mailer`]'s.

use async_trait::async_trait;
use identsphere_kernel::{Duration, MailId, SecretString, Timestamp};
use serde::{Deserialize, Serialize};

/// A mail on its way.
///
/// It may hold a secret, so it is kept sealed: serialising it is for the sealed outbox alone.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Mail {
    /// Its id, from which the `Message-ID` is made: a mail that is sent twice is one mail to its receiver.
    pub id: MailId,
    /// The address, as stored with the account; never as somebody typed it into a request (RC-06).
    pub to: String,
    /// The name of whoever owns the address.
    pub name: Option<String>,
    /// The language to write in.
    pub language: Language,
    /// What it says.
    pub content: MailContent,
}

/// A language that mail is written in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// English.
    #[default]
    En,
    /// German.
    De,
}

impl Language {
    /// Every language.
    pub const ALL: [Self; 2] = [Self::En, Self::De];

    /// The language tag (RFC 5646).
    pub const fn tag(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::De => "de",
        }
    }

    /// The best of ours for an `Accept-Language` field (RFC 9110 §12.5.4); English when none of ours is wanted.
    pub fn accepted(field: Option<&str>) -> Self {
        let ranges = field.unwrap_or_default().split(',').filter_map(|range| {
            let mut parts = range.split(';').map(str::trim);
            let primary = parts.next()?.split('-').next()?.to_ascii_lowercase();
            let weight = parts.find_map(|part| part.strip_prefix("q=")).map_or(Ok(1.0), str::parse::<f32>);
            let language = Self::ALL.into_iter().find(|language| language.tag() == primary)?;
            Some((language, weight.ok().filter(|weight| *weight > 0.0)?))
        });
        let best = ranges.reduce(|best, next| if next.1 > best.1 { next } else { best });
        best.map_or(Self::default(), |(language, _)| language)
    }
}

/// What a mail says.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum MailContent {
    /// Please confirm that this address is yours.
    VerifyEmail {
        /// Where to confirm it.
        link: MailSecret,
        /// How long the link works.
        valid_for: Duration,
    },
    /// Please confirm that this address is to become that of your account.
    ConfirmNewEmail {
        /// Where to confirm it.
        link: MailSecret,
        /// How long the link works.
        valid_for: Duration,
    },
    /// Somebody asked for another address for your account. To the present address.
    EmailChangeRequested {
        /// The address to be.
        new_email: String,
    },
    /// Your account has another address now. To the address before.
    EmailChanged {
        /// The address it has.
        new_email: String,
    },
    /// The code to sign in with.
    SignInCode {
        /// Six digits.
        code: MailSecret,
        /// How long the code works.
        valid_for: Duration,
    },
    /// Here you may choose another password.
    ResetPassword {
        /// Where to choose it.
        link: MailSecret,
        /// How long the link works.
        valid_for: Duration,
    },
    /// Your password was changed.
    PasswordChanged {
        /// When.
        at: Timestamp,
    },
    /// Somebody signed in from a browser that had not been seen before.
    NewSignIn {
        /// When.
        at: Timestamp,
        /// With which user agent.
        user_agent: Option<String>,
        /// From which address.
        ip_address: Option<std::net::IpAddr>,
        /// Where to end that session.
        link: MailSecret,
    },
    /// Your account asks for a second factor now.
    MfaEnabled {
        /// When.
        at: Timestamp,
    },
    /// Your account asks for no second factor any more.
    MfaDisabled {
        /// When.
        at: Timestamp,
    },
    /// Somebody signed in with a recovery code, which is used up.
    RecoveryCodeUsed {
        /// When.
        at: Timestamp,
        /// How many codes are left.
        left: u32,
    },
    /// There are new recovery codes, and the ones before are worth nothing.
    RecoveryCodesReplaced {
        /// When.
        at: Timestamp,
    },
    /// Your account has one passkey more.
    PasskeyAdded {
        /// When.
        at: Timestamp,
        /// What it is called.
        label: String,
    },
    /// Your account has one passkey less.
    PasskeyRemoved {
        /// When.
        at: Timestamp,
        /// What it was called.
        label: String,
    },
    /// Your account was deleted.
    AccountDeleted,
}

impl MailContent {
    /// The stable name, for templates, metrics and logs.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::VerifyEmail { .. } => "verify_email",
            Self::ConfirmNewEmail { .. } => "confirm_new_email",
            Self::EmailChangeRequested { .. } => "email_change_requested",
            Self::EmailChanged { .. } => "email_changed",
            Self::SignInCode { .. } => "sign_in_code",
            Self::ResetPassword { .. } => "reset_password",
            Self::PasswordChanged { .. } => "password_changed",
            Self::NewSignIn { .. } => "new_sign_in",
            Self::MfaEnabled { .. } => "mfa_enabled",
            Self::MfaDisabled { .. } => "mfa_disabled",
            Self::RecoveryCodeUsed { .. } => "recovery_code_used",
            Self::RecoveryCodesReplaced { .. } => "recovery_codes_replaced",
            Self::PasskeyAdded { .. } => "passkey_added",
            Self::PasskeyRemoved { .. } => "passkey_removed",
            Self::AccountDeleted => "account_deleted",
        }
    }
}

/// A secret that a mail carries. It can be serialised, for the sealed outbox, and still does not print.
#[derive(Debug, Clone)]
pub struct MailSecret(SecretString);

impl MailSecret {
    /// Takes the text into custody.
    pub fn new(text: impl Into<String>) -> Self {
        Self(SecretString::new(text))
    }

    /// The secret itself.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

impl Serialize for MailSecret {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.expose())
    }
}

impl<'de> Deserialize<'de> for MailSecret {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

/// Why a mail was not handed over.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// It may succeed later: the server is away, slow, or asks to come back (RFC 5321 §4.2.1, 4yz).
    #[error("the mail could not be handed over yet")]
    Later(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It will never succeed: the server refused it for good (5yz), or it cannot be written.
    #[error("the mail was refused")]
    Never(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Hands mail over to whoever delivers it.
#[async_trait]
pub trait Mailer: Send + Sync + 'static {
    /// Hands one mail over. When this returns `Ok`, the next hop has taken responsibility for it. Bounded in time by the
    /// adapter.
    ///
    /// # Errors
    /// [`MailError`] says whether to try again.
    async fn send(&self, mail: &Mail) -> Result<(), MailError>;
}

/// A mail that was kept instead of sent, for a person to read.
#[derive(Clone)]
pub struct KeptMail {
    /// Its id.
    pub id: MailId,
    /// To whom it would have gone.
    pub to: String,
    /// What kind of mail it is: [`MailContent::name`].
    pub kind: &'static str,
    /// Its subject.
    pub subject: String,
    /// What it says in plain text, secrets included.
    pub text: String,
    /// What it says in HTML, secrets included.
    pub html: String,
    /// When it was kept.
    pub at: Timestamp,
}

/// Says nothing of what it says.
impl std::fmt::Debug for KeptMail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeptMail").field("id", &self.id).field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// Shows mail that was kept instead of sent. For development alone: whoever reads it can sign in as anybody.
pub trait MailReader: Send + Sync + 'static {
    /// What there is, the newest first, and bounded in number.
    fn list(&self) -> Vec<std::sync::Arc<KeptMail>>;

    /// One of them.
    fn get(&self, id: MailId) -> Option<std::sync::Arc<KeptMail>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_is_the_best_of_ours() {
        for (field, language) in [
            (None, Language::En),
            (Some(""), Language::En),
            (Some("de"), Language::De),
            (Some("de-CH, en;q=0.5"), Language::De),
            (Some("en;q=0.4, de;q=0.6"), Language::De),
            (Some("fr, de;q=0"), Language::En),
            (Some("fr-FR,fr;q=0.9,DE;q=0.8"), Language::De),
            (Some(";;;q=,,de;q=x"), Language::En),
        ] {
            assert_eq!(Language::accepted(field), language, "{field:?}");
        }
    }

    #[test]
    fn a_secret_survives_the_outbox_and_does_not_print() {
        let content =
            MailContent::SignInCode { code: MailSecret::new("123456"), valid_for: Duration::from_secs(600) };
        assert!(!format!("{content:?}").contains("123456"));
        let text = serde_json::to_string(&content).unwrap();
        let MailContent::SignInCode { code, valid_for } = serde_json::from_str(&text).unwrap() else {
            panic!("another kind")
        };
        assert_eq!((code.expose(), valid_for), ("123456", Duration::from_secs(600)));
    }
}
