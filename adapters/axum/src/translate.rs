//! Requests into heads and bodies, replies into responses.

use std::net::SocketAddr;

use axum::extract::ConnectInfo;
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use identsphere_http::{Body, Head, Reply};

pub(crate) fn head(parts: &Parts) -> Head<'_> {
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
    let mut head = Head::new(parts.method.as_str(), parts.uri.path(), parts.uri.query(), peer);
    for (name, value) in &parts.headers {
        head.field(name.as_str(), value.as_bytes());
    }
    head
}

pub(crate) async fn body(body: axum::body::Body, limit: usize) -> Body {
    let mut chunks = body.into_data_stream();
    let mut whole = Bytes::new();
    while let Some(chunk) = chunks.next().await {
        let Ok(chunk) = chunk else { return Body::Broken };
        if whole.len() + chunk.len() > limit {
            return Body::TooLarge;
        }
        whole = append(whole, chunk);
    }
    Body::Complete(whole)
}

/// Both parts in one; nothing is copied while there is only one.
fn append(whole: Bytes, chunk: Bytes) -> Bytes {
    if whole.is_empty() {
        return chunk;
    }
    let mut joined = whole.try_into_mut().unwrap_or_else(|shared| BytesMut::from(&*shared));
    joined.extend_from_slice(&chunk);
    joined.freeze()
}

pub(crate) fn response(reply: Reply) -> Response {
    let mut response = Response::new(axum::body::Body::from(reply.body));
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().reserve(reply.headers.len());
    for (name, value) in reply.headers {
        if let Ok(value) = HeaderValue::from_maybe_shared(value) {
            response.headers_mut().append(HeaderName::from_static(name), value);
        }
    }
    response
}
