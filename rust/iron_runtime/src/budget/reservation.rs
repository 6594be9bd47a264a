//! A hold on budgets for one request, given up exactly once.

use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};

use iron_protocol::{NanoUsd, RequestId};

use super::attempt::Ending;
use super::book::Held;
use super::fault::LedgerFault;
use super::ledger::{Journals, Ledger};
use super::limit::Budget;
use super::sync::Arc;
use crate::Error;
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
    held: Held<Journals>,
    request: RequestId,
    /// How many of its parts are written down.
    admitted: usize,
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
    pub(super) fn new(
        ledger: Ledger,
        chain: Arc<[Budget]>,
        held: Held<Journals>,
        request: RequestId,
    ) -> Self {
        Self { ledger, chain, held, request, admitted: 0, sent: Sent::default(), bill: None, done: false }
    }

    /// The same reservation, put on `bill` when it is given up.
    pub(crate) fn on_bill(mut self, bill: &std::sync::Arc<Bill>) -> Self {
        self.bill = Some(bill.clone());
        self
    }

    /// Write it down in the journals of its leases, without which nothing may be sent.
    pub(super) fn admitted(mut self) -> Result<Self, Error> {
        for nth in 0..self.held.parts.len() {
            let Some((node, part)) = self.held.parts.get(nth) else { break };
            if let Err(error) = part.journal.admit(part, self.request) {
                self.ledger.abandon(*node, part.lease);
                let path = part.journal.path().to_owned();
                return Err(Error::Ledger(LedgerFault::io(&path, "writing a journal", error)));
            }
            self.admitted = nth + 1;
        }
        Ok(self)
    }

    /// What is held.
    pub fn amount(&self) -> NanoUsd {
        NanoUsd::from_nanos(self.held.amount)
    }

    /// The mark to set once the request leaves.
    pub fn sent(&self) -> &Sent {
        &self.sent
    }

    /// Take `actual` as spent and give the rest back.
    pub fn settle(mut self, actual: NanoUsd) {
        self.finish(Ending::Settled(actual.nanos()), Settled::Known);
    }

    /// Give everything back: the provider does not bill for this request.
    pub fn release(mut self) {
        self.finish(Ending::Settled(0), Settled::Known);
    }

    /// Take everything as spent: what the provider bills is unknown.
    pub fn settle_in_doubt(mut self) -> NanoUsd {
        self.finish(Ending::InDoubt, Settled::InDoubt);
        self.amount()
    }

    fn finish(&mut self, ending: Ending, how: Settled) {
        self.done = true;
        self.sent.forbid();
        if let Ending::Settled(actual) = ending
            && actual > self.held.amount
        {
            tracing::error!(
                reserved = %self.amount(), actual = %NanoUsd::from_nanos(actual),
                "a provider billed more than the bound it publishes; the excess is recorded as overage"
            );
        }
        for (node, part, ending) in self.held.endings(ending).take(self.admitted) {
            if let Err(error) = part.journal.end(part, ending, self.request) {
                tracing::error!(%error, "a journal cannot be written: should this process die, the call is in doubt");
                self.ledger.abandon(node, part.lease);
            }
        }
        let low = self.ledger.settle(&self.chain, &self.held, ending, self.request);
        if let Some(bill) = &self.bill {
            let actual = match ending {
                Ending::Settled(actual) => NanoUsd::from_nanos(actual),
                Ending::InDoubt => self.amount(),
            };
            bill.settled(actual, how, low);
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if !self.done {
            if self.sent.forbid() {
                self.finish(Ending::Settled(0), Settled::Known);
            } else {
                self.finish(Ending::InDoubt, Settled::Dropped);
            }
        }
    }
}

impl fmt::Debug for Reservation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reservation")
            .field("amount", &self.amount())
            .field("sent", &self.sent.is_marked())
            .finish_non_exhaustive()
    }
}
