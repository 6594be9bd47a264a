//! Calls: what a reply wants called.

use std::sync::Arc;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::PolicyDenied;
use crate::call::Text;
use crate::policy::Direction;

/// A call of a tool.
pub(crate) struct Called {
    pub(crate) name: Arc<str>,
    /// What the provider names the call by; functions called in the older form have none.
    pub(crate) id: Option<Arc<str>>,
    /// As the model wrote them.
    pub(crate) arguments: Text,
    /// Whether they are free text, and not JSON.
    pub(super) free: bool,
    /// What that is as JSON, if it is any; the text itself where a tool takes text.
    pub(super) value: Option<Value>,
}

/// The same for calls of the same tool with the same arguments.
pub(super) type Fingerprint = [u8; 32];

/// Every call of a reply in the form of OpenAI, in all of its choices.
///
/// # Errors
/// [`PolicyDenied`] for a call of a kind that isn't known: nobody can say what it does.
pub(crate) fn called(body: &[u8]) -> Result<Vec<Called>, PolicyDenied> {
    let body: Value = serde_json::from_slice(body).map_err(|_| unknown())?;
    let choices = body.get("choices").and_then(Value::as_array).into_iter().flatten();
    called_by(choices.filter_map(|choice| choice.get("message")))
}

/// Every call of these messages.
///
/// # Errors
/// As for [`called`].
pub(crate) fn called_by<'m>(messages: impl Iterator<Item = &'m Value>) -> Result<Vec<Called>, PolicyDenied> {
    let mut calls = Vec::new();
    for message in messages {
        match message.get("tool_calls") {
            None | Some(Value::Null) => {}
            Some(Value::Array(given)) => {
                for call in given {
                    calls.push(Called::of_tool(call).ok_or_else(unknown)?);
                }
            }
            Some(_) => return Err(unknown()),
        }
        match message.get("function_call") {
            None | Some(Value::Null) => {}
            Some(call) => calls.push(Called::of_function(call).ok_or_else(unknown)?),
        }
    }
    Ok(calls)
}

fn unknown() -> PolicyDenied {
    let why = "the reply calls something of a kind that is not known";
    PolicyDenied::tool("tools", Direction::ToolArguments, None, why)
}

impl Called {
    fn of_tool(call: &Value) -> Option<Self> {
        let called = match (call.get("function"), call.get("custom")) {
            (Some(function), None) => Self::of_function(function),
            (None, Some(custom)) => {
                let text = custom.get("input")?.as_str()?;
                Some(Self { free: true, ..Self::new(name(custom)?, text, Some(text.into())) })
            }
            _ => None,
        };
        let id = call.get("id").and_then(Value::as_str).map(Arc::from);
        called.map(|called| Self { id, ..called })
    }

    fn of_function(function: &Value) -> Option<Self> {
        let name = name(function)?;
        Some(match function.get("arguments") {
            None | Some(Value::Null) => Self::new(name, "{}", Some(Value::Object(serde_json::Map::new()))),
            // A tool that takes nothing is called with nothing.
            Some(Value::String(text)) if text.trim().is_empty() => {
                Self::new(name, "{}", Some(Value::Object(serde_json::Map::new())))
            }
            Some(Value::String(text)) => Self::new(name, text, serde_json::from_str(text).ok()),
            Some(value) => Self::new(name, &value.to_string(), Some(value.clone())),
        })
    }

    fn new(name: &str, arguments: &str, value: Option<Value>) -> Self {
        Self { name: name.into(), id: None, arguments: arguments.into(), free: false, value }
    }

    /// The same for the same arguments, however they are written: in any order of keys, with any space, and with any
    /// form of the same number.
    pub(super) fn fingerprint(&self) -> Fingerprint {
        let mut hash = Sha256::new();
        hash.update((self.name.len() as u64).to_le_bytes());
        hash.update(self.name.as_bytes());
        hash.update([u8::from(self.value.is_some()), u8::from(self.free)]);
        if let Some(value) = &self.value {
            let mut text = String::new();
            canonical(value, &mut text);
            hash.update(text);
        } else {
            hash.update(self.arguments.trim());
        }
        hash.finalize().into()
    }
}

fn name(of: &Value) -> Option<&str> {
    of.get("name")?.as_str().filter(|name| !name.is_empty())
}

/// Write a value in the one form that equal values have.
fn canonical(value: &Value, into: &mut String) {
    match value {
        Value::Array(values) => {
            into.push('[');
            for value in values {
                canonical(value, into);
                into.push(',');
            }
            into.push(']');
        }
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_unstable_by_key(|(key, _)| *key);
            into.push('{');
            for (key, value) in fields {
                canonical(&Value::String(key.clone()), into);
                into.push(':');
                canonical(value, into);
                into.push(',');
            }
            into.push('}');
        }
        Value::Number(number) => match number.as_f64().filter(|_| number.is_f64()) {
            // 2.0 is 2, and -0.0 is 0: written without a fraction, as integers are.
            Some(float) if float.fract() == 0.0 => into.push_str(&(float + 0.0).to_string()),
            _ => into.push_str(&number.to_string()),
        },
        other => into.push_str(&other.to_string()),
    }
}
