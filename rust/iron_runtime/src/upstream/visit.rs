//! One request to an upstream, as the upstream's health sees it.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::breaker::{Pass, Verdict};
use super::pool::Upstream;
use crate::clock::{Instant, now};
use crate::limit::Slot;

/// A request in flight. Dropped without a verdict it says nothing about the upstream, and a probe's place is free.
#[derive(Debug)]
pub(crate) struct Visit {
    upstream: Arc<Upstream>,
    pass: Pass,
    sent_at: Instant,
    judged: bool,
    _slot: Slot,
}

impl Visit {
    pub(super) fn new(upstream: Arc<Upstream>, pass: Pass, slot: Slot) -> Self {
        upstream.tally.requests.fetch_add(1, Relaxed);
        upstream.tally.in_flight.fetch_add(1, Relaxed);
        Self { upstream, pass, sent_at: now(), judged: false, _slot: slot }
    }

    /// When the request began.
    pub(crate) fn sent_at(&self) -> Instant {
        self.sent_at
    }

    /// The head of a good reply has come. A stream may go on for minutes: a probe has found out enough.
    pub(crate) fn accepted(&mut self) {
        let now = now();
        self.upstream.tally.measure(now.saturating_duration_since(self.sent_at), now);
        if self.pass.is_probe() {
            self.judge(Verdict::Well);
        }
    }

    /// The request has ended so.
    pub(crate) fn end(mut self, verdict: Verdict) {
        if verdict == Verdict::Ill {
            let now = now();
            self.upstream.tally.failures.fetch_add(1, Relaxed);
            self.upstream.tally.disappoint(now.saturating_duration_since(self.sent_at), now);
        }
        self.judge(verdict);
    }

    fn judge(&mut self, verdict: Verdict) {
        if !std::mem::replace(&mut self.judged, true) {
            let turned = self.upstream.breaker.judge(self.pass, verdict, now);
            if let Some(state) = turned {
                self.upstream.turned(state);
            }
        }
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.judge(Verdict::Unknown);
        self.upstream.tally.in_flight.fetch_sub(1, Relaxed);
    }
}
