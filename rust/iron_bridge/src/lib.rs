//! The native module `iron_sdk._iron`: Python values in, one call of the core, Python values out.

mod awaitable;
mod budget;
mod callback;
mod chunk;
mod cli;
mod client;
mod convert;
mod delivery;
mod error;
mod events;
mod fork;
mod guard;
mod log;
mod policy;
mod port;
mod question;
mod reply;
mod run;
mod runtime;
mod simulator;
mod stats;
mod stream;
mod wake;

/// The native part of `iron_sdk`.
#[pyo3::pymodule(gil_used = false)]
mod _iron {
    use std::sync::atomic::{AtomicI64, Ordering};

    use iron_protocol::ErrorCode;
    use pyo3::exceptions::PyImportError;
    use pyo3::prelude::*;
    use pyo3::types::PyTuple;

    #[pymodule_export]
    use crate::budget::Budget;
    #[pymodule_export]
    use crate::chunk::Chunk;
    #[pymodule_export]
    use crate::cli::run_cli;
    #[pymodule_export]
    use crate::client::Client;
    #[pymodule_export]
    use crate::events::EventReader;
    #[pymodule_export]
    use crate::log::close_logs;
    #[pymodule_export]
    use crate::log::set_log_level;
    #[pymodule_export]
    use crate::log::take_logs;
    #[pymodule_export]
    use crate::policy::Policy;
    #[pymodule_export]
    use crate::port::Port;
    #[pymodule_export]
    use crate::question::Question;
    #[pymodule_export]
    use crate::reply::Reply;
    #[pymodule_export]
    use crate::run::Run;
    #[pymodule_export]
    use crate::runtime::shutdown;
    #[pymodule_export]
    use crate::simulator::Simulator;
    #[pymodule_export]
    use crate::stream::Stream;

    /// No interpreter yet.
    const NOBODY: i64 = -1;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        refuse_other_interpreters()?;
        crate::guard::install();
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        let codes = ErrorCode::ALL.map(ErrorCode::as_str);
        module.add("ERROR_CODES", PyTuple::new(module.py(), codes)?)
    }

    /// Statics are shared by all interpreters of a process, and hold objects of the first.
    #[expect(unsafe_code, reason = "the interpreter's id has no safe wrapper")]
    fn refuse_other_interpreters() -> PyResult<()> {
        static OWNER: AtomicI64 = AtomicI64::new(NOBODY);
        // SAFETY: a module is initialised while attached, so there is a current interpreter.
        let id = unsafe { pyo3::ffi::PyInterpreterState_GetID(pyo3::ffi::PyInterpreterState_Get()) };
        match OWNER.compare_exchange(NOBODY, id, Ordering::AcqRel, Ordering::Acquire) {
            Err(owner) if owner != id => Err(PyImportError::new_err(
                "iron_sdk works in one interpreter of a process, and another one has imported it; \
                 use processes or threads instead of subinterpreters",
            )),
            _ => Ok(()),
        }
    }
}
