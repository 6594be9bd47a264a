//! The leases that one process holds of one budget: what is left of them, which pays next, and when each ends.
//!
//! A state machine that knows no store, no thread and no clock. `J` is where a lease's attempts are written down.

use std::collections::VecDeque;

use iron_protocol::{LeaseId, RequestId};

use super::tranche::Want;
use super::window::Span;

/// Attempts after which a lease gives way to the next, so that its journal stays small and is read in no time.
const MOST_ATTEMPTS: u64 = 50_000;

/// A tranche of the budget, granted to this process. Its grant never changes.
#[derive(Debug)]
struct Lease<J> {
    id: LeaseId,
    span: Span,
    granted: i64,
    /// What no call holds. Nothing, once it drains.
    free: i64,
    held: i64,
    settled: i64,
    in_doubt: i64,
    /// Settled beyond what was reserved.
    overage: i64,
    attempts: u64,
    state: State,
    doubts: Vec<Doubt>,
    /// What the source knows to be spent.
    reported: i64,
    changed: bool,
    journal: J,
}

/// Where a lease stands. One that is closed is no longer among the leases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Pays for calls.
    Active,
    /// Pays for no new call; what is in flight settles on it.
    Draining,
}

/// An attempt whose cost is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Doubt {
    /// Its number within the lease.
    pub(crate) attempt: u64,
    pub(crate) amount: i64,
    /// The call that made it.
    pub(crate) request: RequestId,
}

/// A part of a reservation, on one lease: nearly always the whole of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part<J> {
    pub(crate) lease: LeaseId,
    /// Its number within the lease.
    pub(crate) attempt: u64,
    pub(crate) amount: i64,
    pub(crate) journal: J,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It cost that much; zero if nothing was spent.
    Settled(i64),
    /// It may have cost all that was reserved.
    InDoubt,
}

/// What the source has to be told of one lease. Amounts are totals, so that telling it twice changes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) lease: LeaseId,
    pub(crate) settled: i64,
    pub(crate) overage: i64,
    /// What the process keeps; the rest of the grant goes back.
    pub(crate) open: i64,
    /// Settled and in doubt, all together.
    pub(crate) spent: i64,
    /// Those since the last report.
    pub(crate) doubts: Vec<Doubt>,
}

