//! Signing keys, where they are kept, and who signs with them.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use identsphere_kernel::{StoreError, Timestamp};

/// A key's id: its RFC 7638 thumbprint.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(String);

impl KeyId {
    /// The id with this text.
    pub fn new(kid: impl Into<String>) -> Self {
        Self(kid.into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An RSA public key: modulus and exponent, big-endian without leading zeros (RFC 7518 §6.3.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    /// The modulus.
    pub n: Vec<u8>,
    /// The exponent.
    pub e: Vec<u8>,
}

/// A private key sealed under the master key, bound to its key id.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedKey(pub Vec<u8>);

impl fmt::Debug for SealedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealedKey(..)")
    }
}

/// A signing key as the store keeps it. Keys form a chain: each names the one it replaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigningKey {
    /// The key's id.
    pub kid: KeyId,
    /// The public half.
    pub public: PublicKey,
    /// The private half, sealed.
    pub private: SealedKey,
    /// The key that this one replaces; `None` for the first.
    pub predecessor: Option<KeyId>,
    /// From when it has been published.
    pub created_at: Timestamp,
    /// From when it signs.
    pub activates_at: Timestamp,
}

/// A freshly made key.
#[derive(Debug, Clone)]
pub struct GeneratedKey {
    /// The key's id.
    pub kid: KeyId,
    /// The public half.
    pub public: PublicKey,
    /// The private half, sealed.
    pub private: SealedKey,
}

/// Look-ups of keys. One statement.
#[async_trait]
pub trait KeyStore: Send + Sync {
    /// Every key, oldest `created_at` first.
    async fn list_signing_keys(&self) -> Result<Vec<SigningKey>, StoreError>;
}

/// Changes to keys, inside a transaction.
#[async_trait]
pub trait KeyRepo: Send {
    /// Adds a key to the chain. Of several nodes that replace the same key (or make the first one) at once, one
    /// succeeds. Conflict: `signing_keys_predecessor_key` (the predecessor has a successor), `signing_keys_pkey`.
    async fn insert(&mut self, key: &SigningKey) -> Result<(), StoreError>;

    /// Deletes a key; false when it was gone already.
    async fn delete(&mut self, kid: &KeyId) -> Result<bool, StoreError>;
}

/// Why a key could not be made, opened or used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The sealed key does not open: another master key, or another row's seal.
    #[error("key {kid} does not open under this master key")]
    Sealed {
        /// Which key.
        kid: KeyId,
        /// What the seal says.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The id, the public half and the private half are not of one key.
    #[error("the parts of key {kid} do not belong together")]
    MixedUp {
        /// Which key.
        kid: KeyId,
    },
    /// The cryptographic library refused.
    #[error("the cryptographic library refused")]
    Library(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Signs with one private key, kept ready.
pub trait TokenSigner: Send + Sync {
    /// The RS256 signature (RFC 7518 §3.3) of `message`. Takes about a third of a millisecond with 2048 bits.
    ///
    /// # Errors
    /// [`KeyError::Library`].
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError>;
}

/// Verifies with one public key, kept ready.
pub trait TokenVerifier: Send + Sync {
    /// Whether `signature` is this key's RS256 signature of `message`.
    fn verify(&self, message: &[u8], signature: &[u8]) -> bool;
}

/// Makes keys and opens sealed ones.
pub trait KeyVault: Send + Sync {
    /// Makes a key pair. Takes a good part of a second: call it off the asynchronous threads.
    ///
    /// # Errors
    /// [`KeyError::Library`].
    fn generate(&self) -> Result<GeneratedKey, KeyError>;

    /// Opens the private half, and makes sure that it belongs to the public half and the id.
    ///
    /// # Errors
    /// [`KeyError::Sealed`] when the master key is another one, [`KeyError::MixedUp`] when the row was tampered with.
    fn signer(&self, key: &SigningKey) -> Result<Arc<dyn TokenSigner>, KeyError>;

    /// Prepares the public half.
    ///
    /// # Errors
    /// [`KeyError::Library`].
    fn verifier(&self, key: &PublicKey) -> Result<Arc<dyn TokenVerifier>, KeyError>;
}
