//! What tests need everywhere: a clock that is set by hand, repeatable randomness, valid records, a PostgreSQL server to
//! break, a balancer over several nodes, a proxy that breaks connections, a mail server that behaves as told, a
//! certificate authority, an authenticator app, and (feature `passkeys`) a browser with an authenticator.

mod authority;
mod balancer;
pub mod builders;
mod clock;
mod code_app;
pub mod factor_records;
mod fault_proxy;
mod mailbox;
mod mailbox_records;
mod postgres;
mod proxy;
mod random;
mod smtp_sink;
#[cfg(feature = "passkeys")]
mod soft_authenticator;

pub use authority::{Authority, ServerIdentity};
pub use balancer::Balancer;
pub use builders::{Account, World};
pub use clock::ManualClock;
pub use code_app::CodeApp;
pub use fault_proxy::{Fault, FaultProxy};
pub use mailbox::Mailbox;
pub use postgres::{Durability, PostgresServer, fresh_schema_name};
pub use proxy::Proxy;
pub use random::SeededRandom;
pub use smtp_sink::{Behaviour, Encryption, ReceivedMail, SmtpSink, Stage};
#[cfg(feature = "passkeys")]
pub use soft_authenticator::{SoftAuthenticator, SoftAuthenticatorError};
