//! Sign-ins that wait for a second factor, and browsers that need none.

use std::cmp::Reverse;

use async_trait::async_trait;
use identsphere_kernel::{StoreError, Timestamp, TokenHash, TrustedBrowserId, UserId};
use identsphere_sessions::{
    PendingAttempt, PendingRepo, PendingSignIn, PendingStore, TrustRepo, TrustRotation, TrustStore,
    TrustedBrowser,
};

use crate::NaiveStore;
use crate::data::{sweep, unique};
use crate::tx::NaiveTx;

/// The records of this file.
#[derive(Clone, Default)]
pub(crate) struct Trust {
    /// With the number of attempts.
    pending: Vec<(PendingSignIn, u32)>,
    browsers: Vec<TrustedBrowser>,
}

impl Trust {
    pub(crate) fn put(&mut self, pending: &PendingSignIn) -> Result<(), StoreError> {
        unique(self.pending.iter().all(|(other, _)| other.hash != pending.hash), "mfa_challenges_pkey")?;
        self.pending.push((pending.clone(), 0));
        Ok(())
    }

    fn take(&mut self, hash: &TokenHash, now: Timestamp) -> bool {
        let before = self.pending.len();
        self.pending.retain(|(one, _)| one.hash != *hash || now >= one.expires_at);
        self.pending.len() < before
    }

    fn count_attempt(&mut self, hash: &TokenHash, now: Timestamp) -> PendingAttempt {
        let open = self.pending.iter_mut().find(|(one, _)| one.hash == *hash && now < one.expires_at);
        let Some((pending, attempts)) = open else { return PendingAttempt::Absent };
        if *attempts >= PendingSignIn::ATTEMPTS {
            return PendingAttempt::Locked(pending.clone());
        }
        *attempts += 1;
        PendingAttempt::Counted(pending.clone())
    }

    fn insert(&mut self, browser: &TrustedBrowser) -> Result<(), StoreError> {
        let others = &self.browsers;
        unique(others.iter().all(|other| other.id != browser.id), "trusted_browsers_pkey")?;
        unique(others.iter().all(|other| other.hash != browser.hash), "trusted_browsers_token_hash_key")?;
        self.browsers.push(browser.clone());
        Ok(())
    }

    fn find(&self, user: UserId, hash: &TokenHash, now: Timestamp) -> Option<TrustedBrowser> {
        self.trusted(user, now).into_iter().find(|browser| browser.hash == *hash)
    }

    /// The browsers that a user trusts now, newest first.
    fn trusted(&self, user: UserId, now: Timestamp) -> Vec<TrustedBrowser> {
        let live = |browser: &&TrustedBrowser| browser.user == user && now < browser.expires_at;
        let mut trusted: Vec<TrustedBrowser> = self.browsers.iter().filter(live).cloned().collect();
        trusted.sort_by_key(|browser| Reverse((browser.created_at, browser.id)));
        trusted
    }

    /// Whoever comes second finds another token.
    fn rotate(&mut self, rotation: &TrustRotation) -> Option<TrustedBrowser> {
        let id = self.find(rotation.user, &rotation.presented, rotation.at)?.id;
        let browser = self.browsers.iter_mut().find(|browser| browser.id == id)?;
        browser.hash = rotation.successor;
        browser.client = rotation.client.clone();
        browser.last_seen_at = rotation.at;
        Some(browser.clone())
    }

    fn remove(&mut self, id: TrustedBrowserId, owner: UserId) -> bool {
        let before = self.browsers.len();
        self.browsers.retain(|browser| browser.id != id || browser.user != owner);
        self.browsers.len() < before
    }
}

#[async_trait]
impl PendingRepo for NaiveTx {
    async fn take_pending(&mut self, hash: &TokenHash, now: Timestamp) -> Result<bool, StoreError> {
        Ok(self.data.trust.take(hash, now))
    }

    async fn void_pending(&mut self, user: UserId) -> Result<(), StoreError> {
        self.data.trust.pending.retain(|(one, _)| one.user != user);
        Ok(())
    }
}

#[async_trait]
impl PendingStore for NaiveStore {
    async fn count_pending_attempt(
        &self,
        hash: &TokenHash,
        now: Timestamp,
    ) -> Result<PendingAttempt, StoreError> {
        Ok(self.write(|data| data.trust.count_attempt(hash, now)).await)
    }

    async fn sweep_pending(&self, now: Timestamp, limit: u32) -> Result<u64, StoreError> {
        Ok(self.write(|data| sweep(&mut data.trust.pending, limit, |(one, _)| one.expires_at < now)).await)
    }
}

#[async_trait]
impl TrustRepo for NaiveTx {
    async fn insert_trusted(&mut self, browser: &TrustedBrowser) -> Result<(), StoreError> {
        self.write(|data| {
            data.require_user(browser.user)?;
            data.trust.insert(browser)
        })
    }

    async fn rotate_trusted(
        &mut self,
        rotation: &TrustRotation,
    ) -> Result<Option<TrustedBrowser>, StoreError> {
        Ok(self.data.trust.rotate(rotation))
    }

    async fn remove_trusted(&mut self, id: TrustedBrowserId, owner: UserId) -> Result<bool, StoreError> {
        Ok(self.data.trust.remove(id, owner))
    }

    async fn remove_all_trusted(&mut self, owner: UserId) -> Result<(), StoreError> {
        self.data.trust.browsers.retain(|browser| browser.user != owner);
        Ok(())
    }
}

#[async_trait]
impl TrustStore for NaiveStore {
    async fn find_trusted(
        &self,
        user: UserId,
        hash: &TokenHash,
        now: Timestamp,
    ) -> Result<Option<TrustedBrowser>, StoreError> {
        Ok(self.read(|data| data.trust.find(user, hash, now)))
    }

    async fn list_trusted(&self, user: UserId, now: Timestamp) -> Result<Vec<TrustedBrowser>, StoreError> {
        Ok(self.read(|data| data.trust.trusted(user, now)))
    }

    async fn sweep_trusted(&self, now: Timestamp, limit: u32) -> Result<u64, StoreError> {
        Ok(self.write(|data| sweep(&mut data.trust.browsers, limit, |one| one.expires_at < now)).await)
    }
}
