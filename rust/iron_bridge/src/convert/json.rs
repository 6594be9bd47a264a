//! Python values written straight as JSON text.

use bytestring::ByteString;
use iron_runtime::Text;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};

use super::Fault;
use super::intake::{too_large, utf8};

/// Readers of JSON commonly stop at 128 levels, and a request puts up to eight around a value.
const MAX_DEPTH: usize = 120;

/// The value as JSON text of at most `most_bytes`.
pub(super) fn text(value: &Bound<'_, PyAny>, most_bytes: usize) -> Result<Text, Fault> {
    let mut writer = Writer { text: Vec::new(), depth: 0, most_bytes };
    writer.value(value)?;
    ByteString::try_from(writer.text).map_err(|_| Fault::wrong("is not text"))
}

/// The plain form of an object: what `iron_sdk._schema.plain` makes of it.
pub(super) fn plain<'py>(value: &Bound<'py, PyAny>) -> Result<Bound<'py, PyAny>, Fault> {
    static PLAIN: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = value.py();
    let plain = PLAIN.import(py, "iron_sdk._schema", "plain")?.call1((value,))?;
    if plain.is(py.NotImplemented()) {
        return Err(Fault::kind(
            value,
            "text, a number, a bool, None, a list, a dict, a dataclass or a Pydantic model",
        ));
    }
    Ok(plain)
}

struct Writer {
    text: Vec<u8>,
    depth: usize,
    most_bytes: usize,
}

impl Writer {
    fn value(&mut self, value: &Bound<'_, PyAny>) -> Result<(), Fault> {
        if let Ok(text) = value.cast::<PyString>() {
            self.string(text)?;
        } else if value.is_none() {
            self.text.extend_from_slice(b"null");
        } else if let Ok(flag) = value.cast::<PyBool>() {
            self.text.extend_from_slice(if flag.is_true() { b"true" } else { b"false" });
        } else if let Ok(number) = value.cast::<PyInt>() {
            self.integer(number)?;
        } else if let Ok(number) = value.cast::<PyFloat>() {
            self.float(number.value())?;
        } else {
            self.nested(value)?;
        }
        if self.text.len() > self.most_bytes { Err(too_large()) } else { Ok(()) }
    }

    fn nested(&mut self, value: &Bound<'_, PyAny>) -> Result<(), Fault> {
        if self.depth == MAX_DEPTH {
            return Err(Fault::wrong(format!(
                "is nested more than {MAX_DEPTH} levels deep; flatten it, or break the cycle if it holds itself"
            )));
        }
        self.depth += 1;
        if let Ok(dict) = value.cast::<PyDict>() {
            self.object(dict)?;
        } else if let Ok(list) = value.cast::<PyList>() {
            self.array(list.iter())?;
        } else if let Ok(tuple) = value.cast::<PyTuple>() {
            self.array(tuple.iter())?;
        } else {
            self.value(&plain(value)?)?;
        }
        self.depth -= 1;
        Ok(())
    }

    fn string(&mut self, text: &Bound<'_, PyString>) -> Result<(), Fault> {
        self.serialize(utf8(text)?)
    }

    fn integer(&mut self, number: &Bound<'_, PyInt>) -> Result<(), Fault> {
        if let Ok(number) = number.extract::<i64>() {
            return self.serialize(&number);
        }
        match number.extract::<u64>() {
            Ok(number) => self.serialize(&number),
            Err(_) => Err(Fault::wrong("is an integer beyond 64 bits; give it as text")),
        }
    }

    fn float(&mut self, number: f64) -> Result<(), Fault> {
        if number.is_finite() {
            return self.serialize(&number);
        }
        Err(Fault::wrong(format!(
            "is {}, which JSON has no number for; give a finite number",
            python_name(number)
        )))
    }

    fn object(&mut self, dict: &Bound<'_, PyDict>) -> Result<(), Fault> {
        let mut separator = b'{';
        for (key, value) in dict {
            self.text.push(separator);
            separator = b',';
            let Ok(key) = key.cast::<PyString>() else {
                return Err(Fault::kind(&key, "only text as key of a dict"));
            };
            let name = utf8(key)?;
            self.serialize(name)?;
            self.text.push(b':');
            self.value(&value).map_err(|fault| fault.at(name))?;
        }
        if separator == b'{' {
            self.text.push(separator);
        }
        self.text.push(b'}');
        Ok(())
    }

    fn array<'py>(&mut self, values: impl Iterator<Item = Bound<'py, PyAny>>) -> Result<(), Fault> {
        self.text.push(b'[');
        for (index, value) in values.enumerate() {
            if index > 0 {
                self.text.push(b',');
            }
            self.value(&value).map_err(|fault| fault.at_index(index))?;
        }
        self.text.push(b']');
        Ok(())
    }

    fn serialize(&mut self, value: &(impl serde::Serialize + ?Sized)) -> Result<(), Fault> {
        serde_json::to_writer(&mut self.text, value).map_err(|error| Fault::wrong(error.to_string()))
    }
}

/// A number that is not finite, as Python writes it.
pub(super) fn python_name(number: f64) -> &'static str {
    if number.is_nan() {
        "nan"
    } else if number > 0.0 {
        "inf"
    } else {
        "-inf"
    }
}
