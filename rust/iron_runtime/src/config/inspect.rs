//! What a configuration comes to: each setting in force with its place, the providers, the routes, and what is risky.

use std::path::{Path, PathBuf};

use iron_protocol::NanoUsd;
use serde::Serialize;
use serde_json::Value;

use super::load::Loaded;
use super::origin::Origin;
use super::tree::Node;
use super::{Config, Sources, environment, secret, wrong};
use crate::Error;
use crate::pricing::Kind;

/// A configuration that is valid, laid out.
#[derive(Debug, Serialize)]
pub struct Inspection {
    /// The file that was read.
    pub file: Option<PathBuf>,
    /// The profile in force.
    pub profile: Option<String>,
    /// Every setting, those left at their default too.
    pub settings: Vec<InForce>,
    /// The providers that are configured, named by a route, or have a key.
    pub providers: Vec<InspectedProvider>,
    /// The aliases, and the model of calls that name none.
    pub routes: Vec<InspectedRoute>,
    /// What is allowed and may not be meant.
    pub warnings: Vec<String>,
}

/// A setting in force.
#[derive(Debug, Serialize)]
pub struct InForce {
    /// Its path, as TOML writes it.
    pub key: String,
    /// Its value; null where there is none. Secrets are hidden.
    pub value: Value,
    /// Where it was written; `None` for a default.
    pub origin: Option<Origin>,
}

/// A provider, and whether it can be called.
#[derive(Debug, Serialize)]
pub struct InspectedProvider {
    /// Its name.
    pub name: String,
    /// Where chat completions are sent.
    pub url: String,
    /// Where its key was found, never the key; `None` without one.
    pub key_from: Option<String>,
    /// What to do about a key that is needed and absent.
    pub missing_key: Option<String>,
}

/// A route and its upstreams in order.
#[derive(Debug, Serialize)]
pub struct InspectedRoute {
    /// The alias, or the default model.
    pub name: String,
    /// Whether calls that name no model take it.
    pub default: bool,
    /// `provider/model` of each upstream.
    pub upstreams: Vec<InspectedUpstream>,
}

/// An upstream of a route.
#[derive(Debug, Serialize)]
pub struct InspectedUpstream {
    /// `provider/model`.
    pub model: String,
    /// US dollars for a million input tokens; `None` without a known price.
    pub input_usd: Option<NanoUsd>,
    /// US dollars for a million output tokens.
    pub output_usd: Option<NanoUsd>,
}

impl Inspection {
    /// Read settings, check them, and lay out what they come to.
    ///
    /// # Errors
    /// [`Error::Config`] as [`Config::load`] gives it.
    pub fn new(sources: &Sources) -> Result<Self, Error> {
        let loaded = sources.read()?;
        let config = Config::new(&loaded)?;
        let settings = settings(&loaded);
        let routes = routes(&loaded, &config)?;
        let providers = providers(&loaded, &config, &routes);
        let mut inspection = Self {
            file: loaded.file.clone(),
            profile: loaded.profile.clone(),
            settings,
            providers,
            routes,
            warnings: Vec::new(),
        };
        inspection.warnings = inspection.risks(&loaded);
        Ok(inspection)
    }

    fn risks(&self, loaded: &Loaded) -> Vec<String> {
        let mut risks = Vec::new();
        let limited = |setting: &InForce| setting.key.starts_with("budget.") && setting.key.ends_with("_usd");
        if !self.settings.iter().any(|setting| limited(setting) && !setting.value.is_null()) {
            risks.push("no budget is set: calls may cost any amount (budget.limit_usd)".to_owned());
        }
        for upstream in self.routes.iter().flat_map(|route| &route.upstreams) {
            if upstream.input_usd.is_none() {
                let key = wrong::path(["prices", &upstream.model]);
                risks.push(format!("{} has no known price and counts as free: add [{key}]", upstream.model));
            }
        }
        let used = |provider: &&InspectedProvider| {
            let prefix = format!("{}/", provider.name);
            self.routes.iter().flat_map(|route| &route.upstreams).any(|to| to.model.starts_with(&prefix))
        };
        risks.extend(self.providers.iter().filter(used).filter_map(|provider| provider.missing_key.clone()));
        risks.extend(self.keys_in_files());
        for name in environment::foreign(&loaded.environment, &loaded.tree) {
            risks.push(format!("environment variable {name} is not one of ours: it sets nothing"));
        }
        risks
    }

