//! What a call did cost.

use iron_protocol::{NanoUsd, TokenCharge, charge};

use super::{Kind, ModelPrice, Tier};
use crate::call::Usage;

/// The cost of `usage`, rounded up once to a nano-dollar; a model without a price is free.
pub(crate) fn cost(price: Option<&ModelPrice>, tier: Option<Tier>, usage: &Usage) -> NanoUsd {
    let Some(price) = price else { return NanoUsd::ZERO };
    // Nothing is never what a call cost: a gateway that does not know its prices says so.
    if let Some(told) = usage.told_cost.filter(|told| price.tells_cost && *told > NanoUsd::ZERO) {
        return told;
    }
    let rates = price.rates(usage.input_tokens, tier);
    // A provider counts each kind within the whole; what it says beyond that is not believed twice.
    let mut input = usage.input_tokens;
    let written_5m = usage.cache_write_tokens.saturating_sub(usage.cache_write_1h_tokens);
    let input_kinds = [
        (Kind::CachedInput, take(&mut input, usage.cached_input_tokens)),
        (Kind::CacheWrite1h, take(&mut input, usage.cache_write_1h_tokens)),
        (Kind::CacheWrite, take(&mut input, written_5m)),
        (Kind::AudioInput, take(&mut input, usage.audio_input_tokens)),
        (Kind::ImageInput, take(&mut input, usage.image_input_tokens)),
        (Kind::Input, input),
    ];
    let mut output = usage.output_tokens;
    let output_kinds = [
        (Kind::AudioOutput, take(&mut output, usage.audio_output_tokens)),
        (Kind::ImageOutput, take(&mut output, usage.image_output_tokens)),
        (Kind::Reasoning, take(&mut output, usage.reasoning_tokens)),
        (Kind::Output, output),
    ];
    let kinds = input_kinds.into_iter().chain(output_kinds);
    charge(kinds.map(|(kind, tokens)| TokenCharge { tokens, price: rates[kind] }))
        .saturating_add(price.fees.of(usage))
}

/// Take `wanted` out of `left`, as far as there is so much.
fn take(left: &mut u64, wanted: u64) -> u64 {
    let taken = wanted.min(*left);
    *left -= taken;
    taken
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::pricing::{Catalog, Fees, Rates};

    fn mini() -> Arc<ModelPrice> {
        Catalog::default().get("openai/gpt-5-mini").unwrap().unwrap()
    }

    #[test]
    fn cached_input_and_output_have_their_own_price() {
        let usage = Usage {
            input_tokens: 1_000,
            cached_input_tokens: 400,
            output_tokens: 50,
            reasoning_tokens: 30,
            ..Usage::default()
        };
        // 600 × 0.25 + 400 × 0.025 + 50 × 2.00 dollars a million.
        assert_eq!(cost(Some(&mini()), None, &usage), NanoUsd::from_nanos(150_000 + 10_000 + 100_000));
    }

    #[test]
    fn every_kind_is_charged_once_at_its_own_price() {
        let mut price = ModelPrice::clone(&mini());
        // A dollar a million tokens is a thousand nano-dollars a token.
        price.standard = Rates::new(|kind| NanoUsd::from_dollars(1 << kind as u32));
        price.fees = Fees { web_search: NanoUsd::from_nanos(10_000_000), ..Fees::default() };
        let usage = Usage {
            input_tokens: 1_000,
            cached_input_tokens: 100,
            cache_write_tokens: 50,
            cache_write_1h_tokens: 20,
            audio_input_tokens: 7,
            image_input_tokens: 3,
            output_tokens: 500,
            reasoning_tokens: 40,
            audio_output_tokens: 11,
            image_output_tokens: 13,
            web_searches: 2,
            ..Usage::default()
        };
        let tokens =
            840 + 100 * 2 + 30 * 4 + 20 * 8 + 7 * 16 + 3 * 32 + 436 * 64 + 40 * 128 + 11 * 256 + 13 * 512;
        assert_eq!(cost(Some(&price), None, &usage).nanos(), tokens * 1_000 + 2 * 10_000_000);
    }

    #[test]
    fn what_a_provider_says_is_believed_where_it_is_known_to_say_it() {
        let mut price = ModelPrice::clone(&mini());
        let told = |nanos| Usage {
            input_tokens: 10,
            told_cost: Some(NanoUsd::from_nanos(nanos)),
            ..Usage::default()
        };
        assert_eq!(cost(Some(&price), None, &told(7)).nanos(), 2_500);
        price.tells_cost = true;
        assert_eq!(cost(Some(&price), None, &told(7)).nanos(), 7);
        assert_eq!(cost(Some(&price), None, &told(0)).nanos(), 2_500);
    }

    #[test]
    fn more_cached_than_input_is_not_believed() {
        let usage = Usage { input_tokens: 10, cached_input_tokens: u64::MAX, ..Usage::default() };
        assert_eq!(cost(Some(&mini()), None, &usage), NanoUsd::from_nanos(250));
    }
}
