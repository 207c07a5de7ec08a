//! Pages for people, which a browser shows. The links in mails lead to all of them but the account.

use super::READ;
use crate::handlers::pages;
use crate::table::{Content, PAGES, Route, Success};

/// The columns that all of them share: opening a page changes nothing.
const PAGE: Route = Route {
    chapter: PAGES,
    success: Success { status: 200, description: "The page", content: Content::Html },
    ..READ
};

pub(super) const ACCOUNT: Route = Route {
    operation: "showAccount",
    summary: "Sign up, sign in, and the account",
    description: "For trying out and for services without pages of their own.",
    handler: |app, call| Box::pin(pages::account(app, call)),
    ..PAGE
};

pub(super) const VERIFY_EMAIL: Route = Route {
    operation: "showVerifyEmail",
    summary: "Where a link to confirm an address leads",
    description: "Its script reads `token` from the address. The address is confirmed by a button, not by opening this.",
    handler: |app, call| Box::pin(pages::verify_email(app, call)),
    ..PAGE
};

pub(super) const RESET_PASSWORD: Route = Route {
    operation: "showResetPassword",
    summary: "Where a link to choose another password leads",
    description: "Its script reads `token` from the address.",
    handler: |app, call| Box::pin(pages::reset_password(app, call)),
    ..PAGE
};

pub(super) const NOT_ME: Route = Route {
    operation: "showNotMe",
    summary: "Where a link to end a foreign session leads",
    description: "Its script reads `token` from the address. The session is ended by a button, not by opening this.",
    handler: |app, call| Box::pin(pages::not_me(app, call)),
    ..PAGE
};
