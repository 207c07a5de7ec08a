//! What proves a mailbox, what waits to be sent, and the browsers that users are known by.

use std::collections::BTreeMap;

use async_trait::async_trait;
use identsphere_accounts::{CodeChallenge, EmailVerification, PasswordReset, ProofRepo, ProofStore};
use identsphere_core::{OutboxEntry, OutboxRepo, OutboxStore};
use identsphere_kernel::{MailId, StoreError, Timestamp, TokenHash, UserId};

use crate::NaiveStore;
use crate::data::{sweep, unique};
use crate::tx::NaiveTx;

/// The records of this file.
#[derive(Clone, Default)]
pub(crate) struct Mailboxes {
    verifications: Vec<EmailVerification>,
    resets: Vec<PasswordReset>,
    /// With the number of attempts.
    codes: Vec<(CodeChallenge, u32)>,
    outbox: BTreeMap<MailId, OutboxEntry>,
    browsers: BTreeMap<(UserId, [u8; 32]), Timestamp>,
}

impl Mailboxes {
    fn take_verification(&mut self, hash: &TokenHash, now: Timestamp) -> Option<EmailVerification> {
        let at = self.verifications.iter().position(|one| one.hash == *hash && now < one.expires_at)?;
        Some(self.verifications.remove(at))
    }

    fn take_reset(&mut self, hash: &TokenHash, now: Timestamp) -> Option<PasswordReset> {
        let at = self.resets.iter().position(|one| one.hash == *hash && now < one.expires_at)?;
        Some(self.resets.remove(at))
    }

    fn take_code(&mut self, user: UserId, hash: &TokenHash, now: Timestamp) -> bool {
        let before = self.codes.len();
        self.codes.retain(|(one, _)| one.user != user || one.hash != *hash || now >= one.expires_at);
        self.codes.len() < before
    }

    fn count_code_attempt(&mut self, user: UserId, now: Timestamp) -> Option<CodeChallenge> {
        let (code, attempts) = self.codes.iter_mut().find(|(one, _)| one.user == user)?;
        if now >= code.expires_at || *attempts >= CodeChallenge::ATTEMPTS {
            return None;
        }
        *attempts += 1;
        Some(code.clone())
    }

    fn post(&mut self, entry: &OutboxEntry) -> Result<(), StoreError> {
        unique(!self.outbox.contains_key(&entry.id), "outbox_pkey")?;
        self.outbox.insert(entry.id, entry.clone());
        Ok(())
    }

    fn lease(&mut self, now: Timestamp, again_at: Timestamp, limit: u32) -> Vec<OutboxEntry> {
        let mut due: Vec<_> = self.outbox.values_mut().filter(|entry| entry.due_at <= now).collect();
        due.sort_by_key(|entry| (entry.due_at, entry.id));
        let due = due.into_iter().zip(0..limit).map(|(entry, _)| {
            entry.due_at = again_at;
            entry.attempts += 1;
            entry.clone()
        });
        due.collect()
    }

    pub(crate) fn void(&mut self, user: UserId) {
        self.verifications.retain(|one| one.user != user);
        self.resets.retain(|one| one.user != user);
        self.codes.retain(|(one, _)| one.user != user);
    }
}

#[async_trait]
impl ProofRepo for NaiveTx {
    async fn put_verification(&mut self, verification: &EmailVerification) -> Result<(), StoreError> {
        self.write(|data| {
            data.require_user(verification.user)?;
            let same =
                |one: &EmailVerification| (one.user, one.kind) == (verification.user, verification.kind);
            data.mailboxes.verifications.retain(|one| !same(one));
            data.mailboxes.verifications.push(verification.clone());
            Ok(())
        })
    }

    async fn take_verification(
        &mut self,
        hash: &TokenHash,
        now: Timestamp,
    ) -> Result<Option<EmailVerification>, StoreError> {
        Ok(self.data.mailboxes.take_verification(hash, now))
    }

    async fn put_reset(&mut self, reset: &PasswordReset) -> Result<(), StoreError> {
        self.write(|data| {
            data.require_user(reset.user)?;
            data.mailboxes.resets.retain(|one| one.user != reset.user);
            data.mailboxes.resets.push(reset.clone());
            Ok(())
        })
    }

    async fn take_reset(
        &mut self,
        hash: &TokenHash,
        now: Timestamp,
    ) -> Result<Option<PasswordReset>, StoreError> {
        Ok(self.data.mailboxes.take_reset(hash, now))
    }

