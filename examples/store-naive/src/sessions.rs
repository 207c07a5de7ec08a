//! Sessions, and who is behind them.

use std::cmp::Reverse;

use identsphere_accounts::UserStatus;
use identsphere_core::{HeldSession, Principal, RefreshRotation};
use identsphere_kernel::{PasskeyId, SessionId, StoreError, Timestamp, UserId};
use identsphere_sessions::{AssuranceLevel, RefreshState, RemovedFactor, SecondFactor, Session};

use crate::data::{Data, require, unique};

#[derive(Clone)]
pub(crate) struct SessionRow {
    session: Session,
    revoked_at: Option<Timestamp>,
}

impl SessionRow {
    /// A session has ended at the very instant of its end.
    fn is_live(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && now < self.session.expires_at
    }

    fn rests_on(&self, factor: RemovedFactor) -> bool {
        match factor {
            RemovedFactor::Codes => {
                self.session.second_factor.is_some_and(|factor| RemovedFactor::CODES.contains(&factor))
            }
            RemovedFactor::Passkey(id) => self.session.passkey == Some(id),
        }
    }
}

impl Data {
    pub(crate) fn insert_session(&mut self, session: &Session) -> Result<(), StoreError> {
        require(self.users.contains_key(&session.user), "the user exists")?;
        require(self.organizations.contains_key(&session.organization), "the organisation exists")?;
        unique(!self.sessions.contains_key(&session.id), "user_sessions_pkey")?;
        self.sessions.insert(session.id, SessionRow { session: session.clone(), revoked_at: None });
        Ok(())
    }

    pub(crate) fn refresh_state(&self, session: SessionId) -> Option<RefreshState> {
        let SessionRow { session, revoked_at } = self.sessions.get(&session)?.clone();
        Some(RefreshState { leaf: session.leaf, expires_at: session.expires_at, revoked_at })
    }

    pub(crate) fn live_sessions(&self, user: UserId, now: Timestamp) -> Vec<Session> {
        let theirs = self.sessions.values().filter(|row| row.session.user == user && row.is_live(now));
        let mut sessions: Vec<Session> = theirs.map(|row| row.session.clone()).collect();
        sessions.sort_by_key(|session| Reverse((session.last_active_at, session.id)));
        sessions
    }

    pub(crate) fn held_sessions(&self, user: UserId) -> Vec<HeldSession> {
        let theirs = self.sessions.values().filter(|row| row.session.user == user).cloned();
        let mut held: Vec<HeldSession> =
            theirs.map(|SessionRow { session, revoked_at }| HeldSession { session, revoked_at }).collect();
        held.sort_by_key(|held| Reverse((held.session.created_at, held.session.id)));
        held
    }

    pub(crate) fn delete_sessions(&mut self, owner: UserId) {
        self.sessions.retain(|_, row| row.session.user != owner);
    }

    /// The condition and the change are one step: whoever comes second finds the session revoked.
    pub(crate) fn revoke(&mut self, session: SessionId, owner: UserId, at: Timestamp) -> bool {
        let row = self.sessions.get_mut(&session);
        match row.filter(|row| row.session.user == owner && row.is_live(at)) {
            Some(row) => {
                row.revoked_at = Some(at);
                true
            }
            None => false,
        }
    }

    pub(crate) fn revoke_all(
        &mut self,
        owner: UserId,
        except: Option<SessionId>,
        at: Timestamp,
    ) -> Vec<SessionId> {
        let live = self.live_sessions(owner, at).into_iter().map(|session| session.id);
        live.filter(|id| Some(*id) != except && self.revoke(*id, owner, at)).collect()
    }

    pub(crate) fn step_up(
        &mut self,
        session: SessionId,
        owner: UserId,
        factor: SecondFactor,
        passkey: Option<PasskeyId>,
        at: Timestamp,
    ) -> bool {
        let row = self.sessions.get_mut(&session);
        let Some(row) = row.filter(|row| row.session.user == owner && row.is_live(at)) else { return false };
        row.session.aal = AssuranceLevel::Aal2;
        row.session.second_factor = Some(factor);
        row.session.passkey = passkey.or(row.session.passkey);
        row.session.mfa_verified_at = Some(at);
        true
    }

    pub(crate) fn drop_factor(
        &mut self,
        owner: UserId,
        factor: RemovedFactor,
        spare: Option<SessionId>,
        at: Timestamp,
    ) -> Vec<SessionId> {
        let mut ended = Vec::new();
        for (id, row) in &mut self.sessions {
            if row.session.user != owner || !row.is_live(at) || !row.rests_on(factor) {
                continue;
            }
            if Some(*id) == spare {
                row.session.aal = AssuranceLevel::Aal1;
                row.session.second_factor = None;
                row.session.passkey = None;
                row.session.mfa_verified_at = None;
            } else {
                row.revoked_at = Some(at);
                ended.push(*id);
            }
        }
        ended
    }

    pub(crate) fn sweep_sessions(&mut self, ended_before: Timestamp, limit: u32) -> u64 {
        let mut swept = 0;
        self.sessions.retain(|_, row| {
            let goes = swept < u64::from(limit) && row.session.expires_at < ended_before;
            swept += u64::from(goes);
            !goes
        });
        swept
    }

    /// Every condition of the port's documentation, checked against the records as they are now.
    pub(crate) fn principal(&self, session: SessionId, now: Timestamp) -> Option<Principal> {
        let row = self.sessions.get(&session).filter(|row| row.is_live(now))?;
        let user = &self.users.get(&row.session.user)?.user;
        let role = self.live_role(user.id, row.session.organization)?;
        let is_active = user.status == UserStatus::Active;
        is_active.then(|| Principal { user: user.clone(), session: row.session.clone(), role: role.clone() })
    }

    pub(crate) fn rotate(&mut self, rotation: &RefreshRotation) -> Option<Principal> {
        let now = rotation.successor.issued_at;
        let principal = self.principal(rotation.session, now)?;
        if principal.session.leaf.hash != rotation.presented {
            return None;
        }
        let session = &mut self.sessions.get_mut(&rotation.session)?.session;
        session.leaf = rotation.successor.clone();
        session.client = rotation.client.clone();
        session.last_active_at = now;
        Some(Principal { session: session.clone(), ..principal })
    }
}
