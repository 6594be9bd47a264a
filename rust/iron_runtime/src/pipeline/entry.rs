//! The last door before an upstream: its gate, the budgets, its breaker.

use std::sync::Arc;

use super::Call;
use crate::Error;
use crate::budget::{Ask, Reservation};
use crate::clock::now;
use crate::upstream::{Billing, Failure, Retry, Upstream, Visit};

impl Call {
    /// Go in once the upstream takes requests and the budgets have room for one; without `wait` only if the upstream
    /// takes one now.
    pub(super) async fn enter(
        &mut self,
        upstream: &Arc<Upstream>,
        ask: Ask,
        wait: bool,
    ) -> Result<(Reservation, Visit), Failure> {
        loop {
            if let Some(refusal) = upstream.refusal() {
                return Err(Failure::elsewhere(refusal));
            }
            self.pass_gate(upstream, wait).await?;
            let reservation = self.reserve(ask).await?;
            // While it waited for money the provider may have closed the gate: it holds none while it waits there.
            if upstream.gate.closed().is_none() {
                // Last, so that no probe's place is taken by a call that waits.
                return Ok((reservation, upstream.visit().map_err(Failure::elsewhere)?));
            }
        }
    }

    async fn pass_gate(&mut self, upstream: &Upstream, wait: bool) -> Result<(), Failure> {
        let Some(until) = upstream.gate.waits() else { return Ok(()) };
        if !wait {
            return Err(Failure::later(upstream.closed(until), until));
        }
        let deadline = self.deadline;
        let passed = self.queue(upstream.gate.pass(deadline)).await;
        passed.map_err(|closed| Failure::elsewhere(upstream.closed(closed.until)))
    }

    async fn reserve(&mut self, ask: Ask) -> Result<Reservation, Failure> {
        let (ledger, chain) = (self.engine.ledger.clone(), self.chain.clone());
        let request = self.context.request_id;
        let reservation = self.queue(ledger.reserve_for(request, chain, ask, Some(self.deadline))).await;
        match reservation {
            Ok(reservation) => Ok(reservation.on_bill(self.watch.bill())),
            Err(Error::BudgetExceeded(refusal)) => {
                let retry = Retry::Cheaper(refusal.estimate);
                Err(Failure { error: Error::BudgetExceeded(refusal), billing: Billing::Free, retry })
            }
            Err(error) => Err(Failure::unsent(error)),
        }
    }

    /// Wait for `turn`, and count the time.
    pub(super) async fn queue<T>(&mut self, turn: impl Future<Output = T>) -> T {
        let (engine, began) = (self.engine.clone(), now());
        let counted = engine.watchers.counters.waiting();
        let came = turn.await;
        drop(counted);
        self.queued += began.elapsed();
        came
    }
}
