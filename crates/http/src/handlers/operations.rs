//! Signs of life, for whoever runs the service.

use identsphere_kernel::ErrorCode;

use crate::app::App;
use crate::call::Call;
use crate::failure::Failure;
use crate::reply::Reply;
use crate::wire::HealthView;

pub(crate) async fn healthz(_app: &App, _call: &Call<'_>) -> Result<Reply, Failure> {
    Ok(Reply::json(200, &HealthView { status: "ok" })?)
}

pub(crate) async fn readyz(app: &App, _call: &Call<'_>) -> Result<Reply, Failure> {
    if app.drain().is_draining() {
        return Err(Failure::new(ErrorCode::Overloaded).because("this node is shutting down"));
    }
    app.core().ready().await?;
    Ok(Reply::json(200, &HealthView { status: "ready" })?)
}
