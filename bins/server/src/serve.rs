//! `serve`: the server from its first line of log to its last answer.

use std::io::{self, IsTerminal};
use std::net::{SocketAddr, TcpListener};

use identsphere_core::Store;
use identsphere_http::{App, Drain};
use identsphere_kernel::Duration;
use identsphere_settings::{Loaded, StoreLocation};
use tokio::net::TcpSocket;

use crate::cli::ServeArgs;
use crate::compose::{self, Composed};
use crate::failure::Failure;
use crate::output::say;
use crate::signals::{Signals, Stop};
use crate::{hello, mail, metrics, telemetry};

/// Serves until told to stop.
pub(crate) async fn serve(loaded: Loaded, args: &ServeArgs) -> Result<(), Failure> {
    let settings = loaded.settings;
    telemetry::start(&settings);
    let signals = Signals::new().map_err(Failure::System)?;
    let impatience = Signals::new().map_err(Failure::System)?;
    // Whatever counts keeps handles on its recorder, so that comes first.
    let metrics = settings.metrics_listen.map(metrics::serve).transpose()?;
    let (mailer, development_mail) = compose::mailer(&settings)?;
    if let Some(warning) = mail::warning(&settings) {
        tracing::warn!("{warning}");
    }
    let store = compose::open_store(&settings).await?;
    if matches!(settings.store.location, StoreLocation::Memory) {
        tracing::warn!("everything is kept in memory: it ends with this process, and no other node sees it");
    }
    if let Some(warning) = compose::protection(&settings).and_then(compose::warning) {
        tracing::warn!("{warning}");
    }
    ready_schema(&*store, args).await?;
    let Composed { service, master_key, key_place } = compose::compose(&settings, store, mailer).await?;
    service.watch_clock().await.map_err(Failure::Prepare)?;
    service.prepare().await.map_err(Failure::Prepare)?;

    let drain = Drain::default();
    let outbox = development_mail.is_some().then_some("/dev/mail");
    let config = compose::http_config(&settings, &master_key, drain.clone(), development_mail)?;
    let app = App::new(service.clone(), config).map_err(|error| Failure::Compose(error.into()))?;
    let refused = |source| Failure::Listen { address: settings.listen.to_string(), source };
    let listener = listen(settings.listen).map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;
    tracing::info!(
        %address,
        base_url = %settings.public_base_url,
        store = %settings.store.location,
        master_key = %key_place,
        metrics = metrics.map(tracing::field::display),
        version = env!("CARGO_PKG_VERSION"),
        "serving"
    );
    if args.hello || io::stdout().is_terminal() {
        say(&hello::hello(&settings.public_base_url.to_string(), outbox));
    }

    let mail = service.clone();
    let upkeep = tokio::spawn(async move { service.run_upkeep().await });
    let mail = tokio::spawn(async move { mail.run_outbox().await });
    let stop = told_to_stop(signals, drain, settings.drain);
    let ended = tokio::select! {
        ended = identsphere_actix::serve(listener, app, settings.workers, stop) => ended.map_err(Failure::Server),
        () = told_twice(impatience) => Err(Failure::Abandoned),
    };
    upkeep.abort();
    mail.abort();
    tracing::info!("stopped");
    ended
}

async fn ready_schema(store: &dyn Store, args: &ServeArgs) -> Result<(), Failure> {
    if args.no_migrate {
        return compose::demand_schema(store).await;
    }
    for migration in store.migrate_up().await? {
        tracing::info!(migration, "applied a migration");
    }
    Ok(())
}

/// Binds the address. Connections wait in a queue long enough for a burst that comes while all threads are busy.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    const QUEUE: u32 = 2_048;
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(QUEUE)?.into_std()
}

/// Ends when the server shall take no more requests. On SIGTERM this node first tells its balancer (`/readyz` is 503) and
/// goes on taking requests until the balancer has noticed.
async fn told_to_stop(mut signals: Signals, drain: Drain, drain_time: Duration) {
    let stop = signals.next().await;
    drain.begin();
    if stop == Stop::Drain && !drain_time.is_zero() {
        tracing::info!(
            drain_secs = drain_time.as_secs(),
            "draining: /readyz answers 503, requests are still taken"
        );
        tokio::time::sleep(drain_time).await;
    }
    tracing::info!("finishing the requests in flight");
}

/// Ends when a second signal shows that nobody wants to wait.
async fn told_twice(mut signals: Signals) {
    signals.next().await;
    signals.next().await;
}
