//! What became of the requests to one upstream, in numbers.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::breaker::BreakerState;
use crate::clock::Instant;

/// How long a latency counts: after so much time without another one, two thirds of the average are the newest.
const MEMORY: Duration = Duration::from_secs(10);
/// The least weight of the newest latency, of one.
const NEWEST: f64 = 0.1;
/// No failure counts for slower.
const LONGEST: Duration = Duration::from_secs(300);

/// The counters of one upstream.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(super) requests: AtomicU64,
    pub(super) failures: AtomicU64,
    pub(super) retries: AtomicU64,
    pub(super) in_flight: AtomicU64,
    latency: Mutex<Option<Average>>,
}

/// A moving average of latencies.
#[derive(Clone, Copy, Debug)]
struct Average {
    latency: Duration,
    /// When the newest of them was measured.
    at: Instant,
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
    pub(super) fn measure(&self, latency: Duration, now: Instant) {
        let mut average = self.lock();
        *average =
            Some(Average { latency: average.map_or(latency, |before| before.with(latency, now)), at: now });
    }

    /// A request failed after so long: to whoever looks for the fastest, that is as slow as twice the average.
    pub(super) fn disappoint(&self, after: Duration, now: Instant) {
        let twice = self.latency().unwrap_or_default() * 2;
        self.measure(after.max(twice).min(LONGEST), now);
    }

    pub(crate) fn latency(&self) -> Option<Duration> {
        self.lock().map(|average| average.latency)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Average>> {
        self.latency.lock().unwrap_or_else(PoisonError::into_inner)
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

impl Average {
    fn with(self, newest: Duration, now: Instant) -> Duration {
        let since = now.saturating_duration_since(self.at);
        let weight = (1.0 - (-since.as_secs_f64() / MEMORY.as_secs_f64()).exp()).max(NEWEST);
        self.latency.mul_f64(1.0 - weight) + newest.mul_f64(weight)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAST: Duration = Duration::from_millis(100);
    const SLOW: Duration = Duration::from_secs(30);

    #[test]
    fn the_average_follows_the_newest_latencies() {
        let (tally, now) = (Tally::default(), crate::clock::now());
        assert_eq!(tally.latency(), None);
        tally.measure(FAST, now);
        assert_eq!(tally.latency(), Some(FAST));
        tally.measure(2 * FAST, now);
        let after_one = tally.latency().unwrap();
        assert!((109..=111).contains(&after_one.as_millis()), "{after_one:?}");
        (0..60).for_each(|_| tally.measure(2 * FAST, now));
        let after_many = tally.latency().unwrap();
        assert!((199..=200).contains(&after_many.as_millis()), "{after_many:?}");
    }

    #[test]
    fn an_upstream_that_was_slow_is_soon_forgiven() {
        let (tally, mut now) = (Tally::default(), crate::clock::now());
        tally.measure(FAST, now);
        (0..20).for_each(|_| tally.disappoint(SLOW, now));
        assert!(tally.latency().unwrap() > SLOW / 2);
        // Looked at again from time to time, it is as fast as ever.
        for _ in 0..8 {
            now += Duration::from_secs(15);
            tally.measure(FAST, now);
        }
        assert!(tally.latency().unwrap() < 2 * FAST, "{:?}", tally.latency());
    }

    #[test]
    fn failing_fast_does_not_look_fast() {
        let (tally, now) = (Tally::default(), crate::clock::now());
        tally.measure(FAST, now);
        (0..200).for_each(|_| tally.disappoint(Duration::from_millis(1), now));
        let latency = tally.latency().unwrap();
        assert!(latency > 10 * FAST && latency <= LONGEST, "{latency:?}");
    }
}
