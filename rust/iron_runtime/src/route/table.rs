//! The table from a model's name to its upstreams.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use super::select::Route;
use crate::Error;
use crate::config::{Provider, RouteSettings, Target, unknown};
use crate::pricing::Catalog;

/// Resolved names kept; beyond it a name is resolved anew, so that made-up names cannot fill the memory.
const MOST_RESOLVED: usize = 1_024;

/// Aliases and providers, and the routes resolved from them so far.
#[derive(Clone, Debug)]
pub(crate) struct RouteTable(Arc<Table>);

#[derive(Debug)]
struct Table {
    providers: BTreeMap<String, Vec<Arc<Provider>>>,
    catalog: Catalog,
    allow_unpriced: bool,
    aliases: HashMap<String, Arc<Route>>,
    resolved: RwLock<HashMap<String, Arc<Route>>>,
}

impl RouteTable {
    /// Resolve every alias.
    ///
    /// # Errors
    /// [`Error::Config`] for an alias that names no upstream, or one that is not known or has no price.
    pub(crate) fn new(
        providers: BTreeMap<String, Vec<Arc<Provider>>>,
        catalog: Catalog,
        allow_unpriced: bool,
        models: BTreeMap<String, RouteSettings>,
    ) -> Result<Self, Error> {
        let mut table = Table {
            providers,
            catalog,
            allow_unpriced,
            aliases: HashMap::with_capacity(models.len()),
            resolved: RwLock::new(HashMap::new()),
        };
        for (alias, route) in models {
            if alias.contains('/') || alias.is_empty() {
                return Err(Error::config(format!(
                    "models.{alias:?}: an alias is not empty and has no slash"
                )));
            }
            let targets = route.checked(&alias)?.upstreams.iter().map(|name| table.targets(name));
            let targets = targets
                .collect::<Result<Vec<_>, _>>()
                .map_err(|error| Error::config(format!("models.{alias}.upstreams: {error}")))?;
            let route = Route::new(targets, route.strategy, &route.weights, route.seed);
            table.aliases.insert(alias, Arc::new(route));
        }
        Ok(Self(Arc::new(table)))
    }

    /// Every provider by its name, under each of its keys.
    pub(crate) fn providers(&self) -> impl Iterator<Item = (&str, &[Arc<Provider>])> {
        self.0.providers.iter().map(|(name, keys)| (&**name, &**keys))
    }

    /// The upstreams that `provider/model` is, one for each key of the provider.
    ///
    /// # Errors
    /// [`Error::Config`] if the name is not known or the model has no price.
    pub(crate) fn targets(&self, name: &str) -> Result<Box<[Target]>, Error> {
        self.0.targets(name)
    }

    /// Every name by which a model that has a price can be asked for.
    pub(crate) fn names(&self) -> Vec<String> {
        let priced = self.0.catalog.names();
        self.0.aliases.keys().cloned().chain(priced).collect()
    }

    /// The prices behind it.
    pub(crate) fn catalog(&self) -> &Catalog {
        &self.0.catalog
    }

    /// The route of an alias or of `provider/model`.
    ///
    /// # Errors
    /// [`Error::Config`] if the name is not known or the model has no price.
    pub(crate) fn resolve(&self, model: &str) -> Result<Arc<Route>, Error> {
        if let Some(route) = self.0.aliases.get(model) {
            return Ok(route.clone());
        }
        let resolved = self.0.resolved.read().unwrap_or_else(PoisonError::into_inner).get(model).cloned();
        if let Some(route) = resolved {
            return Ok(route);
        }
        let route = Arc::new(Route::to(self.0.targets(model)?));
        let mut resolved = self.0.resolved.write().unwrap_or_else(PoisonError::into_inner);
        if resolved.len() < MOST_RESOLVED {
            resolved.insert(model.to_owned(), route.clone());
        }
        Ok(route)
    }
}

impl Table {
    fn targets(&self, name: &str) -> Result<Box<[Target]>, Error> {
        let Some((provider, model)) = name.split_once('/').filter(|(_, model)| !model.is_empty()) else {
            return Err(self.not_a_name(name));
        };
        let Some(known) = self.providers.get(provider) else {
            let message = unknown("provider", provider, self.providers.keys().map(String::as_str));
            return Err(Error::config(format!(
                "model {name:?}: {message}; add [providers.{provider}] with its base_url"
            )));
        };
        let price = self.catalog.get(name)?;
        if price.is_none() && !self.allow_unpriced {
            let names: Vec<_> = self.catalog.names().collect();
            let message = unknown("model", name, names.iter().map(String::as_str));
            return Err(Error::config(format!(
                "{message}; no price is known for it: add [prices.{name:?}], or set budget.unpriced = \"allow\""
            )));
        }
        let listed: Arc<str> = name.into();
        let target = |provider: &Arc<Provider>| Target {
            name: match provider.key {
                Some(nth) => format!("{}#{nth}/{model}", provider.name).into(),
                None => listed.clone(),
            },
            listed: listed.clone(),
            provider: provider.clone(),
            model: model.into(),
            price: price.clone(),
        };
        Ok(known.iter().map(target).collect())
    }

    /// A name that is neither an alias nor `provider/model`.
    fn not_a_name(&self, name: &str) -> Error {
        if name.is_empty() {
            return Error::config("the model is empty: write \"provider/model\", or an alias from [models]");
        }
        let with_provider = self.providers.keys().map(|provider| format!("{provider}/{name}"));
        let known = with_provider.clone().find(|full| matches!(self.catalog.get(full), Ok(Some(_))));
        match known {
            Some(full) => Error::config(format!("unknown model {name:?}: did you mean {full:?}?")),
            None => Error::config(format!(
                "{}: write \"provider/model\", or an alias from [models]",
                unknown("model", name, self.aliases.keys().map(String::as_str))
            )),
        }
    }
}
