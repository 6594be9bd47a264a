//! Errors of the core as the exceptions of `iron_sdk._errors`.

use iron_protocol::{NanoUsd, RequestId};
use iron_runtime::output::OutputInvalid;
use iron_runtime::{Error, TimeoutPhase};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyTuple, PyType};

use crate::convert::money;
use crate::question::Raised;

mod classes {
    pyo3::import_exception!(iron_sdk._errors, AuditError);
    pyo3::import_exception!(iron_sdk._errors, BudgetExceededError);
    pyo3::import_exception!(iron_sdk._errors, ClosedError);
    pyo3::import_exception!(iron_sdk._errors, ConfigError);
    pyo3::import_exception!(iron_sdk._errors, ContentBlockedError);
    pyo3::import_exception!(iron_sdk._errors, DetectorError);
    pyo3::import_exception!(iron_sdk._errors, ForkedProcessError);
    pyo3::import_exception!(iron_sdk._errors, InternalError);
    pyo3::import_exception!(iron_sdk._errors, LedgerError);
    pyo3::import_exception!(iron_sdk._errors, NoUpstreamError);
    pyo3::import_exception!(iron_sdk._errors, OutputInvalidError);
    pyo3::import_exception!(iron_sdk._errors, PolicyDeniedError);
    pyo3::import_exception!(iron_sdk._errors, RateLimitError);
    pyo3::import_exception!(iron_sdk._errors, UpstreamConnectionError);
    pyo3::import_exception!(iron_sdk._errors, UpstreamStatusError);
    pyo3::import_exception!(iron_sdk._errors, UpstreamTimeoutError);
}

const FORKED: &str = "this process was forked from one that already makes calls, and has none of its threads: \
    start workers with the \"spawn\" or \"forkserver\" method of multiprocessing, or fork before the first call";

/// Wrong configuration or arguments.
pub(crate) fn config(message: impl Into<String>) -> PyErr {
    classes::ConfigError::new_err(message.into())
}

/// A fault of ours.
pub(crate) fn internal(py: Python<'_>, message: &str) -> PyErr {
    raise(py, Error::Internal { message: message.to_owned() }, None)
}

/// The same, where no interpreter is at hand.
pub(crate) fn internal_fault(what: String) -> PyErr {
    classes::InternalError::new_err(Error::Internal { message: what }.to_string())
}

/// The client or the runtime does not take calls any more.
pub(crate) fn closed(py: Python<'_>) -> PyErr {
    raise(py, Error::Closed, None)
}

/// The runtime belongs to a parent process.
pub(crate) fn forked(_py: Python<'_>) -> PyErr {
    classes::ForkedProcessError::new_err(FORKED)
}

/// The exception for `error`, which ended the call `request_id`.
pub(crate) fn raise(py: Python<'_>, error: Error, request_id: Option<RequestId>) -> PyErr {
    match instance(py, error, request_id) {
        Ok(exception) => PyErr::from_value(exception),
        Err(failed) => failed,
    }
}

