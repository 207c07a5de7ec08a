//! What has to be done from time to time: keys follow their schedule, ended rows are swept.

use identsphere_audit::{Actor, AuditAction, AuditEvent};
use identsphere_kernel::Duration;
use identsphere_sessions::ClientInfo;
use identsphere_tokens::{KeyChain, KeyId, KeyStage, KeyStep, SigningKey};

use crate::clock_watch::CLOCK_INTERVAL;
use crate::events::Resource;
use crate::{Error, IdentSphere};

/// How often a node looks for keys that another one has made or deleted. A key is published for much longer than that before
/// it signs, so every node knows it in time; and a key that was [discarded](IdentSphere::discard_keys) is accepted by no node
/// for longer than a session that was ended on another one.
pub const KEY_INTERVAL: Duration = Duration::from_secs(1);
/// How often ended rows are swept.
pub const SWEEP_INTERVAL: Duration = Duration::from_secs(60);
/// The most rows of one kind that one statement deletes, so that it never holds locks for long.
const SWEEP_BATCH: u32 = 1_000;
/// How long an ended session stays for questions after the fact.
const KEEP_ENDED: Duration = Duration::from_secs(7 * 86_400);
/// How long a browser stays known after its last sign-in: as long as its cookie.
const KEEP_BROWSERS: Duration = Duration::from_secs(400 * 86_400);

impl IdentSphere {
    /// Makes the service ready: opens the keys and makes the first one if there is none, unless this node's clock is
    /// [known](Self::watch_clock) to be wrong. The schema must be up to date.
    ///
    /// # Errors
    /// [`Error::Internal`] when a stored key does not open under the master key.
    pub async fn prepare(&self) -> Result<(), Error> {
        self.keep_keys().await
    }

    /// Runs the upkeep until dropped. Faults are logged and tried again.
    pub async fn run_upkeep(&self) {
        tokio::join!(self.run_clock_watch(), self.run_chores());
    }

    async fn run_clock_watch(&self) {
        let mut turns = tokio::time::interval(CLOCK_INTERVAL);
        loop {
            turns.tick().await;
            // A store that is away is told of by those who need it.
            let _ = self.watch_clock().await;
        }
    }

