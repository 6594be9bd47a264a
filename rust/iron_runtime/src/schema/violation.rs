//! Violations: where a value does not fit its schema, without the value.

use std::collections::HashSet;
use std::fmt;

use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind as Kind;
use jsonschema::paths::LocationSegment;

/// No message is longer: a schema may list ten thousand words.
const LONGEST_MESSAGE: usize = 200;

/// One place where a value does not fit its schema. It holds words of the schema, and none of the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The place, such as `items[0].price`, with `*` for a key that the schema does not name; empty for the whole.
    pub path: String,
    /// What is wrong there.
    pub message: String,
}

impl Violation {
    /// Of the whole value.
    pub(crate) fn whole(message: impl Into<String>) -> Self {
        Self { path: String::new(), message: message.into() }
    }

    /// The same, of a value that stands at `place`.
    pub(crate) fn within(mut self, place: &str) -> Self {
        let dot = if self.path.is_empty() || self.path.starts_with('[') { "" } else { "." };
        self.path = format!("{place}{dot}{}", self.path);
        self
    }

    pub(super) fn new(error: &ValidationError<'_>, names: &HashSet<Box<str>>) -> Self {
        let mut path = String::new();
        for segment in error.instance_path() {
            match segment {
                LocationSegment::Index(index) => path.extend(["[", &index.to_string(), "]"]),
                LocationSegment::Property(key) => {
                    path.push_str(if path.is_empty() { "" } else { "." });
                    path.push_str(if names.contains(&*key) { &key } else { "*" });
                }
            }
        }
        let mut message = message(error);
        if let Some((end, _)) = message.char_indices().nth(LONGEST_MESSAGE) {
            message.truncate(end);
            message.push('…');
        }
        Self { path, message }
    }
}

fn message(error: &ValidationError<'_>) -> String {
    match error.kind() {
        // The library names these keys, which are the model's words.
        Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
            let keys = if unexpected.len() == 1 { "a key" } else { "keys" };
            format!("has {keys} that the schema does not name")
        }
        Kind::PropertyNames { .. } => "has a key that the schema does not allow".to_owned(),
        Kind::BacktrackLimitExceeded { .. } | Kind::RegexEngineFailure { .. } => {
            "is a text on which a pattern of the schema takes too long".to_owned()
        }
        _ => error.masked_with("the value").to_string(),
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)
    }
}
