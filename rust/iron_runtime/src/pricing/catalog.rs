//! The price table: built-in models and the ones that configuration adds.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock};

use iron_protocol::{NanoUsd, Price};
use serde::Deserialize;

use crate::Error;
use crate::config::PriceSettings;

const BUILT_IN: &str = include_str!("catalog.toml");

/// Prices by provider and model.
#[derive(Clone, Debug)]
pub(crate) struct Catalog {
    added: HashMap<String, Arc<ModelPrice>>,
}

/// What is published about one model.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ModelPrice {
    pub(crate) standard: Rates,
    pub(crate) tiers: Vec<(Tier, Rates)>,
    pub(crate) long_context: Option<LongContext>,
    pub(crate) context_tokens: Option<u64>,
    pub(crate) max_output_tokens: Option<u64>,
    pub(crate) image: Option<ImageRule>,
    /// It may reason, which is billed as output and not shown.
    pub(crate) reasons: bool,
}

/// The price of each kind of token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rates {
    pub(crate) input: Price,
    pub(crate) cached_input: Price,
    pub(crate) cache_write: Price,
    pub(crate) output: Price,
}

/// Prices of a whole request whose input is long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LongContext {
    pub(crate) above_input_tokens: u64,
    pub(crate) rates: Rates,
}

/// `service_tier`, where it changes the price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tier {
    Priority,
    Ultrafast,
    Flex,
}

impl Tier {
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        match name {
            // OpenAI takes both names for the same tier.
            "priority" | "fast" => Some(Self::Priority),
            "ultrafast" => Some(Self::Ultrafast),
            "flex" => Some(Self::Flex),
            _ => None,
        }
    }
}

/// How many tokens an image is, at most.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(tag = "rule", rename_all = "snake_case")]
pub(crate) enum ImageRule {
    Tiles { base_tokens: u64, tile_tokens: u64 },
    Patches { multiplier: NanoUsd, max_patches: u64 },
    Pixels { per_token: u64, max_tokens: u64 },
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
    ultrafast: Option<EntryRates>,
    flex: Option<EntryRates>,
    long_context: Option<EntryLongContext>,
    context_tokens: Option<u64>,
    max_output_tokens: Option<u64>,
    image: Option<ImageRule>,
    #[serde(default)]
    reasoning: bool,
}

#[derive(Clone, Copy, Deserialize)]
struct EntryRates {
    input: NanoUsd,
    cached_input: Option<NanoUsd>,
    cache_write: Option<NanoUsd>,
    output: Option<NanoUsd>,
}

#[derive(Deserialize)]
struct EntryLongContext {
    above_input_tokens: u64,
    #[serde(flatten)]
    rates: EntryRates,
}

/// `a * b / c`, rounded up: how a published ratio carries over to another tier.
fn scaled(a: NanoUsd, b: NanoUsd, c: NanoUsd) -> NanoUsd {
    let divisor = i128::from(c.nanos()).max(1);
    let product = i128::from(a.nanos()) * i128::from(b.nanos());
    NanoUsd::from_nanos(i64::try_from((product + divisor - 1) / divisor).unwrap_or(i64::MAX))
}

impl EntryRates {
    /// The rates, with what is absent taken from `base` at the same ratio to its input.
    fn over(self, base: Rates) -> Rates {
        let like = |price: Price| scaled(price.amount(), self.input, base.input.amount());
        Rates {
            input: Price::per_million(self.input),
            cached_input: Price::per_million(self.cached_input.unwrap_or_else(|| like(base.cached_input))),
            cache_write: Price::per_million(self.cache_write.unwrap_or_else(|| like(base.cache_write))),
            output: Price::per_million(self.output.unwrap_or_else(|| like(base.output))),
        }
    }

    fn alone(self) -> Rates {
        Rates {
            input: Price::per_million(self.input),
            cached_input: Price::per_million(self.cached_input.unwrap_or(self.input)),
            cache_write: Price::per_million(self.cache_write.unwrap_or(self.input)),
            output: Price::per_million(self.output.unwrap_or(NanoUsd::ZERO)),
        }
    }
}

