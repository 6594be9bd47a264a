//! A hold on budgets for one request, given up exactly once.

use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};

use iron_protocol::NanoUsd;

use super::ledger::{Budget, Ledger};
use super::sync::Arc;
use crate::watch::{Bill, Settled};

/// How much to reserve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Less than this is of no use.
    pub least: NanoUsd,
    /// More than this is not needed.
    pub most: NanoUsd,
}

impl Ask {
    /// Exactly `amount`.
    pub const fn exactly(amount: NanoUsd) -> Self {
        Self { least: amount, most: amount }
    }
}

/// A hold on a chain of budgets.
///
/// Dropped before anything was sent, it is released; dropped after, the whole of it is taken as spent, because what
/// the provider bills is then unknown.
#[must_use = "dropping a reservation gives it up"]
pub struct Reservation {
    ledger: Ledger,
    chain: Arc<[Budget]>,
    amount: NanoUsd,
    sent: Sent,
    /// Where the call adds up what it costs.
    bill: Option<std::sync::Arc<Bill>>,
    done: bool,
}

/// Whether the request has begun to leave this machine. Whoever writes it to the connection marks it first, and may
/// write only then: between a reservation that is given up and a connection that is just taking its request, one wins.
/// Clones are the same mark.
#[derive(Clone, Debug, Default)]
pub struct Sent(std::sync::Arc<AtomicU8>);

const UNSENT: u8 = 0;
const SENT: u8 = 1;
const GIVEN_UP: u8 = 2;

impl Sent {
    /// From here on the provider may bill. `false` if nobody pays any more: then the request must not leave.
    #[must_use]
    pub fn mark(&self) -> bool {
        self.decide(SENT) != GIVEN_UP
    }

    /// Whether the provider may bill.
    pub fn is_marked(&self) -> bool {
        self.0.load(Ordering::Acquire) == SENT
    }

    /// The request must not leave from here on: whether that came in time.
    pub(crate) fn forbid(&self) -> bool {
        self.decide(GIVEN_UP) != SENT
    }

    /// Come to `end` unless the other was first: where it stood before.
    fn decide(&self, end: u8) -> u8 {
        self.0.compare_exchange(UNSENT, end, Ordering::AcqRel, Ordering::Acquire).unwrap_or_else(|was| was)
    }
}

impl Reservation {
    pub(super) fn new(ledger: Ledger, chain: Arc<[Budget]>, amount: NanoUsd) -> Self {
        Self { ledger, chain, amount, sent: Sent::default(), bill: None, done: false }
    }

    /// The same reservation, put on `bill` when it is given up.
    pub(crate) fn on_bill(mut self, bill: &std::sync::Arc<Bill>) -> Self {
        self.bill = Some(bill.clone());
        self
    }

    /// What is held.
    pub fn amount(&self) -> NanoUsd {
        self.amount
    }

    /// The mark to set once the request leaves.
    pub fn sent(&self) -> &Sent {
        &self.sent
    }

    /// Take `actual` as spent and give the rest back.
    pub fn settle(mut self, actual: NanoUsd) {
        self.finish(actual, Settled::Known);
    }

    /// Give everything back: the provider does not bill for this request.
    pub fn release(mut self) {
        self.finish(NanoUsd::ZERO, Settled::Known);
    }

    /// Take everything as spent: what the provider bills is unknown.
    pub fn settle_in_doubt(mut self) -> NanoUsd {
        let amount = self.amount;
        self.finish(amount, Settled::InDoubt);
        amount
    }

    fn finish(&mut self, actual: NanoUsd, how: Settled) {
        self.done = true;
        self.sent.forbid();
        if actual > self.amount {
            tracing::error!(
                reserved = %self.amount, actual = %actual,
                "a provider billed more than the bound it publishes; the excess is recorded as overage"
            );
        }
        let low = self.ledger.settle(&self.chain, self.amount, actual);
        if let Some(bill) = &self.bill {
            bill.settled(actual, how, low);
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if !self.done {
            if self.sent.forbid() {
                self.finish(NanoUsd::ZERO, Settled::Known);
            } else {
                self.finish(self.amount, Settled::Dropped);
            }
        }
    }
}

impl fmt::Debug for Reservation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reservation")
            .field("amount", &self.amount)
            .field("sent", &self.sent.is_marked())
            .finish_non_exhaustive()
    }
}
