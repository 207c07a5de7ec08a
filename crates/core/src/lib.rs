//! Use cases: the only place where domains meet.
//!
//! [`IdentSphere`] holds the ports and the policy; each verb of the service is a file of its own with one method on
//! it. A use case reads, decides, and writes once: [`Store::begin`], inserts, an audit row, [`Tx::commit`]. Slow work
//! (hashing, signing) never happens inside a transaction. This crate must never know a database, a framework, or
//! the machine it runs on.
//!
//! To add a verb: a file named after it, its method, its audit action, and the port methods it needs with their cases
//! in the store contract.

mod access_tokens;
mod answer;
mod authenticate;
mod authenticator;
mod authorize;
mod avatar;
mod challenge;
mod change_email;
mod change_password;
mod clock_watch;
mod delete_account;
mod directory;
mod disown_session;
mod email_code;
mod end_sessions;
mod error;
mod events;
mod export;
mod export_users;
mod hashing;
pub mod import_format;
mod import_users;
mod issue;
mod key_ring;
mod limits;
mod list_sessions;
mod login;
mod logout;
mod mail;
mod media;
mod outbox;
mod passkey_sign_in;
mod passkeys;
mod policy;
mod post;
mod profile;
mod profile_store;
mod recent;
mod reclaim;
mod refresh;
mod register;
mod register_passkey;
mod reset_password;
mod second_factor;
mod service;
mod sign_in;
mod step_up;
mod store;
mod trusted_browsers;
mod upkeep;
mod verify_email;
mod visitor;
mod watched;

pub use authenticator::{AuthenticatorSetup, MfaStatus};
pub use authorize::Authorizer;
pub use challenge::ChallengeAnswer;
pub use change_email::ChangeEmail;
pub use change_password::{ChangeEnds, ChangePassword};
pub use clock_watch::CLOCK_INTERVAL;
pub use directory::{AccountRecord, DirectoryStore};
pub use email_code::EmailCode;
pub use end_sessions::EndScope;
pub use error::{Error, FieldFault};
pub use export::Export;
pub use export_users::{ExportPage, ExportedPasswords};
pub use hashing::{HashError, HashPlace, PasswordHasher, UnusableHash, Verification};
pub use import_users::{ImportLine, ImportMode, ImportOutcome, ImportReport, ImportRun};
pub use issue::SignedIn;
pub use key_ring::PublishedKeys;
pub use limits::{BucketKey, Quota, RateLimits, Take};
pub use login::Login;
pub use mail::{KeptMail, Language, Mail, MailContent, MailError, MailReader, MailSecret, Mailer};
pub use media::{BlobError, BlobStore, Picture, PictureError, PictureMaker};
pub use outbox::{OutboxEntry, OutboxRepo, OutboxStore, Sealing, Unsealable};
pub use policy::Policy;
pub use profile::UpdateProfile;
pub use profile_store::{HeldSession, ProfileRecord, ProfileStore, UserOrganization};
pub use register::Register;
pub use register_passkey::NewPasskey;
pub use reset_password::ResetPassword;
pub use second_factor::ShownFactor;
pub use service::{IdentSphere, Ports, Secrets};
pub use sign_in::{SecondFactorDue, SignIn, TrustToken};
pub use step_up::{StepUpRule, SteppedUp};
pub use store::{
    PasskeySignIn, Principal, PrincipalStore, RateLimitRepo, RateLimitStore, RefreshRotation, RefreshStore,
    Repositories, Schema, SchemaState, SignInRecord, SignInRepo, Statements, Store, Tx,
};
pub use trusted_browsers::NewlyTrusted;
pub use upkeep::{KEY_INTERVAL, SWEEP_INTERVAL};
pub use visitor::Visitor;
pub use watched::WatchedStore;
