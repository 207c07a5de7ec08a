//! A store of one's own: the ports on plain collections behind one lock. See the README for how to write another.
//!
//! It is complete and correct, and slow where a real one is quick: looking up an address reads every user, and a
//! transaction begins with a copy of everything. `data.rs` and `sessions.rs` hold records and their rules, `tx.rs` the
//! changes inside a transaction; this file holds the store: reads, single changes, and how a transaction begins.
//! `mailbox.rs`, `trust.rs`, `factors.rs` and `passkeys.rs` hold all of this for what their names say.

mod data;
mod factors;
mod mailbox;
mod passkeys;
mod sessions;
mod trust;
mod tx;

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use identsphere_audit::AuditEntry;
use identsphere_core::{
    AccountRecord, DirectoryStore, HeldSession, PasskeySignIn, Principal, PrincipalStore, ProfileRecord,
    ProfileStore, RateLimitStore, RefreshRotation, RefreshStore, Schema, SchemaState, SignInRecord, Store,
    Take, Tx, UserOrganization,
};
use identsphere_factors::passkey::CredentialId;
use identsphere_kernel::{Duration, EmailKey, SessionId, StoreError, Timestamp, UserId};
use identsphere_organizations::{Organization, Slug};
use identsphere_sessions::{RefreshState, Session, SessionStore};
use identsphere_tokens::{KeyStore, SigningKey};

use data::Data;
use tx::NaiveTx;

/// A store on plain collections. Clones share their data.
#[derive(Clone, Default)]
pub struct NaiveStore {
    /// What has been committed. Locked only for as long as it takes to read or to replace it, never across an `await`.
    committed: Arc<Mutex<Data>>,
    /// The turn to write, which a transaction holds from its beginning to its end. Readers do not need it.
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl NaiveStore {
    /// Reads what has been committed.
    fn read<T>(&self, read: impl FnOnce(&Data) -> T) -> T {
        read(&self.committed.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Makes a single change that no transaction is needed for.
    async fn write<T>(&self, write: impl FnOnce(&mut Data) -> T) -> T {
        let _turn = self.turn.lock().await;
        write(&mut self.committed.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[async_trait]
impl Store for NaiveStore {
    async fn begin(&self) -> Result<Box<dyn Tx>, StoreError> {
        let turn = Arc::clone(&self.turn).lock_owned().await;
        Ok(Box::new(NaiveTx::new(Arc::clone(&self.committed), turn, self.read(Data::clone))))
    }
}

#[async_trait]
impl PrincipalStore for NaiveStore {
    async fn find_sign_in(&self, email: &EmailKey) -> Result<Option<SignInRecord>, StoreError> {
        Ok(self.read(|data| data.sign_in(email)))
    }

    async fn find_sign_in_of(&self, user: UserId) -> Result<Option<SignInRecord>, StoreError> {
        Ok(self.read(|data| data.sign_in_of(user)))
    }

    async fn find_passkey_sign_in(&self, id: &CredentialId) -> Result<Option<PasskeySignIn>, StoreError> {
        Ok(self.read(|data| data.passkey_sign_in(id)))
    }

    async fn find_principal(
        &self,
        session: SessionId,
        now: Timestamp,
    ) -> Result<Option<Principal>, StoreError> {
        Ok(self.read(|data| data.principal(session, now)))
    }
}

#[async_trait]
impl RefreshStore for NaiveStore {
    async fn rotate_refresh(&self, rotation: &RefreshRotation) -> Result<Option<Principal>, StoreError> {
        Ok(self.write(|data| data.rotate(rotation)).await)
    }
}

#[async_trait]
impl DirectoryStore for NaiveStore {
    async fn known_emails(&self, emails: &[EmailKey]) -> Result<Vec<EmailKey>, StoreError> {
        Ok(self.read(|data| data.known_emails(emails)))
    }

    async fn known_users(&self, ids: &[UserId]) -> Result<Vec<UserId>, StoreError> {
        Ok(self.read(|data| data.known_users(ids)))
    }

    async fn organizations_by_slug(&self, slugs: &[Slug]) -> Result<Vec<Organization>, StoreError> {
        Ok(self.read(|data| data.organizations_by_slug(slugs)))
    }

    async fn list_accounts(
        &self,
        after: Option<UserId>,
        limit: u32,
    ) -> Result<Vec<AccountRecord>, StoreError> {
        Ok(self.read(|data| data.accounts(after, limit)))
    }
}

#[async_trait]
impl SessionStore for NaiveStore {
    async fn find_refresh_state(&self, session: SessionId) -> Result<Option<RefreshState>, StoreError> {
        Ok(self.read(|data| data.refresh_state(session)))
    }

    async fn list_live_sessions(&self, user: UserId, now: Timestamp) -> Result<Vec<Session>, StoreError> {
        Ok(self.read(|data| data.live_sessions(user, now)))
    }

    async fn sweep_sessions(&self, ended_before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        Ok(self.write(|data| data.sweep_sessions(ended_before, limit)).await)
    }
}

#[async_trait]
impl ProfileStore for NaiveStore {
    async fn find_profile(&self, user: UserId) -> Result<Option<ProfileRecord>, StoreError> {
        Ok(self.read(|data| data.profile(user)))
    }

    async fn list_organizations(&self, user: UserId) -> Result<Vec<UserOrganization>, StoreError> {
        Ok(self.read(|data| data.organizations_of(user)))
    }

    async fn list_held_sessions(&self, user: UserId) -> Result<Vec<HeldSession>, StoreError> {
        Ok(self.read(|data| data.held_sessions(user)))
    }

    async fn list_events_by(&self, user: UserId, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
        Ok(self.read(|data| data.events_by(user, limit)))
    }
}

#[async_trait]
impl KeyStore for NaiveStore {
    async fn list_signing_keys(&self) -> Result<Vec<SigningKey>, StoreError> {
        Ok(self.read(Data::keys))
    }
}

#[async_trait]
impl RateLimitStore for NaiveStore {
    async fn take(&self, takes: &[Take], now: Timestamp) -> Result<Vec<Option<Duration>>, StoreError> {
        Ok(self.write(|data| takes.iter().map(|take| data.take(take, now)).collect()).await)
    }

    async fn sweep_limits(&self, now: Timestamp, limit: u32) -> Result<u64, StoreError> {
        Ok(self.write(|data| data.sweep_limits(now, limit)).await)
    }
}

/// Plain collections have no schema, so there is nothing to migrate.
#[async_trait]
impl Schema for NaiveStore {
    fn engine(&self) -> &'static str {
        "naive"
    }

    async fn ping(&self) -> Result<Option<Timestamp>, StoreError> {
        Ok(None)
    }

    async fn schema_state(&self) -> Result<SchemaState, StoreError> {
        Ok(SchemaState::default())
    }

    async fn migrate_up(&self) -> Result<Vec<String>, StoreError> {
        Ok(Vec::new())
    }

    async fn migrate_down(&self, _steps: u32) -> Result<Vec<String>, StoreError> {
        Ok(Vec::new())
    }
}
