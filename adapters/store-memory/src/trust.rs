//! Sign-ins that wait for a second factor, and browsers that need none.

use std::cmp::Reverse;

use async_trait::async_trait;
use identsphere_kernel::{StoreError, Timestamp, TokenHash, TrustedBrowserId, UserId};
use identsphere_sessions::{
    PendingAttempt, PendingRepo, PendingSignIn, PendingStore, TrustRepo, TrustRotation, TrustStore,
    TrustedBrowser,
};
use rpds::HashTrieMapSync;

use crate::MemoryStore;
use crate::tx::{MemoryTx, conflict};

#[derive(Clone, Default)]
pub(crate) struct Trust {
    pending: HashTrieMapSync<[u8; 32], PendingRecord>,
    browsers: HashTrieMapSync<TrustedBrowserId, TrustedBrowser>,
}

#[derive(Clone)]
struct PendingRecord {
    pending: PendingSignIn,
    attempts: u32,
}

impl Trust {
    pub(crate) fn put_pending(&mut self, pending: &PendingSignIn) -> Result<(), StoreError> {
        let hash = *pending.hash.as_bytes();
        if self.pending.contains_key(&hash) {
            return Err(conflict("mfa_challenges_pkey"));
        }
        self.pending.insert_mut(hash, PendingRecord { pending: pending.clone(), attempts: 0 });
        Ok(())
    }

    fn count_attempt(&mut self, hash: &TokenHash, now: Timestamp) -> PendingAttempt {
        let record = self.pending.get_mut(hash.as_bytes());
        match record.filter(|record| now < record.pending.expires_at) {
            None => PendingAttempt::Absent,
            Some(record) if record.attempts < PendingSignIn::ATTEMPTS => {
                record.attempts += 1;
                PendingAttempt::Counted(record.pending.clone())
            }
            Some(record) => PendingAttempt::Locked(record.pending.clone()),
        }
    }

    fn void_pending(&mut self, user: UserId) {
        let theirs: Vec<[u8; 32]> = self
            .pending
            .iter()
            .filter(|(_, record)| record.pending.user == user)
            .map(|(hash, _)| *hash)
            .collect();
        for hash in theirs {
            self.pending.remove_mut(&hash);
        }
    }

    fn sweep_pending(&mut self, now: Timestamp, limit: usize) -> usize {
        let over = self.pending.iter().filter(|(_, record)| record.pending.expires_at < now);
        let over: Vec<[u8; 32]> = over.map(|(hash, _)| *hash).take(limit).collect();
        over.iter().filter(|hash| self.pending.remove_mut(*hash)).count()
    }

    fn insert(&mut self, browser: &TrustedBrowser) -> Result<(), StoreError> {
        if self.browsers.contains_key(&browser.id) {
            return Err(conflict("trusted_browsers_pkey"));
        }
        if self.browsers.values().any(|other| other.hash == browser.hash) {
            return Err(conflict("trusted_browsers_token_hash_key"));
        }
        self.browsers.insert_mut(browser.id, browser.clone());
        Ok(())
    }

    fn find(&self, user: UserId, hash: &TokenHash, now: Timestamp) -> Option<&TrustedBrowser> {
        let is_it = |one: &&TrustedBrowser| one.user == user && one.hash == *hash && now < one.expires_at;
        self.browsers.values().find(is_it)
    }

    fn rotate(&mut self, rotation: &TrustRotation) -> Option<TrustedBrowser> {
        let id = self.find(rotation.user, &rotation.presented, rotation.at)?.id;
        let browser = self.browsers.get_mut(&id)?;
        browser.hash = rotation.successor;
        browser.client = rotation.client.clone();
        browser.last_seen_at = rotation.at;
        Some(browser.clone())
    }

    fn remove(&mut self, id: TrustedBrowserId, owner: UserId) -> bool {
        let is_theirs = self.browsers.get(&id).is_some_and(|browser| browser.user == owner);
        is_theirs && self.browsers.remove_mut(&id)
    }

    fn remove_all(&mut self, owner: UserId) {
        let theirs = self.browsers.values().filter(|browser| browser.user == owner);
        let theirs: Vec<TrustedBrowserId> = theirs.map(|browser| browser.id).collect();
        for id in theirs {
            self.browsers.remove_mut(&id);
        }
    }

    fn sweep_browsers(&mut self, now: Timestamp, limit: usize) -> usize {
        let over = self.browsers.values().filter(|browser| browser.expires_at < now);
        let over: Vec<TrustedBrowserId> = over.map(|browser| browser.id).take(limit).collect();
        over.iter().filter(|id| self.browsers.remove_mut(*id)).count()
    }
}

#[async_trait]
impl PendingRepo for MemoryTx {
    async fn take_pending(&mut self, hash: &TokenHash, now: Timestamp) -> Result<bool, StoreError> {
        let pending = &mut self.state.trust.pending;
        let is_open = pending.get(hash.as_bytes()).is_some_and(|record| now < record.pending.expires_at);
        Ok(is_open && pending.remove_mut(hash.as_bytes()))
    }

    async fn void_pending(&mut self, user: UserId) -> Result<(), StoreError> {
        self.state.trust.void_pending(user);
        Ok(())
    }
}

#[async_trait]
impl PendingStore for MemoryStore {
    async fn count_pending_attempt(
        &self,
        hash: &TokenHash,
        now: Timestamp,
    ) -> Result<PendingAttempt, StoreError> {
        Ok(self.change(|state| state.trust.count_attempt(hash, now)).await)
    }

    async fn sweep_pending(&self, now: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let limit = usize::try_from(limit).map_err(StoreError::corrupt)?;
        Ok(self.change(|state| state.trust.sweep_pending(now, limit)).await as u64)
    }
}

#[async_trait]
impl TrustRepo for MemoryTx {
    async fn insert_trusted(&mut self, browser: &TrustedBrowser) -> Result<(), StoreError> {
        let outcome = self.state.known(browser.user).and_then(|()| self.state.trust.insert(browser));
        self.written(outcome)
    }

    async fn rotate_trusted(
        &mut self,
        rotation: &TrustRotation,
    ) -> Result<Option<TrustedBrowser>, StoreError> {
        Ok(self.state.trust.rotate(rotation))
    }

    async fn remove_trusted(&mut self, id: TrustedBrowserId, owner: UserId) -> Result<bool, StoreError> {
        Ok(self.state.trust.remove(id, owner))
    }

    async fn remove_all_trusted(&mut self, owner: UserId) -> Result<(), StoreError> {
        self.state.trust.remove_all(owner);
        Ok(())
    }
}

#[async_trait]
impl TrustStore for MemoryStore {
    async fn find_trusted(
        &self,
        user: UserId,
        hash: &TokenHash,
        now: Timestamp,
    ) -> Result<Option<TrustedBrowser>, StoreError> {
        Ok(self.snapshot().trust.find(user, hash, now).cloned())
    }

    async fn list_trusted(&self, user: UserId, now: Timestamp) -> Result<Vec<TrustedBrowser>, StoreError> {
        let state = self.snapshot();
        let live = |browser: &&TrustedBrowser| browser.user == user && now < browser.expires_at;
        let mut browsers: Vec<TrustedBrowser> = state.trust.browsers.values().filter(live).cloned().collect();
        browsers.sort_by_key(|browser| Reverse((browser.created_at, browser.id)));
        Ok(browsers)
    }

    async fn sweep_trusted(&self, now: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let limit = usize::try_from(limit).map_err(StoreError::corrupt)?;
        Ok(self.change(|state| state.trust.sweep_browsers(now, limit)).await as u64)
    }
}
