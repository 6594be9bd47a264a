//! An instance of a JSON Schema: a value that satisfies it, the same for the same draws.
//!
//! Heeded are `$ref` (within the schema), `const`, `enum`, `anyOf`, `oneOf`, `allOf`, `type`, `properties`, `required`,
//! `items`, `prefixItems`, `minItems`, `maxItems`, `minLength`, `maxLength`, the usual `format`s, `minimum`, `maximum`,
//! their exclusive forms, and `multipleOf`. For a string with a `pattern` the schema's `default` or first of `examples`
//! is taken, since a text can't be made to fit any pattern.

use serde_json::{Map, Number, Value};

use crate::draw::Draw;

/// From this depth on only what is required is made, so that recursive schemas end.
const FULL_DEPTH: u32 = 5;
/// Beyond this depth nothing is made: the schema has no finite instance, or no sensible one.
const MAX_DEPTH: u32 = 32;
/// Most items or characters made because a schema's minimum says so.
const MAX_MINIMUM: u64 = 10_000;

/// A value that satisfies `schema`.
pub(crate) fn instance(schema: &Value, draw: &mut Draw) -> Value {
    Maker { root: schema, draw }.make(schema, 0)
}

struct Maker<'a, 'd> {
    root: &'a Value,
    draw: &'d mut Draw,
}

