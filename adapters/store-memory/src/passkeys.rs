//! Passkeys, and the ceremonies that have begun.

use std::cmp::Reverse;

use async_trait::async_trait;
use identsphere_factors::passkey::{BegunCeremony, MOST_PASSKEYS, Passkey, UserHandle};
use identsphere_factors::{PasskeyInsertion, PasskeyRepo, PasskeyStore};
use identsphere_kernel::{Label, PasskeyId, StoreError, Timestamp, TokenHash, UserId};
use rpds::HashTrieMapSync;

use crate::MemoryStore;
use crate::tx::{MemoryTx, State, conflict};

#[derive(Clone, Default)]
pub(crate) struct Passkeys {
    by_id: HashTrieMapSync<PasskeyId, Passkey>,
    begun: HashTrieMapSync<[u8; 32], BegunCeremony>,
}

impl Passkeys {
    /// The passkeys of a user, newest first.
    fn of_user(&self, user: UserId) -> Vec<Passkey> {
        let mut theirs: Vec<Passkey> =
            self.by_id.values().filter(|passkey| passkey.user == user).cloned().collect();
        theirs.sort_by_key(|passkey| Reverse((passkey.created_at, passkey.id)));
        theirs
    }

    /// The passkey with this credential id.
    pub(crate) fn find(&self, credential: &[u8]) -> Option<&Passkey> {
        self.by_id.values().find(|passkey| passkey.credential_id.as_bytes() == credential)
    }

    fn insert(&mut self, passkey: &Passkey) -> Result<(), StoreError> {
        if self.by_id.contains_key(&passkey.id) {
            return Err(conflict("user_passkeys_pkey"));
        }
        if self.find(passkey.credential_id.as_bytes()).is_some() {
            return Err(conflict("user_passkeys_credential_id_key"));
        }
        self.by_id.insert_mut(passkey.id, passkey.clone());
        Ok(())
    }

    fn of_owner(&mut self, id: PasskeyId, owner: UserId) -> Option<&mut Passkey> {
        self.by_id.get_mut(&id).filter(|passkey| passkey.user == owner)
    }

    fn count_use(&mut self, id: PasskeyId, sign_count: u32, backed_up: bool, at: Timestamp) -> bool {
        let rises = |passkey: &&mut Passkey| {
            passkey.sign_count < sign_count || (passkey.sign_count == 0 && sign_count == 0)
        };
        let Some(passkey) = self.by_id.get_mut(&id).filter(rises) else { return false };
        passkey.sign_count = sign_count;
        passkey.backed_up = backed_up;
        passkey.last_used_at = Some(at);
        true
    }

    fn sweep(&mut self, now: Timestamp, limit: usize) -> usize {
        let over = self.begun.iter().filter(|(_, ceremony)| ceremony.expires_at < now);
        let over: Vec<[u8; 32]> = over.map(|(hash, _)| *hash).take(limit).collect();
        over.iter().filter(|hash| self.begun.remove_mut(*hash)).count()
    }
}

impl State {
    fn insert_passkey(&mut self, passkey: &Passkey) -> Result<PasskeyInsertion, StoreError> {
        if self.users.active(passkey.user).is_none() {
            return Ok(PasskeyInsertion::NoUser);
        }
        if self.passkeys.of_user(passkey.user).len() >= MOST_PASSKEYS {
            return Ok(PasskeyInsertion::TooMany);
        }
        self.passkeys.insert(passkey)?;
        self.note_passkeys(passkey.user, passkey.created_at);
        Ok(PasskeyInsertion::Added)
    }

    fn remove_passkey(&mut self, id: PasskeyId, owner: UserId, at: Timestamp) -> bool {
        if self.passkeys.of_owner(id, owner).is_none() {
            return false;
        }
        self.passkeys.by_id.remove_mut(&id);
        self.note_passkeys(owner, at);
        true
    }

