//! Putting things into the outbox, and doing what lies there.

use std::sync::atomic::Ordering;

use futures::StreamExt as _;
use identsphere_kernel::{Duration, EmailKey, MailId};
use identsphere_sessions::ClientInfo;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{Error, IdentSphere, Language, Mail, MailContent, MailError, OutboxEntry};

/// How often a node looks for entries that it was not told of: those of other nodes, and those whose time has come.
const POLL: Duration = Duration::from_secs(1);
/// How many entries a node works on at once.
const AT_ONCE: u32 = 8;
/// For how long a node has an entry to itself. A mailer gives up well before that.
const LEASE: Duration = Duration::from_secs(60);
/// How long the first repetition waits; every further one waits twice as long.
const FIRST_WAIT: Duration = Duration::from_secs(10);
/// The longest wait between two attempts.
const LONGEST_WAIT: Duration = Duration::from_secs(600);
/// How long mail without an end of its own is worth sending.
pub(crate) const NEWS_LIFETIME: Duration = Duration::from_secs(24 * 3_600);
/// How long a question may wait for its mail.
const QUESTION_LIFETIME: Duration = Duration::from_secs(600);
/// The most entries that may wait before no more questions are taken.
const MOST_WAITING: u64 = 100_000;

/// Something to be done outside of the transaction that causes it.
#[derive(Serialize, Deserialize)]
#[serde(tag = "errand", rename_all = "snake_case")]
pub(crate) enum Errand {
    /// To hand over a mail.
    Send(Mail),
    /// To answer somebody who asked for mail to an address. Whether there is such an account is looked up here and not
    /// when the question is taken, so that the question takes as long either way (AU-03).
    Answer(Question),
}

/// Somebody who is not signed in asked for mail to an address.
#[derive(Serialize, Deserialize)]
pub(crate) struct Question {
    pub(crate) wanted: Wanted,
    email: String,
    pub(crate) language: Language,
    ip_address: Option<std::net::IpAddr>,
    user_agent: Option<String>,
}

/// What somebody asked for.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Wanted {
    SignInCode,
    PasswordReset,
}

impl Question {
    pub(crate) fn email(&self) -> EmailKey {
        EmailKey::from_stored(self.email.clone())
    }

    pub(crate) fn client(&self) -> ClientInfo {
        ClientInfo::new(self.ip_address, self.user_agent.as_deref())
    }
}

/// What became of an entry, for the metrics.
#[derive(Debug, Clone, Copy)]
enum Outcome {
    Sent,
    Answered,
    Postponed,
    Refused,
    Expired,
    Unreadable,
}

impl Outcome {
    const fn name(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Answered => "answered",
            Self::Postponed => "postponed",
            Self::Refused => "refused",
            Self::Expired => "expired",
            Self::Unreadable => "unreadable",
        }
    }
}

impl IdentSphere {
    /// An entry that hands over a mail to the owner of an address, at the latest after `valid_for`.
    pub(crate) fn mail(
        &self,
        to: &str,
        name: Option<&str>,
        language: Language,
        content: MailContent,
        valid_for: Duration,
    ) -> Result<OutboxEntry, Error> {
        let id = MailId::new(self.clock(), self.random());
        let mail = Mail { id, to: to.to_owned(), name: name.map(str::to_owned), language, content };
        self.entry(id, &Errand::Send(mail), valid_for)
    }

    /// An entry that answers a question.
    pub(crate) fn question(
        &self,
        wanted: Wanted,
        email: &EmailKey,
        language: Language,
        client: &ClientInfo,
    ) -> Result<OutboxEntry, Error> {
        if self.waiting.load(Ordering::Relaxed) > MOST_WAITING {
            let source = "the outbox is full: mail is not being delivered".into();
            return Err(Error::Overloaded { retry_after: LEASE, source });
        }
        let question = Question {
            wanted,
            email: email.as_str().to_owned(),
            language,
            ip_address: client.ip_address,
            user_agent: client.user_agent.clone(),
        };
        let id = MailId::new(self.clock(), self.random());
        self.entry(id, &Errand::Answer(question), QUESTION_LIFETIME)
    }

    fn entry(&self, id: MailId, errand: &Errand, valid_for: Duration) -> Result<OutboxEntry, Error> {
        let text = Zeroizing::new(serde_json::to_vec(errand).map_err(Error::internal)?);
        let now = self.now();
        Ok(OutboxEntry {
            id,
            sealed: self.secrets.outbox.seal(&id.to_string(), &text, self.random()),
            attempts: 0,
            created_at: now,
            due_at: now,
            expires_at: now.plus(valid_for),
        })
    }

