//! The way of one call along its route: which upstream comes next, and why the ones before it gave no answer.

use std::sync::Arc;

use iron_protocol::NanoUsd;

use crate::Error;
use crate::clock::Instant;
use crate::config::{RetryPolicy, Target};
use crate::upstream::{Backoff, Retry, Upstream};

/// One call on its way along a route.
#[derive(Debug)]
pub(crate) struct Trip<'r> {
    /// Never none.
    stops: Vec<Stop<'r>>,
    /// The stop where the call is, and where it was before.
    at: usize,
    before: Option<usize>,
    /// A budget had no room for this much: only a cheaper upstream can help.
    too_dear: Option<NanoUsd>,
}

/// One upstream on the way.
#[derive(Debug)]
pub(crate) struct Stop<'r> {
    pub(crate) target: &'r Target,
    pub(crate) upstream: Arc<Upstream>,
    /// Requests that this call has sent to it.
    pub(crate) tries: u32,
    /// Why it gave no answer, the last time that it was asked.
    pub(crate) error: Option<Error>,
    backoff: Option<Backoff>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Fresh,
    /// It takes no request before then.
    Later(Instant),
    Done,
}

impl<'r> Trip<'r> {
    /// A trip to `targets` in that order.
    pub(crate) fn new(targets: Vec<&'r Target>, upstream: impl Fn(&Target) -> Arc<Upstream>) -> Self {
        let stop = |target: &'r Target| Stop {
            target,
            upstream: upstream(target),
            tries: 0,
            error: None,
            backoff: None,
            state: State::Fresh,
        };
        let stops = targets.into_iter().map(stop).collect();
        Self { stops, at: usize::MAX, before: None, too_dear: None }
    }

    /// Leave out the upstreams whose context is too short for `tokens`, if there is a longer one.
    pub(crate) fn needs(&mut self, tokens: u64) {
        let fits = |stop: &Stop<'_>| stop.context().is_none_or(|context| context >= tokens);
        if self.stops.iter().any(fits) {
            self.stops.retain(fits);
        }
    }

    /// Go to the next upstream: whether to wait for it. None is waited for while another has not been asked; then the
    /// one that is ready first is.
    pub(crate) fn next(&mut self) -> Option<bool> {
        let fresh = self.stops.iter().position(|stop| stop.state == State::Fresh);
        let at = fresh.or_else(|| self.ready_first())?;
        self.before = Some(self.at).filter(|before| *before < self.stops.len());
        self.at = at;
        let others = self.stops.iter().enumerate().any(|(nth, stop)| nth != at && stop.state != State::Done);
        Some(fresh.is_none() || !others)
    }

    fn ready_first(&self) -> Option<usize> {
        let later = self.stops.iter().enumerate().filter_map(|(nth, stop)| match stop.state {
            State::Later(ready) => Some((ready, nth)),
            State::Fresh | State::Done => None,
        });
        later.min().map(|(_, nth)| nth)
    }

    /// Where the call is; once it has begun.
    pub(crate) fn stop(&mut self) -> &mut Stop<'r> {
        &mut self.stops[self.at]
    }

    /// Where it was before, where it is now, and why, if that is another upstream.
    pub(crate) fn fell_back(&self) -> Option<(&'r Target, &'r Target, &Error)> {
        let before = &self.stops[self.before.filter(|before| *before != self.at)?];
        Some((before.target, self.stops[self.at].target, before.error.as_ref()?))
    }

    /// Whether a budget that had no room for an earlier upstream has none for this one.
    pub(crate) fn is_too_dear(&self, least: NanoUsd) -> bool {
        self.too_dear.is_some_and(|refused| least >= refused)
    }

    /// Do not ask it.
    pub(crate) fn pass_over(&mut self) {
        self.stops[self.at].state = State::Done;
        self.at = self.before.unwrap_or(usize::MAX);
    }

    /// The upstream gave no answer.
    ///
    /// # Errors
    /// Its error, if that is the whole call's.
    pub(crate) fn failed(&mut self, retry: Retry, deadline: Instant) -> Result<(), Error> {
        let stop = &mut self.stops[self.at];
        stop.state = match retry {
            Retry::Later(ready) if ready < deadline => State::Later(ready),
            _ => State::Done,
        };
        let (listed, of_key) = (&stop.target.listed, stop.error.as_ref().is_some_and(is_of_key));
        if !of_key && !matches!(retry, Retry::Later(_)) {
            // Under another key the same model has the same trouble.
            self.leave_out(|stop| stop.target.listed == *listed);
        }
        let stop = &mut self.stops[self.at];
        match retry {
            Retry::Never => return Err(stop.error.take().unwrap_or_else(no_reason)),
            Retry::Cheaper(refused) => {
                self.too_dear = Some(self.too_dear.map_or(refused, |before| before.min(refused)));
            }
            Retry::Longer => {
                if let Some(short) = stop.context() {
                    self.leave_out(|stop| stop.context().is_some_and(|context| context <= short));
                }
                // Told alone, as of a request that is wrong.
                if self.stops.iter().all(|stop| stop.state == State::Done) {
                    return Err(self.stops[self.at].error.take().unwrap_or_else(no_reason));
                }
            }
            Retry::Elsewhere | Retry::After(_) | Retry::Throttled(_) | Retry::Later(_) => {}
        }
        Ok(())
    }

    /// Ask none of these, unless they have been.
    fn leave_out(&mut self, which: impl Fn(&Stop<'r>) -> bool) {
        for stop in &mut self.stops {
            if stop.state == State::Fresh && which(stop) {
                stop.state = State::Done;
            }
        }
    }

    /// Why nobody answered.
    pub(crate) fn into_error(self) -> Error {
        let route = self.stops.iter().map(|stop| &*stop.target.name).collect::<Vec<_>>().join(", ");
        let alone = self.stops.len() == 1;
        let mut failures: Vec<Error> = self.stops.into_iter().filter_map(|stop| stop.error).collect();
        // Told alone, a refusal says that no request was made.
        if alone || failures.iter().all(|failure| matches!(failure, Error::BudgetExceeded(_))) {
            return failures.pop().unwrap_or_else(no_reason);
        }
        Error::NoUpstream { route, failures }
    }
}

impl Stop<'_> {
    fn context(&self) -> Option<u64> {
        self.target.price.as_ref().and_then(|price| price.context_tokens)
    }

    /// The waits between the requests to this upstream.
    pub(crate) fn backoff(&mut self, policy: RetryPolicy) -> &mut Backoff {
        self.backoff.get_or_insert_with(|| Backoff::new(policy))
    }

    /// Pay for one more request. If the retry budget has nothing left, that is added to the error.
    pub(crate) fn pay_for_retry(&mut self) -> bool {
        let paid = self.upstream.may_retry();
        if !paid {
            self.error = self.error.take().map(|error| Error::NotRetried { failure: Box::new(error) });
        }
        paid
    }
}

/// Whether the trouble is one key's, and not the whole provider's.
fn is_of_key(error: &Error) -> bool {
    match error {
        Error::NotRetried { failure } => is_of_key(failure),
        Error::UpstreamStatus { status, .. } => matches!(status, 401 | 403),
        Error::RateLimited { .. } | Error::BreakerOpen { .. } => true,
        _ => false,
    }
}

fn no_reason() -> Error {
    Error::Internal { message: "an upstream gave no answer and no reason".to_owned() }
}
