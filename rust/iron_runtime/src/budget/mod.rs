//! Budgets: limits that calls reserve against before they are sent.
//!
//! A call reserves on every budget of its chain or on none, and at every instant `settled + held ≤ limit` holds for
//! each of them. A reservation that would fit once calls in flight settle waits in arrival order; one that could
//! never fit is refused at once.

mod account;
mod attempt;
mod book;
mod fault;
pub mod file;
#[cfg(unix)]
mod held;
mod journal;
mod keeper;
mod lease;
mod ledger;
mod limit;
mod pool;
mod reservation;
mod tranche;
mod window;

pub use account::Shared;
pub use fault::LedgerFault;
#[cfg(unix)]
pub use held::HeldJournals;
pub use ledger::Ledger;
pub use limit::{Budget, BudgetSnapshot};
pub use reservation::{Ask, Reservation, Sent};
pub use window::{Date, Span, Window};

pub use crate::clock::Calendar;

/// The lock and the counters of the ledger; under the `shuttle` feature, shuttle's, which explores interleavings.
mod sync {
    #[cfg(feature = "shuttle")]
    pub(super) use shuttle::sync::{Arc, Mutex, MutexGuard, Weak};
    #[cfg(not(feature = "shuttle"))]
    pub(super) use std::sync::{Arc, Mutex, MutexGuard, Weak};
}
