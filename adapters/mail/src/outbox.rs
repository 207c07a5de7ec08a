//! Mailers that send nothing: for development, and for a service whose operator has named no mail server.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use identsphere_core::{KeptMail, Mail, MailError, MailReader, Mailer};
use identsphere_kernel::{Clock, MailId};

use crate::render::Renderer;

/// Most mails that are kept.
const MOST_KEPT: usize = 200;

/// Keeps the latest mails for a person at this machine to read. The log says that there is one and nothing of what it says:
/// logs are kept and passed on (LG-02). Never for a service that others can reach.
pub struct DevelopmentOutbox {
    renderer: Renderer,
    clock: Arc<dyn Clock>,
    /// The newest first.
    kept: Mutex<VecDeque<Arc<KeptMail>>>,
}

impl DevelopmentOutbox {
    /// An empty outbox.
    pub fn new(renderer: Renderer, clock: Arc<dyn Clock>) -> Self {
        Self { renderer, clock, kept: Mutex::default() }
    }
}

#[async_trait]
impl Mailer for DevelopmentOutbox {
    async fn send(&self, mail: &Mail) -> Result<(), MailError> {
        let words = self.renderer.render(mail).map_err(|error| MailError::Never(error.into()))?;
        let kind = mail.content.name();
        tracing::info!(
            mail.id = %mail.id,
            mail.to = mail.to,
            mail.kind = kind,
            mail.subject = words.subject,
            "a mail was kept in the development outbox"
        );
        let kept = KeptMail {
            id: mail.id,
            to: mail.to.clone(),
            kind,
            subject: words.subject,
            text: words.text,
            html: words.html,
            at: self.clock.now(),
        };
        let mut all = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        // A mail that is sent twice is one mail to its receiver.
        all.retain(|other| other.id != mail.id);
        all.push_front(Arc::new(kept));
        all.truncate(MOST_KEPT);
        Ok(())
    }
}

impl MailReader for DevelopmentOutbox {
    fn list(&self) -> Vec<Arc<KeptMail>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    fn get(&self, id: MailId) -> Option<Arc<KeptMail>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().find(|mail| mail.id == id).cloned()
    }
}

impl fmt::Debug for DevelopmentOutbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DevelopmentOutbox")
    }
}

/// Says in the log that there was a mail, and nothing of what it said. For a service that others can reach and that has
/// no mail server: a log is read by more people than a mailbox.
#[derive(Debug, Clone, Copy, Default)]
pub struct LogMailer;

#[async_trait]
impl Mailer for LogMailer {
    async fn send(&self, mail: &Mail) -> Result<(), MailError> {
        tracing::warn!(
            mail.id = %mail.id,
            mail.kind = mail.content.name(),
            "a mail was not delivered: there is no mail server"
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use identsphere_core::{Language, MailContent, MailSecret};
    use identsphere_kernel::Duration;
    use identsphere_testkit::ManualClock;

    use super::*;
    use crate::{Sender, Templates};

    fn outbox() -> DevelopmentOutbox {
        let sender = Sender { app_name: "Acme".to_owned(), site: "http://localhost:4000".to_owned() };
        let renderer = Renderer::new(Templates::built_in().unwrap(), sender);
        DevelopmentOutbox::new(renderer, Arc::new(ManualClock::default()))
    }

    fn mail(number: u16) -> Mail {
        let mut id = [7; 16];
        id[..2].copy_from_slice(&number.to_be_bytes());
        Mail {
            id: MailId::from_bytes(id),
            to: "ada@example.com".to_owned(),
            name: None,
            language: Language::En,
            content: MailContent::SignInCode {
                code: MailSecret::new(format!("{number:06}")),
                valid_for: Duration::from_secs(600),
            },
        }
    }

    #[tokio::test]
    async fn the_latest_mails_are_kept_the_newest_first() {
        let outbox = outbox();
        for number in 0..205 {
            outbox.send(&mail(number)).await.unwrap();
        }
        let all = outbox.list();
        assert_eq!((all.len(), all[0].id, all[199].id), (200, mail(204).id, mail(5).id));
        assert!(outbox.get(mail(4).id).is_none());
        let one = outbox.get(mail(204).id).unwrap();
        assert!(one.text.contains("000204") && one.html.contains("000204"));
        assert_eq!(
            (one.to.as_str(), one.kind, one.subject.as_str()),
            ("ada@example.com", "sign_in_code", "Your code for Acme")
        );
        assert!(!format!("{one:?}").contains("000204"));
    }

    #[tokio::test]
    async fn a_mail_that_is_sent_twice_is_kept_once() {
        let outbox = outbox();
        for number in [1, 2, 1] {
            outbox.send(&mail(number)).await.unwrap();
        }
        let ids: Vec<_> = outbox.list().iter().map(|kept| kept.id).collect();
        assert_eq!(ids, [mail(1).id, mail(2).id]);
    }
}
