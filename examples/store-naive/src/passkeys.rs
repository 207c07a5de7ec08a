//! Passkeys, and the ceremonies that have begun.

use std::cmp::Reverse;

use async_trait::async_trait;
use identsphere_core::PasskeySignIn;
use identsphere_factors::passkey::{BegunCeremony, CredentialId, MOST_PASSKEYS, Passkey, UserHandle};
use identsphere_factors::{PasskeyInsertion, PasskeyRepo, PasskeyStore};
use identsphere_kernel::{Label, PasskeyId, StoreError, Timestamp, TokenHash, UserId};

use crate::NaiveStore;
use crate::data::{Data, sweep, unique};
use crate::tx::NaiveTx;

/// The records of this file.
#[derive(Clone, Default)]
pub(crate) struct Passkeys {
    kept: Vec<Passkey>,
    ceremonies: Vec<BegunCeremony>,
}

impl Passkeys {
    /// The passkeys of a user, newest first.
    fn of_user(&self, user: UserId) -> Vec<Passkey> {
        let mut theirs: Vec<Passkey> = self.kept.iter().filter(|one| one.user == user).cloned().collect();
        theirs.sort_by_key(|passkey| Reverse((passkey.created_at, passkey.id)));
        theirs
    }

    fn rename(&mut self, id: PasskeyId, owner: UserId, label: &Label) -> Option<Passkey> {
        let passkey = self.kept.iter_mut().find(|one| one.id == id && one.user == owner)?;
        passkey.label = label.clone();
        Some(passkey.clone())
    }

    /// A counter that does not rise is a copy of the key, unless its authenticator does not count at all.
    fn note_use(&mut self, id: PasskeyId, sign_count: u32, backed_up: bool, at: Timestamp) -> bool {
        let rises = |before: u32| before < sign_count || (before == 0 && sign_count == 0);
        match self.kept.iter_mut().find(|one| one.id == id && rises(one.sign_count)) {
            Some(passkey) => {
                passkey.sign_count = sign_count;
                passkey.backed_up = backed_up;
                passkey.last_used_at = Some(at);
                true
            }
            None => false,
        }
    }

    fn begin(&mut self, ceremony: &BegunCeremony) -> Result<(), StoreError> {
        let is_new = self.ceremonies.iter().all(|other| other.hash != ceremony.hash);
        unique(is_new, "passkey_challenges_pkey")?;
        self.ceremonies.push(ceremony.clone());
        Ok(())
    }

    fn end(&mut self, challenge: &TokenHash, now: Timestamp) -> Option<BegunCeremony> {
        let at = self.ceremonies.iter().position(|one| one.hash == *challenge && now < one.expires_at)?;
        Some(self.ceremonies.remove(at))
    }
}

impl Data {
    pub(crate) fn passkey_sign_in(&self, id: &CredentialId) -> Option<PasskeySignIn> {
        let passkey = self.passkeys.kept.iter().find(|one| one.credential_id == *id)?.clone();
        let handle = self.users.get(&passkey.user)?.handle?;
        Some(PasskeySignIn { owner: self.sign_in_of(passkey.user)?, passkey, handle })
    }

    fn insert_passkey(&mut self, passkey: &Passkey) -> Result<PasskeyInsertion, StoreError> {
        if self.active(passkey.user).is_none() {
            return Ok(PasskeyInsertion::NoUser);
        }
        if self.passkeys.of_user(passkey.user).len() >= MOST_PASSKEYS {
            return Ok(PasskeyInsertion::TooMany);
        }
        let others = &self.passkeys.kept;
        unique(others.iter().all(|other| other.id != passkey.id), "user_passkeys_pkey")?;
        let is_new = others.iter().all(|other| other.credential_id != passkey.credential_id);
        unique(is_new, "user_passkeys_credential_id_key")?;
        self.passkeys.kept.push(passkey.clone());
        self.note_passkeys(passkey.user, passkey.created_at);
        Ok(PasskeyInsertion::Added)
    }

    fn remove_passkey(&mut self, id: PasskeyId, owner: UserId, at: Timestamp) -> bool {
        let before = self.passkeys.kept.len();
        self.passkeys.kept.retain(|one| one.id != id || one.user != owner);
        let is_gone = self.passkeys.kept.len() < before;
        if is_gone {
            self.note_passkeys(owner, at);
        }
        is_gone
    }

    fn remove_all_passkeys(&mut self, owner: UserId, at: Timestamp) {
        self.passkeys.kept.retain(|one| one.user != owner);
        self.passkeys.ceremonies.retain(|one| one.user != Some(owner));
        self.note_passkeys(owner, at);
        if let Some(row) = self.users.get_mut(&owner) {
            row.handle = None;
        }
    }

    fn note_passkeys(&mut self, user: UserId, at: Timestamp) {
        let has_any = self.passkeys.kept.iter().any(|one| one.user == user);
        if let Some(row) = self.users.get_mut(&user) {
            row.user.passkey_enabled = has_any;
            row.user.updated_at = at;
        }
    }
}

#[async_trait]
impl PasskeyRepo for NaiveTx {
    async fn insert_passkey(&mut self, passkey: &Passkey) -> Result<PasskeyInsertion, StoreError> {
        self.write(|data| data.insert_passkey(passkey))
    }

    async fn rename_passkey(
        &mut self,
        id: PasskeyId,
        owner: UserId,
        label: &Label,
    ) -> Result<Option<Passkey>, StoreError> {
        Ok(self.data.passkeys.rename(id, owner, label))
    }

    async fn use_passkey(
        &mut self,
        id: PasskeyId,
        sign_count: u32,
        backed_up: bool,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        Ok(self.data.passkeys.note_use(id, sign_count, backed_up, at))
    }

    async fn remove_passkey(
        &mut self,
        id: PasskeyId,
        owner: UserId,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        Ok(self.data.remove_passkey(id, owner, at))
    }

    async fn remove_all_passkeys(&mut self, owner: UserId, at: Timestamp) -> Result<(), StoreError> {
        self.data.remove_all_passkeys(owner, at);
        Ok(())
    }
}

#[async_trait]
impl PasskeyStore for NaiveStore {
    async fn list_passkeys(&self, user: UserId) -> Result<Vec<Passkey>, StoreError> {
        Ok(self.read(|data| data.passkeys.of_user(user)))
    }

    async fn claim_handle(
        &self,
        user: UserId,
        candidate: &UserHandle,
    ) -> Result<Option<UserHandle>, StoreError> {
        let claim = |data: &mut Data| Some(*data.active_mut(user)?.handle.get_or_insert(*candidate));
        Ok(self.write(claim).await)
    }

    async fn begin_ceremony(&self, ceremony: &BegunCeremony) -> Result<(), StoreError> {
        let begin = |data: &mut Data| {
            ceremony.user.map_or(Ok(()), |user| data.require_user(user))?;
            data.passkeys.begin(ceremony)
        };
        self.write(begin).await
    }

    async fn end_ceremony(
        &self,
        challenge: &TokenHash,
        now: Timestamp,
    ) -> Result<Option<BegunCeremony>, StoreError> {
        Ok(self.write(|data| data.passkeys.end(challenge, now)).await)
    }

    async fn sweep_ceremonies(&self, now: Timestamp, limit: u32) -> Result<u64, StoreError> {
        Ok(self.write(|data| sweep(&mut data.passkeys.ceremonies, limit, |one| one.expires_at < now)).await)
    }
}
