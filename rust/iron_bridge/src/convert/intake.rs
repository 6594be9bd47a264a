//! The intake of one request: text out of Python, counted against the most that a request may hold.

use bytes::Bytes;
use bytestring::ByteString;
use iron_runtime::{Json, Text};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use pyo3::types::PyString;

use super::{Fault, json};

/// The most text of one request. Providers refuse bodies of half of this.
const MAX_REQUEST_BYTES: usize = 64 << 20;

/// Text from this length on is shared with Python instead of copied. Below it, copying costs less than handing a
/// reference back to a thread that is attached.
const SHARE_FROM_BYTES: usize = 4096;

/// What one request has taken in so far.
pub(crate) struct Intake {
    left_bytes: usize,
}

impl Intake {
    pub(crate) fn new() -> Self {
        Self { left_bytes: MAX_REQUEST_BYTES }
    }

    /// Text, shared with Python where it is long.
    pub(crate) fn text(&mut self, value: &Bound<'_, PyString>) -> Result<Text, Fault> {
        let text = utf8(value)?;
        self.count(text.len())?;
        if text.len() < SHARE_FROM_BYTES {
            return Ok(ByteString::from(text));
        }
        let shared = Bytes::from_owner(PyBackedStr::try_from(value.clone())?);
        Ok(valid_text(shared))
    }

    /// A value of plain types as JSON text.
    pub(crate) fn json(&mut self, value: &Bound<'_, PyAny>) -> Result<Json, Fault> {
        let text = json::text(value, self.left_bytes)?;
        self.count(text.len())?;
        Ok(Json::from_valid_text(text))
    }

    fn count(&mut self, bytes: usize) -> Result<(), Fault> {
        match self.left_bytes.checked_sub(bytes) {
            Some(left) => {
                self.left_bytes = left;
                Ok(())
            }
            None => Err(too_large()),
        }
    }
}

pub(super) fn too_large() -> Fault {
    Fault::wrong(format!("brings the request above {} MiB, the most that is sent", MAX_REQUEST_BYTES >> 20))
}

/// The UTF-8 of a Python string, which Python keeps.
pub(super) fn utf8<'a>(value: &'a Bound<'_, PyString>) -> Result<&'a str, Fault> {
    value.to_str().map_err(|raised| {
        if raised.is_instance_of::<pyo3::exceptions::PyUnicodeError>(value.py()) {
            Fault::wrong(
                "holds a lone surrogate, which no encoding can carry; \
                 clean the text with text.encode(\"utf-8\", \"replace\").decode()",
            )
        } else {
            raised.into()
        }
    })
}

#[expect(unsafe_code, reason = "checking the text again would read all of it")]
fn valid_text(shared: Bytes) -> Text {
    // SAFETY: the bytes are those of a `PyBackedStr`, which are UTF-8.
    unsafe { ByteString::from_bytes_unchecked(shared) }
}
