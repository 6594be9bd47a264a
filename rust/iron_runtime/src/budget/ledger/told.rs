//! What is told of leases: to the log, and to readers of events.

use iron_protocol::{LeaseId, NanoUsd};

use super::Ledger;
use crate::budget::file::{BudgetKey, DeadLease};
use crate::budget::lease::Closed;
use crate::event::{Happened, Leased, Recovery};

impl Ledger {
    /// A lease has been taken; a `renewal` if no call waited for it.
    pub(in crate::budget) fn tell_taken(&self, key: &BudgetKey, id: LeaseId, granted: i64, renewal: bool) {
        let granted = NanoUsd::from_nanos(granted);
        tracing::debug!(budget = %key.name, window = %key.window, lease = %id, amount = %granted, renewal, "leased");
        self.0.events.tell(|| Happened::LeaseTaken { lease: leased(key, id, granted), renewal });
    }

    /// A lease of this process is over.
    pub(in crate::budget) fn tell_closed<J>(&self, key: &BudgetKey, closed: &Closed<J>) {
        let usd = NanoUsd::from_nanos;
        let (id, granted, why) = (closed.id, usd(closed.granted), closed.why);
        let (spent, returned) = (usd(closed.spent), usd(closed.returned));
        tracing::debug!(
            budget = %key.name, window = %key.window, lease = %id, %spent, %returned, why = why.as_str(),
            "a lease is over"
        );
        self.0.events.tell(|| Happened::LeaseClosed {
            lease: leased(key, id, granted),
            spent,
            returned,
            why,
        });
    }

    /// Leases of dead processes have been settled.
    pub(in crate::budget) fn tell_recovered(&self, dead: &[DeadLease]) {
        let usd = NanoUsd::from_nanos;
        for DeadLease { key, id, granted, pid, found } in dead {
            let found = Recovery {
                pid: *pid,
                settled: usd(found.settled),
                in_doubt: usd(found.in_doubt),
                returned: usd(found.returned),
                lost: usd(found.loss),
            };
            let Recovery { pid, settled, in_doubt, returned, lost } = found;
            if lost > NanoUsd::ZERO {
                tracing::warn!(
                    budget = %key.name, window = %key.window, lease = %id, pid, %settled, %in_doubt, %lost,
                    "the rest of a lease is lost: its process died, and its journal does not say what became of it"
                );
            } else {
                tracing::info!(
                    budget = %key.name, window = %key.window, lease = %id, pid, %settled, %in_doubt, %returned,
                    "a process died with a lease, which is settled by its journal"
                );
            }
            let lease = || leased(key, *id, usd(*granted));
            self.0.events.tell(|| Happened::LeaseRecovered { lease: lease(), found });
        }
    }

    /// A lease of this process has become a loss.
    pub(in crate::budget) fn tell_lost(&self, key: &BudgetKey, id: LeaseId, granted: i64) {
        let granted = NanoUsd::from_nanos(granted);
        tracing::error!(
            budget = %key.name, window = %key.window, lease = %id, amount = %granted,
            "a lease became a loss: its journal was deleted while it was in use"
        );
        self.0.events.tell(|| Happened::LeaseLost { lease: leased(key, id, granted) });
    }
}

fn leased(key: &BudgetKey, id: LeaseId, granted: NanoUsd) -> Leased {
    Leased { id, budget: key.name.as_str().into(), window: key.window, granted }
}