impl Entry {
    fn price(&self) -> ModelPrice {
        let standard = self.rates.alone();
        let tier = |tier, rates: Option<EntryRates>| rates.map(|rates| (tier, rates.over(standard)));
        let tiers = [
            tier(Tier::Priority, self.priority),
            tier(Tier::Ultrafast, self.ultrafast),
            tier(Tier::Flex, self.flex),
        ];
        ModelPrice {
            standard,
            tiers: tiers.into_iter().flatten().collect(),
            long_context: self.long_context.as_ref().map(|long| LongContext {
                above_input_tokens: long.above_input_tokens,
                rates: long.rates.over(standard),
            }),
            context_tokens: self.context_tokens,
            max_output_tokens: self.max_output_tokens,
            image: self.image,
            reasons: self.reasoning,
        }
    }
}

impl ModelPrice {
    /// The rates of a request with that much input on that tier. Tier and long context multiply.
    pub(crate) fn rates(&self, input_tokens: u64, tier: Option<Tier>) -> Rates {
        let tiered = self
            .tiers
            .iter()
            .find(|(name, _)| Some(*name) == tier)
            .map_or(self.standard, |(_, rates)| *rates);
        match self.long_context {
            Some(long) if input_tokens > long.above_input_tokens => {
                let both = |long: Price, tiered: Price, standard: Price| {
                    Price::per_million(scaled(long.amount(), tiered.amount(), standard.amount()))
                };
                Rates {
                    input: both(long.rates.input, tiered.input, self.standard.input),
                    cached_input: both(
                        long.rates.cached_input,
                        tiered.cached_input,
                        self.standard.cached_input,
                    ),
                    cache_write: both(long.rates.cache_write, tiered.cache_write, self.standard.cache_write),
                    output: both(long.rates.output, tiered.output, self.standard.output),
                }
            }
            _ => tiered,
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
    let rates = EntryRates {
        input: settings.input_usd,
        cached_input: settings.cached_input_usd,
        cache_write: settings.cache_write_usd,
        output: Some(settings.output_usd),
    };
    let standard = rates.alone();
    let prices = [standard.input, standard.cached_input, standard.cache_write, standard.output];
    if prices.iter().any(|price| price.amount() < NanoUsd::ZERO) {
        return Err(Error::config(format!("prices.{name:?}: a price is negative")));
    }
    Ok(ModelPrice {
        standard,
        tiers: Vec::new(),
        long_context: None,
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
            assert!(rates.input.amount() > NanoUsd::ZERO, "{name}");
            assert!(rates.cached_input <= rates.input && rates.cache_write >= rates.input, "{name}");
            assert!(price.context_tokens.is_some(), "{name}");
        }
    }

    #[test]
    fn tier_and_long_context_multiply() {
        let rates = |input: &str, output: &str| {
            let rates = EntryRates {
                input: input.parse().unwrap(),
                cached_input: None,
                cache_write: None,
                output: Some(output.parse().unwrap()),
            };
            rates.alone()
        };
        let price = ModelPrice {
            standard: rates("2", "10"),
            tiers: vec![(Tier::Priority, rates("4", "20"))],
            long_context: Some(LongContext { above_input_tokens: 100, rates: rates("4", "15") }),
            context_tokens: None,
            max_output_tokens: None,
            image: None,
            reasons: false,
        };
        let output = |tokens, tier| price.rates(tokens, tier).output.amount();
        assert_eq!(output(100, None), "10".parse().unwrap());
        assert_eq!(output(101, None), "15".parse().unwrap());
        assert_eq!(output(101, Some(Tier::Priority)), "30".parse().unwrap());
    }

    #[test]
    fn known_models_have_the_published_price() {
        let mini = price("openai/gpt-5-mini").standard;
        assert_eq!(mini.input.amount(), "0.25".parse().unwrap());
        assert_eq!(mini.cached_input.amount(), "0.025".parse().unwrap());
        assert_eq!(mini.output.amount(), "2.00".parse().unwrap());
        assert_eq!(price("openai/text-embedding-3-small").standard.input.amount(), "0.02".parse().unwrap());
    }
}
