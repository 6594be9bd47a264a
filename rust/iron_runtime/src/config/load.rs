//! Settings from file, environment and overrides, later ones above earlier ones.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::origin::Origin;
use super::tree::{Node, Value};
use super::{Settings, parse, read};
use crate::Error;

/// Sections whose keys `IRON_<SECTION>_<KEY>` sets.
const ENVIRONMENT_SECTIONS: [&str; 5] = ["budget", "limits", "timeouts", "retry", "breaker"];

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

/// What was read: typed, and the tree that knows where each setting was written.
pub(super) struct Loaded {
    pub(super) settings: Settings,
    pub(super) environment: Environment,
    tree: Node,
}

impl Sources {
    /// Read and merge everything.
    pub(super) fn read(&self) -> Result<Loaded, Error> {
        let environment = if self.environment { environment() } else { Environment::new() };
        let mut tree = Node::table(Origin::Mapping);
        if let Some(file) = self.find_file() {
            tree.overlay(read_file(&file)?)?;
        }
        tree.overlay(from_environment(&environment))?;
        if let Some(overrides) = &self.overrides {
            tree.overlay(parse::json(&Origin::Mapping, overrides)?)?;
        }
        Loaded::new(tree, environment)
    }

    fn find_file(&self) -> Option<PathBuf> {
        if self.file.is_some() || !self.discover {
            return self.file.clone();
        }
        let has_table = |path: &PathBuf| {
            let text = std::fs::read_to_string(path).ok()?;
            let table: toml::Table = text.parse().ok()?;
            table.get("tool")?.get("iron").map(drop)
        };
        Some(PathBuf::from("iron.toml"))
            .filter(|path| path.is_file())
            .or_else(|| Some(PathBuf::from("pyproject.toml")).filter(|path| has_table(path).is_some()))
    }
}

impl Loaded {
    pub(super) fn new(tree: Node, environment: Environment) -> Result<Self, Error> {
        Ok(Self { settings: read::read(&tree)?, environment, tree })
    }

    /// Add to an error about a setting where the setting was written.
    ///
    /// The error names the key in full, `section.key`, at its beginning.
    pub(super) fn place(&self, error: Error) -> Error {
        match error {
            Error::Config { message } => match self.tree.place_of_key_in(&message) {
                Some(origin) => Error::config(format!("{origin}: {message}")),
                None => Error::Config { message },
            },
            other => other,
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "this is where the environment is read")]
fn environment() -> Environment {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

fn read_file(path: &Path) -> Result<Node, Error> {
    let shown = path.display();
    let text = std::fs::read_to_string(path)
        .map_err(|error| Error::config(format!("cannot read the configuration file {shown}: {error}")))?;
    let mut tree = parse::toml(path, &text)?;
    if path.file_name().is_some_and(|name| name == "pyproject.toml") {
        let ours = tree.take("tool").and_then(|mut tool| tool.take("iron"));
        return ours.ok_or_else(|| Error::config(format!("{shown} has no [tool.iron] table")));
    }
    Ok(tree)
}

fn from_environment(environment: &Environment) -> Node {
    let variable = |name: &str, text: &str| Node {
        origin: Origin::Variable(name.into()),
        value: Value::Untyped(text.to_owned()),
    };
    let mut tree = Node::table(Origin::Mapping);
    if let Some(model) = environment.get("IRON_DEFAULT_MODEL") {
        tree.set(&["default_model"], variable("IRON_DEFAULT_MODEL", model));
    }
    for section in ENVIRONMENT_SECTIONS {
        let prefix = format!("IRON_{}_", section.to_uppercase());
        for (name, text) in environment {
            let Some(key) = name.strip_prefix(&prefix) else { continue };
            tree.set(&[section, &key.to_lowercase()], variable(name, text));
        }
    }
    tree
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(sources: &Sources) -> Result<Settings, String> {
        sources.read().map(|loaded| loaded.settings).map_err(|error| error.to_string())
    }

    fn overridden(json: &str) -> Result<Settings, String> {
        read(&Sources { overrides: Some(json.into()), ..Sources::default() })
    }

    #[test]
    fn an_unknown_key_names_the_nearest_known_one() {
        let error = overridden(r#"{"timeouts": {"total_sm": 5}}"#).unwrap_err();
        assert_eq!(error, "config: timeouts: unknown key `total_sm`: did you mean `total_ms`?");
        let error = overridden(r#"{"zebra": 1}"#).unwrap_err();
        assert!(error.starts_with("config: unknown key `zebra`, expected `default_model`, "), "{error}");
    }

    #[test]
    fn a_file_error_names_file_line_and_column() {
        let path = std::env::temp_dir().join(format!("iron-config-{}.toml", std::process::id()));
        std::fs::write(&path, "[budget]\nlimit_usd = \"5.00\"\n\n[timeouts]\n  totl_ms = 1\n").unwrap();
        let error = read(&Sources { file: Some(path.clone()), ..Sources::default() }).unwrap_err();
        std::fs::remove_file(&path).unwrap();
        assert!(
            error.ends_with(".toml:5:3: timeouts: unknown key `totl_ms`: did you mean `total_ms`?"),
            "{error}"
        );
    }

    #[test]
    fn environment_stands_above_the_file_and_overrides_above_both() {
        let environment = BTreeMap::from([
            ("IRON_TIMEOUTS_TOTAL_MS".into(), "7".into()),
            ("IRON_BUDGET_LIMIT_USD".into(), "2.5".into()),
        ]);
        let mut tree =
            parse::toml(Path::new("iron.toml"), "[timeouts]\ntotal_ms = 5\nidle_ms = 6\n").unwrap();
        tree.overlay(from_environment(&environment)).unwrap();
        let overrides = r#"{"budget": {"limit_usd": "3", "unpriced": null}}"#;
        tree.overlay(parse::json(&Origin::Mapping, overrides).unwrap()).unwrap();
        let settings: Settings = read::read(&tree).unwrap();
        assert_eq!((settings.timeouts.total_ms, settings.timeouts.idle_ms), (7, 6));
        assert_eq!(settings.budget.limit_usd, Some("3".parse().unwrap()));
    }

    #[test]
    fn a_wrong_variable_is_named() {
        let environment = BTreeMap::from([("IRON_RETRY_MAX_ATEMPTS".into(), "7".into())]);
        let error = read::read::<Settings>(&from_environment(&environment)).unwrap_err().to_string();
        assert!(
            error.starts_with("environment variable IRON_RETRY_MAX_ATEMPTS: retry: unknown key"),
            "{error}"
        );
    }
}
