//! Look-ups and transitions that join users, sessions and memberships.

use async_trait::async_trait;
use identsphere_accounts::UserStatus;
use identsphere_core::{
    PasskeySignIn, Principal, PrincipalStore, RefreshRotation, RefreshStore, SignInRecord,
};
use identsphere_factors::passkey::CredentialId;
use identsphere_kernel::{EmailKey, SessionId, StoreError, Timestamp, UserId};

use crate::MemoryStore;
use crate::tx::State;
use crate::users::UserRecord;

impl State {
    fn sign_in(&self, record: &UserRecord) -> SignInRecord {
        let UserRecord { user, password_hash, .. } = record;
        SignInRecord {
            user: user.clone(),
            password_hash: password_hash.clone(),
            role: self.organizations.live_role(user.id, user.home_organization).cloned(),
        }
    }

    fn passkey_sign_in(&self, id: &CredentialId) -> Option<PasskeySignIn> {
        let passkey = self.passkeys.find(id.as_bytes())?;
        let owner = self.users.get(passkey.user)?;
        Some(PasskeySignIn { owner: self.sign_in(owner), passkey: passkey.clone(), handle: owner.handle? })
    }

    fn principal(&self, session: SessionId, now: Timestamp) -> Option<Principal> {
        let session = self.sessions.live(session, now)?;
        let user = &self.users.get(session.user)?.user;
        let role = self.organizations.live_role(user.id, session.organization)?;
        (user.status == UserStatus::Active).then(|| Principal {
            user: user.clone(),
            session: session.clone(),
            role: role.clone(),
        })
    }

    fn rotate(&mut self, rotation: &RefreshRotation) -> Option<Principal> {
        let now = rotation.successor.issued_at;
        let before = self.principal(rotation.session, now)?;
        if before.session.leaf.hash != rotation.presented {
            return None;
        }
        self.sessions.rotate(rotation);
        self.principal(rotation.session, now)
    }
}

#[async_trait]
impl PrincipalStore for MemoryStore {
    async fn find_sign_in(&self, email: &EmailKey) -> Result<Option<SignInRecord>, StoreError> {
        let state = self.snapshot();
        Ok(state.users.find(email).map(|record| state.sign_in(record)))
    }

    async fn find_sign_in_of(&self, user: UserId) -> Result<Option<SignInRecord>, StoreError> {
        let state = self.snapshot();
        Ok(state.users.get(user).map(|record| state.sign_in(record)))
    }

    async fn find_passkey_sign_in(&self, id: &CredentialId) -> Result<Option<PasskeySignIn>, StoreError> {
        Ok(self.snapshot().passkey_sign_in(id))
    }

    async fn find_principal(
        &self,
        session: SessionId,
        now: Timestamp,
    ) -> Result<Option<Principal>, StoreError> {
        Ok(self.snapshot().principal(session, now))
    }
}

#[async_trait]
impl RefreshStore for MemoryStore {
    async fn rotate_refresh(&self, rotation: &RefreshRotation) -> Result<Option<Principal>, StoreError> {
        Ok(self.change(|state| state.rotate(rotation)).await)
    }
}
