//! Requests into heads and bodies, replies into responses.

use std::net::SocketAddr;
use std::time::Duration;

use axum::body::{BodyDataStream, HttpBody as _};
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

/// The most of an unwanted body that is read so that its sender gets to see the answer.
const MAX_DISCARDED: usize = 32 * 1_024 * 1_024;
/// How long that may take.
const DISCARD_TIMEOUT: Duration = Duration::from_secs(5);

pub(crate) async fn body(chunks: &mut BodyDataStream, limit: usize) -> Body {
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

/// Reads on, beside the answer, what a client still sends: to close on it would reset the connection, and a client that
/// is busy sending would never see why it was refused (RFC 9112 §9.6).
pub(crate) fn discard(mut rest: BodyDataStream) {
    if rest.is_end_stream() {
        return;
    }
    tokio::spawn(tokio::time::timeout(DISCARD_TIMEOUT, async move {
        let mut discarded = 0;
        while let Some(Ok(chunk)) = rest.next().await {
            discarded += chunk.len();
            if discarded > MAX_DISCARDED {
                break;
            }
        }
    }));
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
