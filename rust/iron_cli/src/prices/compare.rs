//! `iron prices compare`: what one call costs at several models.

use std::path::PathBuf;

use iron_protocol::NanoUsd;
use iron_runtime::Usage;
use serde_json::{Value, json};

use super::list::catalog;
use super::table::Table;
use crate::failure::Failure;
use crate::terminal::{self, Output};

/// Compare what a call costs at several models, the cheapest first.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Models, as provider/model.
    #[arg(required = true, value_name = "MODEL")]
    models: Vec<String>,
    /// Tokens of input, all of it.
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    input: u64,
    /// Tokens of that which the provider has cached.
    #[arg(long, value_name = "N", default_value_t = 0)]
    cached: u64,
    /// Tokens of output, reasoning included.
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    output: u64,
    /// Print a JSON list.
    #[arg(long)]
    json: bool,
    /// The configuration whose prices stand above the built-in ones [default: the nearest].
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

pub(super) fn run(options: &Options) -> Result<u8, Failure> {
    if options.cached > options.input {
        return Err(Failure::config("--cached is part of --input and cannot be more"));
    }
    let catalog = catalog(options.config.clone())?;
    let usage = Usage {
        input_tokens: options.input,
        cached_input_tokens: options.cached,
        output_tokens: options.output,
        ..Usage::default()
    };
    let mut costs = Vec::new();
    for name in &options.models {
        costs.push((name.as_str(), catalog.named(name)?.price.cost(&usage)));
    }
    costs.sort_by_key(|(_, cost)| *cost);
    let mut output = Output::new();
    if options.json {
        let all: Vec<_> = costs.iter().map(|(name, cost)| json!({"name": name, "cost_usd": cost})).collect();
        output.text(&format!("{:#}\n", Value::from(all)))?;
        return Ok(0);
    }
    let cheapest = costs.first().map_or(NanoUsd::ZERO, |(_, cost)| *cost);
    let mut table = Table::new(["model", "a call", "1000 calls", "times"]);
    for (name, cost) in &costs {
        table.row(name, [cost.to_string(), thousand(*cost), times(*cost, cheapest)]);
    }
    output.text(&table.text())?;
    terminal::note(&format!(
        "US dollars; {} tokens of input, {} of them cached, and {} of output",
        options.input, options.cached, options.output
    ));
    Ok(0)
}

fn thousand(cost: NanoUsd) -> String {
    NanoUsd::from_nanos(cost.nanos().saturating_mul(1_000)).to_string()
}

/// How many times as dear, to a tenth.
fn times(cost: NanoUsd, cheapest: NanoUsd) -> String {
    if cheapest <= NanoUsd::ZERO {
        return String::new();
    }
    let tenths =
        (i128::from(cost.nanos()) * 10 + i128::from(cheapest.nanos()) / 2) / i128::from(cheapest.nanos());
    format!("{}.{}x", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rounded_to_a_tenth() {
        let nanos = NanoUsd::from_nanos;
        assert_eq!(times(nanos(100), nanos(100)), "1.0x");
        assert_eq!(times(nanos(266), nanos(100)), "2.7x");
        assert_eq!(times(nanos(266), nanos(0)), "");
    }
}
