//! Signs of life, for whoever runs the service.

use identsphere_kernel::{Duration, ErrorCode};

use crate::app::App;
use crate::call::Call;
use crate::failure::Failure;
use crate::reply::Reply;
use crate::wire::HealthView;

/// How long a store may think about its readiness: a balancer hears of one that has fallen silent before its own
/// patience ends.
const READY_WITHIN: Duration = Duration::from_secs(2);

pub(crate) async fn healthz(_app: &App, _call: &Call<'_>) -> Result<Reply, Failure> {
    Ok(Reply::json(200, &HealthView { status: "ok" })?)
}

pub(crate) async fn readyz(app: &App, _call: &Call<'_>) -> Result<Reply, Failure> {
    if app.drain().is_draining() {
        return Err(Failure::new(ErrorCode::Overloaded).because("this node is shutting down"));
    }
    let judged = tokio::time::timeout(READY_WITHIN, app.core().ready()).await;
    judged.map_err(|_| Failure::new(ErrorCode::Overloaded).because("the store does not answer"))??;
    Ok(Reply::json(200, &HealthView { status: "ready" })?)
}
