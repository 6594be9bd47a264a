//! The `iron.toml` that a project begins with, made from the schema: each key with its doc and its default.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::{schema, wrong};

const WIDTH: usize = 100;

const HEAD: &str = "\
# Settings of iron-sdk. A line that begins with # and no space is a setting at its default, or at an
# example where it has none: remove the # to set it. `iron check` tells what is in force and what is wrong.
#
# Editors complete and check it after `iron schema > iron.schema.json`, with this as its first line:
#   #:schema ./iron.schema.json
";

/// What stands behind a value that is not the default.
const EXAMPLE: &str = " # an example";

/// What the ends of keys count.
const UNITS: [(&str, &str); 4] =
    [("_ms", "milliseconds"), ("_bytes", "bytes"), ("_usd", "US dollars"), ("_percent", "percent")];

const PROFILES: &str = r#"
# Settings by environment, laid over the rest where IRON_PROFILE=production, or `profile="production"` in
# Python, chooses them. A profile may hold any section.
#[profiles.production.budget]
#limit_usd = "500.00"
"#;

/// The text of an `iron.toml` in which every setting stands in a comment.
pub fn template() -> String {
    let mut text = HEAD.to_owned();
    let schema = schema::without_profiles();
    let empty = Map::new();
    let keys = schema.get("properties").and_then(Value::as_object).unwrap_or(&empty);
    let sections = keys.iter().filter(|(_, schema)| is_section(schema));
    for (key, schema) in keys.iter().filter(|(_, schema)| !is_section(schema)) {
        text.push('\n');
        setting(&mut text, key, schema);
    }
    for (name, schema) in sections {
        section(&mut text, &[name], schema, "");
    }
    text.push_str(PROFILES);
    text
}

/// A table, which the keys in it, or the user, give names to. `mark` stands before the header of one within an example.
fn section(text: &mut String, path: &[&str], schema: &Value, mark: &str) {
    text.push('\n');
    comment(text, schema, "");
    if let Some(items) = schema.get("items") {
        let header = format!("#[[{}]]", place(path));
        if !examples(text, std::iter::repeat(&header), items) {
            keys_of(text, &header, path, items, "#");
        }
        return;
    }
    if schema.get("properties").is_some() {
        return keys_of(text, &format!("{mark}[{}]", place(path)), path, schema, mark);
    }
    if let Some(below) = schema.get("additionalProperties") {
        // Here the header is an example too.
        let names = schema.pointer("/propertyNames/examples").and_then(Value::as_array);
        let names: Vec<_> = names.into_iter().flatten().filter_map(Value::as_str).collect();
        let headers: Vec<_> =
            names.iter().map(|name| format!("#[{}]", place(&[path, &[name]].concat()))).collect();
        if !examples(text, &headers, below) {
            let path = [path, &[names.first().copied().unwrap_or("name")]].concat();
            keys_of(text, &format!("#[{}]", place(&path)), &path, below, "#");
        }
    }
}

fn keys_of(text: &mut String, header: &str, path: &[&str], schema: &Value, mark: &str) {
    let Some(Value::Object(keys)) = schema.get("properties") else { return };
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{header}");
    for (key, schema) in keys.iter().filter(|(_, schema)| !is_section(schema)) {
        setting(text, key, schema);
    }
    for (key, schema) in keys.iter().filter(|(_, schema)| is_section(schema)) {
        section(text, &[path, &[key]].concat(), schema, mark);
    }
}

/// The examples that `schema` has of a whole table, for not all keys go together; whether there are any.
fn examples<'a>(text: &mut String, headers: impl IntoIterator<Item = &'a String>, schema: &Value) -> bool {
    let (examples, keys) = (schema.get("examples"), schema.get("properties"));
    let (Some(Value::Array(examples)), Some(Value::Object(keys))) = (examples, keys) else { return false };
    let mut told = Vec::new();
    for (header, example) in headers.into_iter().zip(examples) {
        let _ = writeln!(text, "{header}");
        for (key, schema) in keys {
            let Some(value) = example.get(key) else { continue };
            if !told.contains(&key) {
                comment(text, schema, &also(key, schema));
                told.push(key);
            }
            assign(text, key, value, if schema.get("default") == Some(value) { "" } else { EXAMPLE });
        }
    }
    true
}

fn place(path: &[&str]) -> String {
    wrong::path(path.iter().copied())
}

/// Whether it is a table of tables or of known keys, or a list of such, rather than a value, of which a table of texts
/// is one.
fn is_section(schema: &Value) -> bool {
    let holds_keys = |schema: &Value| schema.get("properties").is_some();
    holds_keys(schema)
        || ["additionalProperties", "items"].iter().any(|below| schema.get(below).is_some_and(holds_keys))
}

fn setting(text: &mut String, key: &str, schema: &Value) {
    comment(text, schema, &also(key, schema));
    let words = words(schema);
    let example =
        || schema.pointer("/examples/0").or(words.first().copied()).or_else(|| schema.get("minimum"));
    match schema.get("default") {
        Some(default) => assign(text, key, default, ""),
        None => {
            if let Some(example) = example() {
                assign(text, key, example, EXAMPLE);
            }
        }
    }
}

fn assign(text: &mut String, key: &str, value: &Value, note: &str) {
    if let Ok(value) = toml::Value::try_from(value) {
        let _ = writeln!(text, "#{} = {value}{note}", wrong::path([key]));
    }
}

/// What a description does not say: the unit, and what the value is one of.
fn also(key: &str, schema: &Value) -> String {
    let unit = UNITS.iter().find(|(end, _)| key.ends_with(end)).map(|(_, unit)| format!("In {unit}."));
    let words = words(schema);
    let words: Vec<_> = words.iter().map(ToString::to_string).collect();
    let choice = (!words.is_empty()).then(|| format!("One of {}.", words.join(", ")));
    unit.into_iter().chain(choice).collect::<Vec<_>>().join(" ")
}

/// The words that a value is one of.
fn words(schema: &Value) -> Vec<&Value> {
    let choices = ["oneOf", "anyOf"].iter().filter_map(|key| schema.get(key)?.as_array()).flatten();
    let named = choices.flat_map(|choice| choice.get("const").into_iter().chain(enumerated(choice)));
    named.chain(enumerated(schema)).collect()
}

fn enumerated(schema: &Value) -> impl Iterator<Item = &Value> {
    schema.get("enum").and_then(Value::as_array).into_iter().flatten()
}

/// The description of a key, in lines.
fn comment(text: &mut String, schema: &Value, also: &str) {
    let description = schema.get("description").and_then(Value::as_str).unwrap_or_default();
    let mut width = 0;
    for word in description.split_whitespace().chain(also.split_whitespace()) {
        if width == 0 || width + word.len() >= WIDTH {
            text.push_str(if width == 0 { "#" } else { "\n#" });
            width = 1;
        }
        text.push(' ');
        text.push_str(word);
        width += 1 + word.len();
    }
    if width > 0 {
        text.push('\n');
    }
}
