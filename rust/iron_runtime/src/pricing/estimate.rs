//! What a call may cost at most, known before it is made and without a tokenizer.
//!
//! A byte-level tokenizer makes at most one token of a byte, so the UTF-8 length bounds the tokens of a text. What a
//! provider adds around messages and tools is bounded by the allowances below; what nothing bounds is bounded by the
//! model's context length, above which a provider refuses and bills nothing.

use iron_protocol::{NanoUsd, Price, TokenCharge, charge};

use super::{ImageRule, ModelPrice, Rates, Tier};
use crate::Error;
use crate::budget::Ask;
use crate::call::{ChatRequest, Content, EmbedRequest, Part};

/// Around each message: OpenAI's cookbook counts 3 tokens, and 1 for a name.
/// <https://cookbook.openai.com/examples/how_to_count_tokens_with_tiktoken>
const MESSAGE_TOKENS: u64 = 8;
/// Around the whole prompt: the cookbook counts 3 to prime the reply and 12 around tools.
const PROMPT_TOKENS: u64 = 32;
/// OpenAI fits an image into 2,048 px squares and scales its short side to 768 px: at most 2 × 4 tiles of 512 px.
const MOST_TILES: u64 = 8;
/// Of a model whose maximum is not known: no published one is above a third of it.
const MOST_OUTPUT_TOKENS: u64 = 1_000_000;

/// An upper bound on what one request can cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bound {
    /// Of the input.
    pub(crate) input_tokens: u64,
    /// What the input costs at most.
    pub(crate) input_cost: NanoUsd,
    /// The price of output, and how many choices pay it.
    output: Price,
    choices: u64,
    /// The model may reason out of sight: what it shows does not bound what it bills.
    reasons: bool,
}

/// A chat request's bound, and how far its output may be lowered to fit a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChatBound {
    pub(crate) bound: Bound,
    /// Output tokens of each choice: as asked, or else the model's published maximum.
    most_output: u64,
    /// What the output may be lowered to, when the caller set no bound.
    least_output: u64,
    asked: bool,
}

impl Bound {
    /// What the request costs at most with that much output of each choice.
    pub(crate) fn with_output(&self, tokens: u64) -> NanoUsd {
        let output = TokenCharge { tokens: tokens.saturating_mul(self.choices), price: self.output };
        self.input_cost.saturating_add(charge([output]))
    }

    /// What the request costs at most if its reply showed so many tokens of each choice; `None` if it may have had more.
    pub(crate) fn counted(&self, tokens: u64) -> Option<NanoUsd> {
        (!self.reasons).then(|| self.with_output(tokens))
    }

    /// The most output tokens of each choice that `amount` pays for; `None` when output is free.
    pub(crate) fn output_for(&self, amount: NanoUsd) -> Option<u64> {
        let tokens = self.output.tokens_for(amount.minus_or_zero(self.input_cost))?;
        Some(tokens / self.choices)
    }
}

impl ChatBound {
    /// The bound of `request` at `price`; a model without a price costs nothing.
    ///
    /// # Errors
    /// [`Error::Config`] if nothing bounds the input.
    pub(crate) fn new(
        request: &ChatRequest,
        price: Option<&ModelPrice>,
        least_output: u32,
    ) -> Result<Self, Error> {
        let choices = u64::from(request.n.unwrap_or(1)).max(1);
        let asked = request.max_tokens.map(u64::from);
        let input = input_tokens(request, price.and_then(|price| price.image));
        let context = price.and_then(|price| price.context_tokens);
        let input_tokens = match (input, context) {
            (Some(input), Some(context)) => input.min(context),
            (Some(tokens), None) | (None, Some(tokens)) => tokens,
            (None, None) if price.is_none() => 0,
            (None, None) => {
                return Err(Error::config(format!(
                    "the cost of {:?} cannot be bounded: the request holds audio, a file or an image, and no \
                     context_tokens is set in its price",
                    request.model
                )));
            }
        };
        let rates = price.map_or(FREE, |price| dearest(price, input_tokens, tier(request)));
        let bound = Bound {
            input_tokens,
            input_cost: charge([TokenCharge {
                tokens: input_tokens,
                price: rates.input.max(rates.cache_write),
            }]),
            output: rates.output,
            choices,
            reasons: price.is_some_and(|price| price.reasons),
        };
        let published = price.and_then(|price| price.max_output_tokens.or(price.context_tokens));
        let most_output = asked.or(published).unwrap_or(MOST_OUTPUT_TOKENS);
        Ok(Self {
            bound,
            most_output,
            least_output: u64::from(least_output).min(most_output),
            asked: asked.is_some(),
        })
    }

