//! Where users are kept. Look-ups that join users with other domains are `identsphere-core`'s.

use async_trait::async_trait;
use identsphere_kernel::{StoreError, Timestamp, UserId};

use crate::{PasswordHash, User};

/// Changes to users, inside a transaction.
///
/// An adapter may run a write when it is called or hold it back until commit; a conflict is reported by
/// whichever of the two runs it.
#[async_trait]
pub trait UserRepo: Send {
    /// Adds a user, with a password or without. The home organisation must have been inserted before, in this
    /// transaction or an earlier one. Conflicts: `users_email_key_key` (the address is taken), `users_pkey`.
    async fn insert(&mut self, user: &User, password: Option<&PasswordHash>) -> Result<(), StoreError>;

    /// Replaces a password hash by one of the same password under newer parameters, only while the stored
    /// hash still is `old`: a password changed meanwhile wins. Does not touch `last_password_change`.
    async fn upgrade_password_hash(
        &mut self,
        user: UserId,
        old: &PasswordHash,
        new: &PasswordHash,
        at: Timestamp,
    ) -> Result<(), StoreError>;
}
