//! What became of the requests to one upstream, in numbers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::breaker::BreakerState;

/// The weight of the newest latency in the moving average, as a divisor: about the last ten requests count.
const NEWEST: u64 = 5;

/// The counters of one upstream.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(super) requests: AtomicU64,
    pub(super) failures: AtomicU64,
    pub(super) retries: AtomicU64,
    pub(super) in_flight: AtomicU64,
    /// The moving average in microseconds, and one more: zero is "none yet".
    latency: AtomicU64,
}

/// An upstream at one instant.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UpstreamSnapshot {
    /// The name, as in [`CallReport::upstream`](crate::CallReport::upstream).
    pub name: Arc<str>,
    /// The circuit breaker.
    pub breaker: BreakerState,
    /// How long the provider asked to be left alone for; `None` when requests may go.
    pub closed_for: Option<Duration>,
    /// Requests sent.
    pub requests: u64,
    /// Requests that said the upstream is ill: no connection, a timeout, a reply that broke off, 5xx.
    pub failures: u64,
    /// Requests that repeated one before them.
    pub retries: u64,
    /// Requests on their way, open streams included.
    pub in_flight: u64,
    /// From a request to the head of its reply, as a moving average; `None` before the first.
    pub latency: Option<Duration>,
}

impl Tally {
    /// Take the time from a request to the head of its reply into the average.
    pub(super) fn measure(&self, latency: Duration) {
        let newest = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX / 2).saturating_add(1);
        // A measurement that another one overtakes may be lost: an average survives that.
        let average = match self.latency.load(Relaxed) {
            0 => newest,
            before => before - before / NEWEST + newest / NEWEST,
        };
        self.latency.store(average.max(1), Relaxed);
    }

    pub(crate) fn latency(&self) -> Option<Duration> {
        self.latency.load(Relaxed).checked_sub(1).map(Duration::from_micros)
    }

    pub(super) fn snapshot(
        &self,
        name: Arc<str>,
        breaker: BreakerState,
        closed_for: Option<Duration>,
    ) -> UpstreamSnapshot {
        UpstreamSnapshot {
            name,
            breaker,
            closed_for,
            requests: self.requests.load(Relaxed),
            failures: self.failures.load(Relaxed),
            retries: self.retries.load(Relaxed),
            in_flight: self.in_flight.load(Relaxed),
            latency: self.latency(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_average_follows_the_newest_latencies() {
        let tally = Tally::default();
        assert_eq!(tally.latency(), None);
        tally.measure(Duration::from_millis(100));
        assert_eq!(tally.latency(), Some(Duration::from_millis(100)));
        tally.measure(Duration::from_millis(200));
        let after_one = tally.latency().unwrap();
        assert!((119..=121).contains(&after_one.as_millis()), "{after_one:?}");
        (0..30).for_each(|_| tally.measure(Duration::from_millis(200)));
        let after_many = tally.latency().unwrap();
        assert!((198..=200).contains(&after_many.as_millis()), "{after_many:?}");
    }
}
