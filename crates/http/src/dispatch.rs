//! The one way from a request to its answer.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt as _;
use identsphere_core::{Principal, StepUpRule};
use identsphere_kernel::{Duration, ErrorCode, RequestId};
use identsphere_organizations::Permission;
use identsphere_sessions::ClientInfo;
use tokio::time::Instant;
use tracing::Instrument as _;

use crate::app::App;
use crate::call::{Body, Call};
use crate::failure::Failure;
use crate::forwarded::client_address;
use crate::guards::{check_head, check_limits};
use crate::head::Head;
use crate::metrics::unrouted;
use crate::outbox;
use crate::reply::Reply;
use crate::table::{AuthRule, BEAT, CsrfRule, Endpoint, Pace, Route};

/// How long a request may take, its body included.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(15);
/// Longest request id that is taken over from a caller.
const MAX_REQUEST_ID: usize = 128;

/// What a route of a host application asks of whoever comes.
#[derive(Debug, Clone)]
pub enum Requirement {
    /// Their present role holds this permission.
    Permission(Permission),
    /// They have shown a second factor in their session.
    StepUp(StepUpRule),
}

impl App {
    /// Answers a request to one of our paths. `read_body` is called when the guards let the body be read, with the most
    /// bytes it may have; where no body is due it is not called.
    pub async fn answer<R, B>(&self, endpoint: &'static Endpoint, head: &Head<'_>, read_body: R) -> Reply
    where
        R: FnOnce(usize) -> B,
        B: Future<Output = Body>,
    {
        if !endpoint.matches(head.path) || !self.shows(endpoint, head) {
            return self.answer_unknown(head).await;
        }
        match endpoint.route(head.method) {
            Some(route) => {
                self.envelop(route.operation, head, self.serve(endpoint, route, head, read_body)).await
            }
            None => {
                let allow = endpoint.allow();
                match self.origins().preflight(head, &allow).filter(|_| head.method == "OPTIONS") {
                    Some(reply) => self.envelop(unrouted::PREFLIGHT, head, async { Ok(reply) }).await,
                    None => {
                        let refuse = async { Err(Failure::method_not_allowed(allow)) };
                        self.envelop(unrouted::METHOD_NOT_ALLOWED, head, refuse).await
                    }
                }
            }
        }
    }

    /// Whether this endpoint exists for the sender of this request.
    fn shows(&self, endpoint: &Endpoint, head: &Head<'_>) -> bool {
        !endpoint.is_for_development() || (self.development_mail().is_some() && outbox::is_from_here(head))
    }

    /// Answers a request to a path that nobody serves.
    pub async fn answer_unknown(&self, head: &Head<'_>) -> Reply {
        let refuse = async { check_head(head).and(Err(ErrorCode::NotFound.into())) };
        self.envelop(unrouted::NOT_FOUND, head, refuse).await
    }

    /// Who is behind a request to a route of a host application, which has the same guards as ours: a write that is
    /// authenticated by cookie needs the CSRF header. With a requirement, they must meet it.
    ///
    /// # Errors
    /// The refusal to answer with.
    pub async fn admit(&self, head: &Head<'_>, required: Option<&Requirement>) -> Result<Principal, Reply> {
        let admitted = async {
            check_head(head)?;
            let csrf = match head.method {
                "GET" | "HEAD" | "OPTIONS" | "TRACE" => CsrfRule::ReadOnly,
                _ => CsrfRule::CookieWrite,
            };
            let identity = self.identify(AuthRule::User, csrf, head)?;
            self.check_csrf(csrf, head, &identity)?;
            let principal = self.authenticate(AuthRule::User, &identity).await?;
            let principal = principal.ok_or_else(|| Failure::new(ErrorCode::AuthenticationRequired))?;
            match required {
                Some(Requirement::Permission(permission)) => {
                    self.core().authorizer().authorize(&principal, permission)?;
                }
                Some(Requirement::StepUp(rule)) => self.core().demand_step_up(&principal, *rule)?,
                None => {}
            }
            Ok(Arc::unwrap_or_clone(principal))
        };
        let request_id = self.request_id(head);
        admitted.await.map_err(|failure: Failure| self.refuse("host", head, &request_id, failure))
    }

    async fn serve<R, B>(
        &self,
        endpoint: &'static Endpoint,
        route: &'static Route,
        head: &Head<'_>,
        read_body: R,
    ) -> Result<Reply, Failure>
    where
        R: FnOnce(usize) -> B,
        B: Future<Output = Body>,
    {
        check_limits(route, head)?;
        let identity = self.identify(route.auth, route.csrf, head)?;
        self.check_csrf(route.csrf, head, &identity)?;
        let principal = self.authenticate(route.auth, &identity).await?;
        if let Some(principal) = &principal {
            self.core().demand_step_up(principal, route.step_up)?;
        }
        let body = match route.body.expected() {
            Some((_, limit)) => whole(head, limit, read_body).await?,
            None => Bytes::new(),
        };
        let address = client_address(head.peer, &head.forwarded_for, self.trusted_proxies());
        let client = ClientInfo::new(address, head.user_agent);
        let call = Call { endpoint, head, identity, principal, client, body };
        let asked = Instant::now();
        let answer = (route.handler)(self, &call).await;
        match route.pace {
            Pace::AtOnce => {}
            Pace::OnTheBeat => tokio::time::sleep(until_next_beat(asked.elapsed())).await,
        }
        answer
    }

