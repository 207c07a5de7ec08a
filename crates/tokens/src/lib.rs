//! Access tokens (JWT, RFC 7519, signed RS256) and the keys that sign them.
//!
//! The life of a key is a pure decision over the published chain of keys ([`KeyChain`]); signing itself is a port,
//! so that this crate never touches private key material and knows no cryptographic library.

mod chain;
mod claims;
mod jwks;
mod jws;
mod ports;

pub use chain::{KeyChain, KeyPolicy, KeyStage, KeyStep};
pub use claims::{AccessClaims, TokenType};
pub use jwks::{jwk_set, thumbprint};
pub use jws::{MAX_TOKEN_BYTES, Unverified, header_segment, sign};
pub use ports::{
    GeneratedKey, KeyError, KeyId, KeyRepo, KeyStore, KeyVault, PublicKey, SealedKey, SigningKey,
    TokenSigner, TokenVerifier,
};
