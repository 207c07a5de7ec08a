//! Sessions and the refresh tokens that keep them alive.
//!
//! A session is a *family*: it begins at a sign-in, lives until its absolute end or its revocation, and owns one
//! live refresh token, the *leaf*. What may happen to a presented token is a pure decision ([`judge`]); this crate
//! must never read a clock, a store or a request.
//!
//! To add a way to sign in, add a variant to [`AuthMethod`]; the compiler names the places that care.

mod disown;
mod family;
mod pending;
mod ports;
mod refresh;
mod session;
mod trust;

pub use disown::DisownKey;
pub use family::{Leaf, RefreshState, Verdict, judge};
pub use pending::{PendingAttempt, PendingSignIn, RemovedFactor};
pub use ports::{PendingRepo, PendingStore, SessionRepo, SessionStore, TrustRepo, TrustStore};
pub use refresh::{RefreshKey, RefreshToken};
pub use session::{AssuranceLevel, AuthMethod, ClientInfo, RevocationReason, SecondFactor, Session};
pub use trust::{TrustRotation, TrustedBrowser};
