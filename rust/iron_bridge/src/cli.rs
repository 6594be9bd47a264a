//! The `iron` command, for its Python entry point.

use std::ffi::OsString;

use iron_bridge_macros::guarded;
use iron_cli::Outcome;
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// Carry out a command line without the program's name: the exit code, or the options of the demo, which Python runs.
#[guarded]
#[pyfunction]
pub(crate) fn run_cli(py: Python<'_>, argv: Vec<OsString>) -> PyResult<Bound<'_, PyAny>> {
    match py.detach(|| iron_cli::run(argv)) {
        Outcome::Exit(code) => Ok(code.into_pyobject(py)?.into_any()),
        Outcome::Demo(options) => {
            let demo = PyDict::new(py);
            demo.set_item("agents", options.agents)?;
            demo.set_item("budget", options.budget.map(|limit| limit.to_string()))?;
            demo.set_item("seed", options.seed)?;
            demo.set_item("no_progress", options.no_progress)?;
            Ok(demo.into_any())
        }
    }
}
