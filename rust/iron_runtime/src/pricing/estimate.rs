//! What a call may cost at most, known before it is made and without a tokenizer.
//!
//! A byte-level tokenizer makes at most one token of a byte, so the UTF-8 length bounds the tokens of a text. What a
//! provider adds around messages and tools is bounded by allowances; what nothing bounds is bounded by the model's
//! context length, above which a provider refuses and bills nothing.

mod contents;
mod told;

use iron_protocol::{NanoUsd, Price, TokenCharge, charge};

use self::contents::{Contents, MESSAGE_TOKENS};
pub use self::told::Estimate;
use super::{Kind, ModelPrice, Rates, Tier};
use crate::Error;
use crate::budget::Ask;
use crate::call::{ChatRequest, EmbedRequest};

/// Of a model whose maximum is not known: no published one is above a third of it.
const MOST_OUTPUT_TOKENS: u64 = 1_000_000;

/// An upper bound on what one request can cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bound {
    /// Of the input.
    pub(crate) input_tokens: u64,
    /// What is paid at most whatever the output: the input, and what is billed by the piece.
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
        let contents = Contents::of(request, price.and_then(|price| price.image));
        let input_tokens = match price {
            None => contents.tokens.unwrap_or(0),
            Some(price) => contents.bounded(price.context_tokens).ok_or_else(|| {
                Error::config(format!(
                    "the cost of {:?} cannot be bounded: the request holds audio, a file or an image, or lets the \
                     provider run tools, and no context_tokens is set in its price",
                    request.model
                ))
            })?,
        };
        let rates = price.map_or(Rates::FREE, |price| dearest(price, input_tokens, contents.tier));
        let input = TokenCharge { tokens: input_tokens, price: rates.dearest(contents.input_kinds()) };
        let fees = price.map_or(NanoUsd::ZERO, |price| price.fees.most(contents.tool_runs));
        let bound = Bound {
            input_tokens,
            input_cost: charge([input]).saturating_add(fees),
            output: rates.dearest(contents.output_kinds()),
            choices,
            reasons: price.is_some_and(|price| price.reasons) || contents.tool_runs > 0,
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

    /// Output at most, all choices together.
    fn output_tokens(&self) -> u64 {
        self.most_output.saturating_mul(self.bound.choices)
    }

    /// The input, and the output of one choice that is asked for: above the context, the request may not fit it.
    pub(crate) fn most_tokens(&self) -> u64 {
        self.bound.input_tokens.saturating_add(if self.asked { self.most_output } else { 1 })
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
    let rates = price.map_or(Rates::FREE, |price| dearest(price, input_tokens, None));
    let input = TokenCharge { tokens: input_tokens, price: rates[Kind::Input] };
    let fees = price.map_or(NanoUsd::ZERO, |price| price.fees.request);
    Bound {
        input_tokens,
        input_cost: charge([input]).saturating_add(fees),
        output: Price::default(),
        choices: 1,
        reasons: false,
    }
}

/// The rates that bound a request: a bound on the input may lie above the long-context threshold while the input does
/// not, and a tier's promise may not be kept, so the dearest that can apply stands.
fn dearest(price: &ModelPrice, input_tokens: u64, tier: Option<Tier>) -> Rates {
    let reached = price.long_context.iter().map(|long| long.above_input_tokens.saturating_add(1));
    let lengths = [0].into_iter().chain(reached.filter(|tokens| *tokens <= input_tokens));
    lengths
        .flat_map(|tokens| [price.rates(tokens, None), price.rates(tokens, tier)])
        .fold(Rates::FREE, |most, rates| most.max(&rates))
}

#[cfg(test)]
mod tests;