    /// What to reserve.
    pub(crate) fn ask(&self) -> Ask {
        let most = self.bound.with_output(self.most_output);
        let least = if self.asked { most } else { self.bound.with_output(self.least_output) };
        Ask { least, most }
    }

    /// The `max_tokens` to send when only `granted` could be reserved; `None` when the request goes out as it is.
    pub(crate) fn lowered(&self, granted: NanoUsd) -> Option<u64> {
        let fits = self.bound.output_for(granted)?;
        if self.asked || fits >= self.most_output {
            return None;
        }
        Some(fits)
    }

    /// Tokens that count against a tokens-per-minute limit, as OpenAI counts them: the text at four bytes a token, and
    /// the output that was asked for.
    pub(crate) fn rate_tokens(&self) -> u64 {
        let output = if self.asked { self.most_output } else { 0 };
        (self.bound.input_tokens / 4).saturating_add(output.saturating_mul(self.bound.choices))
    }
}

/// The bound of an embeddings request.
pub(crate) fn embed_bound(request: &EmbedRequest, price: Option<&ModelPrice>) -> Bound {
    let tokens = |text: &str| {
        let bytes = text.len() as u64 + MESSAGE_TOKENS;
        price.and_then(|price| price.context_tokens).map_or(bytes, |context| bytes.min(context))
    };
    let input_tokens = request.input.iter().map(|text| tokens(text)).sum();
    let rates = price.map_or(FREE, |price| price.rates(0, None));
    Bound {
        input_tokens,
        input_cost: charge([TokenCharge { tokens: input_tokens, price: rates.input }]),
        output: Price::default(),
        choices: 1,
        reasons: false,
    }
}

const FREE: Rates = {
    let free = Price::per_million(NanoUsd::ZERO);
    Rates { input: free, cached_input: free, cache_write: free, output: free }
};

fn tier(request: &ChatRequest) -> Option<Tier> {
    Tier::from_name(request.param("service_tier")?.as_str().trim_matches('"'))
}

/// The rates that bound a request: a bound on the input may lie above the long-context threshold while the input does
/// not, and a tier's promise may not be kept, so the dearest that can apply stands.
fn dearest(price: &ModelPrice, input_tokens: u64, tier: Option<Tier>) -> Rates {
    let candidates = [
        price.rates(0, None),
        price.rates(0, tier),
        price.rates(input_tokens, None),
        price.rates(input_tokens, tier),
    ];
    candidates.into_iter().fold(FREE, |most, rates| Rates {
        input: most.input.max(rates.input),
        cached_input: most.cached_input.max(rates.cached_input),
        cache_write: most.cache_write.max(rates.cache_write),
        output: most.output.max(rates.output),
    })
}

/// At most that many input tokens; `None` if a part has no bound of its own.
fn input_tokens(request: &ChatRequest, image: Option<ImageRule>) -> Option<u64> {
    let mut tokens = PROMPT_TOKENS;
    for message in &request.messages {
        tokens += MESSAGE_TOKENS;
        // Field names count too: a provider may render `name` and `tool_calls` into the prompt.
        tokens += message.extra.iter().map(|(name, value)| bytes(name) + bytes(value.as_str())).sum::<u64>();
        match &message.content {
            Content::None => {}
            Content::Text(text) => tokens += bytes(text),
            Content::Parts(parts) => {
                for part in parts {
                    tokens += part_tokens(part, image)?;
                }
            }
        }
    }
    // Tools and schemas become part of the prompt; the other parameters are short, and counting them errs upwards.
    tokens += request.params.iter().map(|(name, value)| bytes(name) + bytes(value.as_str())).sum::<u64>();
    Some(tokens)
}

fn bytes(text: &str) -> u64 {
    text.len() as u64
}

fn part_tokens(part: &Part, rule: Option<ImageRule>) -> Option<u64> {
    match part {
        Part::Text { text, extra } => {
            Some(bytes(text) + extra.iter().map(|(_, value)| bytes(value.as_str())).sum::<u64>())
        }
        Part::Image { detail, .. } => image_tokens(rule?, detail.as_deref() == Some("low")),
        Part::Other(_) => None,
    }
}

