//! JSON Schemas that bind an answer, as Anthropic takes them: what it does not hold a model to is told the model in words.
//! <https://platform.claude.com/docs/en/build-with-claude/structured-outputs#json-schema-limitations>

use serde_json::{Map, Value};

use crate::provider::lacks::Lacks;

/// Keys that are refused.
const UNHELD: [&str; 12] = [
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "maxItems",
    "uniqueItems",
    "minProperties",
    "maxProperties",
    "propertyNames",
];

const FORMATS: [&str; 10] =
    ["date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"];

/// The schema at `place`, which binds the answer; as it is if it is no JSON object.
pub(super) fn binding(schema: &str, place: &str, lacks: &mut Lacks<'_>) -> String {
    let Ok(Value::Object(given)) = serde_json::from_str(schema) else { return schema.to_owned() };
    let mut told = Vec::new();
    let held = held(given, &mut told);
    if !told.is_empty() {
        lacks.say(format!(
            "{place}: {} stands in the descriptions, because provider {:?} does not hold a model to it",
            told.join(", "),
            lacks.provider().name
        ));
    }
    Value::Object(held).to_string()
}

/// One schema and those in it. The keys that are told in words are added to `told`, each once.
fn held(given: Map<String, Value>, told: &mut Vec<String>) -> Map<String, Value> {
    let (mut kept, mut words) = (Map::new(), Vec::new());
    for (key, value) in given {
        if is_held(&key, &value) {
            // Of its ways to choose, Anthropic knows one.
            let key = if key == "oneOf" { "anyOf".to_owned() } else { key };
            let value = within(&key, value, told);
            kept.insert(key, value);
        } else {
            words.push(format!("{key}: {value}"));
            if !told.contains(&key) {
                told.push(key);
            }
        }
    }
    if !words.is_empty() {
        let words = format!("({})", words.join(", "));
        let description = match kept.get("description").and_then(Value::as_str) {
            Some(description) => format!("{description} {words}"),
            None => words,
        };
        kept.insert("description".to_owned(), description.into());
    }
    let is_object = kept.get("type").is_some_and(|kind| kind == "object") || kept.contains_key("properties");
    if is_object && !kept.contains_key("additionalProperties") {
        kept.insert("additionalProperties".to_owned(), false.into());
    }
    kept
}

fn is_held(key: &str, value: &Value) -> bool {
    match key {
        "format" => value.as_str().is_some_and(|format| FORMATS.contains(&format)),
        "minItems" => value.as_u64().is_some_and(|least| least <= 1),
        _ => !UNHELD.contains(&key),
    }
}

/// The schemas that stand below a key.
fn within(key: &str, value: Value, told: &mut Vec<String>) -> Value {
    let mut schema = |value| match value {
        Value::Object(schema) => Value::Object(held(schema, told)),
        other => other,
    };
    match (key, value) {
        ("properties" | "$defs" | "definitions", Value::Object(named)) => {
            Value::Object(named.into_iter().map(|(name, value)| (name, schema(value))).collect())
        }
        ("items", value) => schema(value),
        ("anyOf" | "allOf" | "prefixItems", Value::Array(list)) => list.into_iter().map(schema).collect(),
        (_, value) => value,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_held_is_told_in_words_wherever_it_stands() {
        let given = json!({
            "type": "object",
            "properties": {
                "age": {"type": "integer", "minimum": 0, "description": "Years."},
                "minimum": {"type": "string", "format": "date"},
                "code": {"type": "string", "format": "ean", "maxLength": 13},
                "tags": {"type": "array", "items": {"$ref": "#/$defs/Tag"}, "minItems": 2},
                "any": {"oneOf": [{"type": "array", "minItems": 1}, {"properties": {}}]},
            },
            "$defs": {"Tag": {"type": "object", "properties": {}, "additionalProperties": true}},
        });
        let Value::Object(given) = given else { unreachable!() };
        let mut told = Vec::new();
        let expected = json!({
            "type": "object",
            "properties": {
                "age": {"type": "integer", "description": "Years. (minimum: 0)"},
                "minimum": {"type": "string", "format": "date"},
                "code": {"type": "string", "description": "(format: \"ean\", maxLength: 13)"},
                "tags": {"type": "array", "items": {"$ref": "#/$defs/Tag"}, "description": "(minItems: 2)"},
                "any": {"anyOf": [
                    {"type": "array", "minItems": 1}, {"properties": {}, "additionalProperties": false},
                ]},
            },
            "$defs": {"Tag": {"type": "object", "properties": {}, "additionalProperties": true}},
            "additionalProperties": false,
        });
        assert_eq!(Value::Object(held(given, &mut told)), expected);
        assert_eq!(told, ["minimum", "format", "maxLength", "minItems"]);
    }
}
