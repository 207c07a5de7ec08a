//! Sessions, found by id, by user, and by their end.

use std::cmp::Reverse;

use async_trait::async_trait;
use identsphere_core::{HeldSession, RefreshRotation};
use identsphere_kernel::{PasskeyId, SessionId, StoreError, Timestamp, UserId};
use identsphere_sessions::{
    AssuranceLevel, RefreshState, RemovedFactor, RevocationReason, SecondFactor, Session, SessionRepo,
    SessionStore,
};
use rpds::{HashTrieMapSync, HashTrieSetSync, RedBlackTreeSetSync};

use crate::MemoryStore;
use crate::tx::{MemoryTx, State, conflict, dangling};

/// A session and whether it was revoked. Why is in the audit log; no port asks for it here.
#[derive(Clone)]
struct SessionRecord {
    session: Session,
    revoked_at: Option<Timestamp>,
}

impl SessionRecord {
    fn is_live(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && now < self.session.expires_at
    }
}

#[derive(Clone, Default)]
pub(crate) struct Sessions {
    by_id: HashTrieMapSync<SessionId, SessionRecord>,
    by_user: HashTrieMapSync<UserId, HashTrieSetSync<SessionId>>,
    by_end: RedBlackTreeSetSync<(Timestamp, SessionId)>,
}

impl Sessions {
    /// A session that is neither revoked nor past its end.
    pub(crate) fn live(&self, id: SessionId, now: Timestamp) -> Option<&Session> {
        self.by_id.get(&id).filter(|record| record.is_live(now)).map(|record| &record.session)
    }

    /// Writes the successor of a leaf.
    pub(crate) fn rotate(&mut self, rotation: &RefreshRotation) {
        if let Some(SessionRecord { session, .. }) = self.by_id.get_mut(&rotation.session) {
            session.leaf = rotation.successor.clone();
            session.client = rotation.client.clone();
            session.last_active_at = rotation.successor.issued_at;
        }
    }

    /// Every session of a user, newest first.
    pub(crate) fn held_of(&self, user: UserId) -> Vec<HeldSession> {
        let theirs = self.by_user.get(&user).into_iter().flatten().filter_map(|id| self.by_id.get(id));
        let mut held: Vec<HeldSession> = theirs
            .map(|record| HeldSession { session: record.session.clone(), revoked_at: record.revoked_at })
            .collect();
        held.sort_by_key(|held| Reverse((held.session.created_at, held.session.id)));
        held
    }

    fn live_of(&self, user: UserId, now: Timestamp) -> impl Iterator<Item = &Session> {
        self.by_user.get(&user).into_iter().flatten().filter_map(move |id| self.live(*id, now))
    }

    fn insert(&mut self, session: &Session) -> Result<(), StoreError> {
        let (id, user) = (session.id, session.user);
        if self.by_id.contains_key(&id) {
            return Err(conflict("user_sessions_pkey"));
        }
        self.by_id.insert_mut(id, SessionRecord { session: session.clone(), revoked_at: None });
        self.by_end.insert_mut((session.expires_at, id));
        let theirs = self.by_user.get(&user).cloned().unwrap_or_default();
        self.by_user.insert_mut(user, theirs.insert(id));
        Ok(())
    }

    fn revoke(&mut self, id: SessionId, owner: UserId, at: Timestamp) -> bool {
        let record = self.by_id.get_mut(&id);
        match record.filter(|record| record.session.user == owner && record.is_live(at)) {
            Some(record) => {
                record.revoked_at = Some(at);
                true
            }
            None => false,
        }
    }

    /// A live session of this user, to be changed.
    fn live_mut(&mut self, id: SessionId, owner: UserId, now: Timestamp) -> Option<&mut Session> {
        let record = self.by_id.get_mut(&id)?;
        (record.session.user == owner && record.is_live(now)).then_some(&mut record.session)
    }

    fn drop_factor(
        &mut self,
        owner: UserId,
        factor: RemovedFactor,
        spare: Option<SessionId>,
        at: Timestamp,
    ) -> Vec<SessionId> {
        let rests_on_it = |session: &&Session| match factor {
            RemovedFactor::Codes => {
                session.second_factor.is_some_and(|factor| RemovedFactor::CODES.contains(&factor))
            }
            RemovedFactor::Passkey(id) => session.passkey == Some(id),
        };
        let theirs: Vec<SessionId> =
            self.live_of(owner, at).filter(rests_on_it).map(|session| session.id).collect();
        let (spared, others): (Vec<_>, Vec<_>) = theirs.into_iter().partition(|id| Some(*id) == spare);
        for id in spared {
            if let Some(SessionRecord { session, .. }) = self.by_id.get_mut(&id) {
                session.aal = AssuranceLevel::Aal1;
                session.second_factor = None;
                session.passkey = None;
                session.mfa_verified_at = None;
            }
        }
        others.into_iter().filter(|id| self.revoke(*id, owner, at)).collect()
    }

