//! The only reader of time.
//!
//! It is tokio's clock, so that tests pause and advance it; deadlines and rate limits then hold in tests exactly as
//! they do in production.

use std::ops::Add;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use governor::clock::{Clock, Reference};
use governor::nanos::Nanos;
pub(crate) use tokio::time::Instant;

/// Now, for measuring and for deadlines.
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Now, as calendars have it: for HTTP dates, for the windows of budgets, and to say when something happened.
#[expect(clippy::disallowed_methods, reason = "this is where time is read")]
pub fn calendar_now() -> SystemTime {
    SystemTime::now()
}

/// The calendar, which tests may set.
#[derive(Clone, Debug, Default)]
pub struct Calendar(Option<Arc<AtomicI64>>);

impl Calendar {
    /// A calendar that shows what `seconds` says, since 1970, until it says something else.
    pub fn set_by(seconds: Arc<AtomicI64>) -> Self {
        Self(Some(seconds))
    }

    /// Seconds since 1970; none before.
    pub(crate) fn seconds(&self) -> i64 {
        if let Some(set) = &self.0 {
            return set.load(Ordering::Acquire);
        }
        let since = calendar_now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    }
}

/// The same clock as `governor` reads it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RateClock;

impl Clock for RateClock {
    type Instant = RateInstant;

    fn now(&self) -> RateInstant {
        RateInstant(now())
    }
}

/// A point of time to `governor`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RateInstant(Instant);

impl Reference for RateInstant {
    fn duration_since(&self, earlier: Self) -> Nanos {
        self.0.saturating_duration_since(earlier.0).into()
    }

    fn saturating_sub(&self, duration: Nanos) -> Self {
        Self(self.0.checked_sub(duration.into()).unwrap_or(self.0))
    }
}

impl Add<Nanos> for RateInstant {
    type Output = Self;

    fn add(self, other: Nanos) -> Self {
        let wait: Duration = other.into();
        Self(self.0 + wait)
    }
}
