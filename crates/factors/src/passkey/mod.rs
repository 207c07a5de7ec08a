//! Passkeys: the relying party of WebAuthn Level 3.
//!
//! A ceremony begins with options ([`RelyingParty::creation_options`], [`RelyingParty::request_options`]), goes through
//! the browser and an authenticator, and ends with an answer that is verified here ([`RelyingParty::verify_registration`],
//! [`RelyingParty::verify_assertion`]). Every numbered step of WebAuthn §7.1 and §7.2 is cited where it is checked.
//!
//! Everything that strangers write is read by parsers of our own: the JSON, because ready-made types refuse members that
//! the specification allows; the CBOR (`cbor.rs`, 200 lines), because the libraries at hand read indefinite lengths, tags
//! and integers in any size, and authenticators must write none of them. Signatures are a port ([`SignatureVerifier`]),
//! so that this crate needs no cryptographic library.
//!
//! Deliberately absent:
//! 1. Trust in attestation. None is asked for; a statement that comes nevertheless must be well-formed and counts for nothing.
//! 2. Extensions. None is asked for; outputs are ignored.
//! 3. Ceremonies inside frames of other origins.
//! 4. The challenge anywhere but inside the signed client data.
//!
//! To take another algorithm, add it to [`Algorithm`], its numbers to [`KeyMaterial`]; the compiler names the rest.

mod aaguid;
mod authenticator_data;
mod begun;
mod cbor;
mod client_data;
mod cose;
mod decoys;
mod options;
mod record;
mod relying_party;
mod response;
mod values;
mod verify;

pub use aaguid::Aaguid;
pub use authenticator_data::{AttestedCredential, AuthenticatorData, Flags};
pub use begun::{BegunCeremony, CeremonyKind};
pub use cose::{Algorithm, CoseKey, KeyError, KeyMaterial};
pub use decoys::DecoyKey;
pub use options::{CreationOptions, CredentialDescriptor, NewOwner, RequestOptions, UserVerification};
pub use record::{MOST_PASSKEYS, NewCredential, Passkey};
pub use relying_party::{RelyingParty, RelyingPartyError};
pub use response::{AuthenticationResponse, RegistrationResponse};
pub use values::{Challenge, CredentialId, Transports, UserHandle};
pub use verify::{Assertion, AuthenticationCeremony, RegistrationCeremony};

/// Checks keys and signatures.
///
/// An adapter MUST answer `false` to whatever its library refuses, and never panic: both the key and the signature come
/// from strangers.
pub trait SignatureVerifier: Send + Sync + 'static {
    /// Whether the numbers make a key: a point on its curve and not at infinity, for Ed25519 none of small order.
    fn is_sound(&self, key: &CoseKey) -> bool;

    /// Whether `signature` is one of `message` by the owner of `key`, in the form of WebAuthn §6.5.5: DER for ECDSA,
    /// 64 bytes for Ed25519, PKCS #1 v1.5 with SHA-256 for RSA.
    fn verify(&self, key: &CoseKey, message: &[u8], signature: &[u8]) -> bool;
}

/// Why an answer is refused: the first step that failed. What of it the public may know is decided above.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasskeyError {
    /// A part is not what its format says.
    #[error("{0} is malformed")]
    Malformed(&'static str),
    /// The client data is of another ceremony.
    #[error("the answer belongs to another kind of ceremony")]
    Type,
    /// Another challenge was signed.
    #[error("the answer is to another challenge")]
    Challenge,
    /// The answer comes from a page that is not ours.
    #[error("the answer comes from an unexpected origin")]
    Origin,
    /// The answer comes from inside a page that is not ours.
    #[error("the answer comes from an embedded page")]
    CrossOrigin,
    /// The answer was made for somebody else.
    #[error("the answer is for another relying party")]
    RelyingParty,
    /// Nobody was there.
    #[error("the authenticator found nobody present")]
    NotPresent,
    /// The person was not verified, and had to be.
    #[error("the authenticator did not verify the user")]
    NotVerified,
    /// Backed up without being eligible, or eligibility changed.
    #[error("the backup flags contradict each other or the registration")]
    BackupFlags,
    /// The id is too short, too long, told twice differently, or not the passkey's.
    #[error("the credential id is not acceptable")]
    CredentialId,
    /// The key is not one that we take.
    #[error("the public key is not acceptable")]
    Key(#[source] KeyError),
    /// A credential that was not asked for.
    #[error("the credential was not among the allowed ones")]
    NotAllowed,
    /// The passkey is not of the user whom the ceremony is for, or does not say whose it is.
    #[error("the passkey belongs to another user")]
    Owner,
    /// The signature is wrong.
    #[error("the signature is wrong")]
    Signature,
    /// The counter did not rise: there may be a copy of the key.
    #[error("the signature counter is {presented} after {stored}")]
    Counter {
        /// The counter of the last use.
        stored: u32,
        /// The counter of this use.
        presented: u32,
    },
}
