//! What a configuration comes to: each setting in force with its place, the providers, the routes, and what is risky.

use std::path::PathBuf;
use std::sync::Arc;

use iron_protocol::NanoUsd;
use serde::Serialize;

use super::load::Loaded;
use super::{Config, InForce, Provider, Sources, Strategy, in_force};
use crate::Error;
use crate::pricing::Kind;
use crate::tool::ToolRules;

/// A configuration that is valid, laid out.
#[derive(Debug, Serialize)]
pub struct Inspection {
    /// The file that was read.
    pub file: Option<PathBuf>,
    /// The profile in force.
    pub profile: Option<String>,
    /// Every setting of a section, those left at their default too, and what is written below names of the user's.
    pub settings: Vec<InForce>,
    /// The providers that are configured, named by a route, or have a key.
    pub providers: Vec<InspectedProvider>,
    /// The aliases, and the model of calls that name none.
    pub routes: Vec<InspectedRoute>,
    /// What is allowed and may not be meant.
    pub warnings: Vec<String>,
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
    /// Which upstream is asked first.
    pub strategy: Strategy,
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
        let settings = in_force::settings(&loaded);
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
        inspection.warnings.extend(
            config.policy().map(|policy| policy.warnings(Some(&config.routes.names()))).unwrap_or_default(),
        );
        inspection.warnings.extend(config.tools.iter().flat_map(ToolRules::warnings).cloned());
        Ok(inspection)
    }
}

fn routes(loaded: &Loaded, config: &Config) -> Result<Vec<InspectedRoute>, Error> {
    let settings = &loaded.settings;
    let default = settings.default_model.as_deref();
    let upstream = |name: &str| -> Result<InspectedUpstream, Error> {
        let price = config.routes.targets(name)?.first().and_then(|target| target.price.clone());
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
        routes.push(InspectedRoute {
            name: alias.clone(),
            default: default == Some(alias),
            strategy: route.strategy,
            upstreams,
        });
    }
    if let Some(model) = default.filter(|model| !settings.models.contains_key(*model)) {
        routes.push(InspectedRoute {
            name: model.to_owned(),
            default: true,
            strategy: Strategy::default(),
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
    let inspected = |(name, keys): (&str, &[Arc<Provider>])| {
        let provider = keys.first()?;
        let from: Vec<_> = keys.iter().filter_map(|key| key.key_from.as_deref()).collect();
        let key_from = (!from.is_empty()).then(|| from.join(", "));
        (key_from.is_some() || named(name)).then(|| InspectedProvider {
            name: name.to_owned(),
            url: provider.chat.of("MODEL").to_string(),
            key_from,
            missing_key: provider.missing_key.clone(),
        })
    };
    all.filter_map(inspected).collect()
}
