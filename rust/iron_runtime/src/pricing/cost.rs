//! What a call did cost.

use iron_protocol::{NanoUsd, TokenCharge, charge};

use super::{ModelPrice, Tier};
use crate::call::Usage;

/// The cost of `usage`, rounded up once to a nano-dollar; a model without a price is free.
pub(crate) fn cost(price: Option<&ModelPrice>, tier: Option<Tier>, usage: &Usage) -> NanoUsd {
    let Some(price) = price else { return NanoUsd::ZERO };
    let rates = price.rates(usage.input_tokens, tier);
    // A provider counts cached and written tokens within the input; what it says beyond that is not believed twice.
    let cached = usage.cached_input_tokens.min(usage.input_tokens);
    let written = usage.cache_write_tokens.min(usage.input_tokens - cached);
    charge([
        TokenCharge { tokens: usage.input_tokens - cached - written, price: rates.input },
        TokenCharge { tokens: cached, price: rates.cached_input },
        TokenCharge { tokens: written, price: rates.cache_write },
        TokenCharge { tokens: usage.output_tokens, price: rates.output },
    ])
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::pricing::Catalog;

    #[test]
    fn cached_input_and_output_have_their_own_price() {
        let price =
            Catalog::with_prices(&BTreeMap::new()).unwrap().get("openai/gpt-5-mini").unwrap().unwrap();
        let usage = Usage {
            input_tokens: 1_000,
            cached_input_tokens: 400,
            output_tokens: 50,
            reasoning_tokens: 30,
            cache_write_tokens: 0,
        };
        // 600 × 0.25 + 400 × 0.025 + 50 × 2.00 dollars a million.
        assert_eq!(cost(Some(&price), None, &usage), NanoUsd::from_nanos(150_000 + 10_000 + 100_000));
    }

    #[test]
    fn more_cached_than_input_is_not_believed() {
        let price =
            Catalog::with_prices(&BTreeMap::new()).unwrap().get("openai/gpt-5-mini").unwrap().unwrap();
        let usage = Usage { input_tokens: 10, cached_input_tokens: u64::MAX, ..Usage::default() };
        assert_eq!(cost(Some(&price), None, &usage), NanoUsd::from_nanos(250));
    }
}
