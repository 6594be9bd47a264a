//! How many calls went well and ill within the last while.

use std::time::Duration;

use crate::clock::Instant;
use crate::config::BreakerPolicy;

/// The window moves in steps of an eighth: finer tells nothing more about an upstream's health.
const STEPS: u32 = 8;

/// Counts of a sliding window.
#[derive(Debug)]
pub(super) struct Window {
    step: Duration,
    /// Calls that went well, and ill; the newest at `newest`.
    counts: [(u32, u32); STEPS as usize],
    newest: usize,
    /// When the newest step began; `None` before the first call.
    began: Option<Instant>,
}

impl Window {
    pub(super) fn new(length: Duration) -> Self {
        Self { step: length / STEPS, counts: [(0, 0); STEPS as usize], newest: 0, began: None }
    }

    pub(super) fn add(&mut self, now: Instant, well: bool) {
        self.roll(now);
        let (well_so_far, ill_so_far) = &mut self.counts[self.newest];
        let count = if well { well_so_far } else { ill_so_far };
        *count = count.saturating_add(1);
    }

    /// Whether failures are so many that the breaker opens.
    pub(super) fn is_ill(&self, policy: BreakerPolicy) -> bool {
        let sum =
            |of: fn(&(u32, u32)) -> u32| self.counts.iter().map(|step| u64::from(of(step))).sum::<u64>();
        let (well, ill) = (sum(|step| step.0), sum(|step| step.1));
        well + ill >= u64::from(policy.min_requests)
            && ill * 100 >= (well + ill) * u64::from(policy.failure_percent)
    }

    /// Forget what has left the window.
    fn roll(&mut self, now: Instant) {
        let began = *self.began.get_or_insert(now);
        let passed = now.saturating_duration_since(began).as_nanos() / self.step.as_nanos().max(1);
        let steps = u32::try_from(passed).unwrap_or(u32::MAX);
        for _ in 0..steps.min(STEPS) {
            self.newest = (self.newest + 1) % STEPS as usize;
            self.counts[self.newest] = (0, 0);
        }
        if steps >= STEPS {
            // Long idle: steps are counted from this call.
            self.began = Some(now);
        } else {
            self.began = Some(began + self.step * steps);
        }
    }
}
