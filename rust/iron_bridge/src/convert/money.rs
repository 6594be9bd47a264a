//! Amounts of money, exact in both directions.

use iron_protocol::NanoUsd;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyFloat, PyInt, PyString};

use super::Fault;
use super::intake::utf8;

const RIGHT: &str = "text such as \"0.50\", a Decimal, or an int of whole dollars";

/// The amount as text, from which `decimal.Decimal` is exact whatever its context.
pub(crate) fn text(amount: NanoUsd) -> String {
    amount.to_string()
}

/// An amount in US dollars that is not negative.
pub(crate) fn amount(value: &Bound<'_, PyAny>) -> Result<NanoUsd, Fault> {
    let amount = signed(value)?;
    if amount < NanoUsd::ZERO {
        return Err(Fault::wrong(format!("is {amount} USD; an amount cannot be negative")));
    }
    Ok(amount)
}

fn signed(value: &Bound<'_, PyAny>) -> Result<NanoUsd, Fault> {
    static DECIMAL: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    if let Ok(text) = value.cast::<PyString>() {
        return parse(utf8(text)?);
    }
    if value.is_instance_of::<PyInt>() && !value.is_instance_of::<PyBool>() {
        let dollars = value.extract::<i64>().ok().and_then(NanoUsd::from_dollars);
        return dollars
            .ok_or_else(|| Fault::wrong("is too large: the largest amount is 9223372036.854775807 USD"));
    }
    if value.is_instance_of::<PyFloat>() {
        return Err(Fault::wrong(format!("is a float, which cannot hold every cent exactly; give {RIGHT}")));
    }
    if value.is_instance(DECIMAL.import(value.py(), "decimal", "Decimal")?)? {
        let digits = value.call_method1("__format__", ("f",))?;
        return parse(utf8(digits.cast::<PyString>().map_err(PyErr::from)?)?);
    }
    Err(Fault::kind(value, RIGHT))
}

fn parse(text: &str) -> Result<NanoUsd, Fault> {
    text.parse().map_err(|error| Fault::wrong(format!("is not taken: {error}")))
}
