//! Guards for the routes of a host application.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use identsphere_http::{App, Permission, Requirement, StepUpRule};

use crate::extract::{AuthSession, Rejection};
use crate::translate;

/// Whom [`require`] lets pass.
#[derive(Clone)]
pub struct Require {
    app: App,
    requirement: Requirement,
}

impl Require {
    /// Those whose present role holds a permission.
    pub fn permission(app: App, permission: Permission) -> Self {
        Self { app, requirement: Requirement::Permission(permission) }
    }

    /// Those who have lately shown a second factor in their session; others are told `mfa_required`.
    pub fn step_up(app: App) -> Self {
        Self { app, requirement: Requirement::StepUp(StepUpRule::Always) }
    }

    /// As [`step_up`](Self::step_up), and those who have set up no second factor.
    pub fn step_up_if_enrolled(app: App) -> Self {
        Self { app, requirement: Requirement::StepUp(StepUpRule::IfEnrolled) }
    }
}

/// Middleware that lets those pass who meet a requirement; [`AuthSession`] in the handler behind it asks the store no second
/// time.
///
/// # Errors
/// The refusal to answer with.
///
/// ```
/// use axum::Router;
/// use axum::middleware::from_fn_with_state;
/// use axum::routing::get;
/// use identsphere_axum::{Require, require};
/// use identsphere_http::Permission;
///
/// fn billing(app: identsphere_http::App) -> Router {
///     let guard = Require::permission(app, Permission::BILLING_READ);
///     let router = Router::new().route("/invoices", get(|| async { "none yet" }));
///     router.route_layer(from_fn_with_state(guard, require))
/// }
///
/// fn payouts(app: identsphere_http::App) -> Router {
///     let router = Router::new().route("/payouts", get(|| async { "none yet" }));
///     router.route_layer(from_fn_with_state(Require::step_up(app), require))
/// }
/// ```
pub async fn require(
    State(guard): State<Require>,
    request: Request,
    next: Next,
) -> Result<Response, Rejection> {
    let (mut parts, body) = request.into_parts();
    let admitted = guard.app.admit(&translate::head(&parts), Some(&guard.requirement)).await;
    let principal = admitted.map_err(Rejection)?;
    parts.extensions.insert(AuthSession(principal));
    Ok(next.run(Request::from_parts(parts, body)).await)
}
