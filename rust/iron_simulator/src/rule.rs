//! Rules: which requests they match and what they do with them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::fault::Fault;
use crate::settings::Millis;

/// What is done with the requests that match; the first rule that matches and is not used up decides.
///
/// A rule with a `reply` matches chat completions only.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rule {
    /// Conditions, all of which must hold. Default none: every request matches.
    pub when: Match,
    /// The reply. Default: generated from the request (see the crate's page).
    pub reply: Option<Reply>,
    /// What goes wrong. Default nothing.
    pub fault: Option<Fault>,
    /// Instead of the settings' `latency_ms`.
    pub latency_ms: Option<Millis>,
    /// Instead of the settings' `tokens_per_second`.
    pub tokens_per_second: Option<f64>,
    /// How many requests the rule takes before it is used up. Default no limit.
    pub times: Option<u64>,
    /// Take every so-manieth request for which the conditions hold. Default every one.
    pub every: Option<u64>,
    /// Chance, by seed, of taking a request for which all else holds. Default 1.
    pub probability: Option<f64>,
}

impl From<Reply> for Rule {
    fn from(reply: Reply) -> Self {
        Self { reply: Some(reply), ..Self::default() }
    }
}

impl From<Fault> for Rule {
    fn from(fault: Fault) -> Self {
        Self { fault: Some(fault), ..Self::default() }
    }
}

/// Conditions on a request.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Match {
    /// The model's name, where `*` stands for any text and `?` for any character.
    pub model: Option<String>,
    /// Text that the last user message contains.
    pub text: Option<String>,
    /// The request's path, such as `/v1/embeddings`; `*` and `?` as in `model`.
    pub path: Option<String>,
    /// Headers with their exact values; names in any case.
    pub headers: BTreeMap<String, String>,
    /// Whether a stream is asked for.
    pub stream: Option<bool>,
    /// Only the so-manieth request, from 1, for which the other conditions hold, whichever rule took those before.
    pub nth: Option<u64>,
}

/// A scripted reply.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Reply {
    /// The text, or a list that is used in turn.
    pub text: Option<Text>,
    /// Generate text of exactly so many tokens, by seed. Not with `text`.
    pub output_tokens: Option<u64>,
    /// Tools to call, side by side.
    pub tool_calls: Vec<ToolCall>,
    /// The reply is this refusal. Not with `text`, `output_tokens` or `tool_calls`.
    pub refusal: Option<String>,
    /// Instead of the reason that follows from the reply.
    pub finish_reason: Option<String>,
    /// Tokens of hidden reasoning, which count as output.
    pub reasoning_tokens: u64,
    /// Thoughts to show, to Anthropic's clients that ask for them. They count as reasoning.
    pub thinking: Option<String>,
    /// How many of the input tokens came from a cache; at most all.
    pub cached_tokens: u64,
    /// How many of the input tokens were written to a cache; at most the rest. Told by Anthropic's messages alone.
    pub cache_write_tokens: u64,
    /// How many of those for an hour.
    pub cache_write_1h_tokens: u64,
    /// Usage to report, and to count as served, instead of what was counted.
    pub usage: UsageOverride,
}

impl Reply {
    /// A reply of that text.
    pub fn text(text: impl Into<String>) -> Self {
        Self { text: Some(Text::One(text.into())), ..Self::default() }
    }

    /// A reply of so many generated tokens.
    pub fn tokens(output_tokens: u64) -> Self {
        Self { output_tokens: Some(output_tokens), ..Self::default() }
    }
}

/// One text, or several used in turn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Text {
    /// Always the same.
    One(String),
    /// The first for the rule's first request, and so on, round and round.
    Cycle(Vec<String>),
}

/// A tool call of a scripted reply.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ToolCall {
    /// The function's name.
    pub name: String,
    /// The arguments as JSON; a string is sent as it stands, so that it may be malformed. Default: generated from the
    /// function's schema in the request, or `{}`.
    pub arguments: Option<Value>,
    /// The call's id. Default by seed.
    pub id: Option<String>,
}

/// Usage to report instead of what was counted; what is not given is counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UsageOverride {
    /// `prompt_tokens`.
    pub input_tokens: Option<u64>,
    /// `prompt_tokens_details.cached_tokens`.
    pub cached_tokens: Option<u64>,
    /// `completion_tokens`.
    pub output_tokens: Option<u64>,
    /// `completion_tokens_details.reasoning_tokens`.
    pub reasoning_tokens: Option<u64>,
}
