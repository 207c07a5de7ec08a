//! Users and their passwords.
//!
//! This crate decides what a user and an acceptable password are and owns the ports through which users are
//! kept. It must never hash, never know a session, never speak HTTP.
//!
//! To add a fact about a user: add the field to [`User`] if session checks or sign-ins need it, else to [`Profile`]; the column to both migrations, and the field to the
//! round-trip case of the store contract, which then fails for every adapter that forgot it.

mod password;
mod ports;
mod profile;
mod proof;
mod standing;
mod user;

pub use password::{Password, PasswordError, PasswordHash};
pub use ports::{MailboxProof, ProofRepo, ProofStore, UserRepo};
pub use profile::{
    AvatarName, Bio, Edit, JobTitle, PhoneNumber, PictureFormat, Preferences, PreferencesError, Profile,
    ProfileChange, ReplacedAvatar, tombstone,
};
pub use proof::{CodeChallenge, CodeKey, EmailVerification, PasswordReset, SignInCode, VerificationKind};
pub use standing::Standing;
pub use user::{DisplayName, FieldError, User, UserStatus};
