//! Authenticators and recovery codes, which stand in the row of their user.

use async_trait::async_trait;
use identsphere_factors::totp::{TimeStep, accepts};
use identsphere_factors::{Authenticator, FactorRepo, FactorStore};
use identsphere_kernel::{StoreError, Timestamp, TokenHash, UserId};

use crate::NaiveStore;
use crate::data::Data;
use crate::tx::NaiveTx;

impl Data {
    fn set_up_authenticator(&mut self, user: UserId, sealed: &[u8], at: Timestamp) -> bool {
        let row = self.active_mut(user).filter(|row| !row.user.mfa_enabled);
        let Some(row) = row else { return false };
        let sealed = sealed.to_vec();
        row.authenticator = Some(Authenticator { sealed, is_confirmed: false, last_step: None });
        row.user.updated_at = at;
        true
    }

    fn confirm_authenticator(&mut self, user: UserId, sealed: &[u8], step: TimeStep, at: Timestamp) -> bool {
        let Some(row) = self.active_mut(user) else { return false };
        let authenticator = row.authenticator.as_mut();
        match authenticator.filter(|one| !one.is_confirmed && one.sealed == sealed) {
            Some(authenticator) => {
                authenticator.is_confirmed = true;
                authenticator.last_step = Some(step);
                row.user.mfa_enabled = true;
                row.user.updated_at = at;
                true
            }
            None => false,
        }
    }

    /// The comparison and the change are one step: whoever comes second finds the code used.
    fn advance_step(&mut self, user: UserId, sealed: &[u8], step: TimeStep) -> bool {
        let authenticator = self.active_mut(user).and_then(|row| row.authenticator.as_mut());
        let authenticator = authenticator.filter(|one| one.is_confirmed && one.sealed == sealed);
        match authenticator.filter(|one| accepts(step, one.last_step)) {
            Some(authenticator) => {
                authenticator.last_step = Some(step);
                true
            }
            None => false,
        }
    }

    fn remove_authenticator(&mut self, user: UserId, at: Timestamp) -> bool {
        let Some(row) = self.users.get_mut(&user) else { return false };
        row.authenticator = None;
        row.recovery_codes.clear();
        let was_confirmed = std::mem::take(&mut row.user.mfa_enabled);
        if was_confirmed {
            row.user.updated_at = at;
        }
        was_confirmed
    }

    fn replace_recovery_codes(&mut self, user: UserId, hashes: &[TokenHash], at: Timestamp) -> bool {
        let row = self.active_mut(user).filter(|row| row.user.mfa_enabled);
        let Some(row) = row else { return false };
        row.recovery_codes = hashes.to_vec();
        row.user.updated_at = at;
        true
    }

    fn take_recovery_code(&mut self, user: UserId, hash: &TokenHash) -> Option<u32> {
        let codes = &mut self.users.get_mut(&user)?.recovery_codes;
        let at = codes.iter().position(|code| code == hash)?;
        codes.remove(at);
        u32::try_from(codes.len()).ok()
    }
}

#[async_trait]
impl FactorRepo for NaiveTx {
    async fn set_up_authenticator(
        &mut self,
        user: UserId,
        sealed: &[u8],
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        Ok(self.data.set_up_authenticator(user, sealed, at))
    }

    async fn confirm_authenticator(
        &mut self,
        user: UserId,
        sealed: &[u8],
        step: TimeStep,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        Ok(self.data.confirm_authenticator(user, sealed, step, at))
    }

    async fn advance_step(
        &mut self,
        user: UserId,
        sealed: &[u8],
        step: TimeStep,
    ) -> Result<bool, StoreError> {
        Ok(self.data.advance_step(user, sealed, step))
    }

    async fn remove_authenticator(&mut self, user: UserId, at: Timestamp) -> Result<bool, StoreError> {
        Ok(self.data.remove_authenticator(user, at))
    }

    async fn replace_recovery_codes(
        &mut self,
        user: UserId,
        hashes: &[TokenHash],
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        Ok(self.data.replace_recovery_codes(user, hashes, at))
    }

    async fn take_recovery_code(
        &mut self,
        user: UserId,
        hash: &TokenHash,
    ) -> Result<Option<u32>, StoreError> {
        Ok(self.data.take_recovery_code(user, hash))
    }
}

#[async_trait]
impl FactorStore for NaiveStore {
    async fn find_authenticator(&self, user: UserId) -> Result<Option<Authenticator>, StoreError> {
        Ok(self.read(|data| data.users.get(&user)?.authenticator.clone()))
    }

    async fn count_recovery_codes(&self, user: UserId) -> Result<u32, StoreError> {
        let left = self.read(|data| data.users.get(&user).map_or(0, |row| row.recovery_codes.len()));
        u32::try_from(left).map_err(StoreError::corrupt)
    }
}