impl Report {
    /// Nothing more will come of the lease.
    pub(crate) fn closes(&self) -> bool {
        self.open == 0
    }
}

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
        self.leases.iter().map(|lease| lease.free).sum()
    }

    /// What could be reserved if every call in flight were released; those of leases that drain go back first.
    pub(super) fn ever_free(&self) -> i64 {
        self.leases.iter().map(|lease| lease.free.saturating_add(lease.held)).sum()
    }

    /// What calls hold, of this window.
    pub(super) fn held(&self) -> i64 {
        self.current().map(|lease| lease.held).sum()
    }

    /// What has been spent of this window and the source does not know of.
    pub(super) fn unreported(&self) -> i64 {
        self.current().map(|lease| lease.spent() - lease.reported).sum()
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
            let part = amount.min(lease.free);
            if part == 0 {
                continue;
            }
            lease.free -= part;
            lease.held = lease.held.saturating_add(part);
            lease.changed = true;
            parts.push(Part {
                lease: lease.id,
                attempt: lease.attempts,
                amount: part,
                journal: lease.journal.clone(),
            });
            lease.attempts += 1;
            amount -= part;
        }
        parts
    }

    /// End one part of a reservation.
    pub(super) fn end(&mut self, part: &Part<J>, ending: Ending, request: RequestId) {
        let Some(lease) = self.leases.iter_mut().find(|lease| lease.id == part.lease) else { return };
        lease.held = lease.held.saturating_sub(part.amount);
        let rest = match ending {
            Ending::Settled(actual) => {
                let within = actual.clamp(0, part.amount);
                lease.settled = lease.settled.saturating_add(within);
                lease.overage = lease.overage.saturating_add(actual.saturating_sub(within).max(0));
                part.amount - within
            }
            Ending::InDoubt => {
                lease.in_doubt = lease.in_doubt.saturating_add(part.amount);
                lease.doubts.push(Doubt { attempt: part.attempt, amount: part.amount, request });
                0
            }
        };
        if lease.state == State::Active {
            lease.free = lease.free.saturating_add(rest);
        }
        lease.changed = true;
    }

    /// Come into the window that holds `now`: leases of another one pay for no new call.
    pub(super) fn enter(&mut self, span: Span) {
        if self.span != span {
            self.span = span;
            self.drain();
        }
    }

    pub(super) fn span(&self) -> Span {
        self.span
    }

    /// A lease has been granted, in the window `span`; one of a window that is over drains at once.
    pub(super) fn grant(&mut self, id: LeaseId, span: Span, granted: i64, journal: J) {
        let current = span == self.span;
        self.leases.push_back(Lease {
            id,
            span,
            granted,
            free: if current { granted } else { 0 },
            held: 0,
            settled: 0,
            in_doubt: 0,
            overage: 0,
            attempts: 0,
            state: if current { State::Active } else { State::Draining },
            doubts: Vec::new(),
            reported: 0,
            changed: !current,
            journal,
        });
        if current {
            for lease in self.leases.iter_mut().filter(|lease| lease.is_worn()) {
                lease.drain();
            }
            // The next is taken while half of this one is left.
            self.low_water = granted / 2;
            self.dry = false;
            self.asked = false;
        }
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
            return Some(Want { least: 0, most: 0 });
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
    pub(super) fn drain(&mut self) {
        self.low_water = 0;
        self.leases.iter_mut().for_each(Lease::drain);
    }

    /// Pay for no new call from that lease.
    pub(super) fn drain_one(&mut self, id: LeaseId) {
        self.leases.iter_mut().filter(|lease| lease.id == id).for_each(Lease::drain);
    }

    /// What has changed since the last report; with `all` false, only where money goes back by it.
    pub(super) fn reports(&self, all: bool) -> Vec<Report> {
        let due =
            |lease: &&Lease<J>| lease.changed && (all || lease.is_over() || lease.state == State::Draining);
        self.leases.iter().filter(due).map(Lease::report).collect()
    }

    /// The source has been told. Leases that are over are forgotten: their journals.
    pub(super) fn reported(&mut self, reports: &[Report]) -> Vec<J> {
        for report in reports {
            if let Some(lease) = self.leases.iter_mut().find(|lease| lease.id == report.lease) {
                lease.doubts.drain(..report.doubts.len().min(lease.doubts.len()));
                lease.reported = report.spent;
                lease.changed = lease.report() != Report { doubts: Vec::new(), ..report.clone() };
            }
        }
        let over = |lease: &Lease<J>| lease.is_over() && !lease.changed;
        let journals =
            self.leases.iter().filter(|lease| over(lease)).map(|lease| lease.journal.clone()).collect();
        self.leases.retain(|lease| !over(lease));
        journals
    }

    pub(super) fn is_empty(&self) -> bool {
        self.leases.is_empty()
    }
}

impl<J> Lease<J> {
    fn drain(&mut self) {
        if self.state == State::Active {
            self.state = State::Draining;
            self.free = 0;
            self.changed = true;
        }
    }

    /// Spent to its end, or draining with nothing in flight.
    fn is_over(&self) -> bool {
        self.held == 0 && self.free == 0
    }

    fn spent(&self) -> i64 {
        self.settled.saturating_add(self.in_doubt).saturating_add(self.overage)
    }

    fn is_worn(&self) -> bool {
        self.state == State::Active && self.attempts >= MOST_ATTEMPTS
    }

    fn report(&self) -> Report {
        let open = match self.state {
            State::Active => self.granted - self.settled - self.in_doubt,
            State::Draining => self.held,
        };
        Report {
            lease: self.id,
            settled: self.settled,
            overage: self.overage,
            open,
            spent: self.spent(),
            doubts: self.doubts.clone(),
        }
    }
}

/// How `ending` of a whole falls on its parts, in order; what is beyond all of them falls on the last.
pub(super) fn share_out(amounts: &[i64], ending: Ending) -> Vec<Ending> {
    let Ending::Settled(mut left) = ending else { return vec![ending; amounts.len()] };
    let last = amounts.len().saturating_sub(1);
    let shares = amounts.iter().enumerate().map(|(nth, amount)| {
        let share = if nth == last { left } else { left.min(*amount) };
        left -= share;
        Ending::Settled(share)
    });
    shares.collect()
}
