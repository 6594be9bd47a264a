//! JSON text that passes through unparsed.

use std::fmt;

use bytestring::ByteString;
use serde::Serialize;
use serde::de::IgnoredAny;

use crate::Error;

/// One JSON value as its text. What the pipeline does not need to understand stays as it was written.
#[derive(Clone, PartialEq, Eq)]
pub struct Json(ByteString);

impl Json {
    /// Check that `text` is one JSON value.
    ///
    /// # Errors
    /// [`Error::Config`] if it is not.
    pub fn parse(text: impl Into<ByteString>) -> Result<Self, Error> {
        let text = text.into();
        match serde_json::from_str::<IgnoredAny>(&text) {
            Ok(_) => Ok(Self(text)),
            Err(error) => Err(Error::config(format!("not valid JSON: {error}"))),
        }
    }

    /// Take text that its writer knows to be one JSON value.
    pub fn from_valid_text(text: impl Into<ByteString>) -> Self {
        let text = text.into();
        debug_assert!(serde_json::from_str::<IgnoredAny>(&text).is_ok(), "not JSON: {text}");
        Self(text)
    }

    /// Write `value` as JSON.
    ///
    /// # Errors
    /// [`Error::Config`] if `value` has no JSON form.
    pub fn from_value(value: &impl Serialize) -> Result<Self, Error> {
        match serde_json::to_string(value) {
            Ok(text) => Ok(Self(text.into())),
            Err(error) => Err(Error::config(format!("cannot be written as JSON: {error}"))),
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same, to be shared.
    pub(crate) fn text(&self) -> &ByteString {
        &self.0
    }

    /// Whether the value is `null`.
    pub fn is_null(&self) -> bool {
        self.0.trim() == "null"
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Tool schemas and message parts may hold what a prompt holds: shown by size alone.
        write!(f, "Json({} bytes)", self.0.len())
    }
}
