//! A reply as Python reads it: lazily, from the bytes that were received.

use std::borrow::Cow;

use iron_bridge_macros::guarded;
use iron_runtime::Timing;
use iron_runtime::policy::Told;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};

use crate::convert::money;

/// The reply to a call.
#[pyclass(frozen, module = "iron_sdk._iron")]
pub(crate) struct Reply(iron_runtime::Reply);

impl Reply {
    pub(crate) fn new(reply: iron_runtime::Reply) -> Self {
        Self(reply)
    }
}

#[guarded]
#[pymethods]
impl Reply {
    /// The body as OpenAI shapes it.
    fn body<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.body)
    }

    /// The provider's own body.
    fn raw<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.0.raw())
    }

    /// The text of the first choice; empty if it has none.
    fn text(&self) -> Cow<'_, str> {
        self.0.text()
    }

    /// The call's id.
    fn request_id(&self) -> String {
        self.0.report.request_id.to_string()
    }

    /// `provider/model` that answered.
    fn upstream(&self) -> &str {
        &self.0.report.upstream
    }

    /// The counts of `Usage` in `_types.py`, in the order of its fields.
    fn usage<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.0.report.usage.counts())
    }

    /// US dollars, as exact text.
    fn cost(&self) -> String {
        money::text(self.0.report.cost)
    }

    /// How sure the cost is.
    fn settlement(&self) -> &'static str {
        self.0.report.settlement.as_str()
    }

    /// Requests sent.
    fn attempts(&self) -> u32 {
        self.0.report.attempts
    }

    /// Answers that were sent back to be repaired.
    fn repairs(&self) -> u32 {
        self.0.report.repairs
    }

    /// What was done otherwise than asked.
    fn warnings<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, &self.0.report.warnings)
    }

    /// The fields of `Finding` in `_types.py`, in their order, for each finding.
    fn findings<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let fields = |told: &Told| {
            let (direction, action) = (told.direction.as_str(), told.action.as_str());
            (told.entity.to_string(), direction, action, told.rule.to_string(), told.score)
        };
        PyTuple::new(py, self.0.report.findings.iter().map(fields))
    }

    /// Total, queued, upstream and overhead, in seconds.
    fn timing(&self) -> (f64, f64, f64, f64) {
        seconds(&self.0.report.timing)
    }
}

/// Total, queued, upstream and overhead.
pub(crate) fn seconds(timing: &Timing) -> (f64, f64, f64, f64) {
    (
        timing.total.as_secs_f64(),
        timing.queued.as_secs_f64(),
        timing.upstream.as_secs_f64(),
        timing.overhead().as_secs_f64(),
    )
}
