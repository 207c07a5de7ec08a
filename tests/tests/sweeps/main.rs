//! Promises about every route, tried on every route: each sweep is made from the route table and from a request for each of
//! its lines that succeeds, so that a new route is in all of them by itself.

mod closed;
mod cookies;
mod headers;
mod surface;

use std::collections::BTreeSet;

use identsphere_e2e::{SCENARIOS, routes};

/// Runs a sweep.
fn sweep(sweep: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(sweep);
}

#[test]
fn every_route_has_a_request_that_succeeds() {
    let operations: BTreeSet<&str> = routes().map(|(_, route)| route.operation).collect();
    let tried: BTreeSet<&str> = SCENARIOS.iter().map(|name| name.split(':').next().unwrap()).collect();
    assert_eq!(tried, operations);
}
