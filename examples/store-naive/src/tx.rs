//! A transaction: a copy of everything, changed by the ports and put in the place of the original by the commit.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use identsphere_accounts::{
    AvatarName, MailboxProof, PasswordHash, ProfileChange, ReplacedAvatar, Standing, User, UserRepo,
};
use identsphere_audit::{AuditEvent, AuditRepo};
use identsphere_core::{RateLimitRepo, SignInRepo, Take, Tx};
use identsphere_kernel::{Email, EmailKey, PasskeyId, SessionId, StoreError, Timestamp, UserId};
use identsphere_organizations::{Departure, Membership, Organization, OrganizationRepo};
use identsphere_sessions::{
    PendingSignIn, RemovedFactor, RevocationReason, SecondFactor, Session, SessionRepo,
};
use identsphere_tokens::{KeyId, KeyRepo, SigningKey};
use tokio::sync::OwnedMutexGuard;

use crate::data::Data;

/// A transaction. One struct has every port and returns itself for each.
pub(crate) struct NaiveTx {
    pub(crate) data: Data,
    /// Whether a write was refused: then what is left is not the whole, and must not be committed.
    failed: bool,
    committed: Arc<Mutex<Data>>,
    /// Dropped with the transaction, however that ends, so that nobody waits for one that was abandoned.
    _turn: OwnedMutexGuard<()>,
}

impl NaiveTx {
    pub(crate) fn new(committed: Arc<Mutex<Data>>, turn: OwnedMutexGuard<()>, data: Data) -> Self {
        Self { data, failed: false, committed, _turn: turn }
    }

    pub(crate) fn write<T>(
        &mut self,
        write: impl FnOnce(&mut Data) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let outcome = write(&mut self.data);
        self.failed |= outcome.is_err();
        outcome
    }
}

#[async_trait]
impl Tx for NaiveTx {
    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        if self.failed {
            return Err(StoreError::corrupt("the commit of a transaction in which a write was refused"));
        }
        *self.committed.lock().unwrap_or_else(PoisonError::into_inner) = self.data;
        Ok(())
    }
}

#[async_trait]
impl UserRepo for NaiveTx {
    async fn insert(&mut self, user: &User, password: Option<&PasswordHash>) -> Result<(), StoreError> {
        self.write(|data| data.insert_user(user, password))
    }

    async fn upgrade_password_hash(
        &mut self,
        user: UserId,
        old: &PasswordHash,
        new: &PasswordHash,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        self.data.upgrade_password_hash(user, old, new, at);
        Ok(())
    }

    async fn update_profile(
        &mut self,
        user: UserId,
        change: &ProfileChange,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        Ok(self.data.update_profile(user, change, at))
    }

    async fn set_password_hash(
        &mut self,
        user: UserId,
        old: &PasswordHash,
        new: &PasswordHash,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        Ok(self.data.set_password_hash(user, old, new, at))
    }

    async fn replace_avatar(
        &mut self,
        user: UserId,
        avatar: Option<&AvatarName>,
        at: Timestamp,
    ) -> Result<Option<ReplacedAvatar>, StoreError> {
        Ok(self.data.replace_avatar(user, avatar, at))
    }

    async fn erase(&mut self, user: UserId, at: Timestamp) -> Result<Option<ReplacedAvatar>, StoreError> {
        Ok(self.data.erase(user, at))
    }

    async fn prove_mailbox(
        &mut self,
        user: UserId,
        email: &EmailKey,
        at: Timestamp,
    ) -> Result<Option<MailboxProof>, StoreError> {
        Ok(self.data.prove_mailbox(user, email, at))
    }

    async fn change_email(
        &mut self,
        user: UserId,
        email: &Email,
        at: Timestamp,
    ) -> Result<Option<Email>, StoreError> {
        self.write(|data| data.change_email(user, email, at))
    }

    async fn replace_password(
        &mut self,
        user: UserId,
        password: Option<&PasswordHash>,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        self.data.replace_password(user, password, at);
        Ok(())
    }
}

#[async_trait]
impl OrganizationRepo for NaiveTx {
    async fn insert(&mut self, organization: &Organization) -> Result<(), StoreError> {
        self.write(|data| data.insert_organization(organization))
    }

    async fn insert_membership(&mut self, membership: &Membership) -> Result<(), StoreError> {
        self.write(|data| data.insert_membership(membership))
    }

    async fn depart(&mut self, user: UserId, at: Timestamp) -> Result<Departure, StoreError> {
        Ok(self.data.depart(user, at))
    }
}

/// Nobody else writes meanwhile, so a user who is in a standing stays in it.
#[async_trait]
impl SignInRepo for NaiveTx {
    async fn begin_session(&mut self, session: &Session, standing: &Standing) -> Result<(), StoreError> {
        self.write(|data| {
            data.demand(session.user, standing)?;
            data.insert_session(session)
        })
    }

    async fn put_pending(&mut self, pending: &PendingSignIn, standing: &Standing) -> Result<(), StoreError> {
        self.write(|data| {
            data.demand(pending.user, standing)?;
            data.trust.put(pending)
        })
    }
}

/// Why a session was revoked is in the audit log, which is where people look; it is not kept a second time.
#[async_trait]
impl SessionRepo for NaiveTx {
    async fn revoke(
        &mut self,
        session: SessionId,
        owner: UserId,
        _reason: RevocationReason,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        Ok(self.data.revoke(session, owner, at))
    }

    async fn revoke_all(
        &mut self,
        owner: UserId,
        except: Option<SessionId>,
        _reason: RevocationReason,
        at: Timestamp,
    ) -> Result<Vec<SessionId>, StoreError> {
        Ok(self.data.revoke_all(owner, except, at))
    }

    async fn step_up(
        &mut self,
        session: SessionId,
        owner: UserId,
        factor: SecondFactor,
        passkey: Option<PasskeyId>,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        Ok(self.data.step_up(session, owner, factor, passkey, at))
    }

    async fn drop_factor(
        &mut self,
        owner: UserId,
        factor: RemovedFactor,
        spare: Option<SessionId>,
        at: Timestamp,
    ) -> Result<Vec<SessionId>, StoreError> {
        Ok(self.data.drop_factor(owner, factor, spare, at))
    }

    async fn delete_all(&mut self, owner: UserId) -> Result<(), StoreError> {
        self.data.delete_sessions(owner);
        Ok(())
    }
}

#[async_trait]
impl KeyRepo for NaiveTx {
    async fn insert(&mut self, key: &SigningKey) -> Result<(), StoreError> {
        self.write(|data| data.insert_key(key))
    }

    async fn delete(&mut self, kid: &KeyId) -> Result<bool, StoreError> {
        Ok(self.data.delete_key(kid))
    }
}

#[async_trait]
impl RateLimitRepo for NaiveTx {
    async fn give_back(&mut self, take: &Take) -> Result<(), StoreError> {
        self.data.give_back(take);
        Ok(())
    }
}

#[async_trait]
impl AuditRepo for NaiveTx {
    async fn append(&mut self, event: &AuditEvent) -> Result<(), StoreError> {
        self.data.append(event);
        Ok(())
    }
}
