//! The variables of every kind of mail, and a sample of each to try templates with.

use identsphere_core::{Language, Mail, MailContent, MailSecret};
use identsphere_kernel::{Duration, MailId, Timestamp};
use minijinja::value::Value;

use crate::words;

/// Every kind, by the name of its template.
#[cfg(test)]
pub(crate) const KINDS: [&str; 15] = [
    "verify_email",
    "confirm_new_email",
    "email_change_requested",
    "email_changed",
    "sign_in_code",
    "reset_password",
    "password_changed",
    "new_sign_in",
    "mfa_enabled",
    "mfa_disabled",
    "recovery_code_used",
    "recovery_codes_replaced",
    "passkey_added",
    "passkey_removed",
    "account_deleted",
];

/// Longest address that is written out (RFC 5321 §4.5.3.1.3).
const MAX_ADDRESS: usize = 254;

/// What a template of this kind may use beyond what all of them have.
pub(crate) fn variables(mail: &Mail) -> Vec<(&'static str, Value)> {
    let text = |text: &str| Value::from(text);
    let secret = |secret: &MailSecret| Value::from(secret.expose());
    let length = |length: &Duration| Value::from(words::duration(mail.language, *length));
    let instant = |at: &Timestamp| Value::from(words::instant(mail.language, *at));
    let mut variables = match &mail.content {
        MailContent::VerifyEmail { link, valid_for }
        | MailContent::ConfirmNewEmail { link, valid_for }
        | MailContent::ResetPassword { link, valid_for } => {
            vec![("link", secret(link)), ("valid_for", length(valid_for))]
        }
        MailContent::SignInCode { code, valid_for } => {
            vec![("code", secret(code)), ("valid_for", length(valid_for))]
        }
        MailContent::EmailChangeRequested { new_email } | MailContent::EmailChanged { new_email } => {
            vec![("new_email", Value::from(words::line(new_email, MAX_ADDRESS)))]
        }
        MailContent::PasswordChanged { at }
        | MailContent::MfaEnabled { at }
        | MailContent::MfaDisabled { at }
        | MailContent::RecoveryCodesReplaced { at } => vec![("at", instant(at))],
        MailContent::RecoveryCodeUsed { at, left } => {
            vec![("at", instant(at)), ("left", Value::from(*left))]
        }
        MailContent::PasskeyAdded { at, label } | MailContent::PasskeyRemoved { at, label } => {
            // A stranger who got into the account chose it, perhaps for this very mail.
            vec![("at", instant(at)), ("label", words::name(label).into())]
        }
        MailContent::NewSignIn { at, user_agent, ip_address, link } => {
            let (browser, system) = words::browser(user_agent.as_deref().unwrap_or_default());
            vec![
                ("at", instant(at)),
                ("browser", browser.map(text).into()),
                ("system", system.map(text).into()),
                ("ip_address", ip_address.map(|address| address.to_string()).into()),
                ("link", secret(link)),
            ]
        }
        MailContent::AccountDeleted => vec![],
    };
    variables.push(("name", mail.name.as_deref().and_then(words::name).into()));
    variables
}

/// The link or the code that a mail carries.
pub(crate) fn secret(content: &MailContent) -> Option<&str> {
    match content {
        MailContent::VerifyEmail { link: secret, .. }
        | MailContent::ConfirmNewEmail { link: secret, .. }
        | MailContent::ResetPassword { link: secret, .. }
        | MailContent::NewSignIn { link: secret, .. }
        | MailContent::SignInCode { code: secret, .. } => Some(secret.expose()),
        MailContent::EmailChangeRequested { .. }
        | MailContent::EmailChanged { .. }
        | MailContent::PasswordChanged { .. }
        | MailContent::MfaEnabled { .. }
        | MailContent::MfaDisabled { .. }
        | MailContent::RecoveryCodeUsed { .. }
        | MailContent::RecoveryCodesReplaced { .. }
        | MailContent::PasskeyAdded { .. }
        | MailContent::PasskeyRemoved { .. }
        | MailContent::AccountDeleted => None,
    }
}

/// Mails of every kind in every language, with and without what may be missing.
pub(crate) fn samples() -> Vec<Mail> {
    let link = || MailSecret::new("https://id.example.com/go?token=sample&x=1");
    let (valid_for, at) = (Duration::from_secs(1_800), Timestamp::from_unix_seconds(1_800_000_000));
    let new_email = || "new@example.com".to_owned();
    let sign_in = |user_agent: Option<&str>| MailContent::NewSignIn {
        at,
        user_agent: user_agent.map(str::to_owned),
        ip_address: user_agent.map(|_| [192, 0, 2, 7].into()),
        link: link(),
    };
    let contents = [
        MailContent::VerifyEmail { link: link(), valid_for },
        MailContent::ConfirmNewEmail { link: link(), valid_for },
        MailContent::EmailChangeRequested { new_email: new_email() },
        MailContent::EmailChanged { new_email: new_email() },
        MailContent::SignInCode { code: MailSecret::new("012345"), valid_for },
        MailContent::ResetPassword { link: link(), valid_for },
        MailContent::PasswordChanged { at },
        sign_in(Some("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")),
        sign_in(None),
        MailContent::MfaEnabled { at },
        MailContent::MfaDisabled { at },
        MailContent::RecoveryCodeUsed { at, left: 2 },
        MailContent::RecoveryCodeUsed { at, left: 1 },
        MailContent::RecoveryCodeUsed { at, left: 0 },
        MailContent::RecoveryCodesReplaced { at },
        MailContent::PasskeyAdded { at, label: "Ada's laptop".to_owned() },
        MailContent::PasskeyAdded { at, label: "see https://evil.example".to_owned() },
        MailContent::PasskeyRemoved { at, label: "Ada's laptop".to_owned() },
        MailContent::PasskeyRemoved { at, label: "see https://evil.example".to_owned() },
        MailContent::AccountDeleted,
    ];
    let mail = |(content, language, name): (&MailContent, Language, Option<&str>)| Mail {
        id: MailId::from_bytes([0; 16]),
        to: "ada@example.com".to_owned(),
        name: name.map(str::to_owned),
        language,
        content: content.clone(),
    };
    let languages = contents.iter().flat_map(|content| Language::ALL.map(|language| (content, language)));
    let all = languages
        .flat_map(|(content, language)| [Some("Ada"), None].map(|name| (content, language, name)))
        .map(mail);
    all.collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn there_is_a_sample_of_every_kind() {
        let sampled: BTreeSet<_> = samples().iter().map(|mail| mail.content.name()).collect();
        assert_eq!(sampled, KINDS.into_iter().collect());
    }
}
