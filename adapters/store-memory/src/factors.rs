//! Authenticators, which stand beside their user, and recovery codes.

use async_trait::async_trait;
use identsphere_factors::totp::{TimeStep, accepts};
use identsphere_factors::{Authenticator, FactorRepo, FactorStore};
use identsphere_kernel::{StoreError, Timestamp, TokenHash, UserId};
use rpds::{HashTrieMapSync, HashTrieSetSync};

use crate::MemoryStore;
use crate::tx::{MemoryTx, State};

/// The recovery codes that are left, by their users.
pub(crate) type RecoveryCodes = HashTrieMapSync<UserId, HashTrieSetSync<[u8; 32]>>;

impl State {
    fn set_up(&mut self, user: UserId, sealed: &[u8], at: Timestamp) -> bool {
        let Some(record) = self.users.active_mut(user).filter(|record| !record.user.mfa_enabled) else {
            return false;
        };
        record.authenticator =
            Some(Authenticator { sealed: sealed.to_vec(), is_confirmed: false, last_step: None });
        record.user.updated_at = at;
        true
    }

    fn confirm(&mut self, user: UserId, sealed: &[u8], step: TimeStep, at: Timestamp) -> bool {
        let Some(record) = self.users.active_mut(user) else { return false };
        let Some(authenticator) = record.authenticator.as_mut() else { return false };
        if authenticator.is_confirmed || authenticator.sealed != sealed {
            return false;
        }
        authenticator.is_confirmed = true;
        authenticator.last_step = Some(step);
        record.user.mfa_enabled = true;
        record.user.updated_at = at;
        true
    }

    fn advance(&mut self, user: UserId, sealed: &[u8], step: TimeStep) -> bool {
        let authenticator = self.users.active_mut(user).and_then(|record| record.authenticator.as_mut());
        let fits = |one: &&mut Authenticator| {
            one.is_confirmed && one.sealed == sealed && accepts(step, one.last_step)
        };
        match authenticator.filter(fits) {
            Some(authenticator) => {
                authenticator.last_step = Some(step);
                true
            }
            None => false,
        }
    }

    fn remove_authenticator(&mut self, user: UserId, at: Timestamp) -> bool {
        self.recovery_codes.remove_mut(&user);
        let Some(record) = self.users.get_mut(user) else { return false };
        record.authenticator = None;
        if !record.user.mfa_enabled {
            return false;
        }
        record.user.mfa_enabled = false;
        record.user.updated_at = at;
        true
    }

    fn replace_codes(&mut self, user: UserId, hashes: &[TokenHash], at: Timestamp) -> bool {
        let Some(record) = self.users.active_mut(user).filter(|record| record.user.mfa_enabled) else {
            return false;
        };
        record.user.updated_at = at;
        let codes = hashes.iter().map(|hash| *hash.as_bytes()).collect();
        self.recovery_codes.insert_mut(user, codes);
        true
    }

    fn take_code(&mut self, user: UserId, hash: &TokenHash) -> Option<u32> {
        let codes = self.recovery_codes.get_mut(&user)?;
        let was_there = codes.remove_mut(hash.as_bytes());
        was_there.then(|| u32::try_from(codes.size()).unwrap_or(u32::MAX))
    }
}

#[async_trait]
impl FactorRepo for MemoryTx {
    async fn set_up_authenticator(
        &mut self,
        user: UserId,
        sealed: &[u8],
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        Ok(self.state.set_up(user, sealed, at))
    }

    async fn confirm_authenticator(
        &mut self,
        user: UserId,
        sealed: &[u8],
        step: TimeStep,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        Ok(self.state.confirm(user, sealed, step, at))
    }

    async fn advance_step(
        &mut self,
        user: UserId,
        sealed: &[u8],
        step: TimeStep,
    ) -> Result<bool, StoreError> {
        Ok(self.state.advance(user, sealed, step))
    }

    async fn remove_authenticator(&mut self, user: UserId, at: Timestamp) -> Result<bool, StoreError> {
        Ok(self.state.remove_authenticator(user, at))
    }

    async fn replace_recovery_codes(
        &mut self,
        user: UserId,
        hashes: &[TokenHash],
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        Ok(self.state.replace_codes(user, hashes, at))
    }

    async fn take_recovery_code(
        &mut self,
        user: UserId,
        hash: &TokenHash,
    ) -> Result<Option<u32>, StoreError> {
        Ok(self.state.take_code(user, hash))
    }
}

#[async_trait]
impl FactorStore for MemoryStore {
    async fn find_authenticator(&self, user: UserId) -> Result<Option<Authenticator>, StoreError> {
        Ok(self.snapshot().users.get(user).and_then(|record| record.authenticator.clone()))
    }

    async fn count_recovery_codes(&self, user: UserId) -> Result<u32, StoreError> {
        let left = self.snapshot().recovery_codes.get(&user).map_or(0, HashTrieSetSync::size);
        u32::try_from(left).map_err(StoreError::corrupt)
    }
}
