//! Refusals and faults, and the one envelope that all of them travel in.

use std::borrow::Cow;
use std::error::Error as StdError;

use identsphere_core::{Error, FieldFault};
use identsphere_kernel::{Duration, ErrorCode};
use serde::Serialize;
use utoipa::ToSchema;

use crate::names;
use crate::reply::Reply;

/// What a client is told when no better time to come back is known.
const BACK_OFF: Duration = Duration::from_secs(1);

/// Why a request is not answered with success.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: ErrorCode,
    pub(crate) message: Cow<'static, str>,
    fields: Vec<FieldFault>,
    retry_after: Option<Duration>,
    allow: Option<String>,
    /// For the log, never for the answer.
    pub(crate) source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Failure {
    /// A failure about which nothing more particular is said.
    pub(crate) fn new(code: ErrorCode) -> Self {
        let retry_after = (code == ErrorCode::Overloaded).then_some(BACK_OFF);
        Self {
            code,
            message: Cow::Borrowed(code.default_message()),
            fields: Vec::new(),
            retry_after,
            allow: None,
            source: None,
        }
    }

    /// Fields that break rules. The message names the first; the list has them all.
    pub(crate) fn invalid(fields: Vec<FieldFault>) -> Self {
        let message = match fields.first() {
            Some(fault) => Cow::Owned(format!("{}: {}", fault.field, fault.message)),
            None => Cow::Borrowed(ErrorCode::InvalidInput.default_message()),
        };
        Self { message, fields, ..Self::new(ErrorCode::InvalidInput) }
    }

    /// One part of the request breaks a rule.
    pub(crate) fn invalid_field(field: &'static str, message: impl ToString) -> Self {
        Self::invalid(vec![FieldFault::new(field, message)])
    }

    /// The path does not answer this method; `allow` lists those that it answers.
    pub(crate) fn method_not_allowed(allow: String) -> Self {
        Self { allow: Some(allow), ..Self::new(ErrorCode::MethodNotAllowed) }
    }

    /// A fault on our side.
    pub(crate) fn internal(cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { source: Some(cause.into()), ..Self::new(ErrorCode::InternalError) }
    }

    /// The same, said in other words.
    #[must_use]
    pub(crate) fn because(mut self, message: &'static str) -> Self {
        self.message = Cow::Borrowed(message);
        self
    }

    /// Whether the client is told to come back later.
    pub(crate) fn says_when_to_return(&self) -> bool {
        self.retry_after.is_some()
    }

    /// The answer: the envelope, and the header fields that belong to the code.
    pub(crate) fn into_reply(self, request_id: &str) -> Reply {
        let fields =
            self.fields.iter().map(|fault| FieldErrorView { field: fault.field, message: &fault.message });
        let envelope = ErrorView {
            error: ErrorDetailView {
                code: self.code.code(),
                message: &self.message,
                kind: self.code.kind().name(),
                request_id,
                fields: fields.collect(),
            },
        };
        let status = self.code.status();
        let mut reply = Reply::json(status, &envelope).unwrap_or_else(|_| Reply::empty(status));
        if status == 401 {
            // RFC 9110 §15.5.2: a 401 names the scheme.
            reply = reply.with("www-authenticate", "Bearer");
        }
        if let Some(wait) = self.retry_after {
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            reply = reply.with_value("retry-after", seconds.max(1).to_string());
        }
        match self.allow {
            Some(allow) => reply.with_value("allow", allow),
            None => reply,
        }
    }
}

