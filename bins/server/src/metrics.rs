//! `/metrics`, on a listener of its own: numbers about users are not for the public.

use std::net::SocketAddr;

use actix_web::{App, HttpResponse, HttpServer, web};
use identsphere_kernel::Duration;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

use crate::failure::Failure;

/// Bounds of the buckets in seconds: from a cached key set to a password hash that waited for its turn.
const BUCKETS_SECS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];
/// How often what was counted is folded away. Without it, histograms grow until somebody looks.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// Installs the recorder and serves what it records until the process ends. Whatever counts keeps handles, so this comes
/// before the service is made.
pub(crate) fn serve(address: SocketAddr) -> Result<SocketAddr, Failure> {
    let refused = |source| Failure::Listen { address: address.to_string(), source };
    let recorder =
        PrometheusBuilder::new().set_buckets(BUCKETS_SECS).and_then(PrometheusBuilder::install_recorder);
    let handle = recorder.map_err(|error| Failure::Compose(error.into()))?;
    let rendered = handle.clone();
    let server = HttpServer::new(move || {
        App::new().app_data(web::Data::new(rendered.clone())).route("/metrics", web::get().to(render))
    });
    let server = server.workers(1).disable_signals().bind(address).map_err(refused)?;
    let bound = server.addrs().first().copied().unwrap_or(address);
    tokio::spawn(server.run());
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(UPKEEP_INTERVAL);
        loop {
            ticks.tick().await;
            handle.run_upkeep();
        }
    });
    Ok(bound)
}

async fn render(handle: web::Data<PrometheusHandle>) -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(handle.render())
}
