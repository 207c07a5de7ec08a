//! The signing keys of this node, opened and ready.

use std::sync::Arc;

use arc_swap::ArcSwap;
use identsphere_kernel::{Timestamp, TokenHash};
use identsphere_tokens::{
    KeyChain, KeyError, KeyId, KeyPolicy, KeyStage, KeyVault, SigningKey, TokenSigner, TokenVerifier,
    header_segment, jwk_set,
};

/// The key set as it is published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedKeys {
    /// The JWK set as JSON.
    pub jwks: String,
    /// A strong entity tag of it, with quotes (RFC 9110 §8.8.3).
    pub etag: String,
}

impl PublishedKeys {
    fn of<'a>(keys: impl IntoIterator<Item = &'a SigningKey>) -> Self {
        let jwks = jwk_set(keys).to_string();
        let tag: String =
            TokenHash::of(jwks.as_bytes()).as_bytes().iter().take(12).map(|b| format!("{b:02x}")).collect();
        Self { jwks, etag: format!("\"{tag}\"") }
    }
}

/// One key, opened.
#[derive(Clone)]
pub(crate) struct OpenKey {
    kid: KeyId,
    activates_at: Timestamp,
    /// The first segment of every token signed with it.
    pub header: Arc<str>,
    /// Signs.
    pub signer: Arc<dyn TokenSigner>,
    /// Verifies.
    pub verifier: Arc<dyn TokenVerifier>,
}

struct Loaded {
    keys: Vec<OpenKey>,
    published: Arc<PublishedKeys>,
}

/// The signing keys of this node. Keys are opened once and kept; readers never wait.
pub(crate) struct KeyRing {
    vault: Arc<dyn KeyVault>,
    loaded: ArcSwap<Loaded>,
}

impl KeyRing {
    /// A ring without keys.
    pub(crate) fn new(vault: Arc<dyn KeyVault>) -> Self {
        let published = Arc::new(PublishedKeys::of([]));
        Self { vault, loaded: ArcSwap::from_pointee(Loaded { keys: vec![], published }) }
    }

    /// Takes over the keys of `chain` that have not expired; true when a key that was accepted no longer is.
    ///
    /// # Errors
    /// [`KeyError`] when a key does not open; the ring then stays as it was.
    pub(crate) fn load(
        &self,
        chain: &KeyChain,
        now: Timestamp,
        policy: &KeyPolicy,
    ) -> Result<bool, KeyError> {
        let before = self.loaded.load();
        let live: Vec<&SigningKey> = chain
            .stages(now, policy)
            .filter(|(_, stage)| *stage != KeyStage::Expired)
            .map(|(key, _)| key)
            .collect();
        let open = |key: &&SigningKey| match before.keys.iter().find(|known| known.kid == key.kid) {
            Some(known) => Ok(known.clone()),
            None => self.open(key),
        };
        let keys = live.iter().map(open).collect::<Result<Vec<_>, _>>()?;
        let dropped = before.keys.iter().any(|known| keys.iter().all(|key| key.kid != known.kid));
        let published = PublishedKeys::of(live);
        let published =
            if *before.published == published { before.published.clone() } else { Arc::new(published) };
        self.loaded.store(Arc::new(Loaded { keys, published }));
        Ok(dropped)
    }

    /// Whether no key is open.
    pub(crate) fn is_empty(&self) -> bool {
        self.loaded.load().keys.is_empty()
    }

    /// The key that signs at `now`.
    pub(crate) fn current(&self, now: Timestamp) -> Option<OpenKey> {
        self.loaded.load().keys.iter().rev().find(|key| key.activates_at <= now).cloned()
    }

    /// The key whose tokens begin with this segment.
    pub(crate) fn by_header(&self, header: &str) -> Option<OpenKey> {
        self.loaded.load().keys.iter().find(|key| *key.header == *header).cloned()
    }

    /// The key set to publish.
    pub(crate) fn published(&self) -> Arc<PublishedKeys> {
        self.loaded.load().published.clone()
    }

    fn open(&self, key: &SigningKey) -> Result<OpenKey, KeyError> {
        Ok(OpenKey {
            kid: key.kid.clone(),
            activates_at: key.activates_at,
            header: header_segment(&key.kid).into(),
            signer: self.vault.signer(key)?,
            verifier: self.vault.verifier(&key.public)?,
        })
    }
}
