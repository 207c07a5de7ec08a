//! Accepting connections: how long each may take, and how many there may be (DS-12).

use std::future::Future;
use std::io;
use std::net::TcpListener;
use std::time::Duration;

use actix_web::HttpServer;
use identsphere_http::App;

/// How long the head of a request may take to arrive.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection may be idle.
const KEEP_ALIVE: Duration = Duration::from_secs(60);
/// How long a client may take to close its side.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The most connections of one worker.
const MAX_CONNECTIONS: usize = 10_000;
/// How long requests that have begun may take to end when the server stops, in seconds.
const STOP_TIMEOUT: u64 = 20;

/// Serves everything there is, on as many threads as `workers`, until `shutdown` is done; then takes no more
/// connections, lets the requests that have begun come to their end, for 20 seconds at the most, and returns. Signals
/// are the caller's business.
///
/// # Errors
/// The listener cannot be used.
pub async fn serve(
    listener: TcpListener,
    app: App,
    workers: usize,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    HttpServer::new(move || actix_web::App::new().configure(crate::serve_all(app.clone())))
        .workers(workers)
        .client_request_timeout(HEAD_TIMEOUT)
        .client_disconnect_timeout(DISCONNECT_TIMEOUT)
        .keep_alive(KEEP_ALIVE)
        .max_connections(MAX_CONNECTIONS)
        .tcp_nodelay(true)
        .shutdown_timeout(STOP_TIMEOUT)
        .shutdown_signal(shutdown)
        .listen(listener)?
        .run()
        .await
}