impl<'a> Maker<'a, '_> {
    fn make(&mut self, schema: &'a Value, depth: u32) -> Value {
        let Some(map) = schema.as_object().filter(|_| depth <= MAX_DEPTH) else { return Value::Null };
        if let Some(target) = map.get("$ref").and_then(Value::as_str) {
            return self.resolve(target).map_or(Value::Null, |schema| self.make(schema, depth + 1));
        }
        if let Some(value) = map.get("const") {
            return value.clone();
        }
        if let Some(values) = map.get("enum").and_then(Value::as_array) {
            let nth = self.draw.below(values.len() as u64);
            return usize::try_from(nth).ok().and_then(|nth| values.get(nth)).cloned().unwrap_or_default();
        }
        if let Some(branches) = ["anyOf", "oneOf"].iter().find_map(|key| map.get(*key)?.as_array()) {
            return self.branch(branches, depth).map_or(Value::Null, |schema| self.make(schema, depth + 1));
        }
        if let Some(parts) = map.get("allOf").and_then(Value::as_array) {
            let mut merged = self.plain(map, depth);
            for part in parts {
                match (&mut merged, self.make(part, depth + 1)) {
                    (Value::Object(merged), Value::Object(part)) => merged.extend(part),
                    (merged, part) if merged.is_null() => *merged = part,
                    _ => {}
                }
            }
            return merged;
        }
        self.plain(map, depth)
    }

    /// A value of the schema's `type`, or of the type that its other keys suggest.
    fn plain(&mut self, map: &'a Map<String, Value>, depth: u32) -> Value {
        let kind = match map.get("type") {
            Some(Value::String(kind)) => kind.as_str(),
            // The first that is not null; far down, null.
            Some(Value::Array(kinds)) => {
                let mut kinds = kinds.iter().filter_map(Value::as_str);
                let null = kinds.clone().any(|kind| kind == "null");
                if null && depth > FULL_DEPTH {
                    "null"
                } else {
                    kinds.find(|kind| *kind != "null").unwrap_or("null")
                }
            }
            _ if map.contains_key("properties") => "object",
            _ if map.contains_key("items") || map.contains_key("prefixItems") => "array",
            _ if map.contains_key("allOf") => "null",
            _ => "string",
        };
        match kind {
            "object" => self.object(map, depth),
            "array" => self.array(map, depth),
            "string" => Value::String(self.string(map)),
            "integer" => self.integer(map),
            "number" => self.number(map),
            "boolean" => Value::Bool(self.draw.below(2) == 1),
            _ => Value::Null,
        }
    }

    /// The first branch; far down, one that ends there.
    fn branch(&self, branches: &'a [Value], depth: u32) -> Option<&'a Value> {
        let ends = |schema: &&Value| {
            let kind = self.resolved(schema).get("type").and_then(Value::as_str);
            kind.is_some_and(|kind| kind != "object" && kind != "array")
        };
        let short = (depth > FULL_DEPTH).then(|| branches.iter().find(ends)).flatten();
        short.or(branches.first())
    }

    fn resolved(&self, schema: &'a Value) -> &'a Value {
        schema.get("$ref").and_then(Value::as_str).and_then(|target| self.resolve(target)).unwrap_or(schema)
    }

    fn resolve(&self, target: &str) -> Option<&'a Value> {
        self.root.pointer(target.strip_prefix('#')?)
    }

    fn object(&mut self, map: &'a Map<String, Value>, depth: u32) -> Value {
        let required = map.get("required").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let mut made = Map::new();
        for (name, schema) in map.get("properties").and_then(Value::as_object).into_iter().flatten() {
            if depth < FULL_DEPTH || required.iter().any(|needed| needed == name) {
                made.insert(name.clone(), self.make(schema, depth + 1));
            }
        }
        for name in required.iter().filter_map(Value::as_str) {
            if !made.contains_key(name) {
                made.insert(name.to_owned(), Value::String(self.words(1)));
            }
        }
        Value::Object(made)
    }

    fn array(&mut self, map: &'a Map<String, Value>, depth: u32) -> Value {
        let first = map.get("prefixItems").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let least = limit(map, "minItems").unwrap_or(0).min(MAX_MINIMUM);
        let most = limit(map, "maxItems").unwrap_or(u64::MAX);
        let wished = if depth < FULL_DEPTH { 1 + self.draw.below(2) } else { 0 };
        let len = wished.max(least).max(first.len() as u64).min(most);
        let any = Value::Object(Map::new());
        let items = (0..usize::try_from(len).unwrap_or(0)).map(|nth| {
            match first.get(nth).or_else(|| map.get("items")) {
                Some(schema) => self.make(schema, depth + 1),
                None => any.clone(),
            }
        });
        Value::Array(items.collect())
    }

    fn string(&mut self, map: &Map<String, Value>) -> String {
        if map.contains_key("pattern") {
            let example = map.get("examples").and_then(|examples| examples.get(0));
            if let Some(text) = map.get("default").or(example).and_then(Value::as_str) {
                return text.to_owned();
            }
        }
        let (day, hour, second) = (1 + self.draw.below(28), self.draw.below(24), self.draw.below(60));
        match map.get("format").and_then(Value::as_str) {
            Some("date-time") => return format!("2025-01-{day:02}T{hour:02}:30:{second:02}Z"),
            Some("date") => return format!("2025-01-{day:02}"),
            Some("time") => return format!("{hour:02}:30:{second:02}Z"),
            Some("duration") => return format!("P{day}DT{hour}H"),
            Some("email") => return format!("{}@example.com", self.words(1)),
            Some("hostname") => return format!("{}.example.com", self.words(1)),
            Some("ipv4") => return format!("192.0.2.{day}"),
            Some("ipv6") => return format!("2001:db8::{day:x}"),
            Some("uri") => return format!("https://example.com/{}", self.words(1)),
            Some("uuid") => {
                let hex = self.draw.hex(30);
                return format!(
                    "{}-{}-4{}-8{}-{}",
                    &hex[..8],
                    &hex[8..12],
                    &hex[12..15],
                    &hex[15..18],
                    &hex[18..]
                );
            }
            _ => {}
        }
        let words = 1 + self.draw.below(3);
        let mut text = self.words(words);
        let least = usize::try_from(limit(map, "minLength").unwrap_or(0).min(MAX_MINIMUM)).unwrap_or(0);
        while text.len() < least {
            text.push(' ');
            text.push_str(&self.words(1));
        }
        // Words are ASCII, so bytes are characters.
        let most = limit(map, "maxLength").and_then(|most| usize::try_from(most).ok()).unwrap_or(usize::MAX);
        text.truncate(most);
        text
    }

    fn words(&mut self, words: u64) -> String {
        self.draw.words(words)
    }

    fn integer(&mut self, map: &Map<String, Value>) -> Value {
        let bound = |key: &str| map.get(key).and_then(whole);
        let low = bound("minimum").or(bound("exclusiveMinimum").map(|low| low.saturating_add(1)));
        let high = bound("maximum").or(bound("exclusiveMaximum").map(|high| high.saturating_sub(1)));
        let (low, high) = range(low, high, 99);
        let width = u64::try_from(i128::from(high) - i128::from(low)).unwrap_or(u64::MAX);
        let drawn = i64::try_from(self.draw.below(width.saturating_add(1))).unwrap_or(0).saturating_add(low);
        let step = bound("multipleOf").filter(|step| *step > 0).unwrap_or(1);
        // Down to a multiple, or up to the first one in range.
        let down = drawn.saturating_sub(drawn.rem_euclid(step));
        Value::from(if down < low { down.saturating_add(step) } else { down })
    }

    fn number(&mut self, map: &Map<String, Value>) -> Value {
        if map.contains_key("multipleOf") {
            return self.integer(map);
        }
        let bound = |key: &str| map.get(key).and_then(Value::as_f64);
        let low = bound("minimum").or(bound("exclusiveMinimum"));
        let high = bound("maximum").or(bound("exclusiveMaximum"));
        let (low, high) = match (low, high) {
            (Some(low), Some(high)) => (low, high),
            (Some(low), None) => (low, low + 100.0),
            (None, Some(high)) => (high - 100.0, high),
            (None, None) => (0.0, 100.0),
        };
        // Strictly inside, so that exclusive bounds hold too.
        let inside = low + (high - low) * (0.25 + self.draw.unit() / 2.0);
        Number::from_f64(inside).map_or(Value::Null, Value::Number)
    }
}

fn limit(map: &Map<String, Value>, key: &str) -> Option<u64> {
    map.get(key).and_then(Value::as_u64)
}

/// A bound that is whole, whether or not it is written with a point.
fn whole(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| format!("{:.0}", value.as_f64()?).parse().ok())
}

/// Both bounds, the missing ones `width` away from the other.
fn range(low: Option<i64>, high: Option<i64>, width: i64) -> (i64, i64) {
    match (low, high) {
        (Some(low), Some(high)) => (low, high.max(low)),
        (Some(low), None) => (low, low.saturating_add(width)),
        (None, Some(high)) => (high.saturating_sub(width), high),
        (None, None) => (0, width),
    }
}

#[cfg(test)]
mod tests;