/// The most tokens that one image can be under its model's published rule.
fn image_tokens(rule: ImageRule, low: bool) -> Option<u64> {
    match rule {
        ImageRule::Tiles { base_tokens, .. } if low => Some(base_tokens),
        ImageRule::Tiles { base_tokens, tile_tokens } => Some(base_tokens + MOST_TILES * tile_tokens),
        ImageRule::Patches { multiplier, max_patches } => {
            let tokens = u128::from(max_patches) * u128::from(multiplier.nanos().unsigned_abs());
            u64::try_from(tokens.div_ceil(1_000_000_000)).ok()
        }
        ImageRule::Pixels { max_tokens, .. } => Some(max_tokens),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::call::{Message, Role, Usage};
    use crate::json::Json;
    use crate::pricing::{Catalog, cost};

    fn price(name: &str) -> Arc<ModelPrice> {
        Catalog::with_prices(&BTreeMap::new()).unwrap().get(name).unwrap().unwrap()
    }

    fn request(text: &str) -> ChatRequest {
        ChatRequest::new("openai/gpt-5-mini", vec![Message::user(text.to_owned())])
    }

    #[test]
    fn an_explicit_bound_is_reserved_exactly() {
        let mini = price("openai/gpt-5-mini");
        let mut request = request("hello");
        request.max_tokens = Some(100);
        request.n = Some(3);
        let bound = ChatBound::new(&request, Some(&mini), 256).unwrap();
        let ask = bound.ask();
        assert_eq!(ask.least, ask.most);
        let tokens = 5 + MESSAGE_TOKENS + PROMPT_TOKENS;
        assert_eq!(ask.most.nanos(), i64::try_from(tokens).unwrap() * 250 + 3 * 100 * 2_000);
        assert_eq!(bound.lowered(ask.most), None);
    }

    #[test]
    fn without_one_the_published_maximum_stands_and_may_be_lowered() {
        let mini = price("openai/gpt-5-mini");
        let bound = ChatBound::new(&request("hello"), Some(&mini), 256).unwrap();
        let ask = bound.ask();
        assert_eq!(ask.most, bound.bound.with_output(128_000));
        assert_eq!(ask.least, bound.bound.with_output(256));
        assert_eq!(bound.lowered(ask.most), None);
        assert_eq!(bound.lowered(ask.least), Some(256));
    }

    #[test]
    fn a_file_is_bounded_by_the_context() {
        let mini = price("openai/gpt-5-mini");
        let file = Part::Other(Json::parse(r#"{"type":"file","file":{"file_id":"x"}}"#).unwrap());
        let message = Message { role: Role::User, content: Content::Parts(vec![file]), extra: vec![] };
        let request = ChatRequest::new("openai/gpt-5-mini", vec![message]);
        let bound = ChatBound::new(&request, Some(&mini), 256).unwrap();
        assert_eq!(Some(bound.bound.input_tokens), mini.context_tokens);
    }

    proptest! {
        #[test]
        fn no_usage_within_the_bound_costs_more_than_the_bound(
            length in 0_usize..400_000, max_tokens in 1_u32..10_000, n in 1_u32..4,
            input in 0.0..=1.0_f64, cached in 0.0..=1.0_f64, output in 0.0..=1.0_f64, index in any::<usize>(),
        ) {
            let catalog = Catalog::with_prices(&BTreeMap::new()).unwrap();
            let names: Vec<_> = catalog.names().unwrap().filter(|name| !name.contains("embedding")).collect();
            let model = price(names[index % names.len()]);
            let mut request = request(&"x".repeat(length));
            request.max_tokens = Some(max_tokens);
            request.n = Some(n);
            let bound = ChatBound::new(&request, Some(&model), 256).unwrap();
            #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss,
                     reason = "shares of a whole, for choosing samples")]
            let part = |whole: u64, share: f64| (whole as f64 * share) as u64;
            let input_tokens = part(bound.bound.input_tokens, input);
            let usage = Usage {
                input_tokens,
                cached_input_tokens: part(input_tokens, cached),
                cache_write_tokens: 0,
                output_tokens: part(u64::from(max_tokens * n), output),
                reasoning_tokens: 0,
            };
            prop_assert!(cost(Some(&model), None, &usage) <= bound.ask().most);
        }

        #[test]
        fn a_lowered_output_never_costs_more_than_was_granted(length in 0_usize..10_000, granted in 0_i64..300_000_000) {
            let mini = price("openai/gpt-5-mini");
            let bound = ChatBound::new(&request(&"x".repeat(length)), Some(&mini), 1).unwrap();
            let granted = NanoUsd::from_nanos(granted).max(bound.ask().least);
            if let Some(tokens) = bound.lowered(granted) {
                prop_assert!(tokens >= 1);
                prop_assert!(bound.bound.with_output(tokens) <= granted);
            }
        }
    }
}
