//! The retry budget of one upstream: retries are a share of calls, so that they cannot multiply an outage.
//!
//! Were every call of a failing upstream tried three times, it would see three times its load when it can bear it
//! least. Each call earns a part of a retry, each retry costs a whole one; a floor per second lets clients that make few
//! calls retry at all.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Instant;
use crate::config::RetryPolicy;

/// What one retry costs: a call earns `percent` of these.
const RETRY: u64 = 100;
/// How many seconds of the floor, and how many calls' earnings, may be saved up.
const MOST_SECONDS: u64 = 10;
const MOST_CALLS: u64 = 100;
const MOST_MICROS: u128 = 1_000_000 * MOST_SECONDS as u128;

#[derive(Debug)]
pub(crate) struct RetryBudget {
    /// What a call earns, in hundredths of a retry.
    percent: u64,
    per_second: u64,
    saved: Mutex<Saved>,
}

#[derive(Debug)]
struct Saved {
    parts: u64,
    /// Up to when the floor has been paid in.
    paid: Instant,
}

impl RetryBudget {
    pub(crate) fn new(policy: RetryPolicy, now: Instant) -> Self {
        let (percent, per_second) = (u64::from(policy.budget_percent), u64::from(policy.budget_per_second));
        let parts = per_second * RETRY * MOST_SECONDS;
        Self { percent, per_second, saved: Mutex::new(Saved { parts, paid: now }) }
    }

    /// Count a call.
    pub(crate) fn earn(&self) {
        let mut saved = self.saved.lock().unwrap_or_else(PoisonError::into_inner);
        saved.parts = (saved.parts + self.percent).min(self.most());
    }

    /// Pay for a retry: whether there was enough.
    pub(crate) fn spend(&self, now: Instant) -> bool {
        let mut saved = self.saved.lock().unwrap_or_else(PoisonError::into_inner);
        let rate = self.per_second * RETRY;
        let micros = now.saturating_duration_since(saved.paid).as_micros().min(MOST_MICROS);
        let parts = u64::try_from(micros).unwrap_or(u64::MAX) * rate / 1_000_000;
        if parts > 0 {
            saved.parts = (saved.parts + parts).min(self.most());
            // Time that has not paid for a whole part is kept.
            saved.paid = if micros == MOST_MICROS {
                now
            } else {
                saved.paid + Duration::from_micros(parts * 1_000_000 / rate)
            };
        }
        let enough = saved.parts >= RETRY;
        if enough {
            saved.parts -= RETRY;
        }
        enough
    }

    fn most(&self) -> u64 {
        self.per_second * RETRY * MOST_SECONDS + self.percent * MOST_CALLS
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::now;

    fn budget(budget_percent: u32, budget_per_second: u32, now: Instant) -> RetryBudget {
        let (initial, max) = (Duration::ZERO, Duration::ZERO);
        RetryBudget::new(
            RetryPolicy { max_attempts: 3, initial, max, budget_percent, budget_per_second },
            now,
        )
    }

    fn spent(budget: &RetryBudget, now: Instant) -> usize {
        (0..10_000).take_while(|_| budget.spend(now)).count()
    }

    #[test]
    fn retries_are_a_share_of_calls() {
        let now = now();
        let budget = budget(20, 0, now);
        assert_eq!(spent(&budget, now), 0);
        (0..50).for_each(|_| budget.earn());
        assert_eq!(spent(&budget, now), 10);
        (0..10_000).for_each(|_| budget.earn());
        assert_eq!(spent(&budget, now), 20, "no more is saved than a hundred calls earn");
    }

    #[test]
    fn the_floor_pays_each_second_and_saves_ten_of_them() {
        let now = now();
        let budget = budget(0, 3, now);
        assert_eq!(spent(&budget, now), 30);
        assert_eq!(spent(&budget, now + Duration::from_secs(2)), 6);
        let mut at = now + Duration::from_secs(2);
        let mut slowly = 0;
        for _ in 0..1_000 {
            at += Duration::from_millis(1);
            slowly += usize::from(budget.spend(at));
        }
        assert_eq!(slowly, 3, "a second in small steps is a second");
        assert_eq!(spent(&budget, at + Duration::from_secs(3_600)), 30);
    }

    #[test]
    fn without_share_and_floor_nothing_is_tried_again() {
        let now = now();
        let budget = budget(0, 0, now);
        (0..100).for_each(|_| budget.earn());
        assert_eq!(spent(&budget, now + Duration::from_secs(60)), 0);
    }
}
