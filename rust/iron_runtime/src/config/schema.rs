//! The JSON Schema of `iron.toml`, made from the types of the settings: their docs, defaults and ranges.

use std::borrow::Cow;

use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::Value;

use super::Settings;

/// The schema, in JSON Schema 2020-12.
pub fn schema() -> Schema {
    let mut schema = generate::<Settings>(false);
    schema.ensure_object().shift_insert(0, "title".to_owned(), "iron.toml".into());
    if let Some(Value::Object(definitions)) = schema.get_mut("$defs") {
        definitions.insert("Profile".to_owned(), overlay().into());
    }
    schema
}

/// The schema of what a profile holds: every setting but profiles, and none of them needed.
pub(super) fn overlay() -> Schema {
    let mut schema = without_profiles();
    RecursiveTransform(|schema: &mut Schema| {
        schema.remove("required");
    })
    .transform(&mut schema);
    schema
}

/// The schema of every setting but profiles, each written out where it stands.
pub(super) fn without_profiles() -> Schema {
    let mut schema = generate::<Overlay>(true);
    for key in ["$schema", "title"] {
        schema.remove(key);
    }
    schema
}

/// The settings as a profile has them.
struct Overlay;

impl JsonSchema for Overlay {
    fn schema_name() -> Cow<'static, str> {
        "Overlay".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = Settings::json_schema(generator);
        if let Some(Value::Object(keys)) = schema.get_mut("properties") {
            keys.shift_remove("profiles");
        }
        schema
    }
}

fn generate<T: JsonSchema>(inline: bool) -> Schema {
    SchemaSettings::draft2020_12()
        .with(|settings| settings.inline_subschemas = inline)
        .with_transform(RecursiveTransform(as_toml))
        .into_generator()
        .into_root_schema_for::<T>()
}

/// TOML has no null: a key that may be null in JSON is one that may be left out. A section's default is that of its keys.
fn as_toml(schema: &mut Schema) {
    if schema.get("default").is_some_and(|default| default.is_null() || default.is_object()) {
        schema.remove("default");
    }
    if schema.get("type").is_some_and(|name| name != "string") {
        // The width of an integer is in its range.
        schema.remove("format");
    }
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = &mut types[..] {
            let only = only.take();
            schema.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(choices)) = schema.get_mut("anyOf") {
        choices.retain(|choice| choice.get("type").is_none_or(|name| name != "null"));
        if let [Value::Object(only)] = &mut choices[..] {
            let only = std::mem::take(only);
            schema.remove("anyOf");
            for (key, value) in only {
                // What a key says of itself stands above what its type says.
                schema.ensure_object().entry(key).or_insert(value);
            }
        }
    }
}
