//! The service: ports, policy, and what they need between calls.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use identsphere_accounts::CodeKey;
use identsphere_factors::passkey::{DecoyKey, SignatureVerifier};
use identsphere_kernel::{Clock, Duration, SecureRandom, Timestamp};
use identsphere_sessions::{DisownKey, RefreshKey};
use identsphere_tokens::KeyVault;

use tokio::sync::Notify;

use crate::access_tokens::AccessTokens;
use crate::clock_watch::ClockWatch;
use crate::key_ring::KeyRing;
use crate::recent::RecentPrincipals;
use crate::watched::WatchedStore;
use crate::{
    Authorizer, BlobStore, Error, Mailer, PasswordHasher, PictureMaker, Policy, PublishedKeys, Sealing, Store,
};

/// What the composition root provides.
pub struct Ports {
    /// Where everything is kept.
    pub store: Arc<dyn Store>,
    /// Hashes passwords.
    pub hasher: Arc<dyn PasswordHasher>,
    /// Makes and opens signing keys.
    pub vault: Arc<dyn KeyVault>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Makes secrets.
    pub random: Arc<dyn SecureRandom>,
    /// The keys that every node has.
    pub secrets: Secrets,
    /// Hands mail over.
    pub mailer: Arc<dyn Mailer>,
    /// Checks the signatures of passkeys.
    pub signatures: Arc<dyn SignatureVerifier>,
    /// Keeps uploaded pictures.
    pub blobs: Arc<dyn BlobStore>,
    /// Makes uploaded pictures harmless.
    pub pictures: Arc<dyn PictureMaker>,
}

/// The keys of a deployment, the same on every node.
#[derive(Clone)]
pub struct Secrets {
    /// Makes refresh tokens.
    pub refresh: RefreshKey,
    /// Hashes sign-in codes.
    pub codes: CodeKey,
    /// Makes the tokens that end a session from a mail.
    pub disown: DisownKey,
    /// Seals what waits in the outbox.
    pub outbox: Arc<dyn Sealing>,
    /// Seals the secrets of authenticators.
    pub authenticators: Arc<dyn Sealing>,
    /// Makes the passkeys of accounts that do not exist.
    pub decoys: DecoyKey,
}

/// The service. Its methods are the use cases, each in a file named after it.
pub struct IdentSphere {
    store: WatchedStore,
    pub(crate) hasher: Arc<dyn PasswordHasher>,
    pub(crate) vault: Arc<dyn KeyVault>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn SecureRandom>,
    pub(crate) secrets: Secrets,
    pub(crate) mailer: Arc<dyn Mailer>,
    pub(crate) signatures: Arc<dyn SignatureVerifier>,
    pub(crate) blobs: Arc<dyn BlobStore>,
    pub(crate) pictures: Arc<dyn PictureMaker>,
    pub(crate) policy: Policy,
    pub(crate) tokens: AccessTokens,
    pub(crate) recent: Arc<RecentPrincipals>,
    /// Notified when something may have been posted.
    pub(crate) mail: Arc<Notify>,
    /// How many entries of the outbox waited a while ago.
    pub(crate) waiting: AtomicU64,
    pub(crate) clock_watch: ClockWatch,
    authorizer: Authorizer,
}

impl IdentSphere {
    /// The service on these ports. Call [`prepare`](Self::prepare) before the first request.
    pub fn new(ports: Ports, policy: Policy) -> Self {
        let Ports { store, hasher, vault, clock, random, secrets, mailer, signatures, blobs, pictures } =
            ports;
        let recent = Arc::new(RecentPrincipals::new());
        let mail = Arc::new(Notify::new());
        let ring = KeyRing::new(vault.clone());
        let tokens =
            AccessTokens::new(ring, policy.issuer.clone(), policy.audience.clone(), policy.access_ttl);
        let authorizer = Authorizer::new(policy.rbac.clone());
        Self {
            store: WatchedStore::new(store, recent.clone(), mail.clone()),
            hasher,
            vault,
            clock,
            random,
            secrets,
            mailer,
            signatures,
            blobs,
            pictures,
            policy,
            tokens,
            recent,
            mail,
            waiting: AtomicU64::new(0),
            clock_watch: ClockWatch::default(),
            authorizer,
        }
    }

    /// What the operator decided.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// What roles may do.
    pub fn authorizer(&self) -> &Authorizer {
        &self.authorizer
    }

    /// The clock that everything here goes by.
    pub fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    /// The source of every secret made here.
    pub fn random(&self) -> &dyn SecureRandom {
        &*self.random
    }

    /// Where everything is kept.
    pub fn store(&self) -> &WatchedStore {
        &self.store
    }

    /// The key set to publish.
    pub fn published_keys(&self) -> Arc<PublishedKeys> {
        self.tokens.ring().published()
    }

    /// Whether requests can be served: the store takes writes, its clock and this node's agree, its schema is up to
    /// date, and a key signs.
    ///
    /// # Errors
    /// [`Error::Overloaded`] with the reason.
    pub async fn ready(&self) -> Result<(), Error> {
        let not_ready =
            |why: &str| Error::Overloaded { retry_after: Duration::from_secs(1), source: why.into() };
        let drift = self.clock_drift().await?;
        if drift > Policy::MAX_CLOCK_DRIFT {
            let why = format!("the clocks of this node and of the store differ by {} s", drift.as_secs());
            return Err(not_ready(&why));
        }
        let schema = self.store().schema_state().await?;
        if !schema.pending.is_empty() {
            return Err(not_ready("migrations are pending"));
        }
        if self.tokens.ring().current(self.now()).is_none() {
            return Err(not_ready("no signing key is active"));
        }
        Ok(())
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }
}