    /// Bounds the time of an answer, survives its panic, and gives it what every answer has.
    async fn envelop(
        &self,
        operation: &'static str,
        head: &Head<'_>,
        answer: impl Future<Output = Result<Reply, Failure>>,
    ) -> Reply {
        let started = Instant::now();
        let request_id = self.request_id(head);
        let span = tracing::debug_span!("request", request.id = &*request_id, http.operation = operation);
        let answer = tokio::time::timeout(REQUEST_TIMEOUT, AssertUnwindSafe(answer).catch_unwind());
        let outcome = match answer.instrument(span.clone()).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(Failure::internal("the handler panicked")),
            Err(_) => Err(Failure::new(ErrorCode::Overloaded)),
        };
        let reply = match outcome {
            Ok(reply) => self.finish(head, &request_id, reply),
            Err(failure) => {
                // Whoever does not wait as they are told can ask so often only, and not as often as the cores suffice for.
                if failure.says_when_to_return() {
                    tokio::time::sleep(until_next_beat(started.elapsed())).await;
                }
                self.refuse(operation, head, &request_id, failure)
            }
        };
        let took = started.elapsed();
        self.metrics().record(operation, reply.status, took);
        span.in_scope(|| {
            let duration_ms = took.as_secs_f64() * 1_000.0;
            tracing::debug!(http.status = reply.status, duration_ms, "answered");
        });
        reply
    }

    /// The answer to a failure. A fault on our side is logged, once, with everything that the answer keeps silent about.
    fn refuse(&self, operation: &str, head: &Head<'_>, request_id: &str, mut failure: Failure) -> Reply {
        let status = failure.code.status();
        if status >= 500 {
            let cause = failure.source.take().map(|source| chain(&*source));
            let cause = cause.as_deref().unwrap_or(&failure.message);
            if failure.code == ErrorCode::Overloaded {
                // A flood is told of once a second: a line each would cost more than the refusals themselves.
                if let Some(others) = self.turned_away().is_due() {
                    tracing::warn!(
                        request.id = request_id,
                        http.operation = operation,
                        http.status = status,
                        error = cause,
                        others,
                        "a request was turned away"
                    );
                }
            } else {
                tracing::error!(
                    request.id = request_id,
                    http.operation = operation,
                    http.status = status,
                    error = cause,
                    "a request failed"
                );
            }
        }
        self.finish(head, request_id, failure.into_reply(request_id))
    }

    /// Adds what every answer has (WB-01, WB-02).
    fn finish(&self, head: &Head<'_>, request_id: &str, reply: Reply) -> Reply {
        let mut reply = self
            .origins()
            .admit(head, reply)
            .with_value("x-request-id", Bytes::copy_from_slice(request_id.as_bytes()))
            .with("x-content-type-options", "nosniff")
            .with("referrer-policy", "no-referrer");
        if reply.header("cross-origin-resource-policy").is_none() {
            reply = reply.with("cross-origin-resource-policy", "same-origin");
        }
        if reply.header("cache-control").is_none() {
            reply = reply.with("cache-control", "no-store");
        }
        if reply.header("content-security-policy").is_none() {
            reply = reply.with("content-security-policy", "default-src 'none'; frame-ancestors 'none'");
        }
        if self.is_encrypted() {
            reply = reply.with("strict-transport-security", "max-age=31536000; includeSubDomains");
        }
        reply
    }

    /// The caller's request id if it is harmless, else a new one.
    fn request_id<'a>(&self, head: &Head<'a>) -> Cow<'a, str> {
        let harmless = |id: &&str| {
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
            (1..=MAX_REQUEST_ID).contains(&id.len()) && id.bytes().all(allowed)
        };
        match head.request_id.filter(harmless) {
            Some(id) => Cow::Borrowed(id),
            None => Cow::Owned(RequestId::new(self.core().clock(), self.core().random()).to_string()),
        }
    }
}

/// The whole body.
async fn whole<R, B>(head: &Head<'_>, limit: usize, read_body: R) -> Result<Bytes, Failure>
where
    R: FnOnce(usize) -> B,
    B: Future<Output = Body>,
{
    let late = |_| Failure::invalid_field("body", "must arrive within 15 seconds");
    match tokio::time::timeout(BODY_TIMEOUT, read_body(limit)).await.map_err(late)? {
        Body::Complete(body) if body.len() > limit => Err(ErrorCode::PayloadTooLarge.into()),
        Body::Complete(body) if !body.is_empty() && head.content_type.is_none() => {
            Err(ErrorCode::UnsupportedMediaType.into())
        }
        Body::Complete(body) => Ok(body),
        Body::TooLarge => Err(ErrorCode::PayloadTooLarge.into()),
        Body::Broken => Err(Failure::invalid_field("body", "must be complete")),
    }
}

/// What is left of the beat that an answer was ready in.
fn until_next_beat(took: Duration) -> Duration {
    BEAT - Duration::from_nanos_u128(took.as_nanos() % BEAT.as_nanos())
}

/// An error with everything that led to it, for the log.
fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}
