//! `[models.ALIAS]`: the upstreams of a route.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Error;

/// `[models.ALIAS]`.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RouteSettings {
    /// `provider/model`, in the order to try them.
    #[schemars(length(min = 1))]
    #[schemars(example = ["openai/gpt-6-luna", "local/qwen3-8b"])]
    pub upstreams: Vec<String>,
    /// Which of them is asked first.
    #[serde(default)]
    pub strategy: Strategy,
    /// For `weighted`: the share of each upstream, in the order of `upstreams`.
    #[serde(default)]
    pub weights: Vec<u32>,
    /// Where the random choices of `weighted` and `least_latency` begin, to have the same ones again.
    pub seed: Option<u64>,
}

/// Which upstream of a route is asked first. The others are asked if it gives no answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// The first that is written down.
    #[default]
    Ordered,
    /// One by chance, each with its share.
    Weighted,
    /// The one that has answered fastest lately.
    LeastLatency,
}

impl RouteSettings {
    /// The same, if it makes sense.
    pub(crate) fn checked(&self, alias: &str) -> Result<&Self, Error> {
        let wrong = |what: &str| Err(Error::config(format!("models.{alias}.{what}")));
        if self.upstreams.is_empty() {
            return wrong("upstreams is empty: name at least one upstream");
        }
        match self.strategy {
            Strategy::Weighted if self.weights.len() != self.upstreams.len() => {
                wrong("weights needs a number for each of the upstreams")
            }
            Strategy::Weighted if self.weights.iter().all(|weight| *weight == 0) => {
                wrong("weights are all 0: give at least one upstream a share")
            }
            Strategy::Ordered | Strategy::LeastLatency if !self.weights.is_empty() => {
                wrong("weights has no meaning here: set strategy = \"weighted\"")
            }
            _ => Ok(self),
        }
    }
}
