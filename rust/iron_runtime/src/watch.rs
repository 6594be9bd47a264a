//! One call as it is told to whoever watches: counted, logged, and sent to readers of events.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use iron_protocol::{NanoUsd, RequestId};

use crate::Error;
use crate::audit::Trail;
use crate::budget::{Budget, BudgetSnapshot};
use crate::call::CallReport;
use crate::event::{Events, Happened, Operation};
use crate::run::Who;
use crate::stats::Counters;

/// Who watches the calls of one client.
#[derive(Debug)]
pub(crate) struct Watchers {
    pub(crate) counters: Counters,
    pub(crate) events: Events,
}

impl Watchers {
    pub(crate) fn new(events: Events) -> Self {
        Self { counters: Counters::default(), events }
    }
}

/// The duty to tell how a call ended, once; dropped before, it tells that the call was cancelled.
#[derive(Debug)]
pub(crate) struct Watch {
    bill: Arc<Bill>,
    attempts: u32,
    ended: bool,
    /// What is recorded of the call.
    pub(crate) trail: Option<Trail>,
}

/// What a call has cost so far. Each of its reservations adds to it when it is given up, wherever that happens.
#[derive(Debug)]
pub(crate) struct Bill {
    watchers: Arc<Watchers>,
    request_id: RequestId,
    cost_nano_usd: AtomicI64,
    in_doubt: AtomicBool,
}

/// How a reservation came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Settled {
    /// At what is known or counted, or released.
    Known,
    /// At the whole, because the provider told nothing.
    InDoubt,
    /// At the whole, because the call was dropped after it was sent.
    Dropped,
}

impl Watch {
    pub(crate) fn begin(
        watchers: &Arc<Watchers>,
        request_id: RequestId,
        operation: Operation,
        model: &str,
        chain: &[Budget],
        who: &Who,
    ) -> Self {
        watchers.counters.begun();
        watchers.events.tell(|| Happened::Started {
            request_id,
            operation,
            model: model.to_owned(),
            agent: who.agent.clone(),
            tags: who.tags.clone(),
            budgets: chain.iter().map(|budget| budget.snapshot().name).collect(),
        });
        let bill = Bill {
            watchers: watchers.clone(),
            request_id,
            cost_nano_usd: AtomicI64::new(0),
            in_doubt: AtomicBool::new(false),
        };
        Self { bill: Arc::new(bill), attempts: 0, ended: false, trail: None }
    }

    pub(crate) fn bill(&self) -> &Arc<Bill> {
        &self.bill
    }

    /// Requests sent so far.
    pub(crate) fn attempts(&self) -> u32 {
        self.attempts
    }

    /// A request is about to be sent.
    pub(crate) fn attempt(&mut self, upstream: &Arc<str>) {
        if let Some(trail) = &mut self.trail {
            trail.asked(upstream);
        }
        self.attempts += 1;
        self.counters().attempt();
    }

    /// The same upstream is to be asked again after `wait`.
    pub(crate) fn retrying(&self, upstream: &Arc<str>, attempt: u32, error: &Error, wait: Duration) {
        let (request_id, code) = (self.bill.request_id, error.code());
        self.counters().retry();
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        tracing::info!(%request_id, %upstream, attempt, %code, wait_ms, "trying again");
        self.bill.watchers.events.tell(|| Happened::Retried {
            request_id,
            upstream: upstream.clone(),
            attempt,
            code,
            wait,
        });
    }

    /// The next upstream of the route is to be asked.
    pub(crate) fn falling_back(&self, from: &Arc<str>, to: &Arc<str>, error: &Error) {
        let (request_id, code) = (self.bill.request_id, error.code());
        self.counters().fallback();
        tracing::warn!(%request_id, upstream = %from, to = %to, %code, "asking the next upstream");
        self.bill.watchers.events.tell(|| Happened::FellBack {
            request_id,
            from: from.clone(),
            to: to.clone(),
            code,
        });
    }

