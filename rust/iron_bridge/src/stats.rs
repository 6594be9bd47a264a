//! What the calls of a client came to, for Python.

use iron_protocol::ErrorCode;
use iron_runtime::{Client, Quantiles, UpstreamSnapshot};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::convert::money;

/// Every field of Python's `Stats`, by name.
pub(crate) fn python<'py>(py: Python<'py>, client: &Client) -> PyResult<Bound<'py, PyDict>> {
    let (stats, fields) = (client.stats(), PyDict::new(py));
    fields.set_item("calls", stats.begun)?;
    fields.set_item("answered", stats.answered)?;
    fields.set_item("refused", by_code(py, &stats.refused)?)?;
    fields.set_item("failed", by_code(py, &stats.failed)?)?;
    fields.set_item("cancelled", stats.cancelled)?;
    fields.set_item("in_flight", client.in_flight())?;
    fields.set_item("waiting", stats.waiting)?;
    fields.set_item("attempts", stats.attempts)?;
    fields.set_item("retries", stats.retries)?;
    fields.set_item("fallbacks", stats.fallbacks)?;
    fields.set_item("repairs", stats.repairs)?;
    fields.set_item("usage", PyTuple::new(py, stats.usage.counts())?)?;
    fields.set_item("cost", money::text(stats.cost))?;
    fields.set_item("in_doubt", money::text(stats.in_doubt))?;
    fields.set_item("total", seconds(&stats.total))?;
    fields.set_item("overhead", seconds(&stats.overhead))?;
    let upstreams = client.upstreams().into_iter().map(|upstream| row(py, &upstream));
    fields.set_item("upstreams", PyTuple::new(py, upstreams.collect::<PyResult<Vec<_>>>()?)?)?;
    Ok(fields)
}

/// Python's `UpstreamStats`, in the order of its fields.
fn row<'py>(py: Python<'py>, upstream: &UpstreamSnapshot) -> PyResult<Bound<'py, PyTuple>> {
    (
        &*upstream.name,
        upstream.breaker.as_str(),
        upstream.closed_for.map(|wait| wait.as_secs_f64()),
        upstream.requests,
        upstream.failures,
        upstream.retries,
        upstream.in_flight,
        upstream.latency.map(|latency| latency.as_secs_f64()),
    )
        .into_pyobject(py)
}

fn by_code<'py>(py: Python<'py>, counts: &[(ErrorCode, u64)]) -> PyResult<Bound<'py, PyDict>> {
    let fields = PyDict::new(py);
    for (code, count) in counts {
        fields.set_item(code.as_str(), count)?;
    }
    Ok(fields)
}

fn seconds(quantiles: &Quantiles) -> (f64, f64, f64) {
    (quantiles.p50.as_secs_f64(), quantiles.p90.as_secs_f64(), quantiles.p99.as_secs_f64())
}
