//! How durations spread, in a fixed number of counters.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Counters to each doubling: a quantile is at most an eighth above the truth.
const STEPS: usize = 8;
/// Doublings above the first steps, in microseconds: up to nine hours, beyond which all is counted as that.
const DOUBLINGS: usize = 32;
const COUNTERS: usize = STEPS * (DOUBLINGS + 1);

/// Durations counted in microseconds, by steps that grow with them.
#[derive(Debug)]
pub(crate) struct Histogram([AtomicU64; COUNTERS]);

/// The durations that half, nine tenths and 99 of a hundred calls stayed within.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quantiles {
    /// The median.
    pub p50: Duration,
    /// Nine in ten were as fast.
    pub p90: Duration,
    /// 99 in a hundred were as fast.
    pub p99: Duration,
}

impl Default for Histogram {
    fn default() -> Self {
        Self([const { AtomicU64::new(0) }; COUNTERS])
    }
}

impl Histogram {
    pub(crate) fn record(&self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        if let Some(counter) = self.0.get(place(micros)) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn quantiles(&self) -> Quantiles {
        let counts: Vec<u64> = self.0.iter().map(|counter| counter.load(Ordering::Relaxed)).collect();
        let total: u64 = counts.iter().sum();
        let within = |percent: u64| {
            let mut rank = (total * percent).div_ceil(100);
            let found = counts.iter().position(|&count| {
                let here = count >= rank;
                rank = rank.saturating_sub(count);
                here
            });
            match found {
                Some(place) if total > 0 => Duration::from_micros(end(place)),
                _ => Duration::ZERO,
            }
        };
        Quantiles { p50: within(50), p90: within(90), p99: within(99) }
    }
}

/// The counter of a duration: the first `STEPS` one by one, then `STEPS` to each doubling.
fn place(micros: u64) -> usize {
    let doubling = (micros / STEPS as u64).checked_ilog2().map_or(0, |log| log as usize + 1);
    if doubling > DOUBLINGS {
        return COUNTERS - 1;
    }
    // Below twice `STEPS`, because that many bits were shifted out.
    let step = usize::try_from(micros >> doubling.saturating_sub(1)).unwrap_or(STEPS);
    doubling * STEPS + if doubling == 0 { step } else { step - STEPS }
}

/// The longest duration of a counter.
fn end(place: usize) -> u64 {
    let (doubling, step) = (place / STEPS, (place % STEPS) as u64);
    if doubling == 0 { step } else { ((STEPS as u64 + step + 1) << (doubling - 1)) - 1 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_counter_is_never_below_the_duration_and_at_most_an_eighth_above(micros in 0_u64..1 << 34) {
            let end = end(place(micros));
            prop_assert!(end >= micros, "{micros} is counted as {end}");
            prop_assert!(end - micros <= micros / STEPS as u64, "{micros} is counted as {end}");
        }
    }

    #[test]
    fn counters_are_in_the_order_of_durations_and_the_last_takes_the_rest() {
        let mut before = None;
        for micros in (0..2_000).chain([1 << 20, 1 << 34, 1 << 40, u64::MAX]) {
            let place = place(micros);
            assert!(before <= Some(place) && place < COUNTERS, "{micros}");
            before = Some(place);
        }
    }

    #[test]
    fn quantiles_are_those_of_what_was_recorded() {
        let histogram = Histogram::default();
        assert_eq!(histogram.quantiles(), Quantiles::default());
        for micros in 1..=100 {
            histogram.record(Duration::from_micros(micros));
        }
        let quantiles = histogram.quantiles();
        for (found, true_one) in [(quantiles.p50, 50), (quantiles.p90, 90), (quantiles.p99, 99)] {
            let found = u64::try_from(found.as_micros()).unwrap();
            assert!(
                (true_one..=true_one + true_one / STEPS as u64).contains(&found),
                "{found} for {true_one}"
            );
        }
    }
}
