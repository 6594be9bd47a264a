//! Budgets of the process, as Python opens and reads them.

use std::sync::OnceLock;

use iron_bridge_macros::guarded;
use iron_runtime::budget::{self, Ledger};
use pyo3::prelude::*;

use crate::convert::{Fault, money};
use crate::runtime::Owned;

/// The ledger in which all budgets of the process can meet.
pub(crate) fn ledger() -> &'static Ledger {
    static LEDGER: OnceLock<Ledger> = OnceLock::new();
    LEDGER.get_or_init(Ledger::new)
}

/// A limit on what calls may cost together.
#[pyclass(frozen, module = "iron_sdk._iron")]
pub(crate) struct Budget(Owned<budget::Budget>);

impl Budget {
    pub(crate) fn new(budget: budget::Budget) -> Self {
        Self(Owned::new(budget))
    }

    /// The core's budget of a Python one, which holds a call that the client has let begin.
    pub(crate) fn of(value: &Bound<'_, PyAny>) -> PyResult<budget::Budget> {
        let budget = value.cast::<Self>()?.get().0.get_in_call();
        budget.cloned().ok_or_else(|| crate::error::forked(value.py()))
    }
}

#[guarded]
#[pymethods]
impl Budget {
    #[new]
    fn open(py: Python<'_>, name: &str, limit: &Bound<'_, PyAny>) -> PyResult<Self> {
        let limit = money::amount(limit).map_err(|fault| fault.at("usd"))?;
        if crate::runtime::forked() {
            return Err(crate::error::forked(py));
        }
        Ok(Self::new(budget::Budget::new(ledger(), name, limit)))
    }

    /// Name, limit, spent, held, overage and remaining at one instant; amounts as exact text.
    fn snapshot(&self, py: Python<'_>) -> PyResult<(String, String, String, String, String, String)> {
        let now = self.0.get(py)?.snapshot();
        Ok((
            now.name.to_string(),
            money::text(now.limit),
            money::text(now.spent()),
            money::text(now.held),
            money::text(now.overage),
            money::text(now.remaining()),
        ))
    }

    /// Raise or lower the limit.
    fn set_limit(&self, py: Python<'_>, limit: &Bound<'_, PyAny>) -> PyResult<()> {
        let limit = money::amount(limit).map_err(|fault: Fault| fault.at("limit"))?;
        self.0.get(py)?.set_limit(limit);
        Ok(())
    }
}