    /// Works on the outbox until dropped. Faults are logged and tried again.
    pub async fn run_outbox(&self) {
        loop {
            match self.work_outbox().await {
                Ok(0) => {
                    let _ = tokio::time::timeout(POLL, self.mail.notified()).await;
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "the outbox cannot be read");
                    tokio::time::sleep(POLL).await;
                }
            }
        }
    }

    /// Works on what is due, as far as this node takes on at once; how many entries those were.
    ///
    /// # Errors
    /// [`Error::Overloaded`] when the store is away.
    pub async fn work_outbox(&self) -> Result<usize, Error> {
        self.demand_clock()?;
        let now = self.now();
        let entries = self.store().lease_outbox(now, now.plus(LEASE), AT_ONCE).await?;
        let count = entries.len();
        futures::stream::iter(entries)
            .for_each_concurrent(None, async |entry| {
                let id = entry.id;
                if let Err(error) = self.work_on(entry).await {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(outbox.id = %id, error, "an entry of the outbox will be tried again");
                }
            })
            .await;
        Ok(count)
    }

    /// Looks how much waits, for the metrics and for the bound.
    ///
    /// # Errors
    /// [`Error::Overloaded`] when the store is away.
    pub(crate) async fn count_outbox(&self) -> Result<(), Error> {
        let waiting = self.store().count_outbox().await?;
        self.waiting.store(waiting, Ordering::Relaxed);
        #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
        metrics::gauge!("identsphere_outbox_waiting").set(waiting as f64);
        Ok(())
    }

    async fn work_on(&self, entry: OutboxEntry) -> Result<(), Error> {
        let opened = self.secrets.outbox.open(&entry.id.to_string(), &entry.sealed);
        let errand = opened.ok().and_then(|text| serde_json::from_slice::<Errand>(&text).ok());
        let Some(errand) = errand else {
            tracing::error!(outbox.id = %entry.id, "an entry of the outbox is not readable under this master key");
            return self.finish(&entry, "unknown", Outcome::Unreadable).await;
        };
        let kind = match &errand {
            Errand::Send(mail) => mail.content.name(),
            Errand::Answer(_) => "question",
        };
        if self.now() >= entry.expires_at {
            return self.finish(&entry, kind, Outcome::Expired).await;
        }
        match errand {
            Errand::Answer(question) => {
                self.answer(entry.id, &question).await?;
                count(kind, Outcome::Answered);
                Ok(())
            }
            Errand::Send(mail) => match self.mailer.send(&mail).await {
                Ok(()) => self.finish(&entry, kind, Outcome::Sent).await,
                Err(error @ MailError::Never(_)) => {
                    tracing::warn!(
                        mail.id = %mail.id, mail.kind = kind, error = &error as &dyn std::error::Error,
                        "a mail was refused for good"
                    );
                    self.finish(&entry, kind, Outcome::Refused).await
                }
                Err(error @ MailError::Later(_)) => {
                    let wait = wait_after(entry.attempts);
                    tracing::info!(
                        mail.id = %mail.id, mail.kind = kind, wait_secs = wait.as_secs(),
                        error = &error as &dyn std::error::Error,
                        "a mail was not taken and will be tried again"
                    );
                    count(kind, Outcome::Postponed);
                    let due_at = self.now().plus(wait);
                    Ok(self.store().postpone_outbox(entry.id, entry.attempts, due_at).await?)
                }
            },
        }
    }

    async fn finish(&self, entry: &OutboxEntry, kind: &'static str, outcome: Outcome) -> Result<(), Error> {
        count(kind, outcome);
        let mut tx = self.store().begin().await?;
        tx.outbox().settle(entry.id).await?;
        Ok(tx.commit().await?)
    }
}

fn count(kind: &'static str, outcome: Outcome) {
    metrics::counter!("identsphere_mail_total", "kind" => kind, "outcome" => outcome.name()).increment(1);
}

/// How long to wait after so many attempts.
fn wait_after(attempts: u32) -> Duration {
    let doublings = attempts.saturating_sub(1).min(16);
    (FIRST_WAIT * 2u32.saturating_pow(doublings)).min(LONGEST_WAIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repetitions_wait_longer_and_longer_up_to_a_bound() {
        let waits: Vec<u64> = (1..=9).map(|attempts| wait_after(attempts).as_secs()).collect();
        assert_eq!(waits, [10, 20, 40, 80, 160, 320, 600, 600, 600]);
        assert_eq!(wait_after(u32::MAX), LONGEST_WAIT);
    }
}
