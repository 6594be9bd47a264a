//! Answers, and what their headers tell of a call.

use axum::body::Body;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use iron_protocol::{NanoUsd, RequestId};
use iron_runtime::budget::Budget;
use iron_runtime::{CallReport, Reply};

use crate::refusal::Refusal;

/// The call's id; and where OpenAI's clients look for one.
const REQUEST_ID: [HeaderName; 2] =
    [HeaderName::from_static("x-iron-request-id"), HeaderName::from_static("x-request-id")];
/// What the call cost, in US dollars.
const COST: HeaderName = HeaderName::from_static("x-iron-cost-usd");
/// What is left of the tightest budget that held the call, in US dollars.
const REMAINING: HeaderName = HeaderName::from_static("x-iron-budget-remaining-usd");
/// The upstream that answered.
const UPSTREAM: HeaderName = HeaderName::from_static("x-iron-upstream");
/// Whether OpenAI's and Anthropic's clients are to try again, whatever the status.
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

/// An answer with a body.
pub(crate) fn with_body(status: StatusCode, kind: &'static str, body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// An answer of JSON.
pub(crate) fn json(status: StatusCode, body: Bytes) -> Response<Body> {
    with_body(status, "application/json", body)
}

/// Tell which call it was.
pub(crate) fn tell_id(headers: &mut HeaderMap, id: RequestId) {
    if let Ok(id) = HeaderValue::try_from(id.to_string()) {
        headers.extend(REQUEST_ID.map(|name| (name, id.clone())));
    }
}

/// A reply with what its call came to.
pub(crate) fn reply<'b>(reply: Reply, budgets: impl IntoIterator<Item = &'b Budget>) -> Response<Body> {
    let mut answer = json(StatusCode::OK, reply.body);
    tell_id(answer.headers_mut(), reply.report.request_id);
    tell_report(answer.headers_mut(), &reply.report, remaining(budgets));
    answer
}

/// Tell what it came to.
fn tell_report(headers: &mut HeaderMap, report: &CallReport, remaining: Option<NanoUsd>) {
    let told = [
        (COST, Some(report.cost.to_string())),
        (REMAINING, remaining.map(|remaining| remaining.to_string())),
        (UPSTREAM, Some(report.upstream.to_string())),
    ];
    for (name, value) in told {
        if let Some(Ok(value)) = value.map(HeaderValue::try_from) {
            headers.insert(name, value);
        }
    }
}

/// Tell when to try again, and whether to.
pub(crate) fn tell_retry(headers: &mut HeaderMap, refusal: &Refusal) {
    if let Some(after) = refusal.retry_after {
        // Whole seconds, as the header has them, and none too early.
        let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
        headers.insert(RETRY_AFTER, seconds.into());
    }
    headers.insert(SHOULD_RETRY, HeaderValue::from_static(if refusal.retryable { "true" } else { "false" }));
}

/// What is left of the tightest of `budgets`.
pub(crate) fn remaining<'b>(budgets: impl IntoIterator<Item = &'b Budget>) -> Option<NanoUsd> {
    budgets.into_iter().map(|budget| budget.snapshot().remaining()).min()
}
