//! The price table: built-in models and the ones that configuration adds.

use std::collections::BTreeMap;
use std::sync::Arc;

use iron_protocol::NanoUsd;

use super::{Fees, Kind, LongContext, ModelKind, ModelPrice, Rates, Tier, built_in};
use crate::Error;
use crate::config::{PriceSettings, Prices, unknown};

/// Prices by provider and model.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    /// By `provider/model`; an alias has an entry of its own.
    added: BTreeMap<String, Arc<PricedModel>>,
}

/// A model, its prices, and where they come from.
#[derive(Clone, Debug, PartialEq)]
pub struct PricedModel {
    /// `provider/model`.
    pub name: String,
    /// Other names of it, each `provider/model`.
    pub aliases: Vec<String>,
    /// What it does.
    pub kind: ModelKind,
    /// Its prices.
    pub price: Arc<ModelPrice>,
    /// The day from which the provider refuses it.
    pub retires: Option<String>,
    /// Where the prices were found.
    pub source: Option<String>,
    /// The day on which they were.
    pub as_of: Option<String>,
    /// What else to know about them.
    pub note: Option<String>,
    /// From the configuration, above what is built in.
    pub configured: bool,
}

impl Catalog {
    /// The built-in prices with `settings` beside and above them.
    ///
    /// # Errors
    /// [`Error::Config`] for a price that is negative or absent, or a name without a provider.
    pub fn with_prices(settings: &Prices) -> Result<Self, Error> {
        let mut added = BTreeMap::new();
        for (name, settings) in settings {
            let wrong = |why: &str| Error::config(format!("prices.{name:?}{why}"));
            let Some((provider, _)) = name.split_once('/') else {
                return Err(wrong(": write the name as \"provider/model\""));
            };
            let model = PricedModel {
                configured: true,
                ..priced(provider, name, settings).map_err(|why| wrong(&why))?
            };
            let model = Arc::new(model);
            for alias in &model.aliases {
                added.entry(alias.clone()).or_insert_with(|| model.clone());
            }
            added.insert(name.clone(), model);
        }
        Ok(Self { added })
    }

    /// The price of `provider/model`.
    pub(crate) fn get(&self, name: &str) -> Result<Option<Arc<ModelPrice>>, Error> {
        Ok(self.find(name)?.map(|model| model.price.clone()))
    }

    /// What is known of `provider/model`.
    ///
    /// # Errors
    /// [`Error::Internal`] if a built-in price cannot be read.
    pub fn find(&self, name: &str) -> Result<Option<Arc<PricedModel>>, Error> {
        if let Some(model) = self.added.get(name) {
            return Ok(Some(model.clone()));
        }
        let Some((provider, model)) = name.split_once('/') else { return Ok(None) };
        let Some(found) = built_in::find(provider, model)? else { return Ok(None) };
        published(provider, found.name, &found.settings).map(|model| Some(Arc::new(model)))
    }

    /// What is known of `provider/model`, which has to have a price.
    ///
    /// # Errors
    /// [`Error::Config`] with the nearest name that has one.
    pub fn named(&self, name: &str) -> Result<Arc<PricedModel>, Error> {
        self.find(name)?.ok_or_else(|| {
            let names: Vec<_> = self.names().collect();
            let unknown = unknown("model", name, names.iter().map(String::as_str));
            Error::config(format!("{unknown}; no price is known for it"))
        })
    }

    /// Every priced model, by name.
    ///
    /// # Errors
    /// As [`Catalog::find`].
    pub fn models(&self) -> Result<Vec<Arc<PricedModel>>, Error> {
        let mut models = BTreeMap::new();
        for found in built_in::all() {
            let (provider, found) = found?;
            let mut model = published(provider, found.name, &found.settings)?;
            model.aliases.retain(|alias| !self.added.contains_key(alias));
            models.insert(model.name.clone(), Arc::new(model));
        }
        for model in self.added.values() {
            models.insert(model.name.clone(), model.clone());
        }
        Ok(models.into_values().collect())
    }

    /// Every name and alias that has a price.
    pub fn names(&self) -> impl Iterator<Item = String> {
        built_in::names().filter(|name| !self.added.contains_key(name)).chain(self.added.keys().cloned())
    }
}

fn published(provider: &str, model: &str, settings: &PriceSettings) -> Result<PricedModel, Error> {
    let name = format!("{provider}/{model}");
    priced(provider, &name, settings)
        .map_err(|why| Error::Internal { message: format!("the built-in price of {name:?}{why}") })
}

/// The model that `settings` describe, or what is wrong with them, to follow their name.
fn priced(provider: &str, name: &str, settings: &PriceSettings) -> Result<PricedModel, String> {
    Ok(PricedModel {
        name: name.to_owned(),
        aliases: settings.aliases.iter().map(|alias| format!("{provider}/{alias}")).collect(),
        kind: settings.kind,
        price: Arc::new(price(settings)?),
        retires: settings.retires.clone(),
        source: settings.source.clone(),
        as_of: settings.as_of.clone(),
        note: settings.note.clone(),
        configured: false,
    })
}

fn price(settings: &PriceSettings) -> Result<ModelPrice, String> {
    if settings.input_usd.is_none() {
        return Err(" needs the key `input_usd`".to_owned());
    }
    let standard = Rates::new(|kind| settings.rate(kind));
    let tiers = [
        (Tier::Priority, &settings.priority),
        (Tier::Fast, &settings.fast),
        (Tier::Ultrafast, &settings.ultrafast),
        (Tier::Flex, &settings.flex),
    ];
    let tiers = tiers.into_iter().filter_map(|(tier, given)| {
        given.as_ref().map(|given| (tier, Rates::over(&standard, |kind| given.rate(kind))))
    });
    let mut long_context: Vec<_> = settings
        .long_context
        .iter()
        .map(|long| LongContext {
            above_input_tokens: long.above_input_tokens.into(),
            rates: Rates::over(&standard, |kind| long.rate(kind)),
        })
        .collect();
    long_context.sort_by_key(|long| long.above_input_tokens);
    let price = ModelPrice {
        standard,
        tiers: tiers.collect(),
        long_context,
        fees: Fees {
            request: settings.usd_per_request,
            web_search: settings.usd_per_web_search,
            file_search: settings.usd_per_file_search,
            code_execution: settings.usd_per_code_execution,
        },
        tells_cost: settings.tells_cost,
        context_tokens: settings.context_tokens.map(u64::from),
        max_output_tokens: settings.max_output_tokens.map(u64::from),
        image: settings.image,
        // Nothing says that it does not.
        reasons: settings.reasoning.unwrap_or(true),
    };
    if is_negative(&price) { Err(": a price is negative".to_owned()) } else { Ok(price) }
}

fn is_negative(price: &ModelPrice) -> bool {
    let tables = [&price.standard]
        .into_iter()
        .chain(price.tiers.iter().map(|(_, rates)| rates))
        .chain(price.long_context.iter().map(|long| &long.rates));
    let mut rates = tables.flat_map(|rates| Kind::ALL.map(|kind| rates[kind].amount()));
    let Fees { request, web_search, file_search, code_execution } = price.fees;
    let fees = [request, web_search, file_search, code_execution];
    rates.any(|amount| amount < NanoUsd::ZERO) || fees.into_iter().any(|amount| amount < NanoUsd::ZERO)
}

#[cfg(test)]
mod tests;
