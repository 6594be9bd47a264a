use serde_json::{Value, json};

use super::instance;
use crate::draw::{Draw, Purpose};

fn made(schema: &Value) -> Value {
    let value = instance(schema, &mut Draw::new(9, Purpose::Schema, 4));
    assert_eq!(
        value,
        instance(schema, &mut Draw::new(9, Purpose::Schema, 4)),
        "the same draws, the same value"
    );
    value
}

/// Every value made for `schema` over many draws satisfies `holds`.
fn always(schema: &Value, holds: impl Fn(&Value) -> bool) {
    for nth in 0..200 {
        let value = instance(schema, &mut Draw::new(1, Purpose::Schema, nth));
        assert!(holds(&value), "{schema} gave {value}");
    }
}

#[test]
fn scalars_keep_their_bounds() {
    always(&json!({"type": "integer", "minimum": 5, "maximum": 7}), |v| {
        (5..=7).contains(&v.as_i64().unwrap())
    });
    always(&json!({"type": "integer", "exclusiveMinimum": 5, "exclusiveMaximum": 7}), |v| v == 6);
    always(&json!({"type": "integer", "minimum": 11, "maximum": 99, "multipleOf": 10}), |v| {
        let v = v.as_i64().unwrap();
        v % 10 == 0 && (11..=99).contains(&v)
    });
    always(&json!({"type": "integer", "maximum": i64::MIN}), |v| v.as_i64() == Some(i64::MIN));
    always(&json!({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 0.5}), |v| {
        let v = v.as_f64().unwrap();
        v > 0.0 && v < 0.5
    });
    always(&json!({"type": "string", "minLength": 20, "maxLength": 21}), |v| {
        (20..=21).contains(&v.as_str().unwrap().len())
    });
    always(&json!({"type": "string", "maxLength": 2}), |v| v.as_str().unwrap().len() <= 2);
    always(&json!({"type": "boolean"}), Value::is_boolean);
    always(&json!({"type": "null"}), Value::is_null);
    always(&json!({"const": {"a": 1}}), |v| *v == json!({"a": 1}));
    always(&json!({"enum": ["a", 2, null]}), |v| [json!("a"), json!(2), json!(null)].contains(v));
    always(&json!({"type": ["null", "integer"]}), Value::is_i64);
    always(&json!({"type": "string", "pattern": "^[A-Z]{3}$", "examples": ["ABC"]}), |v| v == "ABC");
}

#[test]
fn formats_look_like_what_they_are() {
    let format =
        |format: &str| made(&json!({"type": "string", "format": format})).as_str().unwrap().to_owned();
    assert_eq!(format("date-time").len(), "2025-01-01T00:30:00Z".len());
    assert!(format("email").ends_with("@example.com"));
    assert!(format("uri").starts_with("https://"));
    let uuid = format("uuid");
    assert_eq!(uuid.split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12], "{uuid}");
    assert!(format("ipv4").parse::<std::net::Ipv4Addr>().is_ok());
    assert!(format("ipv6").parse::<std::net::Ipv6Addr>().is_ok());
}

#[test]
fn objects_and_arrays_are_filled() {
    let value = made(&json!({
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "tags": {"type": "array", "items": {"enum": ["x"]}, "minItems": 3, "maxItems": 3},
            "pair": {"type": "array", "prefixItems": [{"const": 1}, {"const": 2}], "maxItems": 2},
            "place": {"$ref": "#/$defs/place"},
            "either": {"anyOf": [{"type": "integer"}, {"type": "string"}]},
            "both": {"allOf": [{"properties": {"a": {"const": 1}}}, {"properties": {"b": {"const": 2}}}]},
        },
        "required": ["name", "unlisted"],
        "additionalProperties": true,
        "$defs": {"place": {"type": "object", "properties": {"lat": {"type": "number"}}, "required": ["lat"]}},
    }));
    assert!(value["name"].is_string() && value["unlisted"].is_string());
    assert_eq!(value["tags"], json!(["x", "x", "x"]));
    assert_eq!(value["pair"], json!([1, 2]));
    assert!(value["place"]["lat"].is_number());
    assert!(value["either"].is_i64());
    assert_eq!(value["both"], json!({"a": 1, "b": 2}));
}

#[test]
fn recursive_schemas_end() {
    let list = json!({
        "$ref": "#/$defs/node",
        "$defs": {"node": {
            "type": "object",
            "properties": {"next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}},
            "required": ["next"],
        }},
    });
    let mut node = &made(&list);
    let mut depth = 0;
    while node.is_object() {
        node = &node["next"];
        depth += 1;
    }
    assert!(node.is_null() && (2..10).contains(&depth), "{depth}");
    let tree = json!({
        "type": "object",
        "properties": {"children": {"type": "array", "items": {"$ref": "#"}}},
        "required": ["children"],
    });
    assert!(made(&tree).to_string().len() < 5000);
    // No finite value satisfies this one; it must still end.
    let endless = json!({"type": "object", "properties": {"self": {"$ref": "#"}}, "required": ["self"]});
    assert!(made(&endless).is_object());
}