    fn remove_all_passkeys(&mut self, owner: UserId, at: Timestamp) {
        for passkey in self.passkeys.of_user(owner) {
            self.passkeys.by_id.remove_mut(&passkey.id);
        }
        let begun = self.passkeys.begun.iter().filter(|(_, ceremony)| ceremony.user == Some(owner));
        let begun: Vec<[u8; 32]> = begun.map(|(hash, _)| *hash).collect();
        for hash in begun {
            self.passkeys.begun.remove_mut(&hash);
        }
        self.note_passkeys(owner, at);
        if let Some(record) = self.users.get_mut(owner) {
            record.handle = None;
        }
    }

    fn note_passkeys(&mut self, user: UserId, at: Timestamp) {
        let has_any = !self.passkeys.of_user(user).is_empty();
        if let Some(record) = self.users.get_mut(user) {
            record.user.passkey_enabled = has_any;
            record.user.updated_at = at;
        }
    }
}

#[async_trait]
impl PasskeyRepo for MemoryTx {
    async fn insert_passkey(&mut self, passkey: &Passkey) -> Result<PasskeyInsertion, StoreError> {
        let outcome = self.state.insert_passkey(passkey);
        self.written(outcome)
    }

    async fn rename_passkey(
        &mut self,
        id: PasskeyId,
        owner: UserId,
        label: &Label,
    ) -> Result<Option<Passkey>, StoreError> {
        let Some(passkey) = self.state.passkeys.of_owner(id, owner) else { return Ok(None) };
        passkey.label = label.clone();
        Ok(Some(passkey.clone()))
    }

    async fn use_passkey(
        &mut self,
        id: PasskeyId,
        sign_count: u32,
        backed_up: bool,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        Ok(self.state.passkeys.count_use(id, sign_count, backed_up, at))
    }

    async fn remove_passkey(
        &mut self,
        id: PasskeyId,
        owner: UserId,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        Ok(self.state.remove_passkey(id, owner, at))
    }

    async fn remove_all_passkeys(&mut self, owner: UserId, at: Timestamp) -> Result<(), StoreError> {
        self.state.remove_all_passkeys(owner, at);
        Ok(())
    }
}

#[async_trait]
impl PasskeyStore for MemoryStore {
    async fn list_passkeys(&self, user: UserId) -> Result<Vec<Passkey>, StoreError> {
        Ok(self.snapshot().passkeys.of_user(user))
    }

    async fn claim_handle(
        &self,
        user: UserId,
        candidate: &UserHandle,
    ) -> Result<Option<UserHandle>, StoreError> {
        let claim = |state: &mut State| {
            let record = state.users.active_mut(user)?;
            Some(*record.handle.get_or_insert(*candidate))
        };
        Ok(self.change(claim).await)
    }

    async fn begin_ceremony(&self, ceremony: &BegunCeremony) -> Result<(), StoreError> {
        let begin = |state: &mut State| {
            let hash = *ceremony.hash.as_bytes();
            ceremony.user.map_or(Ok(()), |user| state.known(user))?;
            if state.passkeys.begun.contains_key(&hash) {
                return Err(conflict("passkey_challenges_pkey"));
            }
            state.passkeys.begun.insert_mut(hash, ceremony.clone());
            Ok(())
        };
        self.change(begin).await
    }

    async fn end_ceremony(
        &self,
        challenge: &TokenHash,
        now: Timestamp,
    ) -> Result<Option<BegunCeremony>, StoreError> {
        let end = |state: &mut State| {
            let begun = &mut state.passkeys.begun;
            let ceremony = begun.get(challenge.as_bytes()).filter(|one| now < one.expires_at).cloned()?;
            begun.remove_mut(challenge.as_bytes());
            Some(ceremony)
        };
        Ok(self.change(end).await)
    }

    async fn sweep_ceremonies(&self, now: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let limit = usize::try_from(limit).map_err(StoreError::corrupt)?;
        Ok(self.change(|state| state.passkeys.sweep(now, limit)).await as u64)
    }
}
