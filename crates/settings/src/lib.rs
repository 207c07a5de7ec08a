//! Typed settings: defaults, then a TOML file, then the environment, then flags, each winning over the one before.
//!
//! Everything comes in as values: this crate never reads the environment, a file or the machine itself, so that a test
//! can be any machine it likes. [`load`] answers with [`Loaded`] or with **every** fault at once, each with the name
//! as the operator wrote it, the value (unless it is a secret), the rule, and the nearest value that would pass.
//!
//! To add a setting, add one row to the table in `registry`; the compiler then asks for its place in [`Settings`], and
//! a test asks for the regenerated `docs/settings.md`. Invariants:
//!
//! 1. A secret is never a flag, never printed, never part of a fault.
//! 2. A value that is set but has no effect in this version is said to have none, never silently dropped.
//! 3. Only the winning value of a setting is judged; a name is judged wherever it stands.

mod distance;
mod fault;
mod load;
mod origin;
mod passkey_origin;
mod passkeys;
mod reference;
mod registry;
mod resolve;
mod rules;
mod settings;
mod sources;
mod store_location;
#[cfg(test)]
mod tests;

pub use fault::{Fault, Faults};
pub use load::{Check, EffectiveValue, Loaded, load};
pub use origin::Origin;
pub use passkey_origin::PasskeyOrigin;
pub use reference::reference;
pub use registry::{PREFIX, SETTINGS, Setting};
pub use rules::Rejection;
pub use settings::{
    CookieSettings, KeySettings, LogFormat, MailSettings, PasskeySettings, PasswordSettings, SameSite,
    Settings, StoreSettings, TokenSettings,
};
pub use sources::{ReadFile, Source, Sources};
pub use store_location::StoreLocation;
