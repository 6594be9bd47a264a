//! A policy of a block or of a call, as Python opens it.

use iron_bridge_macros::guarded;
use iron_runtime::Error;
use iron_runtime::config::{Config, Sources};
use iron_runtime::policy::PolicySet;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::convert::Intake;
use crate::error;
use crate::runtime::Owned;

/// Rules that have been checked and compiled.
#[pyclass(frozen, module = "iron_sdk._iron")]
pub(crate) struct Policy(Owned<PolicySet>);

impl Policy {
    /// The core's policy of a Python one, which holds a call that the client has let begin.
    pub(crate) fn of(value: &Bound<'_, Self>) -> PyResult<PolicySet> {
        value.get().0.get_in_call().cloned().ok_or_else(|| error::forked(value.py()))
    }
}

#[guarded]
#[pymethods]
impl Policy {
    /// `settings` has the shape of `iron.toml`, with a policy alone.
    #[new]
    fn open(py: Python<'_>, settings: &Bound<'_, PyDict>) -> PyResult<Self> {
        if crate::runtime::forked() {
            return Err(error::forked(py));
        }
        let overrides = Some(Intake::new().json(settings.as_any())?.as_str().to_owned());
        let sources = Sources { overrides, ..Sources::default() };
        let opened = py.detach(|| {
            let config = Config::load(&sources)?;
            config
                .policy()
                .cloned()
                .ok_or_else(|| Error::config("policy.rules is empty: give a rule at least"))
        });
        opened.map(|policy| Self(Owned::new(policy))).map_err(|failure| error::raise(py, failure, None))
    }
}
