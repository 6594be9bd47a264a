//! A run of an agent, as Python opens it.

use iron_bridge_macros::guarded;
use iron_runtime::{Run as CoreRun, Who};
use pyo3::prelude::*;

use crate::error;
use crate::runtime::Owned;

/// One run of an agent.
#[pyclass(frozen, module = "iron_sdk._iron")]
pub(crate) struct Run(Owned<CoreRun>);

impl Run {
    /// The core's run of a Python one, which holds a call that the client has let begin.
    pub(crate) fn of(value: &Bound<'_, Self>) -> PyResult<CoreRun> {
        value.get().0.get_in_call().cloned().ok_or_else(|| error::forked(value.py()))
    }
}

#[guarded]
#[pymethods]
impl Run {
    #[new]
    fn open(
        py: Python<'_>,
        agent: Option<&str>,
        tags: Vec<String>,
        outer: Option<&Bound<'_, Self>>,
    ) -> PyResult<Self> {
        let outer = outer.map(|outer| outer.get().0.get(py)).transpose()?;
        let who = Who::new(agent, &tags).map_err(|failure| error::raise(py, failure, None))?;
        let who = outer.map_or(who.clone(), |outer| who.within(outer.who()));
        Ok(Self(Owned::new(CoreRun::new(who))))
    }

    /// The agent's name and the tags.
    fn who(&self, py: Python<'_>) -> PyResult<(Option<String>, Vec<String>)> {
        let who = self.0.get(py)?.who();
        let tags = who.tags.iter().map(ToString::to_string).collect();
        Ok((who.agent.as_deref().map(str::to_owned), tags))
    }
}