    fn delete(&mut self, id: SessionId) {
        let Some(SessionRecord { session, .. }) = self.by_id.get(&id).cloned() else { return };
        self.by_id.remove_mut(&id);
        self.by_end.remove_mut(&(session.expires_at, id));
        let theirs = self.by_user.get(&session.user).map(|theirs| theirs.remove(&id)).unwrap_or_default();
        if theirs.is_empty() {
            self.by_user.remove_mut(&session.user);
        } else {
            self.by_user.insert_mut(session.user, theirs);
        }
    }

    fn sweep(&mut self, ended_before: Timestamp, limit: usize) -> usize {
        let cut = (ended_before, SessionId::from_bytes([0; 16]));
        let ended: Vec<SessionId> = self.by_end.range(..cut).take(limit).map(|(_, id)| *id).collect();
        ended.iter().for_each(|id| self.delete(*id));
        ended.len()
    }
}

impl State {
    pub(crate) fn insert_session(&mut self, session: &Session) -> Result<(), StoreError> {
        if self.users.get(session.user).is_none() || !self.organizations.contains(session.organization) {
            return Err(dangling("a session of nobody or nowhere"));
        }
        self.sessions.insert(session)
    }
}

#[async_trait]
impl SessionStore for MemoryStore {
    async fn find_refresh_state(&self, session: SessionId) -> Result<Option<RefreshState>, StoreError> {
        let state = self.snapshot();
        Ok(state.sessions.by_id.get(&session).map(|SessionRecord { session, revoked_at }| RefreshState {
            leaf: session.leaf.clone(),
            expires_at: session.expires_at,
            revoked_at: *revoked_at,
        }))
    }

    async fn list_live_sessions(&self, user: UserId, now: Timestamp) -> Result<Vec<Session>, StoreError> {
        let mut live: Vec<Session> = self.snapshot().sessions.live_of(user, now).cloned().collect();
        live.sort_by_key(|session| Reverse((session.last_active_at, session.id)));
        Ok(live)
    }

    async fn sweep_sessions(&self, ended_before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let swept = self.change(|state| state.sessions.sweep(ended_before, limit)).await;
        Ok(u64::try_from(swept).unwrap_or(u64::MAX))
    }
}

#[async_trait]
impl SessionRepo for MemoryTx {
    async fn revoke(
        &mut self,
        session: SessionId,
        owner: UserId,
        _reason: RevocationReason,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        Ok(self.state.sessions.revoke(session, owner, at))
    }

    async fn revoke_all(
        &mut self,
        owner: UserId,
        except: Option<SessionId>,
        _reason: RevocationReason,
        at: Timestamp,
    ) -> Result<Vec<SessionId>, StoreError> {
        let sessions = &mut self.state.sessions;
        let live: Vec<SessionId> = sessions.live_of(owner, at).map(|session| session.id).collect();
        Ok(live.into_iter().filter(|id| Some(*id) != except && sessions.revoke(*id, owner, at)).collect())
    }

    async fn step_up(
        &mut self,
        session: SessionId,
        owner: UserId,
        factor: SecondFactor,
        passkey: Option<PasskeyId>,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let Some(session) = self.state.sessions.live_mut(session, owner, at) else { return Ok(false) };
        session.aal = AssuranceLevel::Aal2;
        session.second_factor = Some(factor);
        session.passkey = passkey.or(session.passkey);
        session.mfa_verified_at = Some(at);
        Ok(true)
    }

    async fn drop_factor(
        &mut self,
        owner: UserId,
        factor: RemovedFactor,
        spare: Option<SessionId>,
        at: Timestamp,
    ) -> Result<Vec<SessionId>, StoreError> {
        Ok(self.state.sessions.drop_factor(owner, factor, spare, at))
    }

    async fn delete_all(&mut self, owner: UserId) -> Result<(), StoreError> {
        let sessions = &mut self.state.sessions;
        let theirs: Vec<SessionId> = sessions.by_user.get(&owner).into_iter().flatten().copied().collect();
        theirs.into_iter().for_each(|id| sessions.delete(id));
        Ok(())
    }
}
