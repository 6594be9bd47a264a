//! Settings from file, environment and overrides, later ones above earlier ones.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::{Table, Value};

use super::Settings;
use crate::Error;

/// Sections whose keys `IRON_<SECTION>_<KEY>` sets.
const ENVIRONMENT_SECTIONS: [&str; 4] = ["budget", "limits", "timeouts", "retry"];

/// Where settings come from.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// An `iron.toml`, or a `pyproject.toml` whose `[tool.iron]` is read.
    pub file: Option<PathBuf>,
    /// Without `file`: look for `iron.toml`, then for `[tool.iron]` in `pyproject.toml`, in the working directory.
    pub discover: bool,
    /// Read `IRON_*` and the variables that hold provider keys.
    pub environment: bool,
    /// JSON of the same shape as `iron.toml`, above all else.
    pub overrides: Option<String>,
}

/// The environment as it was when settings were read.
pub(super) type Environment = BTreeMap<String, String>;

/// `pyproject.toml`, as far as it is ours.
#[derive(Deserialize)]
struct Pyproject {
    tool: Option<Tool>,
}

#[derive(Deserialize)]
struct Tool {
    iron: Option<Settings>,
}

impl Sources {
    /// Read and merge everything.
    pub(super) fn read(&self) -> Result<(Settings, Environment), Error> {
        let environment = if self.environment { environment() } else { Environment::new() };
        let mut merged = Table::new();
        if let Some(file) = self.find_file() {
            merge(&mut merged, read_file(&file)?);
        }
        merge(&mut merged, from_environment(&environment)?);
        if let Some(overrides) = &self.overrides {
            merge(&mut merged, from_overrides(overrides)?);
        }
        let settings =
            Settings::deserialize(merged).map_err(|error| Error::config(with_nearest(error.message())))?;
        Ok((settings, environment))
    }

    fn find_file(&self) -> Option<PathBuf> {
        if self.file.is_some() || !self.discover {
            return self.file.clone();
        }
        let pyproject = || {
            let text = std::fs::read_to_string("pyproject.toml").ok()?;
            let table: Table = text.parse().ok()?;
            table.get("tool")?.get("iron").map(|_| PathBuf::from("pyproject.toml"))
        };
        Some(PathBuf::from("iron.toml")).filter(|path| path.is_file()).or_else(pyproject)
    }
}

