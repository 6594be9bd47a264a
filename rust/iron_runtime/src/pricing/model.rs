//! What is published about one model.

use iron_protocol::NanoUsd;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Rates, cost};
use crate::call::Usage;

/// What is published about one model.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelPrice {
    /// Its usual prices.
    pub standard: Rates,
    /// Its prices on other tiers.
    pub tiers: Vec<(Tier, Rates)>,
    /// Its prices for long input, in the order of their thresholds.
    pub long_context: Vec<LongContext>,
    /// What is billed by the piece.
    pub fees: Fees,
    /// Replies say what they cost, in US dollars.
    pub tells_cost: bool,
    /// Input and output together, at most.
    pub context_tokens: Option<u64>,
    /// Output at most, each choice.
    pub max_output_tokens: Option<u64>,
    /// How many tokens an image is, at most.
    pub image: Option<ImageRule>,
    /// It may reason, which is billed as output and not shown.
    pub reasons: bool,
}

/// What a model does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ModelKind {
    /// It answers.
    #[default]
    Chat,
    /// It makes vectors.
    Embedding,
}

impl ModelKind {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Embedding => "embedding",
        }
    }
}

/// Prices of a whole request whose input is long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LongContext {
    /// The most input tokens, cached ones included, that are not long.
    pub above_input_tokens: u64,
    /// The prices beyond.
    pub rates: Rates,
}

/// What is billed by the piece: the request itself, and each run of a tool that the provider runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fees {
    /// Each request.
    pub request: NanoUsd,
    /// Each web search.
    pub web_search: NanoUsd,
    /// Each search in files.
    pub file_search: NanoUsd,
    /// Each run of a program.
    pub code_execution: NanoUsd,
}

impl Fees {
    /// What a request with that usage is billed.
    pub(crate) fn of(&self, usage: &Usage) -> NanoUsd {
        times(self.web_search, usage.web_searches)
            .saturating_add(times(self.file_search, usage.file_searches))
            .saturating_add(times(self.code_execution, usage.code_executions))
            .saturating_add(self.request)
    }

    /// The most that a request with so many runs of tools is billed.
    pub(crate) fn most(&self, runs: u64) -> NanoUsd {
        let dearest = self.web_search.max(self.file_search).max(self.code_execution);
        times(dearest, runs).saturating_add(self.request)
    }
}

fn times(amount: NanoUsd, count: u64) -> NanoUsd {
    NanoUsd::from_nanos(amount.nanos().saturating_mul(i64::try_from(count).unwrap_or(i64::MAX)))
}

/// How fast an answer is wanted, where it changes the price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// OpenAI's `service_tier` "priority".
    Priority,
    /// Anthropic's `speed` "fast".
    Fast,
    /// OpenAI's `service_tier` "ultrafast".
    Ultrafast,
    /// OpenAI's `service_tier` "flex".
    Flex,
}

impl Tier {
    /// The tier of that name in OpenAI's `service_tier`.
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
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(tag = "rule", rename_all = "snake_case")]
pub enum ImageRule {
    /// A base, and a number for each tile of 512 px.
    Tiles {
        /// Of the image.
        base_tokens: u64,
        /// Of each tile.
        tile_tokens: u64,
    },
    /// A number for each patch of 32 px.
    Patches {
        /// Tokens of a patch, as decimal text.
        multiplier: NanoUsd,
        /// An image has no more.
        max_patches: u64,
    },
    /// A token for so many pixels.
    Pixels {
        /// So many.
        per_token: u64,
        /// An image has no more.
        max_tokens: u64,
    },
}

impl ModelPrice {
    /// What a request with that usage costs on no tier.
    pub fn cost(&self, usage: &Usage) -> NanoUsd {
        cost(Some(self), None, usage)
    }

    /// The rates of a request with that much input on that tier. Tier and long context multiply.
    pub fn rates(&self, input_tokens: u64, tier: Option<Tier>) -> Rates {
        let tiered = self.tiers.iter().find(|(name, _)| Some(*name) == tier);
        let tiered = tiered.map_or(self.standard, |(_, rates)| *rates);
        let long = self.long_context.iter().rev().find(|long| input_tokens > long.above_input_tokens);
        long.map_or(tiered, |long| long.rates.applied(&tiered, &self.standard))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pricing::Kind;

    #[test]
    fn tier_and_long_context_multiply() {
        let rates = |input: &str, output: &str| {
            Rates::new(|kind| match kind {
                Kind::Input => input.parse().ok(),
                Kind::Output => output.parse().ok(),
                _ => None,
            })
        };
        let price = ModelPrice {
            standard: rates("2", "10"),
            tiers: vec![(Tier::Priority, rates("4", "20"))],
            long_context: vec![
                LongContext { above_input_tokens: 100, rates: rates("4", "15") },
                LongContext { above_input_tokens: 200, rates: rates("6", "30") },
            ],
            fees: Fees::default(),
            tells_cost: false,
            context_tokens: None,
            max_output_tokens: None,
            image: None,
            reasons: false,
        };
        let output = |tokens, tier| price.rates(tokens, tier)[Kind::Output].amount();
        assert_eq!(output(100, None), "10".parse().unwrap());
        assert_eq!(output(101, None), "15".parse().unwrap());
        assert_eq!(output(201, None), "30".parse().unwrap());
        assert_eq!(output(101, Some(Tier::Priority)), "30".parse().unwrap());
    }

    #[test]
    fn fees_are_counted_by_the_piece() {
        let fees = Fees {
            request: NanoUsd::from_nanos(1),
            web_search: NanoUsd::from_nanos(10),
            file_search: NanoUsd::from_nanos(100),
            code_execution: NanoUsd::from_nanos(1_000),
        };
        let usage = Usage { web_searches: 2, file_searches: 3, code_executions: 4, ..Usage::default() };
        assert_eq!(fees.of(&usage).nanos(), 1 + 20 + 300 + 4_000);
        assert_eq!(fees.most(9).nanos(), 1 + 9_000);
        assert_eq!(fees.most(u64::MAX), NanoUsd::MAX);
    }
}
