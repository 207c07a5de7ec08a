//! A guard for the routes of a host application.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use identsphere_http::{App, Permission};

use crate::extract::{AuthSession, Rejection};
use crate::translate;

/// Whom [`require_permission`] lets pass.
#[derive(Clone)]
pub struct RequirePermission {
    /// Who knows the sessions.
    pub app: App,
    /// What the present role must hold.
    pub permission: Permission,
}

/// Middleware that lets those pass whose present role holds a permission; [`AuthSession`] in the handler behind it asks
/// the store no second time.
///
/// # Errors
/// The refusal to answer with.
///
/// ```
/// use axum::Router;
/// use axum::middleware::from_fn_with_state;
/// use axum::routing::get;
/// use identsphere_axum::{RequirePermission, require_permission};
/// use identsphere_http::Permission;
///
/// fn billing(app: identsphere_http::App) -> Router {
///     let guard = RequirePermission { app, permission: Permission::BILLING_READ };
///     let router = Router::new().route("/invoices", get(|| async { "none yet" }));
///     router.route_layer(from_fn_with_state(guard, require_permission))
/// }
/// ```
pub async fn require_permission(
    State(guard): State<RequirePermission>,
    request: Request,
    next: Next,
) -> Result<Response, Rejection> {
    let (mut parts, body) = request.into_parts();
    let admitted = guard.app.admit(&translate::head(&parts), Some(&guard.permission)).await;
    let principal = admitted.map_err(Rejection)?;
    parts.extensions.insert(AuthSession(principal));
    Ok(next.run(Request::from_parts(parts, body)).await)
}
