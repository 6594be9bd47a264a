//! What events tell of leases.

use std::sync::Arc;

use iron_protocol::{LeaseId, NanoUsd};

use crate::budget::Window;

/// A lease: a part of a budget in a ledger file, of one process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leased {
    /// Its id, as `iron budget show` has it.
    pub id: LeaseId,
    /// The budget's name.
    pub budget: Arc<str>,
    /// The budget's window.
    pub window: Window,
    /// What was granted.
    pub granted: NanoUsd,
}

/// Why a lease of this process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LeaseEnd {
    /// It was spent to its end.
    Spent,
    /// Its window is over; what was not spent expires.
    WindowOver,
    /// No call was made for a while.
    Idle,
    /// Another process waits for money.
    Wanted,
    /// It paid for so many attempts that the next lease took its place.
    Worn,
    /// Nobody here uses the budget any more, a client was closed, or the process ends.
    GivenBack,
    /// Its journal could not be written, or the ledger file is gone.
    Fault,
}

impl LeaseEnd {
    /// Each, in the order of declaration.
    pub const ALL: [Self; 7] =
        [Self::Spent, Self::WindowOver, Self::Idle, Self::Wanted, Self::Worn, Self::GivenBack, Self::Fault];

    /// The stable `snake_case` text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Spent => "spent",
            Self::WindowOver => "window_over",
            Self::Idle => "idle",
            Self::Wanted => "wanted",
            Self::Worn => "worn",
            Self::GivenBack => "given_back",
            Self::Fault => "fault",
        }
    }
}

/// What was found of a lease whose process is dead, of what it had not reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recovery {
    /// The process.
    pub pid: u32,
    /// What had been settled.
    pub settled: NanoUsd,
    /// What attempts may have cost that were under way.
    pub in_doubt: NanoUsd,
    /// What went back to the budget.
    pub returned: NanoUsd,
    /// What may have been spent without a trace.
    pub lost: NanoUsd,
}
