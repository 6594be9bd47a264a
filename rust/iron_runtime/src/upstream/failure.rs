//! The failure of one request: what it means for the bill and for trying again.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use iron_protocol::NanoUsd;

use super::breaker::Verdict;
use crate::budget::Sent;
use crate::clock::Instant;
use crate::config::Timeouts;
use crate::error::TimeoutPhase;
use crate::{Cause, Error};

/// Why a request failed, and what may be done about it.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: Error,
    pub(crate) billing: Billing,
    pub(crate) retry: Retry,
}

/// Whether the provider bills for a failed request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Billing {
    /// It does not: the request was never sent, or was answered with an error.
    Free,
    /// It may: the request was sent and its answer is not known.
    InDoubt,
}

/// Whether the same upstream may be asked again, or another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retry {
    /// Neither: the request itself is at fault.
    Never,
    /// Not this one, but another may answer.
    Elsewhere,
    /// This one, not sooner than it said.
    After(Option<Duration>),
    /// This one, but no call may ask it sooner than it said.
    Throttled(Option<Duration>),
    /// This one, not before that time, if no other is ready sooner.
    Later(Instant),
    /// Another one whose bound on the cost is less than this.
    Cheaper(NanoUsd),
    /// Another one with a longer context.
    Longer,
}

impl Billing {
    /// What a request that failed without an answer may cost; one that has not left will not leave any more.
    pub(crate) fn of(sent: &Sent) -> Self {
        if sent.forbid() { Self::Free } else { Self::InDoubt }
    }
}

impl Failure {
    /// Something about the request is wrong; nothing was sent.
    pub(crate) fn unsent(error: Error) -> Self {
        Self { error, billing: Billing::Free, retry: Retry::Never }
    }

    /// Another upstream may take the request; this one does not now, and nothing was sent.
    pub(crate) fn elsewhere(error: Error) -> Self {
        Self { error, billing: Billing::Free, retry: Retry::Elsewhere }
    }

    /// This upstream takes no request before `ready`, and nothing was sent.
    pub(crate) fn later(error: Error, ready: Instant) -> Self {
        Self { error, billing: Billing::Free, retry: Retry::Later(ready) }
    }

    /// The request may be longer than the model's context: a refusal without a reason that is known may be because of
    /// that. Most providers tell it in words alone.
    pub(crate) fn of_long_request(mut self) -> Self {
        if let (Retry::Never, Error::UpstreamStatus { status: 400 | 413 | 422, .. }) =
            (self.retry, &self.error)
        {
            self.retry = Retry::Longer;
        }
        self
    }

    /// Whether the key is refused, whatever is asked for.
    pub(crate) fn refuses_key(&self) -> bool {
        match &self.error {
            Error::UpstreamStatus { status, .. } => *status == 401,
            Error::RateLimited { out_of_quota, .. } => *out_of_quota,
            _ => false,
        }
    }

    /// The request was sent, and what came back is no answer.
    pub(crate) fn in_doubt(error: Error, retry: Retry) -> Self {
        Self { error, billing: Billing::InDoubt, retry }
    }
}

/// A request to which no reply began.
pub(super) fn send_failure(
    upstream: &str,
    error: reqwest::Error,
    sent: &Sent,
    timeouts: &Timeouts,
) -> Failure {
    if error.is_connect() {
        // A certificate that is not trusted now is not trusted a moment later.
        let untrusted = cause::<rustls::Error>(&error).is_some();
        let retry = if untrusted { Retry::Elsewhere } else { Retry::After(None) };
        let error = if error.is_timeout() {
            let after_ms = u64::try_from(timeouts.connect.as_millis()).unwrap_or(u64::MAX);
            Error::UpstreamTimeout { upstream: upstream.to_owned(), phase: TimeoutPhase::Connect, after_ms }
        } else {
            connection(upstream, "could not connect", error)
        };
        return Failure { error, billing: Billing::Free, retry };
    }
    if error.is_builder() {
        return Failure::unsent(connection(upstream, "the request could not be built", error));
    }
    let (what, retry) = match cause::<hyper::Error>(&error) {
        // Whoever answered so once would do so again.
        Some(error) if error.is_parse_too_large() => {
            ("the headers of the reply are too large", Retry::Elsewhere)
        }
        Some(error) if error.is_parse() => ("the reply is not valid HTTP", Retry::Elsewhere),
        _ => ("the connection broke before the reply", Retry::After(None)),
    };
    Failure { error: connection(upstream, what, error), billing: Billing::of(sent), retry }
}

/// The first error of that type, from the outside in.
pub(super) fn cause<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        // An I/O error gives as its source what lies below the error that it holds, and passes over that one.
        next = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(held) => Some(held),
            None => error.source(),
        };
    }
    None
}

/// A connection that broke.
pub(super) fn connection(upstream: &str, what: &'static str, error: reqwest::Error) -> Error {
    // Without the URL: it may hold what a user put into a query.
    let source: Cause = Box::new(error.without_url());
    Error::UpstreamConnection { upstream: upstream.to_owned(), what, source: Some(source) }
}

/// What an error says about its upstream's health.
pub(crate) fn verdict(error: &Error) -> Verdict {
    match error {
        // The call's own deadline may be short.
        Error::UpstreamTimeout { phase: TimeoutPhase::Total, .. } => Verdict::Unknown,
        // A success without a reply is as useless as a refusal.
        Error::UpstreamTimeout { .. }
        | Error::UpstreamConnection { .. }
        | Error::UpstreamStatus { status: 200..=299 | 500..=599, .. } => Verdict::Ill,
        // Whatever it refuses, it answers.
        Error::UpstreamStatus { .. } | Error::RateLimited { .. } | Error::OutputInvalid(_) => Verdict::Well,
        _ => Verdict::Unknown,
    }
}
