//! The outbox, and the browsers that users are known by.

use async_trait::async_trait;
use identsphere_core::{OutboxEntry, OutboxRepo, OutboxStore};
use identsphere_kernel::{MailId, StoreError, Timestamp, TokenHash, UserId};
use rpds::HashTrieMapSync;

use crate::MemoryStore;
use crate::tx::{MemoryTx, conflict};

#[derive(Clone, Default)]
pub(crate) struct Outbox {
    entries: HashTrieMapSync<MailId, OutboxEntry>,
    /// When each user was last seen with each browser, which is known by its hash.
    browsers: HashTrieMapSync<(UserId, [u8; 32]), Timestamp>,
}

impl Outbox {
    fn post(&mut self, entry: &OutboxEntry) -> Result<(), StoreError> {
        if self.entries.contains_key(&entry.id) {
            return Err(conflict("outbox_pkey"));
        }
        self.entries.insert_mut(entry.id, entry.clone());
        Ok(())
    }

    fn lease(&mut self, now: Timestamp, again_at: Timestamp, limit: usize) -> Vec<OutboxEntry> {
        let mut due: Vec<_> = self.entries.values().filter(|entry| entry.due_at <= now).collect();
        due.sort_by_key(|entry| (entry.due_at, entry.id));
        let due: Vec<MailId> = due.into_iter().take(limit).map(|entry| entry.id).collect();
        let mut leased = Vec::with_capacity(due.len());
        for id in due {
            if let Some(entry) = self.entries.get_mut(&id) {
                entry.due_at = again_at;
                entry.attempts += 1;
                leased.push(entry.clone());
            }
        }
        leased
    }

    fn sweep_browsers(&mut self, seen_before: Timestamp, limit: usize) -> usize {
        let old = self.browsers.iter().filter(|(_, seen)| **seen < seen_before).map(|(key, _)| *key);
        let old: Vec<_> = old.take(limit).collect();
        old.iter().filter(|key| self.browsers.remove_mut(*key)).count()
    }
}

#[async_trait]
impl OutboxRepo for MemoryTx {
    async fn post(&mut self, entry: &OutboxEntry) -> Result<(), StoreError> {
        let outcome = self.state.outbox.post(entry);
        self.written(outcome)
    }

    async fn greet_browser(
        &mut self,
        user: UserId,
        browser: &TokenHash,
        at: Timestamp,
        notice: Option<&OutboxEntry>,
    ) -> Result<(), StoreError> {
        let outcome = self.state.known(user);
        self.written(outcome)?;
        let outbox = &mut self.state.outbox;
        let key = (user, *browser.as_bytes());
        let is_known = outbox.browsers.contains_key(&key);
        outbox.browsers.insert_mut(key, at);
        let outcome = match notice.filter(|_| !is_known) {
            Some(notice) => outbox.post(notice),
            None => Ok(()),
        };
        self.written(outcome)
    }

    async fn forget_browsers(&mut self, user: UserId) -> Result<(), StoreError> {
        let browsers = &mut self.state.outbox.browsers;
        let theirs: Vec<_> = browsers.keys().filter(|(owner, _)| *owner == user).copied().collect();
        for browser in &theirs {
            browsers.remove_mut(browser);
        }
        Ok(())
    }

    async fn settle(&mut self, id: MailId) -> Result<bool, StoreError> {
        Ok(self.state.outbox.entries.remove_mut(&id))
    }
}

#[async_trait]
impl OutboxStore for MemoryStore {
    async fn lease_outbox(
        &self,
        now: Timestamp,
        again_at: Timestamp,
        limit: u32,
    ) -> Result<Vec<OutboxEntry>, StoreError> {
        let limit = usize::try_from(limit).map_err(StoreError::corrupt)?;
        Ok(self.change(|state| state.outbox.lease(now, again_at, limit)).await)
    }

    async fn postpone_outbox(&self, id: MailId, attempts: u32, due_at: Timestamp) -> Result<(), StoreError> {
        self.change(|state| {
            if let Some(entry) = state.outbox.entries.get_mut(&id).filter(|entry| entry.attempts == attempts)
            {
                entry.due_at = due_at;
            }
        })
        .await;
        Ok(())
    }

    async fn count_outbox(&self) -> Result<u64, StoreError> {
        u64::try_from(self.snapshot().outbox.entries.size()).map_err(StoreError::corrupt)
    }

    async fn sweep_browsers(&self, seen_before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let limit = usize::try_from(limit).map_err(StoreError::corrupt)?;
        let swept = self.change(|state| state.outbox.sweep_browsers(seen_before, limit)).await;
        u64::try_from(swept).map_err(StoreError::corrupt)
    }
}