    async fn put_code(&mut self, challenge: &CodeChallenge) -> Result<(), StoreError> {
        self.write(|data| {
            data.require_user(challenge.user)?;
            data.mailboxes.codes.retain(|(one, _)| one.user != challenge.user);
            data.mailboxes.codes.push((challenge.clone(), 0));
            Ok(())
        })
    }

    async fn take_code(
        &mut self,
        user: UserId,
        hash: &TokenHash,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        Ok(self.data.mailboxes.take_code(user, hash, now))
    }

    async fn void_proofs(&mut self, user: UserId) -> Result<(), StoreError> {
        self.data.mailboxes.void(user);
        Ok(())
    }
}

#[async_trait]
impl ProofStore for NaiveStore {
    async fn count_code_attempt(
        &self,
        user: UserId,
        now: Timestamp,
    ) -> Result<Option<CodeChallenge>, StoreError> {
        Ok(self.write(|data| data.mailboxes.count_code_attempt(user, now)).await)
    }

    async fn find_reset(
        &self,
        hash: &TokenHash,
        now: Timestamp,
    ) -> Result<Option<PasswordReset>, StoreError> {
        let is_it = |one: &&PasswordReset| one.hash == *hash && now < one.expires_at;
        Ok(self.read(|data| data.mailboxes.resets.iter().find(is_it).cloned()))
    }

    async fn sweep_proofs(&self, now: Timestamp, limit: u32) -> Result<u64, StoreError> {
        Ok(self
            .write(|data| {
                let all = &mut data.mailboxes;
                sweep(&mut all.verifications, limit, |one| one.expires_at < now)
                    + sweep(&mut all.resets, limit, |one| one.expires_at < now)
                    + sweep(&mut all.codes, limit, |(one, _)| one.expires_at < now)
            })
            .await)
    }
}

#[async_trait]
impl OutboxRepo for NaiveTx {
    async fn post(&mut self, entry: &OutboxEntry) -> Result<(), StoreError> {
        self.write(|data| data.mailboxes.post(entry))
    }

    async fn greet_browser(
        &mut self,
        user: UserId,
        browser: &TokenHash,
        at: Timestamp,
        notice: Option<&OutboxEntry>,
    ) -> Result<(), StoreError> {
        self.write(|data| {
            data.require_user(user)?;
            let met = data.mailboxes.browsers.insert((user, *browser.as_bytes()), at);
            match notice.filter(|_| met.is_none()) {
                Some(notice) => data.mailboxes.post(notice),
                None => Ok(()),
            }
        })
    }

    async fn forget_browsers(&mut self, user: UserId) -> Result<(), StoreError> {
        self.data.mailboxes.browsers.retain(|(owner, _), _| *owner != user);
        Ok(())
    }

    async fn settle(&mut self, id: MailId) -> Result<bool, StoreError> {
        Ok(self.data.mailboxes.outbox.remove(&id).is_some())
    }
}

#[async_trait]
impl OutboxStore for NaiveStore {
    async fn lease_outbox(
        &self,
        now: Timestamp,
        again_at: Timestamp,
        limit: u32,
    ) -> Result<Vec<OutboxEntry>, StoreError> {
        Ok(self.write(|data| data.mailboxes.lease(now, again_at, limit)).await)
    }

    async fn postpone_outbox(&self, id: MailId, attempts: u32, due_at: Timestamp) -> Result<(), StoreError> {
        self.write(|data| {
            let entry = data.mailboxes.outbox.get_mut(&id).filter(|entry| entry.attempts == attempts);
            if let Some(entry) = entry {
                entry.due_at = due_at;
            }
        })
        .await;
        Ok(())
    }

    async fn count_outbox(&self) -> Result<u64, StoreError> {
        u64::try_from(self.read(|data| data.mailboxes.outbox.len())).map_err(StoreError::corrupt)
    }

    async fn sweep_browsers(&self, seen_before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        Ok(self
            .write(|data| {
                let old = data.mailboxes.browsers.iter().filter(|(_, seen)| **seen < seen_before);
                let old: Vec<_> = old.zip(0..limit).map(|((key, _), _)| *key).collect();
                data.mailboxes.browsers.retain(|key, _| !old.contains(key));
                old.len() as u64
            })
            .await)
    }
}