#[expect(clippy::disallowed_methods, reason = "this is where the environment is read")]
fn environment() -> Environment {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

fn read_file(path: &Path) -> Result<Table, Error> {
    let shown = path.display();
    let text = std::fs::read_to_string(path)
        .map_err(|error| Error::config(format!("cannot read the configuration file {shown}: {error}")))?;
    let wrong = |error: toml::de::Error| {
        let place = error.span().map_or(String::new(), |span| place(&text, &span));
        Error::config(format!("{shown}{place}: {}", with_nearest(error.message())))
    };
    let table: Table = text.parse().map_err(wrong)?;
    if path.file_name().is_some_and(|name| name == "pyproject.toml") {
        let found = toml::from_str::<Pyproject>(&text).map_err(wrong)?.tool.and_then(|tool| tool.iron);
        if found.is_none() {
            return Err(Error::config(format!("{shown} has no [tool.iron] table")));
        }
        let ours = table.get("tool").and_then(|tool| tool.get("iron")).and_then(Value::as_table);
        return Ok(ours.cloned().unwrap_or_default());
    }
    toml::from_str::<Settings>(&text).map_err(wrong)?;
    Ok(table)
}

/// `:line:column` of where a span begins, counted from one.
fn place(text: &str, span: &Range<usize>) -> String {
    let before = text.get(..span.start).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
    format!(":{line}:{column}")
}

/// The message with the nearest known key added, where it names an unknown one and lists those it knows.
fn with_nearest(message: &str) -> String {
    let message = message.trim_end();
    let mut quoted = message.split('`').skip(1).step_by(2);
    if !message.starts_with("unknown field") {
        return message.to_owned();
    }
    let Some(unknown) = quoted.next() else { return message.to_owned() };
    match nearest(unknown, quoted) {
        Some(known) => format!("unknown key `{unknown}`: did you mean `{known}`?"),
        None => message.replacen("unknown field", "unknown key", 1),
    }
}

/// The candidate that is most like `name`, if any is like it at all.
pub(crate) fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .map(|candidate| (strsim::jaro_winkler(name, candidate), candidate))
        // 0.8 keeps a typing slip and drops a different word.
        .filter(|(similarity, _)| *similarity > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

fn from_environment(environment: &Environment) -> Result<Table, Error> {
    let mut table = Table::new();
    if let Some(model) = environment.get("IRON_DEFAULT_MODEL") {
        table.insert("default_model".into(), Value::String(model.clone()));
    }
    for section in ENVIRONMENT_SECTIONS {
        let prefix = format!("IRON_{}_", section.to_uppercase());
        let mut keys = Table::new();
        for (name, text) in environment {
            let Some(key) = name.strip_prefix(&prefix) else { continue };
            let value = text.parse().map_or_else(|_| Value::String(text.clone()), Value::Integer);
            keys.insert(key.to_lowercase(), value);
            let mut alone = Table::new();
            alone.insert(section.into(), Value::Table(keys.clone()));
            Settings::deserialize(alone).map_err(|error| {
                Error::config(format!("environment variable {name}: {}", with_nearest(error.message())))
            })?;
        }
        if !keys.is_empty() {
            table.insert(section.into(), Value::Table(keys));
        }
    }
    Ok(table)
}

fn from_overrides(json: &str) -> Result<Table, Error> {
    let wrong = |error: &dyn std::fmt::Display| {
        Error::config(format!("config: {}", with_nearest(&error.to_string())))
    };
    let value: serde_json::Value = serde_json::from_str(json).map_err(|error| wrong(&error))?;
    let table = Table::try_from(without_nulls(value)).map_err(|error| wrong(&error))?;
    Settings::deserialize(table.clone()).map_err(|error| wrong(&error.message()))?;
    Ok(table)
}

/// TOML has no null: a key that is null is a key that is not given.
fn without_nulls(value: serde_json::Value) -> serde_json::Value {
    match value {
        serde_json::Value::Object(fields) => {
            let given = fields.into_iter().filter(|(_, value)| !value.is_null());
            given.map(|(key, value)| (key, without_nulls(value))).collect()
        }
        other => other,
    }
}

fn merge(below: &mut Table, above: Table) {
    for (key, value) in above {
        match (below.get_mut(&key), value) {
            (Some(Value::Table(below)), Value::Table(above)) => merge(below, above),
            (_, value) => {
                below.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(sources: &Sources) -> Result<Settings, String> {
        sources.read().map(|(settings, _)| settings).map_err(|error| error.to_string())
    }

    fn overridden(json: &str) -> Result<Settings, String> {
        read(&Sources { overrides: Some(json.into()), ..Sources::default() })
    }

    #[test]
    fn an_unknown_key_names_the_nearest_known_one() {
        let error = overridden(r#"{"timeouts": {"total_sm": 5}}"#).unwrap_err();
        assert_eq!(error, "config: unknown key `total_sm`: did you mean `total_ms`?");
        let error = overridden(r#"{"zebra": 1}"#).unwrap_err();
        assert!(error.contains("unknown key `zebra`, expected one of `default_model`"), "{error}");
    }

    #[test]
    fn a_file_error_names_file_line_and_column() {
        let path = std::env::temp_dir().join(format!("iron-config-{}.toml", std::process::id()));
        std::fs::write(&path, "[budget]\nlimit_usd = \"5.00\"\n\n[timeouts]\n  totl_ms = 1\n").unwrap();
        let error = read(&Sources { file: Some(path.clone()), ..Sources::default() }).unwrap_err();
        std::fs::remove_file(&path).unwrap();
        assert!(error.ends_with(".toml:5:3: unknown key `totl_ms`: did you mean `total_ms`?"), "{error}");
    }

    #[test]
    fn environment_stands_above_the_file_and_overrides_above_both() {
        let environment = BTreeMap::from([
            ("IRON_TIMEOUTS_TOTAL_MS".into(), "7".into()),
            ("IRON_BUDGET_LIMIT_USD".into(), "2.5".into()),
        ]);
        let mut merged: Table = "[timeouts]\ntotal_ms = 5\nidle_ms = 6\n".parse().unwrap();
        merge(&mut merged, from_environment(&environment).unwrap());
        merge(&mut merged, from_overrides(r#"{"budget": {"limit_usd": "3", "unpriced": null}}"#).unwrap());
        let settings = Settings::deserialize(merged).unwrap();
        assert_eq!((settings.timeouts.total_ms, settings.timeouts.idle_ms), (7, 6));
        assert_eq!(settings.budget.limit_usd, Some("3".parse().unwrap()));
    }

    #[test]
    fn a_wrong_variable_is_named() {
        let environment = BTreeMap::from([("IRON_RETRY_MAX_ATEMPTS".into(), "7".into())]);
        let error = from_environment(&environment).unwrap_err().to_string();
        assert!(error.starts_with("environment variable IRON_RETRY_MAX_ATEMPTS: unknown key"), "{error}");
    }
}
