//! Cryptography behind the ports: signing keys ([`RsaVault`]), password hashing ([`PasswordPool`]), the signatures of
//! passkeys ([`PasskeySignatures`]), and the keys of the deployment itself ([`MasterKey`], [`Sealer`]).
//!
//! This crate composes vetted libraries and invents no cryptography. It must never know a store, a request, or where
//! the master key comes from. What is deliberately absent:
//!
//! 1. Signing with the `rsa` crate, whose private-key operations leak through timing (RUSTSEC-2023-0071): it makes
//!    keys; OpenSSL, through josekit, signs.
//! 2. Any way to read a key back out of a vault, a sealer or a pool.
//! 3. Hash parameters taken from a stored string before their cost was bounded.
//!
//! To accept the password hashes of another system, add its form to `hasher/stored.rs`, its ceiling beside it, and a
//! hash made by that system to `tests/stored_hashes.rs`. To seal another kind of row, add its [`purpose`].

mod hasher;
mod master_key;
mod passkey;
mod seal;
mod vault;

pub use hasher::{
    FirebaseError, FirebaseProject, HashScheme, PasswordPool, PoolConfig, PoolError, SchemeError,
};
pub use master_key::{MasterKey, MasterKeyError, purpose};
pub use passkey::PasskeySignatures;
pub use seal::{SealError, Sealer};
pub use vault::{RsaSize, RsaVault};
