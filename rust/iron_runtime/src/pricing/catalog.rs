//! The price table: built-in models and the ones that configuration adds.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock};

use iron_protocol::NanoUsd;
use serde::Deserialize;

use super::{Fees, ImageRule, Kind, LongContext, ModelPrice, Rates, Tier};
use crate::Error;
use crate::config::PriceSettings;

const BUILT_IN: &str = include_str!("catalog.toml");

/// Prices by provider and model.
#[derive(Clone, Debug)]
pub(crate) struct Catalog {
    added: HashMap<String, Arc<ModelPrice>>,
}

#[derive(Deserialize)]
struct File {
    model: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    provider: String,
    name: String,
    #[serde(default)]
    aliases: Vec<String>,
    #[serde(flatten)]
    rates: EntryRates,
    priority: Option<EntryRates>,
    fast: Option<EntryRates>,
    ultrafast: Option<EntryRates>,
    flex: Option<EntryRates>,
    long_context: Option<EntryLongContext>,
    context_tokens: Option<u64>,
    max_output_tokens: Option<u64>,
    image: Option<ImageRule>,
    #[serde(default)]
    reasoning: bool,
}

/// Prices of the kinds that have one of their own, in US dollars per million tokens.
#[derive(Clone, Copy, Default, Deserialize)]
struct EntryRates {
    input: Option<NanoUsd>,
    cached_input: Option<NanoUsd>,
    cache_write: Option<NanoUsd>,
    cache_write_1h: Option<NanoUsd>,
    audio_input: Option<NanoUsd>,
    image_input: Option<NanoUsd>,
    output: Option<NanoUsd>,
    reasoning_output: Option<NanoUsd>,
    audio_output: Option<NanoUsd>,
    image_output: Option<NanoUsd>,
}

#[derive(Deserialize)]
struct EntryLongContext {
    above_input_tokens: u64,
    #[serde(flatten)]
    rates: EntryRates,
}

impl EntryRates {
    fn of(&self, kind: Kind) -> Option<NanoUsd> {
        match kind {
            Kind::Input => self.input,
            Kind::CachedInput => self.cached_input,
            Kind::CacheWrite => self.cache_write,
            Kind::CacheWrite1h => self.cache_write_1h,
            Kind::AudioInput => self.audio_input,
            Kind::ImageInput => self.image_input,
            Kind::Output => self.output,
            Kind::Reasoning => self.reasoning_output,
            Kind::AudioOutput => self.audio_output,
            Kind::ImageOutput => self.image_output,
        }
    }

    /// The rates, with what is absent taken from `base` at the same ratio.
    fn over(self, base: &Rates) -> Rates {
        Rates::over(base, |kind| self.of(kind))
    }
}

impl Entry {
    fn price(&self) -> ModelPrice {
        let standard = Rates::new(|kind| self.rates.of(kind));
        let tier = |tier, rates: Option<EntryRates>| rates.map(|rates| (tier, rates.over(&standard)));
        let tiers = [
            tier(Tier::Priority, self.priority),
            tier(Tier::Fast, self.fast),
            tier(Tier::Ultrafast, self.ultrafast),
            tier(Tier::Flex, self.flex),
        ];
        let long_context = self.long_context.iter().map(|long| LongContext {
            above_input_tokens: long.above_input_tokens,
            rates: long.rates.over(&standard),
        });
        ModelPrice {
            standard,
            tiers: tiers.into_iter().flatten().collect(),
            long_context: long_context.collect(),
            fees: Fees::default(),
            context_tokens: self.context_tokens,
            max_output_tokens: self.max_output_tokens,
            image: self.image,
            reasons: self.reasoning,
        }
    }
}

