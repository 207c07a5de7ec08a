//! A passkey as it is kept: the credential record of WebAuthn §4 and what its owner says of it.

use identsphere_kernel::{Label, PasskeyId, Timestamp, UserId};

use super::{Aaguid, CoseKey, CredentialId, Transports};

/// How many passkeys a user may have.
pub const MOST_PASSKEYS: usize = 10;

/// A passkey of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passkey {
    /// Our id of it.
    pub id: PasskeyId,
    /// Its owner.
    pub user: UserId,
    /// Its authenticator's id of it: unique among all users.
    pub credential_id: CredentialId,
    /// What verifies its signatures.
    pub public_key: CoseKey,
    /// The counter of its last assertion. Moved by a statement that has the value which was verified as its condition.
    pub sign_count: u32,
    /// Whether it may be backed up; never changes.
    pub backup_eligible: bool,
    /// Whether it is backed up, as of its last use.
    pub backed_up: bool,
    /// How it can be reached.
    pub transports: Transports,
    /// The model of its authenticator.
    pub aaguid: Aaguid,
    /// What its owner calls it.
    pub label: Label,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When it was used last.
    pub last_used_at: Option<Timestamp>,
}

/// A credential that passed registration and belongs to nobody yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCredential {
    /// Its id.
    pub credential_id: CredentialId,
    /// Its key.
    pub public_key: CoseKey,
    /// Its first counter.
    pub sign_count: u32,
    /// Whether the authenticator verified the person.
    pub user_verified: bool,
    /// Whether it may be backed up.
    pub backup_eligible: bool,
    /// Whether it is backed up.
    pub backed_up: bool,
    /// How it can be reached, as the browser said.
    pub transports: Transports,
    /// The model of its authenticator, as that claims.
    pub aaguid: Aaguid,
}

impl NewCredential {
    /// The passkey that it becomes (§7.1 step 27), called after the model of its authenticator until its owner says otherwise. That no user has a credential of this id (step 26) is for the store
    /// to say, by a unique index.
    pub fn into_passkey(self, id: PasskeyId, user: UserId, label: Option<Label>, now: Timestamp) -> Passkey {
        Passkey {
            id,
            user,
            credential_id: self.credential_id,
            public_key: self.public_key,
            sign_count: self.sign_count,
            backup_eligible: self.backup_eligible,
            backed_up: self.backed_up,
            transports: self.transports,
            label: label.unwrap_or_else(|| Label::from_stored(self.aaguid.name().unwrap_or("Passkey"))),
            aaguid: self.aaguid,
            created_at: now,
            last_used_at: None,
        }
    }
}
