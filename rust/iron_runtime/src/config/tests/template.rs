//! The file that `iron init` writes.

use std::collections::HashSet;

use serde_json::Value;

use super::load;
use crate::config::{Config, Settings, Sources, in_force, schema, template};

/// The template with its settings no longer in comments.
pub(super) fn with_all_settings(template: &str) -> String {
    let uncommented = |line: &str| match line.strip_prefix('#') {
        Some(rest) if !rest.is_empty() && !rest.starts_with(' ') => rest.to_owned(),
        _ => line.to_owned(),
    };
    template.lines().map(|line| uncommented(line) + "\n").collect()
}

#[test]
fn the_template_is_valid_as_it_is_and_with_every_setting_set() {
    let template = template();
    let plain = load(&template, &[], &Sources::default()).unwrap();
    assert_eq!(format!("{:?}", plain.settings), format!("{:?}", Settings::default()));
    for profile in [None, Some("production".to_owned())] {
        let sources = Sources { profile, ..Sources::default() };
        let full = load(&with_all_settings(&template), &[], &sources).unwrap();
        Config::new(&full).unwrap();
        let missing: Vec<_> =
            in_force::settings(&full).into_iter().filter(|setting| setting.origin.is_none()).collect();
        // A setting without a default needs an example: #[schemars(example = ..)].
        assert!(missing.is_empty(), "{missing:#?}");
    }
}

/// The keys of `schema` that no table among `values` has.
fn keys_without_value(schema: &Value, values: &[&toml::Value], place: &str, found: &mut Vec<String>) {
    for (key, below) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let place = format!("{place}.{key}");
        let values: Vec<_> = values.iter().filter_map(|value| value.get(key)).collect();
        if values.is_empty() {
            found.push(place);
        } else {
            keys_without_value(below, &values, &place, found);
        }
    }
    if let Some(below) = schema.get("additionalProperties").filter(|below| below.is_object()) {
        let values: Vec<_> =
            values.iter().filter_map(|value| value.as_table()).flat_map(toml::Table::values).collect();
        keys_without_value(below, &values, &format!("{place}.*"), found);
    }
    if let Some(below) = schema.get("items") {
        let values: Vec<_> = values.iter().filter_map(|value| value.as_array()).flatten().collect();
        keys_without_value(below, &values, &format!("{place}[]"), found);
    }
}

#[test]
fn the_template_has_every_key_of_the_schema_with_its_meaning() {
    let template = template();
    let full: toml::Value = toml::from_str(&with_all_settings(&template)).unwrap();
    let schema = schema::without_profiles().to_value();
    let mut missing = Vec::new();
    keys_without_value(&schema, &[&full], "", &mut missing);
    // A key without a default needs an example: #[schemars(example = ..)], on the field or on the item of a list.
    assert_eq!(missing, [""; 0]);
    // The test would see one.
    let mut all = Vec::new();
    keys_without_value(&schema, &[&toml::Value::Table(toml::Table::new())], "", &mut all);
    assert!(all.len() > 10, "{all:?}");

    let (settings, _) = template.split_once("\n# Settings by environment").unwrap();
    let (mut told, mut explained) = (false, HashSet::new());
    for line in settings.lines() {
        if let Some((key, _)) = line
            .strip_prefix('#')
            .filter(|rest| !rest.starts_with([' ', '[']))
            .and_then(|rest| rest.split_once(" = "))
        {
            // The second example of a rule does not say again what its keys mean.
            assert!(told || explained.contains(key), "nothing is said of {line}");
            explained.insert(key);
        }
        told = line.starts_with("# ");
    }
    for (key, unit) in [("total_ms", "milliseconds"), ("rotate_bytes", "bytes"), ("limit_usd", "US dollars")]
    {
        let (before, _) = template.split_once(&format!("\n#{key} = ")).unwrap();
        assert!(before.lines().last().unwrap().contains(unit), "{key}");
    }
}
