//! The HTTP contract, without a framework.
//!
//! [`ENDPOINTS`] is the table of everything that is served. [`App::answer`] takes the head of a request ([`Head`]) and a
//! way to read its body, runs the guards in one order, calls the handler that the table names, and gives back a
//! [`Reply`]. An adapter for a framework loops over the table, registers the paths, and translates in and out. This
//! crate must never know a framework, a socket, or a database.
//!
//! To add an endpoint: its wire types in `wire`, its handler in `handlers` (decode, one use case, encode), and its line
//! in `routes`. Guards, the API document, the documentation page and the tests follow from the line.

mod app;
mod call;
mod config;
mod cookies;
mod csrf;
mod decode;
mod dispatch;
mod docs;
mod documents;
mod failure;
mod forwarded;
mod guards;
mod handlers;
mod head;
mod metrics;
mod multipart;
mod names;
mod now_and_then;
mod openapi;
mod origins;
mod outbox;
mod pages;
mod reply;
mod routes;
mod table;
mod wire;
mod wire_export;
mod wire_profile;

pub use app::{App, AppError};
pub use call::Body;
pub use config::{Drain, HttpConfig};
pub use cookies::{CookieError, CookieSettings, SameSite, Transport};
pub use dispatch::Requirement;
pub use head::Head;
pub use identsphere_core::{Principal, StepUpRule};
pub use identsphere_organizations::Permission;
pub use openapi::document as openapi_document;
pub use origins::{Origin, OriginError};
pub use reply::Reply;
pub use routes::ENDPOINTS;
pub use table::{
    AuthRule, BEAT, BodyRule, CacheRule, Content, CsrfRule, Endpoint, Limit, Method, Pace, QueryParameter,
    RateClass, Route, Shape, Success,
};
