//! `iron prices` and `iron prices search`: the models and what they cost.

use std::path::PathBuf;
use std::sync::Arc;

use iron_protocol::NanoUsd;
use iron_runtime::config::{Config, Sources};
use iron_runtime::pricing::{Catalog, Kind, ModelPrice, PricedModel, Tier};
use serde_json::{Map, Value, json};

use super::table::Table;
use crate::failure::Failure;
use crate::terminal::{self, Output};

#[derive(Debug, clap::Args)]
pub(crate) struct Filter {
    /// Only models of this provider.
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,
    /// Print a JSON list, with sources, dates, and prices of every kind.
    #[arg(long)]
    json: bool,
    /// The configuration whose prices stand above the built-in ones [default: the nearest].
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// List the models whose names or notes hold every one of these words.
#[derive(Debug, clap::Args)]
pub(crate) struct Search {
    /// Words, in capitals or not.
    #[arg(required = true, value_name = "WORD")]
    pub(super) words: Vec<String>,
    #[command(flatten)]
    pub(super) list: Filter,
}

pub(super) fn run(options: &Filter, words: &[String]) -> Result<u8, Failure> {
    let catalog = catalog(options.config.clone())?;
    let mut models = catalog.models()?;
    models.retain(|model| {
        let named = options.provider.as_deref().is_none_or(|provider| is_of(model, provider));
        named && words.iter().all(|word| holds(model, &word.to_lowercase()))
    });
    if models.is_empty() {
        return Err(Failure::config("no priced model is like that: `iron prices` lists them all"));
    }
    let mut output = Output::new();
    if options.json {
        let all: Vec<_> = models.iter().map(|model| as_json(model)).collect();
        output.text(&format!("{:#}\n", Value::from(all)))?;
        return Ok(0);
    }
    output.text(&table(&models))?;
    terminal::note(&format!("{} models; US dollars per million tokens; --json tells all", models.len()));
    Ok(0)
}

/// The prices in force.
pub(super) fn catalog(file: Option<PathBuf>) -> Result<Catalog, Failure> {
    let sources = Sources { file, discover: true, environment: true, ..Sources::default() };
    Ok(Config::load(&sources)?.prices().clone())
}

fn is_of(model: &PricedModel, provider: &str) -> bool {
    model.name.split_once('/').is_some_and(|(name, _)| name.eq_ignore_ascii_case(provider))
}

fn holds(model: &PricedModel, word: &str) -> bool {
    let texts = model.aliases.iter().chain([&model.name]).chain(&model.note);
    texts.into_iter().any(|text| text.to_lowercase().contains(word))
}

fn table(models: &[Arc<PricedModel>]) -> String {
    let mut table = Table::new(["model", "input", "cached", "output", "context"]);
    for model in models {
        let rate = |kind| model.price.standard[kind].amount().to_string();
        let context = model.price.context_tokens.map_or_else(String::new, tokens);
        table.row(&model.name, [rate(Kind::Input), rate(Kind::CachedInput), rate(Kind::Output), context]);
    }
    table.text()
}

/// A number of tokens in as few characters as tell it well enough.
fn tokens(count: u64) -> String {
    match count {
        1_000_000.. => format!("{}.{}M", count / 1_000_000, count % 1_000_000 / 100_000),
        1_000.. => format!("{}k", count / 1_000),
        _ => count.to_string(),
    }
}

fn as_json(model: &PricedModel) -> Value {
    let price = &model.price;
    let mut told = Map::new();
    told.insert("name".to_owned(), json!(model.name));
    told.insert("aliases".to_owned(), json!(model.aliases));
    told.insert("kind".to_owned(), json!(model.kind.as_str()));
    for kind in Kind::ALL {
        told.insert(kind.key().to_owned(), json!(price.standard[kind].amount()));
    }
    told.extend(fees(price).map(|(name, fee)| (name.to_owned(), json!(fee))));
    told.insert("tells_cost".to_owned(), json!(price.tells_cost));
    let rates = |rates: &iron_runtime::pricing::Rates| -> Map<String, Value> {
        Kind::ALL.into_iter().map(|kind| (kind.key().to_owned(), json!(rates[kind].amount()))).collect()
    };
    let long = price.long_context.iter().map(|long| {
        let mut told = rates(&long.rates);
        told.insert("above_input_tokens".to_owned(), json!(long.above_input_tokens));
        Value::from(told)
    });
    told.insert("long_context".to_owned(), long.collect());
    for (tier, given) in &price.tiers {
        told.insert(tier_key(*tier).to_owned(), rates(given).into());
    }
    let facts = json!({
        "context_tokens": price.context_tokens,
        "max_output_tokens": price.max_output_tokens,
        "reasoning": price.reasons,
        "retires": model.retires,
        "source": model.source,
        "as_of": model.as_of,
        "note": model.note,
        "configured": model.configured,
    });
    if let Value::Object(facts) = facts {
        told.extend(facts);
    }
    told.into()
}

fn fees(price: &ModelPrice) -> impl Iterator<Item = (&'static str, NanoUsd)> {
    let fees = price.fees;
    [
        ("usd_per_request", fees.request),
        ("usd_per_web_search", fees.web_search),
        ("usd_per_file_search", fees.file_search),
        ("usd_per_code_execution", fees.code_execution),
    ]
    .into_iter()
}

fn tier_key(tier: Tier) -> &'static str {
    match tier {
        Tier::Priority => "priority",
        Tier::Fast => "fast",
        Tier::Ultrafast => "ultrafast",
        Tier::Flex => "flex",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_tokens_are_short() {
        for (count, shown) in [(512, "512"), (131_072, "131k"), (1_000_000, "1.0M"), (1_048_576, "1.0M")] {
            assert_eq!(tokens(count), shown);
        }
    }
}
