//! Budgets of the process, as Python opens and reads them.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use iron_bridge_macros::guarded;
use iron_runtime::budget::{self, Calendar, Ledger, Shared, Window};
use iron_runtime::config::default_ledger;
use pyo3::prelude::*;

use crate::convert::{Fault, money};
use crate::error;
use crate::events::events;
use crate::runtime::Owned;

static LEDGER: OnceLock<Ledger> = OnceLock::new();

/// The ledger in which all budgets of the process can meet.
pub(crate) fn ledger() -> &'static Ledger {
    LEDGER.get_or_init(|| Ledger::watched(Calendar::default(), events()))
}

/// A limit on what calls may cost together.
#[pyclass(frozen, module = "iron_sdk._iron")]
pub(crate) struct Budget(Owned<budget::Budget>);

impl Budget {
    pub(crate) fn new(budget: budget::Budget) -> Self {
        Self(Owned::new(budget))
    }

    /// The core's budget of a Python one, which holds a call that the client has let begin.
    pub(crate) fn of(value: &Bound<'_, Self>) -> PyResult<budget::Budget> {
        value.get().0.get_in_call().cloned().ok_or_else(|| crate::error::forked(value.py()))
    }
}

#[guarded]
#[pymethods]
impl Budget {
    #[new]
    fn open(
        py: Python<'_>,
        name: &str,
        limit: &Bound<'_, PyAny>,
        window: Option<&str>,
        path: Option<PathBuf>,
    ) -> PyResult<Self> {
        let limit = money::amount(limit).map_err(|fault| fault.at("usd"))?;
        if crate::runtime::forked() {
            return Err(crate::error::forked(py));
        }
        if window.is_none() && path.is_none() {
            return Ok(Self::new(budget::Budget::new(ledger(), name, limit)));
        }
        let window = window
            .map_or(Ok(Window::Lifetime), |window| named(window).map_err(|fault| fault.at("window")))?;
        let opened = py.detach(|| {
            let shared = Shared { ledger: path.map_or_else(default_ledger, Ok)?, window };
            budget::Budget::shared(ledger(), name, limit, shared)
        });
        opened.map(Self::new).map_err(|failure| error::raise(py, failure, None))
    }

    /// Name, limit, spent, held, overage and remaining at one instant; amounts as exact text.
    fn snapshot(&self, py: Python<'_>) -> PyResult<(String, String, String, String, String, String)> {
        let budget = self.0.get(py)?;
        let now = py.detach(|| {
            budget.refresh();
            budget.snapshot()
        });
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
        let budget = self.0.get(py)?;
        py.detach(|| budget.set_limit(limit)).map_err(|failure| error::raise(py, failure, None))
    }
}

fn named(window: &str) -> Result<Window, Fault> {
    let known = || Window::ALL.map(Window::as_str).join(", ");
    Window::from_name(window).ok_or_else(|| Fault::wrong(format!("is {window:?}; give one of {}", known())))
}

/// Give back what is leased of the budgets of ledger files.
pub(crate) fn return_leases(timeout: Duration) {
    if let Some(ledger) = LEDGER.get() {
        ledger.return_leases(timeout);
    }
}
