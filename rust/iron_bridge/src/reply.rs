//! A reply as Python reads it: lazily, from the bytes that were received.

use std::borrow::Cow;

use iron_bridge_macros::guarded;
use iron_runtime::Timing;
use iron_runtime::policy::Told;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};
use serde::Deserialize;
use serde_json::value::RawValue;

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
        text(&self.0.body)
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

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    choices: Vec<Choice<'a>>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(borrow)]
    message: Message<'a>,
}

#[derive(Deserialize)]
struct Message<'a> {
    /// Told apart by its first byte: trying one form after the other would read it three times.
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
}

/// Some vendors answer in parts, of which those without text (reasoning) are not what is said.
#[derive(Deserialize)]
struct Part {
    #[serde(default)]
    text: Option<String>,
}

fn text(body: &[u8]) -> Cow<'_, str> {
    let Ok(Body { choices }) = serde_json::from_slice(body) else { return Cow::Borrowed("") };
    let Some(content) = choices.into_iter().next().and_then(|choice| choice.message.content) else {
        return Cow::Borrowed("");
    };
    let content = content.get();
    if content.starts_with('[') {
        let parts: Vec<Part> = serde_json::from_str(content).unwrap_or_default();
        return parts.into_iter().filter_map(|part| part.text).collect();
    }
    // Borrowing fails on text with escapes.
    match serde_json::from_str::<&str>(content) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(serde_json::from_str(content).unwrap_or_default()),
    }
}
