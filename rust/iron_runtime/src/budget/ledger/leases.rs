//! What the keepers of ledger files tell the ledger.

use std::time::Duration;

use iron_protocol::LeaseId;

use super::{Journals, Ledger, Stop};
use crate::budget::book::NodeId;
use crate::budget::fault::LedgerFault;
use crate::budget::journal::Journal;
use crate::budget::window::Span;

impl Ledger {
    /// Give back the leases of this process, as far as no call is in flight on them, and wait for that.
    ///
    /// What is not given back is there for others once this process has ended.
    pub fn return_leases(&self, timeout: Duration) {
        self.0.keepers.stop(timeout);
    }

    /// A lease has been granted.
    pub(in crate::budget) fn grant(&self, node: NodeId, span: Span, amount: i64, journal: Journal) {
        let (lease, journal) = (journal.lease(), Journals::new(journal));
        let turns = self.lock().grant(node, lease, span, amount, journal);
        self.hand_on(turns);
    }

    /// No lease is to be had in that window at present, and `coming` at most may be later.
    pub(in crate::budget) fn refuse_beyond(&self, node: NodeId, span: Span, coming: i64) {
        let turns = self.lock().refuse_beyond(node, span, coming);
        self.hand_on(turns);
    }

    /// The ledger file cannot be used: whoever waits for it is told.
    pub(in crate::budget) fn fail(&self, node: NodeId, fault: &LedgerFault) {
        let tells = self.lock().dismiss(node);
        for (tell, ..) in tells {
            drop(tell.send(Err(Stop::Failed(fault.clone()))));
        }
    }

    /// A lease whose journal cannot be written pays for no new call.
    pub(in crate::budget) fn abandon(&self, node: NodeId, lease: LeaseId) {
        if let Some(pool) = self.lock().pool(node) {
            pool.abandon(lease);
        }
    }

    /// Forget a budget that nobody uses, once it has no lease: whether that is so.
    pub(in crate::budget) fn forget_if_idle(&self, node: NodeId) -> bool {
        let mut book = self.lock();
        let is_idle = book.pool(node).is_none_or(|pool| pool.is_empty());
        if is_idle {
            book.forget(node);
        }
        is_idle
    }
}
