//! The last doors before an upstream: its gate, the limits, the budgets, its breaker.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;

use super::Call;
use super::asked::Plan;
use crate::Error;
use crate::budget::{Ask, Reservation};
use crate::clock::now;
use crate::limit::{Full, Slot};
use crate::route::Stop;
use crate::upstream::{Billing, Failure, Retry, Upstream, Visit};

impl Call {
    /// Go in once the upstream takes requests, the limits have room and the budgets have money; without `wait` only if
    /// neither the upstream nor its own limits make it wait.
    pub(super) async fn enter(
        &mut self,
        stop: &Stop<'_>,
        plan: &Plan,
        wait: bool,
    ) -> Result<(Reservation, Visit), Failure> {
        let (engine, upstream, deadline) = (self.engine.clone(), &stop.upstream, self.deadline);
        if let Some(refusal) = upstream.refusal() {
            return Err(Failure::elsewhere(refusal));
        }
        self.pass_gate(upstream, wait).await?;
        let counted = engine.limits.attempt(stop.target, plan.rate_tokens(), wait, deadline);
        self.queue(counted).await.map_err(|full| self.full(&full, wait))?;
        loop {
            let place = self.place(stop, wait).await?;
            let (reservation, waited) = self.reserve(plan.ask, place).await?;
            let slot = match waited {
                Money::AtOnce(slot) => slot,
                // It keeps the money, which it has waited for in order. Those before it have both, and so will end.
                Money::Later => self.place(stop, wait).await?,
            };
            if upstream.gate.closed().is_none() {
                // Last, so that no probe's place is taken by a call that waits.
                return Ok((reservation, upstream.visit(slot).map_err(Failure::elsewhere)?));
            }
            // While it waited the provider has closed the gate: it holds no place and no money while it waits there.
            drop((slot, reservation));
            self.pass_gate(upstream, wait).await?;
        }
    }

    /// A limit of ours has no room.
    fn full(&self, full: &Full, wait: bool) -> Failure {
        let error = self.engine.limits.refusal(full);
        match (full.own, wait) {
            (true, false) => Failure::later(error, full.ready()),
            (true, true) => Failure::elsewhere(error),
            // No other upstream has more room.
            (false, _) => Failure::unsent(error),
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

    /// A place in all limits on requests at once.
    async fn place(&mut self, stop: &Stop<'_>, wait: bool) -> Result<Slot, Failure> {
        let (engine, budgets) = (self.engine.clone(), self.chain.clone());
        let place = engine.limits.place(stop.target, &budgets, wait, self.deadline);
        self.queue(place).await.map_err(|full| self.full(&full, wait))
    }

    /// Reserve `ask`. The place is given up if the money has to be waited for: it would be kept from calls that others
    /// pay for.
    async fn reserve(&mut self, ask: Ask, place: Slot) -> Result<(Reservation, Money), Failure> {
        let (ledger, chain) = (self.engine.ledger.clone(), self.chain.clone());
        let reserved = ledger.reserve_for(self.context.request_id, chain, ask, Some(self.deadline));
        let mut reserved = pin!(reserved);
        let (reservation, money) = match poll_once(reserved.as_mut()).await {
            Poll::Ready(reservation) => (reservation, Money::AtOnce(place)),
            Poll::Pending => {
                drop(place);
                (self.queue(reserved).await, Money::Later)
            }
        };
        match reservation {
            Ok(reservation) => Ok((reservation.on_bill(self.watch.bill()), money)),
            Err(Error::BudgetExceeded(refusal)) => {
                let retry = Retry::Cheaper(refusal.estimate);
                Err(Failure { error: Error::BudgetExceeded(refusal), billing: Billing::Free, retry })
            }
            Err(error) => Err(Failure::unsent(error)),
        }
    }

    /// Wait for `turn`, and count the time, if there is any.
    pub(in crate::pipeline) async fn queue<T>(&mut self, turn: impl Future<Output = T>) -> T {
        let mut turn = pin!(turn);
        if let Poll::Ready(came) = poll_once(turn.as_mut()).await {
            return came;
        }
        let (engine, began) = (self.engine.clone(), now());
        let counted = engine.watchers.counters.waiting();
        let came = turn.await;
        drop(counted);
        self.queued += began.elapsed();
        came
    }
}

/// Whether the money was there.
enum Money {
    /// With the place that was taken before.
    AtOnce(Slot),
    /// It was waited for, without a place.
    Later,
}

async fn poll_once<T>(mut turn: Pin<&mut impl Future<Output = T>>) -> Poll<T> {
    poll_fn(|cx| Poll::Ready(turn.as_mut().poll(cx))).await
}