    fn keys_in_files(&self) -> Vec<String> {
        let keys: Vec<_> = self.settings.iter().filter(|setting| setting.is_key_in_file()).collect();
        let mut risks: Vec<_> = keys
            .iter()
            .filter_map(|key| Some((key.origin.as_ref()?, &key.key)))
            .map(|(origin, key)| {
                format!("{origin}: {key} stands in the file: name a variable by api_key_env instead")
            })
            .collect();
        if let Some(file) = self.file.as_deref().filter(|_| !keys.is_empty())
            && let Some(mode) = open_mode(file)
        {
            let file = file.display();
            risks
                .push(format!("{file} holds a key and others can read it (mode {mode:o}): chmod 600 {file}"));
        }
        risks
    }
}

impl InForce {
    fn is_key_in_file(&self) -> bool {
        self.value == secret::HIDDEN
            && matches!(self.origin, Some(Origin::File { .. }))
            && self.key.contains(".api_key")
    }
}

/// The mode of a file that its owner's group or others can read.
#[cfg(unix)]
fn open_mode(file: &Path) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(file).ok()?.permissions().mode() & 0o777;
    (mode & 0o044 != 0).then_some(mode)
}

#[cfg(not(unix))]
fn open_mode(_: &Path) -> Option<u32> {
    None
}

fn settings(loaded: &Loaded) -> Vec<InForce> {
    let mut settings = Vec::new();
    // Settings always have a form in JSON: their keys are text.
    let values = serde_json::to_value(&loaded.settings).unwrap_or_default();
    flatten(&mut Vec::new(), values, Some(&loaded.tree), &mut settings);
    settings
}

fn flatten(path: &mut Vec<String>, value: Value, node: Option<&Node>, into: &mut Vec<InForce>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                let node = node.and_then(|node| node.get(&key));
                path.push(key);
                flatten(path, value, node, into);
                path.pop();
            }
        }
        // What is left out below a name of the user's is no setting in force; in a section it says that there is no limit.
        Value::Null if path.len() > 2 => {}
        value => into.push(InForce {
            key: wrong::path(path.iter().map(String::as_str)),
            value,
            origin: node.map(|node| node.origin.clone()),
        }),
    }
}

fn routes(loaded: &Loaded, config: &Config) -> Result<Vec<InspectedRoute>, Error> {
    let settings = &loaded.settings;
    let default = settings.default_model.as_deref();
    let upstream = |name: &str| -> Result<InspectedUpstream, Error> {
        let price = config.routes.target(name)?.price;
        let rate = |kind| price.as_ref().map(|price| price.standard[kind].amount());
        Ok(InspectedUpstream {
            model: name.to_owned(),
            input_usd: rate(Kind::Input),
            output_usd: rate(Kind::Output),
        })
    };
    let mut routes = Vec::new();
    for (alias, route) in &settings.models {
        let upstreams = route.upstreams.iter().map(|name| upstream(name)).collect::<Result<_, _>>()?;
        routes.push(InspectedRoute { name: alias.clone(), default: default == Some(alias), upstreams });
    }
    if let Some(model) = default.filter(|model| !settings.models.contains_key(*model)) {
        routes.push(InspectedRoute {
            name: model.to_owned(),
            default: true,
            upstreams: vec![upstream(model)?],
        });
    }
    Ok(routes)
}

fn providers(loaded: &Loaded, config: &Config, routes: &[InspectedRoute]) -> Vec<InspectedProvider> {
    let named = |name: &str| {
        let upstreams = routes.iter().flat_map(|route| &route.upstreams);
        loaded.settings.providers.contains_key(name)
            || upstreams.filter_map(|to| to.model.split_once('/')).any(|(provider, _)| provider == name)
    };
    let all = config.routes.providers();
    let worth_telling = all.filter(|(name, provider)| provider.key_from.is_some() || named(name));
    worth_telling
        .map(|(name, provider)| InspectedProvider {
            name: name.to_owned(),
            url: provider.chat_url.to_string(),
            key_from: provider.key_from.clone(),
            missing_key: provider.missing_key.clone(),
        })
        .collect()
}
