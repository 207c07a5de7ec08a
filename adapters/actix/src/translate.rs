//! Requests into heads and bodies, replies into responses.

use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse};
use identsphere_http::{Body, Head, Reply};

pub(crate) fn head(request: &HttpRequest) -> Head<'_> {
    let uri = request.uri();
    let peer = request.peer_addr().map(|address| address.ip());
    let mut head = Head::new(request.method().as_str(), uri.path(), uri.query(), peer);
    for (name, value) in request.headers() {
        head.field(name.as_str(), value.as_bytes());
    }
    head
}

pub(crate) async fn body(payload: Payload, limit: usize) -> Body {
    match payload.to_bytes_limited(limit).await {
        Ok(Ok(body)) => Body::Complete(body),
        Ok(Err(_)) => Body::Broken,
        Err(_) => Body::TooLarge,
    }
}

pub(crate) fn response(reply: &Reply) -> HttpResponse {
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = HttpResponse::with_body(status, reply.body.clone());
    for (name, value) in &reply.headers {
        if let Ok(value) = HeaderValue::from_maybe_shared(value.clone()) {
            response.headers_mut().append(HeaderName::from_static(name), value);
        }
    }
    response.map_into_boxed_body()
}