    /// An answer is to be sent back to be repaired.
    pub(crate) fn repairing(&self, upstream: &Arc<str>, repair: u32, violations: usize) {
        let request_id = self.bill.request_id;
        self.counters().repair();
        tracing::info!(%request_id, %upstream, repair, violations, "asking for a repair");
        let upstream = upstream.clone();
        let events = &self.bill.watchers.events;
        events.tell(|| Happened::Repaired { request_id, upstream, repair, violations });
    }

    /// The call ended with a reply.
    pub(crate) fn answered(&mut self, report: &CallReport) {
        self.ended = true;
        if let Some(trail) = &mut self.trail {
            trail.answered(report);
        }
        let CallReport { request_id, usage, cost, settlement, attempts, timing, .. } = *report;
        let upstream = &report.upstream;
        self.counters().answered(&usage, &timing);
        tracing::debug!(%request_id, %upstream, attempt = attempts, %cost, "answered");
        self.bill.watchers.events.tell(|| Happened::Finished {
            request_id,
            upstream: upstream.clone(),
            usage,
            cost,
            settlement,
            attempts,
            timing,
        });
    }

    /// The call ended in an error, which is passed on.
    pub(crate) fn failed(&mut self, mut error: Error) -> Error {
        self.ended = true;
        if let Error::OutputInvalid(invalid) = &mut error {
            invalid.cost = self.bill.cost();
        }
        if let Some(trail) = &mut self.trail {
            trail.failed(&error);
        }
        let (request_id, code, upstream) = (self.bill.request_id, error.code(), error.upstream());
        let (attempts, cost) = (self.attempts, self.bill.cost());
        let events = &self.bill.watchers.events;
        let budget = match &error {
            Error::BudgetExceeded(refusal) => Some(&refusal.budget),
            Error::Ledger(_) | Error::Audit(_) | Error::RateLimited { upstream: None, .. } => None,
            _ => {
                self.counters().failed(code);
                let shown = upstream.unwrap_or_default();
                tracing::info!(%request_id, upstream = shown, attempt = attempts, %code, "failed");
                let upstream = upstream.map(str::to_owned);
                events.tell(|| Happened::Failed { request_id, code, upstream, attempts, cost });
                return error;
            }
        };
        self.counters().refused(code);
        tracing::info!(%request_id, %code, budget = budget.map(String::as_str), "refused");
        events.tell(|| Happened::Refused { request_id, code, budget: budget.cloned() });
        error
    }

    fn counters(&self) -> &Counters {
        &self.bill.watchers.counters
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let (request_id, attempts, cost) = (self.bill.request_id, self.attempts, self.bill.cost());
        self.counters().cancelled();
        tracing::debug!(%request_id, attempt = attempts, %cost, "cancelled");
        self.bill.watchers.events.tell(|| Happened::Cancelled { request_id, attempts, cost });
    }
}

impl Bill {
    pub(crate) fn cost(&self) -> NanoUsd {
        NanoUsd::from_nanos(self.cost_nano_usd.load(Ordering::Relaxed))
    }

    /// Whether a part of the cost is what no provider told.
    pub(crate) fn is_in_doubt(&self) -> bool {
        self.in_doubt.load(Ordering::Relaxed)
    }

    /// A reservation of the call has been given up at `cost`; `low` are the budgets of which that left little.
    pub(crate) fn settled(&self, cost: NanoUsd, how: Settled, low: Vec<BudgetSnapshot>) {
        let request_id = self.request_id;
        let add = |sum: i64| Some(sum.saturating_add(cost.nanos()));
        // `add` never gives `None`.
        let _ = self.cost_nano_usd.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
        if how != Settled::Known {
            self.in_doubt.store(true, Ordering::Relaxed);
        }
        self.watchers.counters.settled(cost, how != Settled::Known);
        match how {
            Settled::Known => {}
            Settled::InDoubt => {
                tracing::warn!(%request_id, %cost, "settled in doubt: the provider told no usage");
            }
            Settled::Dropped => {
                tracing::info!(%request_id, %cost, "settled in doubt: the call was given up after it was sent");
            }
        }
        for budget in low {
            tracing::warn!(budget = %budget.name, spent = %budget.spent(), limit = %budget.limit, "budget is low");
            self.watchers.events.tell(|| Happened::BudgetLow(budget));
        }
    }
}
