//! Mail: what it looks like and how it leaves.
//!
//! [`Renderer`] writes a [`Mail`](identsphere_core::Mail) out of templates; [`SmtpMailer`] hands it to a mail server,
//! [`DevelopmentOutbox`] keeps it for a person to read, and [`LogMailer`] only says that there was one. This crate must
//! never know a store, HTTP, or why a mail is sent.
//!
//! To add a kind of mail: its variant in core's `MailContent`, its variables and a sample in `content`, and one template
//! a language in `templates`. Invariants:
//!
//! 1. A mail has one recipient, the stored address. Nothing that it says can add a header field or another recipient.
//! 2. Whatever a stranger may have chosen (names, addresses, browsers) is cleaned before it is written.
//! 3. A template that cannot write every sample stops the start, and so does a file that overrides nothing.

mod content;
mod message;
mod outbox;
mod render;
mod smtp;
mod smtp_url;
mod templates;
mod words;

pub use outbox::{DevelopmentOutbox, LogMailer};
pub use render::{RenderError, Rendered, Renderer, Sender};
pub use smtp::{SmtpMailer, SmtpMailerError};
pub use smtp_url::{SmtpUrl, SmtpUrlError};
pub use templates::{TemplateFault, TemplateFaults, Templates};
