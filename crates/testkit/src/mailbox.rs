//! Where mail arrives in tests that are not about its delivery.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use identsphere_core::{Mail, MailContent, MailError, Mailer};

/// Keeps every mail, oldest first.
#[derive(Debug, Default)]
pub struct Mailbox(Mutex<Vec<Mail>>);

impl Mailbox {
    /// Every mail so far to this address.
    pub fn received(&self, address: &str) -> Vec<Mail> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().filter(|mail| mail.to == address).cloned().collect()
    }

    /// How many mails there are.
    pub fn count(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// The secret of the newest mail of a kind to this address: its code, or the token of its link.
    pub fn secret(&self, address: &str, kind: &str) -> Option<String> {
        let received = self.received(address);
        let newest = received.iter().rev().find(|mail| mail.content.name() == kind)?;
        match &newest.content {
            MailContent::SignInCode { code, .. } => Some(code.expose().to_owned()),
            MailContent::VerifyEmail { link, .. }
            | MailContent::ConfirmNewEmail { link, .. }
            | MailContent::ResetPassword { link, .. }
            | MailContent::NewSignIn { link, .. } => {
                link.expose().split_once("token=").map(|(_, token)| token.to_owned())
            }
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
}

#[async_trait]
impl Mailer for Mailbox {
    async fn send(&self, mail: &Mail) -> Result<(), MailError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(mail.clone());
        Ok(())
    }
}
