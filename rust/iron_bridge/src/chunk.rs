//! One event of a streamed reply.

use iron_bridge_macros::guarded;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyBytes;

/// A piece of a streamed reply.
#[pyclass(frozen, module = "iron_sdk")]
pub(crate) struct Chunk(iron_runtime::Chunk);

impl Chunk {
    pub(crate) fn new(chunk: iron_runtime::Chunk) -> Self {
        Self(chunk)
    }
}

#[guarded]
#[pymethods]
impl Chunk {
    /// The text that the chunk adds to its choice; empty if it adds none.
    #[getter]
    fn text(&self) -> &str {
        &self.0.text
    }

    /// The choice that the chunk belongs to, from 0.
    #[getter]
    fn index(&self) -> u32 {
        self.0.index
    }

    /// Why the choice ended, on its last chunk; otherwise `None`.
    #[getter]
    fn finish_reason(&self) -> Option<&str> {
        self.0.finish_reason.as_deref()
    }

    /// The event's JSON, as the provider sent it.
    #[getter]
    fn raw<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.0.raw())
    }

    /// What the chunk adds to tool calls: `ToolCallDelta` objects.
    #[getter]
    fn tool_calls<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        static DELTAS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        DELTAS
            .import(py, "iron_sdk._types", "tool_call_deltas")?
            .call1((PyBytes::new(py, &self.0.data), self.0.index))
    }

    /// What was said is not shown: representations end up in logs.
    fn __repr__(&self) -> String {
        let end = self.0.finish_reason.as_deref().map(|why| format!(", finish_reason={why:?}"));
        let characters = self.0.text.chars().count();
        format!("<Chunk of {characters} characters, index={}{}>", self.0.index, end.unwrap_or_default())
    }
}