fn instance(py: Python<'_>, error: Error, request_id: Option<RequestId>) -> PyResult<Bound<'_, PyAny>> {
    let message = error.to_string();
    let fields = PyDict::new(py);
    if let Some(id) = request_id {
        fields.set_item("request_id", id.to_string())?;
    }
    fields.set_item("retryable", error.retryable())?;
    let mut cause = None;
    // That it was not tried again is in the message; what went wrong decides the class.
    let error = match error {
        Error::NotRetried { failure } => *failure,
        error => error,
    };
    let class = match error {
        Error::Config { .. } => class::<classes::ConfigError>(py),
        Error::PolicyDenied(denied) => {
            fields.set_item("rule", &*denied.rule)?;
            fields.set_item("direction", denied.direction.as_str())?;
            fields.set_item("tool", denied.tool.as_deref())?;
            cause = denied.cause.map(|source| chain(py, source.as_ref()));
            class::<classes::PolicyDeniedError>(py)
        }
        Error::ContentBlocked(told) => {
            fields.set_item("rule", &*told.rule)?;
            fields.set_item("direction", told.direction.as_str())?;
            fields.set_item("entity", told.entity.to_string())?;
            class::<classes::ContentBlockedError>(py)
        }
        Error::Detector(failed) => {
            fields.set_item("detector", &*failed.detector)?;
            fields.set_item("direction", failed.direction.as_str())?;
            cause = failed.source.map(|source| chain(py, source.as_ref()));
            class::<classes::DetectorError>(py)
        }
        Error::BudgetExceeded(refusal) => {
            fields.set_item("budget", &refusal.budget)?;
            fields.set_item("limit", decimal(py, refusal.limit)?)?;
            fields.set_item("settled", decimal(py, refusal.settled)?)?;
            fields.set_item("held", decimal(py, refusal.held)?)?;
            fields.set_item("estimate", decimal(py, refusal.estimate)?)?;
            class::<classes::BudgetExceededError>(py)
        }
        Error::Ledger(fault) => {
            cause = std::error::Error::source(&fault).map(|source| chain(py, source));
            class::<classes::LedgerError>(py)
        }
        Error::Audit(fault) => {
            cause = std::error::Error::source(&fault).map(|source| chain(py, source));
            class::<classes::AuditError>(py)
        }
        Error::RateLimited { retry_after, upstream, .. } => {
            fields.set_item("retry_after", retry_after.map(|wait| wait.as_secs_f64()))?;
            fields.set_item("upstream", upstream)?;
            class::<classes::RateLimitError>(py)
        }
        Error::UpstreamTimeout { upstream, phase, .. } => {
            fields.set_item("upstream", upstream)?;
            fields.set_item("phase", phase_name(phase))?;
            class::<classes::UpstreamTimeoutError>(py)
        }
        Error::UpstreamConnection { upstream, source, .. } => {
            fields.set_item("upstream", upstream)?;
            cause = source.map(|source| chain(py, source.as_ref()));
            class::<classes::UpstreamConnectionError>(py)
        }
        Error::UpstreamStatus { upstream, status, body, .. } => {
            fields.set_item("upstream", upstream)?;
            fields.set_item("status", status)?;
            fields.set_item("body", PyBytes::new(py, &body))?;
            class::<classes::UpstreamStatusError>(py)
        }
        Error::OutputInvalid(invalid) => {
            describe_output(&invalid, &fields)?;
            let failed = invalid.cause.map(|failed| instance(py, *failed, request_id)).transpose()?;
            let refusal = || invalid.refusal.as_ref().map(|raised| chain(py, raised.as_ref()));
            cause = failed.map(PyErr::from_value).or_else(refusal);
            class::<classes::OutputInvalidError>(py)
        }
        Error::NoUpstream { failures, .. } => {
            let failures: Vec<_> = failures
                .into_iter()
                .map(|failure| instance(py, failure, request_id))
                .collect::<PyResult<_>>()?;
            cause = failures.last().map(|last| PyErr::from_value(last.clone()));
            fields.set_item("failures", PyTuple::new(py, failures)?)?;
            class::<classes::NoUpstreamError>(py)
        }
        Error::BreakerOpen { .. } => {
            fields.set_item("failures", PyTuple::empty(py))?;
            class::<classes::NoUpstreamError>(py)
        }
        Error::Closed => class::<classes::ClosedError>(py),
        // `Error` may gain variants before this match does.
        Error::Internal { .. } | _ => class::<classes::InternalError>(py),
    };
    let exception = class.call((message,), Some(&fields))?;
    if let Some(cause) = cause {
        PyErr::from_value(exception.clone()).set_cause(py, Some(cause));
    }
    Ok(exception)
}

fn class<T: pyo3::PyTypeInfo>(py: Python<'_>) -> Bound<'_, PyType> {
    T::type_object(py)
}

/// A Rust error and its sources as a chain of `__cause__`.
fn chain(py: Python<'_>, error: &(dyn std::error::Error + 'static)) -> PyErr {
    let exception = PyRuntimeError::new_err(error.to_string());
    if let Some(raised) = error.downcast_ref::<Raised>() {
        // By this Python finds what its callable raised; if it could not be told, the type alone is.
        drop(exception.value(py).setattr(pyo3::intern!(py, "question"), raised.number));
    }
    exception.set_cause(py, error.source().map(|source| chain(py, source)));
    exception
}

fn describe_output(invalid: &OutputInvalid, fields: &Bound<'_, PyDict>) -> PyResult<()> {
    static VIOLATION: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = fields.py();
    let class = VIOLATION.import(py, "iron_sdk._errors", "Violation")?;
    let violations = invalid.violations.iter().map(|told| class.call1((&told.path, &told.message)));
    fields.set_item("violations", PyTuple::new(py, violations.collect::<PyResult<Vec<_>>>()?)?)?;
    fields.set_item("upstream", &invalid.upstream)?;
    fields.set_item("finish_reason", invalid.cut_off)?;
    fields.set_item("repairs", invalid.repairs)?;
    fields.set_item("cost", decimal(py, invalid.cost)?)
}

fn decimal(py: Python<'_>, amount: NanoUsd) -> PyResult<Bound<'_, PyAny>> {
    static DECIMAL: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    DECIMAL.import(py, "decimal", "Decimal")?.call1((money::text(amount),))
}

const fn phase_name(phase: TimeoutPhase) -> &'static str {
    match phase {
        TimeoutPhase::Connect => "connect",
        TimeoutPhase::FirstByte => "first_byte",
        TimeoutPhase::Idle => "idle",
        TimeoutPhase::Total => "total",
    }
}
