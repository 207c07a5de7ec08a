//! Documents that everybody may read: keys, discovery, the API document and its page.

use bytes::Bytes;

use crate::app::App;
use crate::call::Call;
use crate::documents::Document;
use crate::failure::Failure;
use crate::reply::{JSON, Reply};

pub(crate) async fn jwks(app: &App, call: &Call<'_>) -> Result<Reply, Failure> {
    let keys = app.core().published_keys();
    if call.has_current(&keys.etag) {
        return Ok(cacheable(app, Reply::empty(304), keys.etag.clone()));
    }
    let reply = Reply::document(200, JSON, keys.jwks.clone());
    Ok(cacheable(app, reply, keys.etag.clone()))
}

pub(crate) async fn discovery(app: &App, call: &Call<'_>) -> Result<Reply, Failure> {
    Ok(document(app, call, &app.documents().discovery))
}

pub(crate) async fn openapi(app: &App, call: &Call<'_>) -> Result<Reply, Failure> {
    Ok(document(app, call, app.documents().openapi()?))
}

pub(crate) async fn docs(app: &App, call: &Call<'_>) -> Result<Reply, Failure> {
    let page = app.documents().docs();
    let reply = document(app, call, &page.document);
    let reply = reply.with_value("content-security-policy", page.policy.clone());
    Ok(reply.with("cross-origin-opener-policy", "same-origin"))
}

fn document(app: &App, call: &Call<'_>, document: &Document) -> Reply {
    let reply = if call.has_current(&document.etag) {
        Reply::empty(304)
    } else {
        Reply::document(200, document.content_type, document.body.clone())
    };
    cacheable(app, reply, Bytes::from(document.etag.clone()))
}

fn cacheable(app: &App, reply: Reply, etag: impl Into<Bytes>) -> Reply {
    reply.with_value("etag", etag).with_value("cache-control", app.documents().cache_control.clone())
}
