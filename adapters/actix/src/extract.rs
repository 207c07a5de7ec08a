//! Who is signed in, for the handlers of a host application.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::{FromRequest, HttpMessage as _, HttpRequest, HttpResponse, ResponseError};
use identsphere_http::{App, Principal, Reply, Requirement};
use identsphere_kernel::ErrorCode;

use crate::translate;

/// Somebody with a live session: user, session and present role, read from the store. A request without a valid
/// credential is refused in the envelope, and so is a write that is authenticated by cookie without the CSRF header.
#[derive(Debug, Clone)]
pub struct AuthSession(pub Principal);

/// As [`AuthSession`], and `None` for whoever is not signed in.
#[derive(Debug, Clone)]
pub struct OptionalAuthSession(pub Option<Principal>);

/// A refusal, with the answer that tells it.
#[derive(Debug)]
pub struct Rejection(Option<Reply>);

impl FromRequest for AuthSession {
    type Error = Rejection;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Rejection>>>>;

    fn from_request(request: &HttpRequest, _payload: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move { admit(&request, None).await.map(Self) })
    }
}

impl FromRequest for OptionalAuthSession {
    type Error = Rejection;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Rejection>>>>;

    fn from_request(request: &HttpRequest, _payload: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            match admit(&request, None).await {
                Ok(principal) => Ok(Self(Some(principal))),
                Err(rejection) if rejection.status_code() == StatusCode::UNAUTHORIZED => Ok(Self(None)),
                Err(rejection) => Err(rejection),
            }
        })
    }
}

/// Who is behind the request; found by a guard before, or now.
pub(crate) async fn admit(
    request: &HttpRequest,
    required: Option<&Requirement>,
) -> Result<Principal, Rejection> {
    let found = request.extensions().get::<AuthSession>().cloned();
    if let (Some(AuthSession(principal)), None) = (found, required) {
        return Ok(principal);
    }
    let app = request.app_data::<App>().ok_or(Rejection(None))?;
    app.admit(&translate::head(request), required).await.map_err(|reply| Rejection(Some(reply)))
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(reply) => write!(f, "refused with status {}", reply.status),
            None => f.write_str("identsphere_actix::mount was not called for this application"),
        }
    }
}

impl ResponseError for Rejection {
    fn status_code(&self) -> StatusCode {
        let status = self.0.as_ref().map_or(ErrorCode::InternalError.status(), |reply| reply.status);
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        match &self.0 {
            Some(reply) => translate::response(reply),
            None => HttpResponse::new(self.status_code()),
        }
    }
}
