//! A refusal: the status and the words of an answer that is no reply, before either wire format gives them a form.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use iron_runtime::Error;

use crate::fields::Wrong;

/// Why a request gets no reply.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    /// Stable text: that of [`Error::code`], or of what is wrong with the request itself.
    pub(crate) code: &'static str,
    pub(crate) message: String,
    /// The field of the request that is wrong.
    pub(crate) param: Option<String>,
    /// When to try again, where that is known.
    pub(crate) retry_after: Option<Duration>,
    /// Whether the same request may succeed later: clients are told, for some try again by status alone.
    pub(crate) retryable: bool,
    /// A provider's own body of an error in OpenAI's form.
    pub(crate) body: Option<Bytes>,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { status, code, message, param: None, retry_after: None, retryable: false, body: None }
    }

    /// A request that is not what it should be.
    pub(crate) fn wrong(wrong: Wrong) -> Self {
        let message = wrong.to_string();
        let param = Some(wrong.place).filter(|place| !place.is_empty());
        Self { param, ..Self::new(StatusCode::BAD_REQUEST, "invalid_request", message) }
    }

    /// A model that nobody here knows.
    pub(crate) fn unknown_model(error: &Error) -> Self {
        let param = Some("model".to_owned());
        Self { param, ..Self::new(StatusCode::NOT_FOUND, "model_not_found", error.to_string()) }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let mut refusal = Self::new(status(&error), error.code().as_str(), error.to_string());
        refusal.retryable = error.retryable();
        refusal.retry_after = retry_after(&error);
        refusal.body = body(error);
        refusal
    }
}

/// The status that a client library maps to the exception which its users expect.
fn status(error: &Error) -> StatusCode {
    match error {
        Error::Config { .. } | Error::PolicyDenied(_) | Error::ContentBlocked(_) => StatusCode::BAD_REQUEST,
        // Not 429, at which client libraries try again: only an end of the window, or a new limit, would help.
        Error::BudgetExceeded(_) => StatusCode::PAYMENT_REQUIRED,
        Error::RateLimited { .. } => StatusCode::TOO_MANY_REQUESTS,
        Error::UpstreamTimeout { .. } => StatusCode::GATEWAY_TIMEOUT,
        Error::UpstreamConnection { .. } | Error::OutputInvalid(_) => StatusCode::BAD_GATEWAY,
        Error::UpstreamStatus { status, meant, .. } => match meant.unwrap_or(*status) {
            // It is the router's key that the provider refuses, not the caller's; and a reply that cannot be read is no
            // success.
            401 | 403 | 407 | 0..=399 => StatusCode::BAD_GATEWAY,
            status => StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY),
        },
        Error::NotRetried { failure } => status(failure),
        Error::NoUpstream { failures, .. } => common(failures),
        Error::BreakerOpen { .. }
        | Error::Ledger(_)
        | Error::Audit(_)
        | Error::Detector(_)
        | Error::Closed => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// What upstreams of a route agree on is told; otherwise only that there is none.
fn common(failures: &[Error]) -> StatusCode {
    let mut statuses = failures.iter().map(status);
    match statuses.next() {
        Some(first) if statuses.all(|status| status == first) => first,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    }
}

fn retry_after(error: &Error) -> Option<Duration> {
    match error {
        Error::RateLimited { retry_after, .. } => *retry_after,
        Error::BreakerOpen { probe_in, .. } => Some(*probe_in),
        Error::NotRetried { failure } => retry_after(failure),
        Error::NoUpstream { failures, .. } => failures.iter().filter_map(retry_after).min(),
        _ => None,
    }
}

fn body(error: Error) -> Option<Bytes> {
    match error {
        Error::UpstreamStatus { status: 400.., body, .. } => Some(body),
        Error::NotRetried { failure } => body(*failure),
        _ => None,
    }
}
