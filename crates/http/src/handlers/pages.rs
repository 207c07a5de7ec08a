//! Pages for people. What a request says has no influence on them but for their language.

use bytes::Bytes;
use identsphere_core::Language;

use crate::app::App;
use crate::call::Call;
use crate::failure::Failure;
use crate::pages::Translation;
use crate::reply::Reply;

pub(crate) async fn account(app: &App, call: &Call<'_>) -> Result<Reply, Failure> {
    Ok(page(app, call, |pages| &pages.account))
}

pub(crate) async fn verify_email(app: &App, call: &Call<'_>) -> Result<Reply, Failure> {
    Ok(page(app, call, |pages| &pages.verify_email))
}

pub(crate) async fn reset_password(app: &App, call: &Call<'_>) -> Result<Reply, Failure> {
    Ok(page(app, call, |pages| &pages.reset_password))
}

pub(crate) async fn not_me(app: &App, call: &Call<'_>) -> Result<Reply, Failure> {
    Ok(page(app, call, |pages| &pages.not_me))
}

fn page(app: &App, call: &Call<'_>, which: impl FnOnce(&Translation) -> &Bytes) -> Reply {
    let pages = app.pages();
    let translation = pages.translation(Language::accepted(call.head.accept_language));
    Reply::document(200, "text/html; charset=utf-8", which(translation).clone())
        .with_value("content-security-policy", pages.content_security_policy.clone())
        .with("cross-origin-opener-policy", "same-origin")
}