/// The built-in table, read once at first use.
fn built_in() -> Result<&'static HashMap<String, Arc<ModelPrice>>, Error> {
    static TABLE: OnceLock<Result<HashMap<String, Arc<ModelPrice>>, String>> = OnceLock::new();
    let table = TABLE.get_or_init(|| {
        let file: File = toml::from_str(BUILT_IN).map_err(|error| error.to_string())?;
        let mut table = HashMap::new();
        for entry in &file.model {
            let price = Arc::new(entry.price());
            for name in entry.aliases.iter().chain([&entry.name]) {
                table.insert(format!("{}/{name}", entry.provider), price.clone());
            }
        }
        Ok(table)
    });
    table.as_ref().map_err(|error| Error::Internal { message: format!("the built-in price table: {error}") })
}

impl Catalog {
    /// The built-in prices with `settings` beside and above them.
    pub(crate) fn with_prices(settings: &BTreeMap<String, PriceSettings>) -> Result<Self, Error> {
        let mut added = HashMap::new();
        for (name, settings) in settings {
            if !name.contains('/') {
                return Err(Error::config(format!("prices.{name:?}: write the name as \"provider/model\"")));
            }
            added.insert(name.clone(), Arc::new(added_price(name, settings)?));
        }
        Ok(Self { added })
    }

    /// The price of `provider/model`.
    pub(crate) fn get(&self, name: &str) -> Result<Option<Arc<ModelPrice>>, Error> {
        match self.added.get(name) {
            Some(price) => Ok(Some(price.clone())),
            None => Ok(built_in()?.get(name).cloned()),
        }
    }

    /// Every priced `provider/model`.
    pub(crate) fn names(&self) -> Result<impl Iterator<Item = &str>, Error> {
        Ok(built_in()?.keys().chain(self.added.keys()).map(String::as_str))
    }
}

fn added_price(name: &str, settings: &PriceSettings) -> Result<ModelPrice, Error> {
    let given = |kind| match kind {
        Kind::Input => Some(settings.input_usd),
        Kind::CachedInput => settings.cached_input_usd,
        Kind::CacheWrite => settings.cache_write_usd,
        Kind::Output => Some(settings.output_usd),
        _ => None,
    };
    if Kind::ALL.into_iter().filter_map(given).any(|price| price < NanoUsd::ZERO) {
        return Err(Error::config(format!("prices.{name:?}: a price is negative")));
    }
    Ok(ModelPrice {
        standard: Rates::new(given),
        tiers: Vec::new(),
        long_context: Vec::new(),
        fees: Fees::default(),
        context_tokens: settings.context_tokens.map(u64::from),
        max_output_tokens: settings.max_output_tokens.map(u64::from),
        image: None,
        // Nothing says that it does not.
        reasons: true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn price(name: &str) -> Arc<ModelPrice> {
        Catalog::with_prices(&BTreeMap::new()).unwrap().get(name).unwrap().unwrap()
    }

    #[test]
    fn the_built_in_table_is_sound() {
        let table = built_in().unwrap();
        assert!(table.len() > 50, "{}", table.len());
        let file: File = toml::from_str(BUILT_IN).unwrap();
        let names: usize = file.model.iter().map(|entry| entry.aliases.len() + 1).sum();
        assert_eq!(names, table.len(), "no name stands twice");
        for (name, price) in table {
            let rates = price.standard;
            assert!(rates[Kind::Input].amount() > NanoUsd::ZERO, "{name}");
            assert!(rates[Kind::CachedInput] <= rates[Kind::Input], "{name}");
            assert!(rates[Kind::CacheWrite] >= rates[Kind::Input], "{name}");
            assert!(price.context_tokens.is_some(), "{name}");
        }
    }

    #[test]
    fn known_models_have_the_published_price() {
        let mini = price("openai/gpt-5-mini").standard;
        assert_eq!(mini[Kind::Input].amount(), "0.25".parse().unwrap());
        assert_eq!(mini[Kind::CachedInput].amount(), "0.025".parse().unwrap());
        assert_eq!(mini[Kind::Output].amount(), "2.00".parse().unwrap());
        let small = price("openai/text-embedding-3-small").standard;
        assert_eq!(small[Kind::Input].amount(), "0.02".parse().unwrap());
    }
}
