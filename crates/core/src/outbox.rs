//! The outbox: what has to be done outside of the store, kept in the transaction of the change that causes it, so that
//! it is done at least once, and never for a change that was not made.
//!
//! Entries are sealed: they hold addresses, and the links and codes of mails, of which everything else keeps only a
//! hash.

use async_trait::async_trait;
use identsphere_kernel::{MailId, SecureRandom, StoreError, Timestamp, TokenHash, UserId};
use zeroize::Zeroizing;

/// Something to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxEntry {
    /// Its id; that of the mail, where it is one.
    pub id: MailId,
    /// What it is, sealed for this id.
    pub sealed: Vec<u8>,
    /// How often somebody has begun with it.
    pub attempts: u32,
    /// When it was posted.
    pub created_at: Timestamp,
    /// When somebody may begin with it.
    pub due_at: Timestamp,
    /// When it has become pointless.
    pub expires_at: Timestamp,
}

/// Changes to the outbox, inside a transaction.
#[async_trait]
pub trait OutboxRepo: Send {
    /// Adds an entry. May be held back until commit. Conflict: `outbox_pkey`.
    async fn post(&mut self, entry: &OutboxEntry) -> Result<(), StoreError>;

    /// Makes a browser known as one that this user, who must have been inserted before, has signed in from. If it was
    /// not, and there is a `notice`, posts it. May be held back until commit. Of several at once from one unknown
    /// browser, one posts. Conflict: `outbox_pkey`.
    async fn greet_browser(
        &mut self,
        user: UserId,
        browser: &TokenHash,
        at: Timestamp,
        notice: Option<&OutboxEntry>,
    ) -> Result<(), StoreError>;

    /// Forgets every browser of a user. May be held back until commit.
    async fn forget_browsers(&mut self, user: UserId) -> Result<(), StoreError>;

    /// Removes an entry that is done; whether it was there. Of several at once, one gets true.
    async fn settle(&mut self, id: MailId) -> Result<bool, StoreError>;
}

/// Transitions and reads of the outbox that need no transaction. Each is one statement.
#[async_trait]
pub trait OutboxStore: Send + Sync {
    /// Hands out at most `limit` entries that are due at `now`, those due first before others, also in the answer, and
    /// makes them due again at `again_at`, by when whoever asked has settled or postponed them, or is gone. Counts the
    /// attempt; the entries come back with it counted. Nobody gets an entry that another one has been handed meanwhile.
    async fn lease_outbox(
        &self,
        now: Timestamp,
        again_at: Timestamp,
        limit: u32,
    ) -> Result<Vec<OutboxEntry>, StoreError>;

    /// Makes an entry due at another time, unless somebody else has been handed it since it had this count of attempts.
    async fn postpone_outbox(&self, id: MailId, attempts: u32, due_at: Timestamp) -> Result<(), StoreError>;

    /// How many entries wait.
    async fn count_outbox(&self) -> Result<u64, StoreError>;

    /// Forgets at most `limit` browsers that were last seen before `seen_before`; how many there were.
    async fn sweep_browsers(&self, seen_before: Timestamp, limit: u32) -> Result<u64, StoreError>;
}

/// A sealed value does not open: another key, another row, or changed.
#[derive(Debug, thiserror::Error)]
#[error("a sealed value does not open")]
pub struct Unsealable(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// Encrypts secrets of rows so that they open only in the same row, under the same key.
pub trait Sealing: Send + Sync + 'static {
    /// Seals a secret for the row that `row` names.
    fn seal(&self, row: &str, secret: &[u8], random: &dyn SecureRandom) -> Vec<u8>;

    /// Opens what was sealed for the same row.
    ///
    /// # Errors
    /// [`Unsealable`].
    fn open(&self, row: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Unsealable>;
}
