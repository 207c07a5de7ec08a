//! Who is signed in, for the handlers of a host application.

use axum::extract::{FromRef, FromRequestParts};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use identsphere_http::{App, Principal, Reply};

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
pub struct Rejection(pub(crate) Reply);

impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        translate::response(self.0)
    }
}

impl<S> FromRequestParts<S> for AuthSession
where
    App: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Rejection> {
        // Found by a guard before, perhaps.
        if let Some(session) = parts.extensions.get::<Self>() {
            return Ok(session.clone());
        }
        let admitted = App::from_ref(state).admit(&translate::head(parts), None).await;
        admitted.map(Self).map_err(Rejection)
    }
}

impl<S> FromRequestParts<S> for OptionalAuthSession
where
    App: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Rejection> {
        match AuthSession::from_request_parts(parts, state).await {
            Ok(AuthSession(principal)) => Ok(Self(Some(principal))),
            Err(Rejection(reply)) if reply.status == 401 => Ok(Self(None)),
            Err(rejection) => Err(rejection),
        }
    }
}
