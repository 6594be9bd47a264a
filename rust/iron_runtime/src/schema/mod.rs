//! JSON Schemas: compiled once, within bounds, and held against what a model wrote.

mod bounds;
mod cache;
mod violation;

#[cfg(test)]
mod tests;

use std::collections::HashSet;

use jsonschema::{PatternOptions, Validator};
use serde_json::Value;

use self::bounds::Bounded;
pub(crate) use self::cache::Cache;
pub use self::violation::Violation;

/// So many steps back a pattern may take in one text: what is more is a pattern that takes for ever.
const MOST_BACKTRACKS: usize = 100_000;
/// What one compiled pattern may take.
const MOST_PATTERN_BYTES: usize = 1 << 20;
/// So many violations tell enough.
const MOST_VIOLATIONS: usize = 16;

/// A compiled schema.
#[derive(Debug)]
pub(crate) struct Schema {
    validator: Validator,
    /// The keys that it names: those of an instance that it doesn't name are the model's words.
    names: HashSet<Box<str>>,
    /// How deep a value may be for telling where it does not fit.
    told_depth: usize,
}

impl Schema {
    /// Compile `text`. Nothing is fetched: a reference leads to a place in the schema itself.
    ///
    /// # Errors
    /// Why it cannot be used, to follow the place where it stands.
    pub(crate) fn compile(text: &str) -> Result<Self, String> {
        let bounded = Bounded::read(text)?;
        let schema = &bounded.schema;
        let patterns = PatternOptions::fancy_regex()
            .backtrack_limit(MOST_BACKTRACKS)
            .size_limit(MOST_PATTERN_BYTES)
            .dfa_size_limit(MOST_PATTERN_BYTES);
        let options = jsonschema::options().offline().with_pattern_options(patterns);
        let validator = options.should_validate_formats(true).build(schema);
        let validator = validator.map_err(|error| match error.instance_path().as_str() {
            "" => format!("is no JSON Schema that can be used: {error}"),
            path => format!("is no JSON Schema that can be used, at {path}: {error}"),
        })?;
        let mut names = HashSet::new();
        named(schema, &mut names);
        Ok(Self { validator, names, told_depth: bounded.told_depth() })
    }

    /// Where `value` does not fit; nowhere, if it is empty.
    pub(crate) fn violations(&self, value: &Value) -> Vec<Violation> {
        if self.validator.is_valid(value) {
            return Vec::new();
        }
        let whole = || Violation::whole("does not fit the schema");
        if deeper_than(value, self.told_depth) {
            // Of all alternatives at every level, it would be told why each is none.
            return vec![whole()];
        }
        let errors = self.validator.iter_errors(value).take(MOST_VIOLATIONS);
        let mut violations: Vec<_> = errors.map(|error| Violation::new(&error, &self.names)).collect();
        if violations.is_empty() {
            // It was not valid, whatever the second look says.
            violations.push(whole());
        }
        violations
    }
}

fn deeper_than(value: &Value, depth: usize) -> bool {
    let Some(deeper) = depth.checked_sub(1) else { return true };
    match value {
        Value::Array(values) => values.iter().any(|value| deeper_than(value, deeper)),
        Value::Object(fields) => fields.values().any(|value| deeper_than(value, deeper)),
        _ => false,
    }
}

/// Every key that the schema names for instances.
fn named(schema: &Value, names: &mut HashSet<Box<str>>) {
    match schema {
        Value::Array(values) => values.iter().for_each(|value| named(value, names)),
        Value::Object(fields) => {
            for (keyword, value) in fields {
                match (keyword.as_str(), value) {
                    ("properties" | "dependentSchemas" | "dependentRequired", Value::Object(keys)) => {
                        names.extend(keys.keys().map(|key| key.as_str().into()));
                    }
                    ("required", Value::Array(keys)) => {
                        names.extend(keys.iter().filter_map(Value::as_str).map(Into::into));
                    }
                    _ => {}
                }
                named(value, names);
            }
        }
        _ => {}
    }
}
