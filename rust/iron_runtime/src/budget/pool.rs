//! The leases that one process holds of one budget: which pays next, when the next is taken, and when each ends.
//!
//! A state machine that knows no store, no thread and no clock. `J` is where a lease's attempts are written down.

use std::collections::VecDeque;

use iron_protocol::{LeaseId, RequestId};

use super::attempt::{Ending, Part};
use super::lease::{Closed, Lease, Report};
use super::tranche::Want;
use super::window::Span;
use crate::event::LeaseEnd;

/// All leases of one budget, the oldest first.
#[derive(Debug)]
pub(super) struct Pool<J> {
    leases: VecDeque<Lease<J>>,
    /// The window that calls are admitted in.
    span: Span,
    low_water: i64,
    /// The source has nothing more at present: what is here is all there is.
    dry: bool,
    /// The source has been asked for the next tranche, or has just refused one.
    asked: bool,
    /// Reservations so far.
    taken: u64,
}

impl<J: Clone> Pool<J> {
    pub(super) fn new() -> Self {
        Self { leases: VecDeque::new(), span: Span::NEVER, low_water: 0, dry: false, asked: true, taken: 0 }
    }

    /// What could be reserved now.
    pub(super) fn free(&self) -> i64 {
        self.leases.iter().map(Lease::free).sum()
    }

    /// What could be reserved if every call in flight were released; those of leases that drain go back first.
    pub(super) fn ever_free(&self) -> i64 {
        self.leases.iter().map(|lease| lease.free().saturating_add(lease.held())).sum()
    }

    /// What calls hold, of this window.
    pub(super) fn held(&self) -> i64 {
        self.current().map(Lease::held).sum()
    }

    /// What has been spent of this window and the source does not know of.
    pub(super) fn unreported(&self) -> i64 {
        self.current().map(Lease::unreported).sum()
    }

    fn current(&self) -> impl Iterator<Item = &Lease<J>> {
        self.leases.iter().filter(|lease| lease.span == self.span)
    }

    /// Reservations so far: a number that stands still tells that no call is made.
    pub(super) fn taken(&self) -> u64 {
        self.taken
    }

    /// Whether an ask can be granted from what is here. More than its least is waited for only while there is more.
    pub(super) fn pays(&self, least: i64, most: i64) -> bool {
        let free = self.free();
        free >= most || (self.dry && free >= least)
    }

    /// Hold `amount`, which is free, on the oldest leases.
    pub(super) fn take(&mut self, mut amount: i64) -> Vec<Part<J>> {
        self.taken += 1;
        let mut parts = Vec::with_capacity(1);
        for lease in &mut self.leases {
            if amount == 0 {
                break;
            }
            if let Some(part) = lease.take(amount) {
                amount -= part.amount;
                parts.push(part);
            }
        }
        parts
    }

    /// End one part of a reservation.
    pub(super) fn end(&mut self, part: &Part<J>, ending: Ending, request: RequestId) {
        if let Some(lease) = self.by_id(part.lease) {
            lease.end(part, ending, request);
        }
    }

    /// Come into the window that holds `now`: leases of another one pay for no new call.
    pub(super) fn enter(&mut self, span: Span) {
        if self.span != span {
            self.span = span;
            self.drain(LeaseEnd::WindowOver);
        }
    }

    pub(super) fn span(&self) -> Span {
        self.span
    }

    /// A lease has been granted, in the window `span`; one of a window that is over drains at once.
    pub(super) fn grant(&mut self, id: LeaseId, span: Span, granted: i64, journal: J) {
        let mut lease = Lease::new(id, span, granted, journal);
        if span == self.span {
            for lease in self.leases.iter_mut().filter(|lease| lease.is_worn()) {
                lease.drain(LeaseEnd::Worn);
            }
            // The next is taken while half of this one is left.
            self.low_water = granted / 2;
            self.dry = false;
            self.asked = false;
        } else {
            lease.drain(LeaseEnd::WindowOver);
        }
        self.leases.push_back(lease);
    }

    /// The source has nothing for us at present.
    pub(super) fn refused(&mut self) {
        self.dry = true;
        self.asked = true;
    }

    /// The source does not answer: it is asked again later.
    pub(super) fn stall(&mut self) {
        self.asked = true;
    }

    /// The source may be asked again; whether it has something is known.
    pub(super) fn may_ask(&mut self, has_some: bool) {
        self.asked = false;
        self.dry &= !has_some;
    }

    /// What to ask the source for, where `waiting` is what calls wait for.
    pub(super) fn wants(&mut self, waiting: Option<Want>) -> Option<Want> {
        if let Some(waiting) = waiting {
            let free = self.free();
            let missing = Want {
                least: waiting.least.saturating_sub(free).max(0),
                most: waiting.most.saturating_sub(free).max(0),
            };
            // The first in the queue is served by what is here: nothing is missing but its turn.
            return (missing.most > 0).then_some(missing);
        }
        if self.is_low() {
            self.asked = true;
            return Some(Want::AHEAD);
        }
        None
    }

    /// The next tranche is to be taken before this one runs out, or its journal is too long.
    fn is_low(&self) -> bool {
        !self.asked && (self.free() < self.low_water || self.leases.iter().any(Lease::is_worn))
    }

    /// Whether there is something to tell the source soon.
    pub(super) fn calls(&self) -> bool {
        self.is_low() || self.leases.iter().any(Lease::is_over)
    }

    /// Pay for no new call from any lease that is here now. The next is taken when a call needs it.
    pub(super) fn drain(&mut self, why: LeaseEnd) {
        self.low_water = 0;
        self.leases.iter_mut().for_each(|lease| lease.drain(why));
    }

    /// Pay for no new call from that lease: its journal cannot be written.
    pub(super) fn abandon(&mut self, id: LeaseId) {
        if let Some(lease) = self.by_id(id) {
            lease.drain(LeaseEnd::Fault);
        }
    }

    /// The source has written that lease off: what was granted, when this is first told.
    pub(super) fn lose(&mut self, id: LeaseId) -> Option<i64> {
        self.by_id(id)?.lose()
    }

    fn by_id(&mut self, id: LeaseId) -> Option<&mut Lease<J>> {
        self.leases.iter_mut().find(|lease| lease.id == id)
    }

    /// What has changed since the last report; with `all` false, only where money goes back by it.
    pub(super) fn reports(&self, all: bool) -> Vec<Report> {
        let due = |lease: &&Lease<J>| lease.has_changed() && (all || lease.gives_back());
        self.leases.iter().filter(due).map(Lease::report).collect()
    }

    /// The source has been told. Leases that are over are forgotten, and come back.
    pub(super) fn reported(&mut self, reports: &[Report]) -> Vec<Closed<J>> {
        for report in reports {
            if let Some(lease) = self.by_id(report.lease) {
                lease.reported(report);
            }
        }
        let over = |lease: &Lease<J>| lease.is_over() && !lease.has_changed();
        let closed = self.leases.iter().filter(|lease| over(lease)).map(Lease::closed).collect();
        self.leases.retain(|lease| !over(lease));
        closed
    }

    pub(super) fn is_empty(&self) -> bool {
        self.leases.is_empty()
    }
}

#[cfg(test)]
mod tests;
