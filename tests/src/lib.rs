//! The harness of the end-to-end tests: whole services over real HTTP, for every framework and store.
//!
//! A scenario is a function of an [`App`]; [`matrix!`] runs it on {actix, axum} × {memory, sqlite, postgres}. Time is
//! the one thing that is not real: it stands still until a scenario moves it.

mod app;
mod factors;
mod http;
mod keys;
mod passkeys;
mod scenarios;
mod second_factor;
mod serve;
mod stores;
mod watched;

pub use app::{App, BearerSession, ENCRYPTED, NATIVE_APP, PASSWORD, run};
pub use factors::{Authenticator, Enrolled, PERIOD, mfa_token};
pub use http::{Answer, Caller, Request, SetCookie};
pub use keys::{claims, verify_independently};
pub use passkeys::{Holder, begin_sign_in, change_bytes, change_client_data, end_sign_in, with_bytes};
pub use scenarios::{SCENARIOS, Scenario, routes};
pub use second_factor::SecondFactor;
pub use serve::{Framework, LISTED};
pub use stores::Engine;
pub use watched::{FAULT, Fault, Meanwhile, Watch, Watched};

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use identsphere_kernel::{OsRandom, SystemClock, UserId};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Runs each scenario on every framework and store: one test each.
#[macro_export]
macro_rules! matrix {
    ($($scenario:ident),+ $(,)?) => {$(
        mod $scenario {
            $crate::matrix!(@ $scenario: actix_memory = Actix Memory, actix_sqlite = Actix Sqlite, actix_postgres = Actix Postgres,
                axum_memory = Axum Memory, axum_sqlite = Axum Sqlite, axum_postgres = Axum Postgres);
        }
    )+};
    (@ $scenario:ident: $($name:ident = $framework:ident $engine:ident),+) => {$(
        #[test]
        fn $name() {
            $crate::run($crate::Framework::$framework, $crate::Engine::$engine, super::$scenario);
        }
    )+};
}

/// `text` made different from every other: `a@b` becomes `a.7@b`, anything else `text-7`.
pub fn unique(text: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    match text.split_once('@') {
        Some((local, domain)) => format!("{local}.{n}@{domain}"),
        None => format!("{text}-{n}"),
    }
}

/// An id that belongs to nothing.
pub fn uuid_v7() -> String {
    UserId::new(&SystemClock, &OsRandom).to_string()
}

/// Sends bytes as they are and reads until the server has said everything.
pub async fn raw_exchange(address: SocketAddr, request: &str) -> String {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await?;
        // The server may close before it has read everything; what it said is still there.
        let _ = stream.write_all(request.as_bytes()).await;
        let _ = stream.shutdown().await;
        let mut answer = vec![];
        let _ = stream.read_to_end(&mut answer).await;
        std::io::Result::Ok(String::from_utf8_lossy(&answer).into_owned())
    };
    tokio::time::timeout(Duration::from_secs(20), exchange)
        .await
        .expect("the server ends the exchange")
        .unwrap()
}
