//! Rate limits: how many requests, tokens and calls at once a client admits.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};

use crate::Error;
use crate::clock::{Instant, RateClock, RateInstant, now};
use crate::config::{LimitSettings, OnLimit};

/// The limits of one client.
#[derive(Debug)]
pub(crate) struct Limits {
    concurrency: Option<Arc<Semaphore>>,
    requests: Option<Gate>,
    tokens: Option<Gate>,
    on_limit: OnLimit,
}

/// A call's place among those in flight, given up on drop.
#[derive(Debug)]
pub(crate) struct Slot {
    _permit: Option<OwnedSemaphorePermit>,
}

/// One limit per minute, passed in order of arrival.
#[derive(Debug)]
struct Gate {
    key: &'static str,
    limiter: RateLimiter<NotKeyed, InMemoryState, RateClock, NoOpMiddleware<RateInstant>>,
    per_minute: NonZeroU32,
    /// `governor` lets whoever asks at the right moment pass; whoever holds this lock is the one that asks.
    turn: Mutex<()>,
}

impl Limits {
    pub(crate) fn new(settings: &LimitSettings) -> Self {
        let gate =
            |key, per_minute: Option<u32>| per_minute.and_then(NonZeroU32::new).map(|n| Gate::new(key, n));
        Self {
            concurrency: settings.concurrency.map(|most| Arc::new(Semaphore::new(most as usize))),
            requests: gate("limits.requests_per_minute", settings.requests_per_minute),
            tokens: gate("limits.tokens_per_minute", settings.tokens_per_minute),
            on_limit: settings.on_limit,
        }
    }

    /// Admit one call of `tokens`, waiting in order up to `deadline` where that is configured.
    ///
    /// # Errors
    /// [`Error::RateLimited`] if it would have to wait past the deadline, or at all with `on_limit = "fail"`.
    ///
    /// # Cancel safety
    /// Dropping the future gives up the place in every queue; what a gate has already let pass stays counted.
    pub(crate) async fn admit(&self, tokens: u64, deadline: Instant) -> Result<Slot, Error> {
        let permit = self.slot(deadline).await?;
        if let Some(gate) = &self.requests {
            gate.pass(1, self.on_limit, deadline).await?;
        }
        if let Some(gate) = &self.tokens {
            gate.pass(tokens, self.on_limit, deadline).await?;
        }
        Ok(Slot { _permit: permit })
    }

    async fn slot(&self, deadline: Instant) -> Result<Option<OwnedSemaphorePermit>, Error> {
        let Some(semaphore) = &self.concurrency else { return Ok(None) };
        if let Ok(permit) = semaphore.clone().try_acquire_owned() {
            return Ok(Some(permit));
        }
        if self.on_limit == OnLimit::Fail {
            return Err(limited("limits.concurrency", "is reached and on_limit is \"fail\"", None));
        }
        match tokio::time::timeout_at(deadline, semaphore.clone().acquire_owned()).await {
            Ok(Ok(permit)) => Ok(Some(permit)),
            Ok(Err(_)) => Err(Error::Closed),
            Err(_) => Err(limited("limits.concurrency", "left no place before the call's deadline", None)),
        }
    }
}

impl Gate {
    fn new(key: &'static str, per_minute: NonZeroU32) -> Self {
        let limiter = RateLimiter::direct_with_clock(Quota::per_minute(per_minute), RateClock);
        Self { key, limiter, per_minute, turn: Mutex::new(()) }
    }

    async fn pass(&self, cells: u64, on_limit: OnLimit, deadline: Instant) -> Result<(), Error> {
        // A call larger than a whole minute passes when the minute is all its own.
        let Some(cells) =
            NonZeroU32::new(u32::try_from(cells).unwrap_or(u32::MAX).min(self.per_minute.get()))
        else {
            return Ok(());
        };
        let turn = match self.turn.try_lock() {
            Ok(turn) => turn,
            Err(_) if on_limit == OnLimit::Fail => {
                return Err(limited(self.key, "is reached and on_limit is \"fail\"", None));
            }
            Err(_) => tokio::time::timeout_at(deadline, self.turn.lock())
                .await
                .map_err(|_| limited(self.key, "left no room before the call's deadline", None))?,
        };
        while let Ok(Err(not_until)) = self.limiter.check_n(cells) {
            let wait = not_until.wait_time_from(governor::clock::Clock::now(&RateClock));
            if on_limit == OnLimit::Fail {
                return Err(limited(self.key, "is reached and on_limit is \"fail\"", Some(wait)));
            }
            let ready = now() + wait;
            if ready > deadline {
                return Err(limited(self.key, "leaves no room before the call's deadline", Some(wait)));
            }
            tokio::time::sleep_until(ready).await;
        }
        drop(turn);
        Ok(())
    }
}

fn limited(key: &str, why: &str, retry_after: Option<Duration>) -> Error {
    Error::RateLimited { message: format!("{key} {why}"), retry_after, upstream: None, out_of_quota: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(settings: &LimitSettings) -> Limits {
        Limits::new(settings)
    }

    fn deadline(seconds: u64) -> Instant {
        now() + Duration::from_secs(seconds)
    }

    #[tokio::test(start_paused = true)]
    async fn requests_wait_for_their_share_of_the_minute() {
        let limits = limits(&LimitSettings { requests_per_minute: Some(2), ..LimitSettings::default() });
        let start = now();
        for _ in 0..3 {
            limits.admit(0, deadline(60)).await.unwrap();
        }
        assert!(start.elapsed() >= Duration::from_secs(30), "{:?}", start.elapsed());
        assert!(start.elapsed() < Duration::from_secs(31), "{:?}", start.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn waiters_pass_in_order_of_arrival() {
        let limits =
            Arc::new(limits(&LimitSettings { tokens_per_minute: Some(60), ..LimitSettings::default() }));
        limits.admit(60, deadline(1)).await.unwrap();
        let order = Arc::new(std::sync::Mutex::new(Vec::new()));
        let waiter = |name: usize, tokens| {
            let (limits, order) = (limits.clone(), order.clone());
            async move {
                limits.admit(tokens, deadline(300)).await.unwrap();
                order.lock().unwrap().push(name);
            }
        };
        tokio::join!(waiter(0, 50), waiter(1, 1), waiter(2, 30));
        assert_eq!(*order.lock().unwrap(), [0, 1, 2]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_past_the_deadline_is_refused_at_once_and_says_when() {
        let limits = limits(&LimitSettings { requests_per_minute: Some(1), ..LimitSettings::default() });
        limits.admit(0, deadline(1)).await.unwrap();
        let start = now();
        let error = limits.admit(0, deadline(10)).await.unwrap_err();
        assert!(
            matches!(error, Error::RateLimited { retry_after: Some(wait), .. } if wait > Duration::from_secs(59))
        );
        assert_eq!(start.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slot_is_given_up_on_drop_and_by_a_dropped_waiter() {
        let limits = limits(&LimitSettings { concurrency: Some(1), ..LimitSettings::default() });
        let slot = limits.admit(0, deadline(1)).await.unwrap();
        let error = limits.admit(0, deadline(1)).await.unwrap_err();
        assert!(error.to_string().contains("limits.concurrency"), "{error}");
        drop(slot);
        limits.admit(0, deadline(1)).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn fail_does_not_wait() {
        let settings =
            LimitSettings { concurrency: Some(1), on_limit: OnLimit::Fail, ..LimitSettings::default() };
        let limits = limits(&settings);
        let _slot = limits.admit(0, deadline(1)).await.unwrap();
        assert!(limits.admit(0, deadline(1)).await.is_err());
    }
}
