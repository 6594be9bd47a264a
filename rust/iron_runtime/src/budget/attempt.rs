//! An attempt, as the leases that pay for it know it: what it holds of each, and how it ends.

use iron_protocol::{LeaseId, RequestId};

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

impl Ending {
    /// How the ending of a whole falls on its parts, in order; what is beyond all of them falls on the last.
    pub(super) fn share_out(self, amounts: &[i64]) -> Vec<Self> {
        let Self::Settled(mut left) = self else { return vec![self; amounts.len()] };
        let last = amounts.len().saturating_sub(1);
        let shares = amounts.iter().enumerate().map(|(nth, amount)| {
            let share = if nth == last { left } else { left.min(*amount) };
            left -= share;
            Self::Settled(share)
        });
        shares.collect()
    }
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