impl From<ErrorCode> for Failure {
    fn from(code: ErrorCode) -> Self {
        Self::new(code)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let code = error.code();
        match error {
            Error::InvalidCredentials
            | Error::AuthenticationRequired
            | Error::MfaRequired
            | Error::Forbidden
            | Error::NotFound => Self::new(code),
            Error::Conflict { field, message } => Self {
                message: Cow::Owned(format!("{field} {message}")),
                fields: vec![FieldFault::new(field, message)],
                ..Self::new(code)
            },
            Error::InvalidInput(fields) => Self::invalid(fields),
            Error::RateLimited { retry_after } => Self { retry_after: Some(retry_after), ..Self::new(code) },
            Error::Overloaded { retry_after, source } => {
                Self { retry_after: Some(retry_after), source: Some(source), ..Self::new(code) }
            }
            Error::Internal(source) => Self { source: Some(source), ..Self::new(code) },
        }
    }
}

/// A wire type cannot be written: a fault on our side.
impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::internal(error)
    }
}

/// The envelope of every error.
#[derive(Serialize, ToSchema)]
#[schema(as = Error)]
pub(crate) struct ErrorView<'a> {
    error: ErrorDetailView<'a>,
}

/// What went wrong.
#[derive(Serialize, ToSchema)]
#[schema(as = ErrorDetail)]
pub(crate) struct ErrorDetailView<'a> {
    #[schema(schema_with = names::error_codes)]
    code: &'a str,
    /// For people; may change.
    #[schema(examples("wrong password or unknown email"))]
    message: &'a str,
    #[serde(rename = "type")]
    #[schema(schema_with = names::error_types)]
    kind: &'a str,
    /// The id under which the log knows this request; the same as in `X-Request-Id`.
    request_id: &'a str,
    /// Which fields break which rules.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    fields: Vec<FieldErrorView<'a>>,
}

/// What is wrong with one field.
#[derive(Serialize, ToSchema)]
#[schema(as = FieldError)]
pub(crate) struct FieldErrorView<'a> {
    /// Its name.
    #[schema(examples("email"))]
    field: &'a str,
    /// The rule it breaks.
    #[schema(examples("must be an e-mail address such as name@example.com"))]
    message: &'a str,
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn envelope(failure: Failure) -> (Reply, Value) {
        let reply = failure.into_reply("r-1");
        let body = serde_json::from_slice(&reply.body).unwrap();
        (reply, body)
    }

    #[test]
    fn the_envelope_is_the_published_one() {
        let (reply, body) = envelope(Error::InvalidCredentials.into());
        assert_eq!((reply.status, reply.header("www-authenticate")), (401, Some("Bearer")));
        assert_eq!(
            body,
            json!({ "error": {
                "code": "invalid_credentials", "message": "wrong password or unknown email",
                "type": "authentication_error", "request_id": "r-1",
            } })
        );
    }

    #[test]
    fn the_message_names_the_field_and_the_list_has_them_all() {
        let faults = vec![FieldFault::new("email", "is missing"), FieldFault::new("password", "is missing")];
        let (reply, body) = envelope(Error::InvalidInput(faults).into());
        assert_eq!(reply.status, 400);
        assert_eq!(body["error"]["message"], "email: is missing");
        assert_eq!(body["error"]["fields"][1], json!({ "field": "password", "message": "is missing" }));
    }

    #[test]
    fn waiting_times_are_whole_seconds_and_never_too_short() {
        let retry_after = |millis| {
            let wait = Duration::from_millis(millis);
            envelope(Error::RateLimited { retry_after: wait }.into())
                .0
                .header("retry-after")
                .map(str::to_owned)
        };
        assert_eq!(retry_after(0).as_deref(), Some("1"));
        assert_eq!(retry_after(1_001).as_deref(), Some("2"));
        assert_eq!(retry_after(90_000).as_deref(), Some("90"));
        assert_eq!(envelope(Failure::new(ErrorCode::Overloaded)).0.header("retry-after"), Some("1"));
    }

    #[test]
    fn a_cause_never_reaches_the_answer() {
        let (reply, _) = envelope(Error::internal("relation \"users\" does not exist").into());
        assert_eq!(reply.status, 500);
        assert!(!String::from_utf8_lossy(&reply.body).contains("users"));
    }
}
