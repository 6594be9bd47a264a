//! Schemas that hold, schemas that are refused, and what a violation tells.

use super::*;

fn told(schema: &str, value: &str) -> Vec<String> {
    let schema = Schema::compile(schema).unwrap();
    schema.violations(&serde_json::from_str(value).unwrap()).iter().map(ToString::to_string).collect()
}

fn refused(schema: &str) -> String {
    Schema::compile(schema).unwrap_err()
}

const ORDER: &str = r##"{
    "type": "object",
    "properties": {
        "lines": {"type": "array", "items": {"$ref": "#/$defs/line"}, "minItems": 1},
        "pay": {"anyOf": [{"type": "null"}, {"enum": ["card", "cash"]}]},
        "to": {"type": "string", "format": "email"},
        "at": {"type": "string", "format": "date-time"}
    },
    "required": ["lines"],
    "additionalProperties": false,
    "$defs": {"line": {"type": "object", "properties": {
        "count": {"type": "integer", "minimum": 1}, "of": {"$ref": "#/$defs/line"}
    }}}
}"##;

#[test]
fn what_fits_has_no_violation() {
    for value in [
        r#"{"lines": [{"count": 2, "of": {"of": {"count": 1.0}}}]}"#,
        r#"{"lines": [{}], "pay": null, "to": "a@example.org", "at": "2026-11-24T10:00:00Z"}"#,
        r#"{"lines": [{}], "pay": "card"}"#,
    ] {
        assert_eq!(told(ORDER, value), Vec::<String>::new(), "{value}");
    }
}

#[test]
fn a_violation_tells_its_place_and_nothing_of_the_value() {
    for (value, expected) in [
        (r#"{"lines": []}"#, "lines: the value has less than 1 item"),
        ("{}", r#""lines" is a required property"#),
        (
            r#"{"lines": [{}, {"of": {"count": "SECRET"}}]}"#,
            "lines[1].of.count: the value is not of type \"integer\"",
        ),
        (r#"{"lines": [{"count": 0}]}"#, "lines[0].count: the value is less than the minimum of 1"),
        (r#"{"lines": [{}], "SECRET": 1}"#, "has a key that the schema does not name"),
        (r#"{"lines": [{}], "to": "SECRET"}"#, "to: the value is not a \"email\""),
        (r#"{"lines": [{}], "at": "SECRET"}"#, "at: the value is not a \"date-time\""),
        (
            r#"{"lines": [{}], "pay": "SECRET"}"#,
            "pay: the value is not valid under any of the schemas listed in the 'anyOf' keyword",
        ),
        ("\"SECRET\"", "the value is not of type \"object\""),
    ] {
        assert_eq!(told(ORDER, value), [expected], "{value}");
    }
    let open = r#"{"type": "object", "additionalProperties": {"type": "integer"}, "propertyNames": {"maxLength": 3}}"#;
    let told = told(open, r#"{"SECRET": "SECRET"}"#);
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told.iter().all(|told| !told.contains("SECRET")), "{told:?}");
    assert!(told.contains(&"*: the value is not of type \"integer\"".to_owned()), "{told:?}");
}

#[test]
fn no_more_violations_are_told_than_help() {
    let many = format!("[{}]", vec!["1"; 1_000].join(","));
    assert_eq!(told(r#"{"items": {"type": "string"}}"#, &many).len(), MOST_VIOLATIONS);
}

#[test]
fn hostile_schemas_are_refused() {
    let deep = format!("{}{}{}", r#"{"not":"#.repeat(100), "true", "}".repeat(100));
    assert_eq!(refused(&deep), "is a schema nested deeper than 64 levels");
    let wide = format!(r#"{{"enum": [{}]}}"#, vec!["1"; 20_000].join(","));
    assert_eq!(refused(&wide), "is a schema of more than 10000 values");
    let long = format!(r#"{{"description": "{}"}}"#, "x".repeat(300_000));
    assert!(refused(&long).starts_with("is a schema of 300019 bytes"), "{}", refused(&long));
    for (schema, expected) in [
        ("[]", "give a table"),
        ("{", "is not valid JSON"),
        (r#"{"type": "strin"}"#, "at /type"),
        (r#"{"pattern": "("}"#, "at /pattern"),
        (r#"{"pattern": "((((a{100}){100}){100}){100})"}"#, "at /pattern"),
        (r#"{"$ref": "https://example.org/schema.json"}"#, "example.org"),
        (r#"{"$ref": "file:///etc/passwd"}"#, "file:///etc/passwd"),
        (r##"{"$ref": "#/$defs/none"}"##, "/$defs/none"),
        (r#"{"$schema": "https://example.org/other"}"#, "example.org"),
        (r#"{"properties": {"a": {"$id": "https://example.org/a"}}}"#, "has $id within it"),
        (r##"{"$dynamicRef": "#a"}"##, "uses $dynamicRef"),
        (r##"{"$ref": "#a"}"##, "only places in the schema itself"),
    ] {
        assert!(refused(schema).contains(expected), "{schema}: {}", refused(schema));
    }
}

#[test]
fn a_pattern_that_takes_for_ever_is_given_up() {
    // A look-behind leaves the automaton that is linear; the rest of it backtracks without end.
    let schema = r#"{"type": "string", "pattern": "^(?<!x)(a|aa)+\\1$"}"#;
    let value = format!("\"{}!\"", "a".repeat(5_000));
    assert_eq!(told(schema, &value), ["is a text on which a pattern of the schema takes too long"]);
    // Without one it is linear.
    assert_eq!(told(r#"{"pattern": "^(a|aa)+$"}"#, &value).len(), 1);
}

#[test]
fn references_that_multiply_or_go_in_circles_end() {
    let mut doubling = String::from(r##"{"$ref": "#/$defs/d0", "$defs": {"##);
    for nth in 0..40 {
        let next = format!(r##"{{"$ref": "#/$defs/d{}"}}"##, nth + 1);
        doubling.extend(["\"d", &nth.to_string(), "\": {\"anyOf\": [", &next, ", ", &next, "]}, "]);
    }
    doubling.push_str(r#""d40": false}}"#);
    assert_eq!(refused(&doubling), "is a schema whose references multiply beyond measure");
    let circle = r##"{"$ref": "#/$defs/a", "$defs": {"a": {"allOf": [{"$ref": "#/$defs/a"}]}}}"##;
    assert_eq!(told(circle, "1"), Vec::<String>::new());
}

#[test]
fn a_deep_value_of_a_schema_that_branches_is_judged_and_told_of_in_short() {
    let branching = r##"{"$ref": "#/$defs/e", "$defs": {"e": {"anyOf": [
        {"type": "object", "properties": {"l": {"$ref": "#/$defs/e"}, "k": {"const": 1}}, "required": ["k"]},
        {"type": "object", "properties": {"l": {"$ref": "#/$defs/e"}, "k": {"const": 2}}, "required": ["k"]}
    ]}}}"##;
    let nested = |depth: usize, inner: &str| {
        format!("{}{inner}{}", r#"{"k": 2, "l":"#.repeat(depth), "}".repeat(depth))
    };
    assert_eq!(told(branching, &nested(60, r#"{"k": 1}"#)), Vec::<String>::new());
    assert_eq!(told(branching, &nested(60, "3")), ["does not fit the schema"]);
    assert!(told(branching, &nested(2, "3"))[0].contains("anyOf"));
}
