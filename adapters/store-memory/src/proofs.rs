//! What proves a mailbox: one of a kind for each user.

use async_trait::async_trait;
use identsphere_accounts::{
    CodeChallenge, EmailVerification, PasswordReset, ProofRepo, ProofStore, VerificationKind,
};
use identsphere_kernel::{StoreError, Timestamp, TokenHash, UserId};
use rpds::HashTrieMapSync;

use crate::MemoryStore;
use crate::tx::{MemoryTx, State, dangling};

#[derive(Clone, Default)]
pub(crate) struct Proofs {
    verifications: HashTrieMapSync<(UserId, VerificationKind), EmailVerification>,
    resets: HashTrieMapSync<UserId, PasswordReset>,
    codes: HashTrieMapSync<UserId, CodeRecord>,
}

#[derive(Clone)]
struct CodeRecord {
    challenge: CodeChallenge,
    attempts: u32,
}

impl Proofs {
    fn take_verification(&mut self, hash: &TokenHash, now: Timestamp) -> Option<EmailVerification> {
        let (key, found) = self.verifications.iter().find(|(_, v)| v.hash == *hash && now < v.expires_at)?;
        let (key, found) = (*key, found.clone());
        self.verifications.remove_mut(&key);
        Some(found)
    }

    fn take_reset(&mut self, hash: &TokenHash, now: Timestamp) -> Option<PasswordReset> {
        let found = self.resets.values().find(|r| r.hash == *hash && now < r.expires_at)?.clone();
        self.resets.remove_mut(&found.user);
        Some(found)
    }

    fn count_attempt(&mut self, user: UserId, now: Timestamp) -> Option<CodeChallenge> {
        let record = self.codes.get_mut(&user)?;
        if now >= record.challenge.expires_at || record.attempts >= CodeChallenge::ATTEMPTS {
            return None;
        }
        record.attempts += 1;
        Some(record.challenge.clone())
    }

    fn take_code(&mut self, user: UserId, hash: &TokenHash, now: Timestamp) -> bool {
        let found = self.codes.get(&user).map(|record| &record.challenge);
        let is_it = found.is_some_and(|challenge| challenge.hash == *hash && now < challenge.expires_at);
        is_it && self.codes.remove_mut(&user)
    }

    /// Deletes everything that is pending for a user.
    pub(crate) fn void(&mut self, user: UserId) {
        for kind in [VerificationKind::Confirm, VerificationKind::Change] {
            self.verifications.remove_mut(&(user, kind));
        }
        self.resets.remove_mut(&user);
        self.codes.remove_mut(&user);
    }

    fn sweep(&mut self, now: Timestamp, limit: usize) -> usize {
        let ended = self.verifications.iter().filter(|(_, v)| v.expires_at < now).map(|(key, _)| *key);
        let verifications: Vec<_> = ended.take(limit).collect();
        let ended = self.resets.iter().filter(|(_, r)| r.expires_at < now).map(|(user, _)| *user);
        let resets: Vec<_> = ended.take(limit).collect();
        let ended = self.codes.iter().filter(|(_, c)| c.challenge.expires_at < now).map(|(user, _)| *user);
        let codes: Vec<_> = ended.take(limit).collect();
        let verifications = verifications.iter().filter(|key| self.verifications.remove_mut(*key)).count();
        let resets = resets.iter().filter(|user| self.resets.remove_mut(*user)).count();
        let codes = codes.iter().filter(|user| self.codes.remove_mut(*user)).count();
        verifications + resets + codes
    }
}

impl State {
    /// Refuses what is about nobody.
    pub(crate) fn known(&self, user: UserId) -> Result<(), StoreError> {
        self.users
            .get(user)
            .map(drop)
            .ok_or_else(|| dangling("a proof or browser of a user who does not exist"))
    }
}

#[async_trait]
impl ProofRepo for MemoryTx {
    async fn put_verification(&mut self, verification: &EmailVerification) -> Result<(), StoreError> {
        let outcome = self.state.known(verification.user);
        self.written(outcome)?;
        let key = (verification.user, verification.kind);
        self.state.proofs.verifications.insert_mut(key, verification.clone());
        Ok(())
    }

    async fn take_verification(
        &mut self,
        hash: &TokenHash,
        now: Timestamp,
    ) -> Result<Option<EmailVerification>, StoreError> {
        Ok(self.state.proofs.take_verification(hash, now))
    }

    async fn put_reset(&mut self, reset: &PasswordReset) -> Result<(), StoreError> {
        let outcome = self.state.known(reset.user);
        self.written(outcome)?;
        self.state.proofs.resets.insert_mut(reset.user, reset.clone());
        Ok(())
    }

    async fn take_reset(
        &mut self,
        hash: &TokenHash,
        now: Timestamp,
    ) -> Result<Option<PasswordReset>, StoreError> {
        Ok(self.state.proofs.take_reset(hash, now))
    }

    async fn put_code(&mut self, challenge: &CodeChallenge) -> Result<(), StoreError> {
        let outcome = self.state.known(challenge.user);
        self.written(outcome)?;
        let record = CodeRecord { challenge: challenge.clone(), attempts: 0 };
        self.state.proofs.codes.insert_mut(challenge.user, record);
        Ok(())
    }

    async fn take_code(
        &mut self,
        user: UserId,
        hash: &TokenHash,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        Ok(self.state.proofs.take_code(user, hash, now))
    }

    async fn void_proofs(&mut self, user: UserId) -> Result<(), StoreError> {
        self.state.proofs.void(user);
        Ok(())
    }
}

#[async_trait]
impl ProofStore for MemoryStore {
    async fn count_code_attempt(
        &self,
        user: UserId,
        now: Timestamp,
    ) -> Result<Option<CodeChallenge>, StoreError> {
        Ok(self.change(|state| state.proofs.count_attempt(user, now)).await)
    }

    async fn find_reset(
        &self,
        hash: &TokenHash,
        now: Timestamp,
    ) -> Result<Option<PasswordReset>, StoreError> {
        let is_it = |one: &&PasswordReset| one.hash == *hash && now < one.expires_at;
        Ok(self.snapshot().proofs.resets.values().find(is_it).cloned())
    }

    async fn sweep_proofs(&self, now: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let limit = usize::try_from(limit).map_err(StoreError::corrupt)?;
        let swept = self.change(|state| state.proofs.sweep(now, limit)).await;
        u64::try_from(swept).map_err(StoreError::corrupt)
    }
}
