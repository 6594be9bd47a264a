//! One lease: what is left of it, what calls hold, and what its source has to be told.

use iron_protocol::{LeaseId, RequestId};

use super::attempt::{Doubt, Ending, Part};
use super::window::Span;
use crate::event::LeaseEnd;

/// Attempts after which a lease gives way to the next, so that its journal stays small and is read in no time.
const MOST_ATTEMPTS: u64 = 50_000;

/// A tranche of the budget, granted to this process. Its grant never changes.
#[derive(Debug)]
pub(super) struct Lease<J> {
    pub(super) id: LeaseId,
    pub(super) span: Span,
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
    /// The source has written it off: nothing of it goes back.
    lost: bool,
    pub(super) journal: J,
}

/// Where a lease stands. One that is closed is no longer among the leases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Pays for calls.
    Active,
    /// Pays for no new call; what is in flight settles on it.
    Draining(LeaseEnd),
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

/// A lease that is over.
#[derive(Debug)]
pub(super) struct Closed<J> {
    pub(super) id: LeaseId,
    pub(super) granted: i64,
    pub(super) spent: i64,
    /// What went back.
    pub(super) returned: i64,
    pub(super) why: LeaseEnd,
    pub(super) journal: J,
}

impl<J: Clone> Lease<J> {
    pub(super) fn new(id: LeaseId, span: Span, granted: i64, journal: J) -> Self {
        Self {
            id,
            span,
            granted,
            free: granted,
            held: 0,
            settled: 0,
            in_doubt: 0,
            overage: 0,
            attempts: 0,
            state: State::Active,
            doubts: Vec::new(),
            reported: 0,
            changed: false,
            lost: false,
            journal,
        }
    }

    /// Hold `amount`, or what is free of it.
    pub(super) fn take(&mut self, amount: i64) -> Option<Part<J>> {
        let amount = amount.min(self.free);
        if amount == 0 {
            return None;
        }
        self.free -= amount;
        self.held = self.held.saturating_add(amount);
        self.changed = true;
        let part = Part { lease: self.id, attempt: self.attempts, amount, journal: self.journal.clone() };
        self.attempts += 1;
        Some(part)
    }

    /// What came of it, once it is over.
    pub(super) fn closed(&self) -> Closed<J> {
        let why = match self.state {
            State::Active => LeaseEnd::Spent,
            State::Draining(why) => why,
        };
        let returned = if self.lost { 0 } else { self.granted - self.settled - self.in_doubt };
        let (id, granted, journal) = (self.id, self.granted, self.journal.clone());
        Closed { id, granted, spent: self.spent(), returned, why, journal }
    }
}

impl<J> Lease<J> {
    /// End what an attempt held.
    pub(super) fn end(&mut self, part: &Part<J>, ending: Ending, request: RequestId) {
        self.held = self.held.saturating_sub(part.amount);
        let rest = match ending {
            Ending::Settled(actual) => {
                let within = actual.clamp(0, part.amount);
                self.settled = self.settled.saturating_add(within);
                self.overage = self.overage.saturating_add(actual.saturating_sub(within).max(0));
                part.amount - within
            }
            Ending::InDoubt => {
                self.in_doubt = self.in_doubt.saturating_add(part.amount);
                self.doubts.push(Doubt { attempt: part.attempt, amount: part.amount, request });
                0
            }
        };
        if self.state == State::Active {
            self.free = self.free.saturating_add(rest);
        }
        self.changed = true;
    }

    /// Pay for no new call.
    pub(super) fn drain(&mut self, why: LeaseEnd) {
        if self.state == State::Active {
            self.state = State::Draining(why);
            self.free = 0;
            self.changed = true;
        }
    }

    /// What no call holds.
    pub(super) fn free(&self) -> i64 {
        self.free
    }

    pub(super) fn held(&self) -> i64 {
        self.held
    }

    pub(super) fn spent(&self) -> i64 {
        self.settled.saturating_add(self.in_doubt).saturating_add(self.overage)
    }

    /// What of that the source does not know.
    pub(super) fn unreported(&self) -> i64 {
        self.spent() - self.reported
    }

    /// Spent to its end, or draining with nothing in flight.
    pub(super) fn is_over(&self) -> bool {
        self.held == 0 && self.free == 0
    }

    /// Its journal is long enough.
    pub(super) fn is_worn(&self) -> bool {
        self.state == State::Active && self.attempts >= MOST_ATTEMPTS
    }

    /// Whether the source does not know all of it.
    pub(super) fn has_changed(&self) -> bool {
        self.changed
    }

    /// Whether money goes back by a report on it, or will.
    pub(super) fn gives_back(&self) -> bool {
        self.is_over() || self.state != State::Active
    }

    /// The source has written it off: what was granted, when this is first told.
    pub(super) fn lose(&mut self) -> Option<i64> {
        (!std::mem::replace(&mut self.lost, true)).then_some(self.granted)
    }

    pub(super) fn report(&self) -> Report {
        let open = match self.state {
            State::Active => self.granted - self.settled - self.in_doubt,
            State::Draining(_) => self.held,
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

    /// The source has been told.
    pub(super) fn reported(&mut self, report: &Report) {
        self.doubts.drain(..report.doubts.len().min(self.doubts.len()));
        self.reported = report.spent;
        self.changed = self.report() != Report { doubts: Vec::new(), ..report.clone() };
    }
}
