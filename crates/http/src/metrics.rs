//! How many requests, and how long they took: by operation and status, never by raw path, so that a client cannot
//! make up time series.

use std::collections::HashMap;
use std::sync::OnceLock;

use identsphere_kernel::Duration;
use metrics::{Counter, Histogram, Unit};

use crate::routes::ENDPOINTS;

const REQUESTS: &str = "identsphere_http_requests_total";
const DURATION: &str = "identsphere_http_request_duration_seconds";

/// Operations of requests that reach no route.
pub(crate) mod unrouted {
    pub(crate) const NOT_FOUND: &str = "unknown_path";
    pub(crate) const METHOD_NOT_ALLOWED: &str = "unknown_method";
    pub(crate) const PREFLIGHT: &str = "preflight";

    pub(super) const ALL: [&str; 3] = [NOT_FOUND, METHOD_NOT_ALLOWED, PREFLIGHT];
}

/// Every status that is answered.
const STATUSES: [u16; 14] = [200, 201, 204, 304, 400, 401, 403, 404, 405, 409, 413, 415, 429, 503];

/// Handles on the metrics, kept so that a request does not look them up by their labels.
pub(crate) struct Metrics {
    operations: HashMap<&'static str, Operation>,
}

struct Operation {
    duration: Histogram,
    /// In the order of [`STATUSES`]; made when first counted, so that what never happens is not listed.
    requests: [OnceLock<Counter>; STATUSES.len()],
}

impl Metrics {
    /// Handles with the recorder that is installed now.
    pub(crate) fn new() -> Self {
        metrics::describe_counter!(REQUESTS, "Requests answered, by operation and status");
        metrics::describe_histogram!(DURATION, Unit::Seconds, "Time from a request's head to its answer");
        let routed = ENDPOINTS.iter().flat_map(|endpoint| endpoint.routes).map(|route| route.operation);
        let operations = routed.chain(unrouted::ALL).map(|operation| (operation, Operation::new(operation)));
        Self { operations: operations.collect() }
    }

    /// Counts an answer.
    pub(crate) fn record(&self, operation: &'static str, status: u16, took: Duration) {
        let Some(handles) = self.operations.get(operation) else { return };
        handles.duration.record(took.as_secs_f64());
        let known =
            STATUSES.iter().position(|known| *known == status).and_then(|at| handles.requests.get(at));
        match known {
            Some(counter) => counter.get_or_init(|| counter_of(operation, status)).increment(1),
            None => counter_of(operation, status).increment(1),
        }
    }
}

impl Operation {
    fn new(operation: &'static str) -> Self {
        Self {
            duration: metrics::histogram!(DURATION, "operation" => operation),
            requests: std::array::from_fn(|_| OnceLock::new()),
        }
    }
}

fn counter_of(operation: &'static str, status: u16) -> Counter {
    metrics::counter!(REQUESTS, "operation" => operation, "status" => status.to_string())
}
