//! Typed fields of a request body, with OpenAI's words for what is wrong with them.

use serde_json::{Map, Value};

use crate::openai::error::ApiError;

/// A JSON object of a request and its place in it.
#[derive(Clone, Copy)]
pub(crate) struct Fields<'a, 'p> {
    map: &'a Map<String, Value>,
    place: &'p str,
}

impl<'a, 'p> Fields<'a, 'p> {
    pub(crate) fn new(map: &'a Map<String, Value>, place: &'p str) -> Self {
        Self { map, place }
    }

    /// The object at `place`.
    pub(crate) fn of(value: &'a Value, place: &'p str) -> Result<Self, ApiError> {
        match value {
            Value::Object(map) => Ok(Self { map, place }),
            other => Err(invalid_type(place, "an object", other)),
        }
    }

    /// The name of a field as seen from the whole body.
    pub(crate) fn path(&self, name: &str) -> String {
        if self.place.is_empty() { name.to_owned() } else { format!("{}.{name}", self.place) }
    }

    /// A field that is given and not null.
    pub(crate) fn get(&self, name: &str) -> Option<&'a Value> {
        self.map.get(name).filter(|value| !value.is_null())
    }

    pub(crate) fn required(&self, name: &str) -> Result<&'a Value, ApiError> {
        self.get(name).ok_or_else(|| {
            let path = self.path(name);
            ApiError::invalid(format!("Missing required parameter: '{path}'."))
                .param(path)
                .code("missing_required_parameter")
        })
    }

    pub(crate) fn string(&self, name: &str) -> Result<Option<&'a str>, ApiError> {
        self.get(name)
            .map(|value| value.as_str().ok_or_else(|| self.wrong(name, "a string", value)))
            .transpose()
    }

    pub(crate) fn required_string(&self, name: &str) -> Result<&'a str, ApiError> {
        let value = self.required(name)?;
        value.as_str().ok_or_else(|| self.wrong(name, "a string", value))
    }

    pub(crate) fn boolean(&self, name: &str) -> Result<bool, ApiError> {
        self.get(name)
            .map_or(Ok(false), |value| value.as_bool().ok_or_else(|| self.wrong(name, "a boolean", value)))
    }

    pub(crate) fn array(&self, name: &str) -> Result<Option<&'a [Value]>, ApiError> {
        self.get(name)
            .map(|value| {
                value
                    .as_array()
                    .map(Vec::as_slice)
                    .ok_or_else(|| self.wrong(name, "an array of objects", value))
            })
            .transpose()
    }

    /// A whole number from `low` to `high`.
    pub(crate) fn integer(&self, name: &str, low: u64, high: u64) -> Result<Option<u64>, ApiError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let below = || self.bound(name, "integer_below_min_value", &format!("a value >= {low}"), value);
        match value.as_u64() {
            Some(number) if number < low => Err(below()),
            Some(number) if number > high => {
                Err(self.bound(name, "integer_above_max_value", &format!("a value <= {high}"), value))
            }
            Some(number) => Ok(Some(number)),
            None if value.is_i64() => Err(below()),
            None => Err(self.wrong(name, "an integer", value)),
        }
    }

    /// Check that a number, if given, is from `low` to `high`.
    pub(crate) fn check_decimal(&self, name: &str, low: f64, high: f64) -> Result<(), ApiError> {
        let Some(value) = self.get(name) else { return Ok(()) };
        match value.as_f64() {
            None => Err(self.wrong(name, "a decimal", value)),
            Some(number) if number < low => {
                Err(self.bound(name, "decimal_below_min_value", &format!("a value >= {low}"), value))
            }
            Some(number) if number > high => {
                Err(self.bound(name, "decimal_above_max_value", &format!("a value <= {high}"), value))
            }
            Some(_) => Ok(()),
        }
    }

    fn bound(&self, name: &str, code: &'static str, expected: &str, got: &Value) -> ApiError {
        let path = self.path(name);
        let kind = if code.starts_with("integer") { "integer" } else { "decimal" };
        let side = if code.contains("below") { "below minimum" } else { "above maximum" };
        ApiError::invalid(format!(
            "Invalid '{path}': {kind} {side} value. Expected {expected}, but got {got} instead."
        ))
        .param(path)
        .code(code)
    }

    pub(crate) fn wrong(&self, name: &str, expected: &str, got: &Value) -> ApiError {
        invalid_type(&self.path(name), expected, got)
    }
}

/// A value of the wrong type.
pub(crate) fn invalid_type(path: &str, expected: &str, got: &Value) -> ApiError {
    let got = match got {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(number) if number.is_f64() => "a decimal",
        Value::Number(_) => "an integer",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    };
    ApiError::invalid(format!("Invalid type for '{path}': expected {expected}, but got {got} instead."))
        .param(path)
        .code("invalid_type")
}

/// A value that is none of those supported.
pub(crate) fn invalid_value(path: &str, got: &str, supported: &[&str]) -> ApiError {
    let supported = supported.iter().map(|value| format!("'{value}'")).collect::<Vec<_>>().join(", ");
    ApiError::invalid(format!("Invalid value: '{got}'. Supported values are: {supported}."))
        .param(path)
        .code("invalid_value")
}
