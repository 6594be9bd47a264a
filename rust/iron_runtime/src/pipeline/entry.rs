//! The last door before an upstream: its gate, the budgets, its breaker.

use std::sync::Arc;

use super::Call;
use crate::Error;
use crate::budget::{Ask, Reservation};
use crate::clock::now;
use crate::upstream::{Failure, Upstream, Visit};

impl Call {
    /// Wait until the upstream takes requests and the budgets have room for one.
    pub(super) async fn enter(
        &mut self,
        upstream: &Arc<Upstream>,
        ask: Ask,
    ) -> Result<(Reservation, Visit), Failure> {
        loop {
            if let Some(refusal) = upstream.refusal() {
                return Err(Failure::elsewhere(refusal));
            }
            self.pass_gate(upstream).await.map_err(Failure::elsewhere)?;
            let reservation = self.reserve(ask).await.map_err(Failure::unsent)?;
            // While it waited for money the provider may have closed the gate: it holds none while it waits there.
            if upstream.gate.closed().is_none() {
                // Last, so that no probe's place is taken by a call that waits.
                return Ok((reservation, upstream.visit().map_err(Failure::elsewhere)?));
            }
        }
    }

    async fn pass_gate(&mut self, upstream: &Upstream) -> Result<(), Error> {
        if upstream.gate.waits().is_none() {
            return Ok(());
        }
        let deadline = self.deadline;
        let passed = self.queue(upstream.gate.pass(deadline)).await;
        passed.map_err(|closed| upstream.closed(closed.until))
    }

    async fn reserve(&mut self, ask: Ask) -> Result<Reservation, Error> {
        let (ledger, chain) = (self.engine.ledger.clone(), self.chain.clone());
        match self.queue(ledger.reserve(chain, ask, Some(self.deadline))).await {
            Ok(reservation) => Ok(reservation.on_bill(self.watch.bill())),
            Err(refusal) => Err(Error::BudgetExceeded(Box::new(refusal))),
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
