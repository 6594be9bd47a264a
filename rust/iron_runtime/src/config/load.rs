//! Settings from file, environment and arguments, later ones above earlier ones.

use std::path::PathBuf;

use super::environment::{self, Environment};
use super::find::{self, Found};
use super::origin::Origin;
use super::profile::{self, Choice, Document};
use super::tree::Node;
use super::{Settings, parse, read};
use crate::Error;

/// Where settings come from.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// An `iron.toml`, or a `pyproject.toml` whose `[tool.iron]` is read.
    pub file: Option<PathBuf>,
    /// Without `file`: read the file that `IRON_CONFIG` names, or else the nearest `iron.toml` or `pyproject.toml`.
    pub discover: bool,
    /// The profile; without it the one that `IRON_PROFILE` names.
    pub profile: Option<String>,
    /// Read `IRON_*` and the variables that hold provider keys.
    pub environment: bool,
    /// JSON of the same shape as `iron.toml`, above file and environment.
    pub overrides: Option<String>,
    /// Above all else: the name of each argument, and what it sets, as JSON of the same shape.
    pub arguments: Vec<(String, String)>,
}

/// What was read: typed, and the tree that knows where each setting was written.
pub(super) struct Loaded {
    pub(super) settings: Settings,
    pub(super) environment: Environment,
    pub(super) tree: Node,
    /// The file that was read.
    pub(super) file: Option<PathBuf>,
    /// The profile in force.
    pub(super) profile: Option<String>,
}

impl Sources {
    /// Read and merge everything.
    pub(super) fn read(&self) -> Result<Loaded, Error> {
        let environment = if self.environment { environment::read()? } else { Environment::new() };
        let found = self.find(&environment)?;
        self.merge(environment, found)
    }

    fn find(&self, environment: &Environment) -> Result<Option<Found>, Error> {
        if let Some(file) = &self.file {
            return find::named(file.clone()).map(Some);
        }
        if !self.discover {
            return Ok(None);
        }
        let Some(path) = environment::get(environment, environment::CONFIG)? else { return find::nearest() };
        let named = |error| Error::config(format!("environment variable {}: {error}", environment::CONFIG));
        find::named(path.into()).map(Some).map_err(named)
    }

    pub(super) fn merge(&self, environment: Environment, found: Option<Found>) -> Result<Loaded, Error> {
        let choice = self.choice(&environment)?;
        let (path, file) = match found {
            Some(Found { path, tree }) => (Some(path), Some(Document::new(tree)?)),
            None => (None, None),
        };
        let mapping = self.overrides.as_ref().map(|json| parse::json(&Origin::Mapping, json)).transpose()?;
        let mapping = mapping.map(Document::new).transpose()?;
        if let Some(choice) = &choice {
            profile::check(choice, file.iter().chain(&mapping))?;
        }

        let mut tree = Node::table(Origin::Mapping);
        if let Some(file) = file {
            file.lay_over(&mut tree, choice.as_ref())?;
        }
        tree.overlay(environment::settings(&environment, &tree)?)?;
        if let Some(mapping) = mapping {
            mapping.lay_over(&mut tree, choice.as_ref())?;
        }
        for (name, json) in &self.arguments {
            tree.overlay(parse::json(&Origin::Argument(name.as_str().into()), json)?)?;
        }
        let profile = choice.map(|choice| choice.name);
        Ok(Loaded { settings: read::read(&tree)?, environment, tree, file: path, profile })
    }

    /// The profile that is asked for.
    fn choice(&self, environment: &Environment) -> Result<Option<Choice>, Error> {
        if let Some(name) = self.profile.clone() {
            return Ok(Some(Choice { name, origin: Origin::Argument("profile".into()) }));
        }
        let name = environment::get(environment, environment::PROFILE)?;
        let origin = Origin::Variable(environment::PROFILE.into());
        Ok(name.map(|name| Choice { name: name.to_owned(), origin }))
    }
}

impl Loaded {
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