    async fn run_chores(&self) {
        let mut keys = tokio::time::interval(KEY_INTERVAL);
        let mut sweeps = tokio::time::interval(SWEEP_INTERVAL);
        loop {
            let done = tokio::select! {
                _ = keys.tick() => self.keep_keys().await,
                _ = sweeps.tick() => if self.clock_watch.is_off() { Ok(()) } else { self.sweep().await },
            };
            if let Err(error) = done {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "upkeep failed and will be tried again"
                );
            }
        }
    }

    /// Reads the keys anew, adds the one that the schedule asks for, and deletes those that have expired. By a clock that
    /// is wrong it opens what is there, if nothing is open yet, and goes no further.
    ///
    /// # Errors
    /// [`Error::Overloaded`] when the store is away, [`Error::Internal`] when a key does not open.
    pub async fn keep_keys(&self) -> Result<(), Error> {
        let chain = self.read_chain().await?;
        if self.clock_watch.is_off() {
            return if self.tokens.ring().is_empty() { self.load_keys(&chain) } else { Ok(()) };
        }
        // Before a key is made, which takes a while: one that was discarded is not to be accepted meanwhile.
        self.load_keys(&chain)?;
        let step = chain.step(self.now(), &self.policy.keys);
        if step == KeyStep::Rest {
            return self.delete_expired_keys(&chain).await;
        }
        self.add_key(step).await?;
        let chain = self.read_chain().await?;
        self.load_keys(&chain)?;
        self.delete_expired_keys(&chain).await
    }

    /// Publishes a new key that signs after `publish_ahead`; its id. `None` when one is waiting already.
    ///
    /// # Errors
    /// [`Error::Overloaded`] when the store is away.
    pub async fn rotate_keys(&self, publish_ahead: Duration) -> Result<Option<KeyId>, Error> {
        self.demand_clock()?;
        let chain = self.read_chain().await?;
        let Some(step) = chain.rotate(self.now(), publish_ahead) else { return Ok(None) };
        let added = self.add_key(step).await?;
        self.load_keys(&self.read_chain().await?)?;
        Ok(added)
    }

    /// Deletes every key, so that no access token that was issued stays valid; how many there were. Nodes that run hear of it
    /// at their next upkeep ([`KEY_INTERVAL`]), sign nothing until one of them has made another key, and go on with that.
    ///
    /// # Errors
    /// [`Error::Overloaded`] when the store is away: no key was deleted.
    pub async fn discard_keys(&self) -> Result<usize, Error> {
        let keys = self.store().list_signing_keys().await?;
        let mut tx = self.store().begin().await?;
        for key in &keys {
            tx.keys().delete(&key.kid).await?;
            tx.audit().append(&self.keys_rotated(&key.kid).with("discarded", true)).await?;
        }
        tx.commit().await?;
        Ok(keys.len())
    }

    /// Deletes every row that nothing can need any more, in bounded batches, so that no rate of sign-ins outgrows it.
    ///
    /// # Errors
    /// [`Error::Overloaded`] when the store is away.
    pub async fn sweep(&self) -> Result<(), Error> {
        let (now, batch) = (self.now(), u64::from(SWEEP_BATCH));
        let mut full = true;
        while full {
            let sessions = self.store().sweep_sessions(now.minus(KEEP_ENDED), SWEEP_BATCH).await?;
            let limits = self.store().sweep_limits(now, SWEEP_BATCH).await?;
            let proofs = self.store().sweep_proofs(now, SWEEP_BATCH).await?;
            let pending = self.store().sweep_pending(now, SWEEP_BATCH).await?;
            let trusted = self.store().sweep_trusted(now, SWEEP_BATCH).await?;
            let ceremonies = self.store().sweep_ceremonies(now, SWEEP_BATCH).await?;
            let browsers = self.store().sweep_browsers(now.minus(KEEP_BROWSERS), SWEEP_BATCH).await?;
            let counts = [sessions, limits, proofs, pending, trusted, ceremonies, browsers];
            if counts.iter().any(|count| *count > 0) {
                tracing::debug!(
                    sessions,
                    limits,
                    proofs,
                    pending,
                    trusted,
                    ceremonies,
                    browsers,
                    "swept ended rows"
                );
            }
            full = counts.into_iter().any(|count| count >= batch);
        }
        self.count_outbox().await
    }

    async fn read_chain(&self) -> Result<KeyChain, Error> {
        Ok(KeyChain::new(self.store().list_signing_keys().await?))
    }

    fn load_keys(&self, chain: &KeyChain) -> Result<(), Error> {
        if self.tokens.ring().load(chain, self.now(), &self.policy.keys)? {
            self.tokens.forget_verified();
        }
        Ok(())
    }

    /// Adds a key; `None` when another node was faster, whose key then is as good.
    async fn add_key(&self, step: KeyStep) -> Result<Option<KeyId>, Error> {
        let KeyStep::Add { predecessor, activates_at } = step else { return Ok(None) };
        let vault = self.vault.clone();
        let made = tokio::task::spawn_blocking(move || vault.generate()).await.map_err(Error::internal)??;
        let now = self.now();
        let activates_at = activates_at.max(now);
        let key = SigningKey {
            kid: made.kid,
            public: made.public,
            private: made.private,
            predecessor,
            created_at: now,
            activates_at,
        };
        let event = self.keys_rotated(&key.kid).with("activates_at", activates_at.to_rfc3339());
        let written = async {
            let mut tx = self.store().begin().await?;
            tx.keys().insert(&key).await?;
            tx.audit().append(&event).await?;
            tx.commit().await
        };
        match written.await {
            Ok(()) => {
                tracing::info!(kid = %key.kid, activates_at = %activates_at, "published a new signing key");
                Ok(Some(key.kid))
            }
            Err(error) if error.is_conflict("signing_keys_predecessor_key") => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn keys_rotated(&self, kid: &KeyId) -> AuditEvent {
        let key = Resource::SigningKey(kid.as_str());
        self.event(AuditAction::KeysRotated, Actor::System, &key, &ClientInfo::default())
    }

    async fn delete_expired_keys(&self, chain: &KeyChain) -> Result<(), Error> {
        let expired =
            |(key, stage): (&SigningKey, KeyStage)| (stage == KeyStage::Expired).then(|| key.kid.clone());
        let expired: Vec<KeyId> = chain.stages(self.now(), &self.policy.keys).filter_map(expired).collect();
        if expired.is_empty() {
            return Ok(());
        }
        let mut tx = self.store().begin().await?;
        for kid in &expired {
            tx.keys().delete(kid).await?;
        }
        Ok(tx.commit().await?)
    }
}
