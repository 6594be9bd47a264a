//! What the calls of one client came to, counted as they end.

mod histogram;

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use iron_protocol::{ErrorCode, NanoUsd};

use self::histogram::Histogram;
pub use self::histogram::Quantiles;
use crate::call::{Timing, Usage};

const CODES: usize = ErrorCode::ALL.len();

/// The counters. Each is exact; read together they may be of moments a few instructions apart.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    begun: AtomicU64,
    answered: AtomicU64,
    cancelled: AtomicU64,
    refused: [AtomicU64; CODES],
    failed: [AtomicU64; CODES],
    waiting: AtomicU64,
    attempts: AtomicU64,
    retries: AtomicU64,
    fallbacks: AtomicU64,
    repairs: AtomicU64,
    /// In the order of [`Usage::counts`].
    usage: [AtomicU64; 13],
    cost_nano_usd: AtomicI64,
    in_doubt_nano_usd: AtomicI64,
    total: Histogram,
    overhead: Histogram,
}

/// The counters of a client at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Calls that have begun.
    pub begun: u64,
    /// Calls that ended with a reply.
    pub answered: u64,
    /// Calls that were dropped before their end.
    pub cancelled: u64,
    /// Calls that a budget or a limit of ours refused, by code.
    pub refused: Vec<(ErrorCode, u64)>,
    /// Calls that ended in any other error, by code.
    pub failed: Vec<(ErrorCode, u64)>,
    /// Calls that wait at this moment: for a limit, for budget, or to try again.
    pub waiting: u64,
    /// Requests sent.
    pub attempts: u64,
    /// Times that the same upstream was to be asked again.
    pub retries: u64,
    /// Times that a call went on to the next upstream.
    pub fallbacks: u64,
    /// Answers that were sent back to be repaired.
    pub repairs: u64,
    /// What was used, as the providers counted it.
    pub usage: Usage,
    /// What all attempts together cost.
    pub cost: NanoUsd,
    /// The part of the cost that is unknown, and was taken as spent whole.
    pub in_doubt: NanoUsd,
    /// How long answered calls took.
    pub total: Quantiles,
    /// How long governing them took.
    pub overhead: Quantiles,
}

/// A call that waits, until it is dropped.
#[derive(Debug)]
pub(crate) struct Waiting<'a>(&'a Counters);

impl Counters {
    pub(crate) fn begun(&self) {
        add(&self.begun, 1);
    }

    pub(crate) fn answered(&self, usage: &Usage, timing: &Timing) {
        add(&self.answered, 1);
        for (counter, count) in self.usage.iter().zip(usage.counts()) {
            if count > 0 {
                add(counter, count);
            }
        }
        self.total.record(timing.total);
        self.overhead.record(timing.overhead());
    }

    pub(crate) fn refused(&self, code: ErrorCode) {
        count(&self.refused, code);
    }

    pub(crate) fn failed(&self, code: ErrorCode) {
        count(&self.failed, code);
    }

    pub(crate) fn cancelled(&self) {
        add(&self.cancelled, 1);
    }

    pub(crate) fn attempt(&self) {
        add(&self.attempts, 1);
    }

    pub(crate) fn retry(&self) {
        add(&self.retries, 1);
    }

    pub(crate) fn fallback(&self) {
        add(&self.fallbacks, 1);
    }

    pub(crate) fn repair(&self) {
        add(&self.repairs, 1);
    }

    pub(crate) fn settled(&self, cost: NanoUsd, in_doubt: bool) {
        self.cost_nano_usd.fetch_add(cost.nanos(), Ordering::Relaxed);
        if in_doubt {
            self.in_doubt_nano_usd.fetch_add(cost.nanos(), Ordering::Relaxed);
        }
    }

    pub(crate) fn waiting(&self) -> Waiting<'_> {
        add(&self.waiting, 1);
        Waiting(self)
    }

    pub(crate) fn read(&self) -> Stats {
        // Ends before beginnings: never more calls have ended than begun.
        Stats {
            answered: get(&self.answered),
            cancelled: get(&self.cancelled),
            refused: by_code(&self.refused),
            failed: by_code(&self.failed),
            waiting: get(&self.waiting),
            attempts: get(&self.attempts),
            retries: get(&self.retries),
            fallbacks: get(&self.fallbacks),
            repairs: get(&self.repairs),
            usage: Usage::from_counts(std::array::from_fn(|place| get(&self.usage[place]))),
            cost: NanoUsd::from_nanos(self.cost_nano_usd.load(Ordering::Relaxed)),
            in_doubt: NanoUsd::from_nanos(self.in_doubt_nano_usd.load(Ordering::Relaxed)),
            total: self.total.quantiles(),
            overhead: self.overhead.quantiles(),
            begun: get(&self.begun),
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

fn add(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Ordering::Relaxed);
}

fn get(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

fn count(counters: &[AtomicU64; CODES], code: ErrorCode) {
    for (known, counter) in ErrorCode::ALL.into_iter().zip(counters) {
        if known == code {
            add(counter, 1);
        }
    }
}

fn by_code(counters: &[AtomicU64; CODES]) -> Vec<(ErrorCode, u64)> {
    let counts = ErrorCode::ALL.into_iter().zip(counters.iter().map(get));
    counts.filter(|&(_, count)| count > 0).collect()
}
