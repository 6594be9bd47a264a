//! The gate before one upstream: closed when the provider asks for no more requests, until the time it named.
//!
//! One call learns, all wait. When the gate opens the calls that wait leave in the order in which they came, slowly at
//! first: were they to leave together, the provider would refuse most of them again.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{sleep, sleep_until, timeout_at};

use crate::clock::{Instant, now};

/// The longest pause before the first call after an opening. The pause before each one after it is half as long, so
/// that a thousand that wait have left within two seconds, unless the provider closes the gate once more.
const FIRST_PAUSE: Duration = Duration::from_millis(64);
/// The pauses do not become shorter than this.
const LAST_PAUSE: Duration = Duration::from_millis(1);

#[derive(Debug, Default)]
pub(crate) struct Gate {
    /// Until when it is closed; a time in the past is open.
    until: Mutex<Option<Instant>>,
    /// Calls that stand in line; while there are some, a new one goes behind them.
    waiting: AtomicUsize,
    /// Whoever holds this is at the head of the line.
    line: tokio::sync::Mutex<Pace>,
}

/// The gate stays closed past the deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Closed {
    pub(crate) until: Instant,
}

/// How long the next pause may be; none once the line has got going.
#[derive(Debug, Default)]
struct Pace(Option<Duration>);

/// A call's place in line, given up on drop.
struct Place<'a>(&'a AtomicUsize);

impl Gate {
    /// Close it until `until`, or later if it is already.
    pub(crate) fn close(&self, until: Instant) {
        let mut closed = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        *closed = Some(closed.map_or(until, |before| before.max(until)));
    }

    /// Until when it is closed, if it is.
    pub(crate) fn closed(&self) -> Option<Instant> {
        let until = *self.until.lock().unwrap_or_else(PoisonError::into_inner);
        until.filter(|until| *until > now())
    }

    /// Whether a call would pass at once; otherwise, when it may at the earliest.
    pub(crate) fn waits(&self) -> Option<Instant> {
        self.closed().or_else(|| (self.waiting.load(Ordering::Acquire) > 0).then(now))
    }

    /// Pass once it is open, in the order of arrival.
    ///
    /// # Errors
    /// [`Closed`] at once if it opens after `deadline`, or at the deadline if others are still in line before it.
    ///
    /// # Cancel safety
    /// Dropping the future gives up the place in line.
    pub(crate) async fn pass(&self, deadline: Instant) -> Result<(), Closed> {
        match self.waits() {
            None => return Ok(()),
            Some(until) if until > deadline => return Err(Closed { until }),
            Some(_) => {}
        }
        let _place = Place::take(&self.waiting);
        let Ok(mut pace) = timeout_at(deadline, self.line.lock()).await else {
            return Err(Closed { until: self.closed().unwrap_or(deadline) });
        };
        loop {
            while let Some(until) = self.closed() {
                if until > deadline {
                    return Err(Closed { until });
                }
                sleep_until(until).await;
                pace.begin();
            }
            let Some(pause) = pace.pause() else { return Ok(()) };
            if now() + pause > deadline {
                return Err(Closed { until: now() + pause });
            }
            sleep(pause).await;
            if self.closed().is_none() {
                pace.quicken();
                return Ok(());
            }
        }
    }
}

impl Pace {
    fn begin(&mut self) {
        self.0 = Some(FIRST_PAUSE);
    }

    /// A random pause, so that several processes that were told the same do not keep step.
    fn pause(&self) -> Option<Duration> {
        let longest = self.0?;
        let micros = u64::try_from(longest.as_micros()).unwrap_or(u64::MAX);
        Some(Duration::from_micros(rand::random_range(0..=micros)))
    }

    fn quicken(&mut self) {
        self.0 = self.0.map(|longest| (longest / 2).max(LAST_PAUSE));
    }
}

impl<'a> Place<'a> {
    fn take(waiting: &'a AtomicUsize) -> Self {
        waiting.fetch_add(1, Ordering::AcqRel);
        Self(waiting)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures::FutureExt;
    use futures::future::join_all;

    use super::*;

    fn seconds(seconds: u64) -> Instant {
        now() + Duration::from_secs(seconds)
    }

    /// When each of `count` calls passed, in the order in which they came.
    async fn through(gate: &Gate, count: usize) -> Vec<Duration> {
        let start = now();
        join_all((0..count).map(|_| async move {
            gate.pass(seconds(60)).await.unwrap();
            start.elapsed()
        }))
        .await
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_passes_before_the_time_and_none_is_stopped_by_an_earlier_one() {
        let gate = Gate::default();
        assert_eq!(through(&gate, 3).await, [Duration::ZERO; 3]);
        gate.close(seconds(9));
        gate.close(seconds(4));
        for passed in through(&gate, 20).await {
            assert!(passed >= Duration::from_secs(9), "{passed:?}");
        }
        assert_eq!(through(&gate, 3).await, [Duration::ZERO; 3], "the line has gone");
    }

    #[tokio::test(start_paused = true)]
    async fn they_leave_in_the_order_of_arrival_and_not_together() {
        let gate = Gate::default();
        gate.close(seconds(5));
        let passed = through(&gate, 1_000).await;
        assert!(passed.is_sorted(), "{passed:?}");
        let (first, last) = (passed[0], passed[999]);
        assert!(last >= first + Duration::from_millis(100), "{first:?} {last:?}");
        assert!(last <= Duration::from_secs(7), "{last:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn closed_again_while_they_leave_it_keeps_the_rest() {
        let gate = Gate::default();
        gate.close(seconds(5));
        let start = now();
        let passed = join_all((0..10).map(|nth| {
            let gate = &gate;
            async move {
                gate.pass(seconds(60)).await.unwrap();
                if nth == 2 {
                    gate.close(seconds(20));
                }
                start.elapsed()
            }
        }))
        .await;
        let late = passed.iter().filter(|passed| **passed >= Duration::from_secs(25)).count();
        assert_eq!(late, 7, "{passed:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_past_the_deadline_is_refused_at_once() {
        let gate = Gate::default();
        let until = seconds(30);
        gate.close(until);
        assert_eq!(gate.pass(seconds(10)).now_or_never(), Some(Err(Closed { until })));
        assert_eq!(gate.closed(), Some(until));
    }

    #[tokio::test(start_paused = true)]
    async fn a_dropped_call_leaves_the_line() {
        let gate = Arc::new(Gate::default());
        gate.close(seconds(5));
        let mut head = Box::pin(gate.pass(seconds(60)));
        let mut second = Box::pin(gate.pass(seconds(60)));
        assert!((&mut head).now_or_never().is_none() && (&mut second).now_or_never().is_none());
        drop(head);
        second.await.unwrap();
        assert_eq!(gate.waits(), None);
    }
}
