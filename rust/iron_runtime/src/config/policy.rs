//! `[policy]`: what is looked for in texts, and what is done about it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::policy::{Action, Direction};

/// `[policy]`.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PolicySettings {
    /// Lists of words by name, for rules to name as `keyword:NAME`.
    #[schemars(example = BTreeMap::from([("projects", ["Falcon", "Blue Moon"])]))]
    pub keywords: BTreeMap<String, Vec<String>>,
    /// Regular expressions by name, for rules to name as `pattern:NAME`.
    #[schemars(example = BTreeMap::from([("ticket", "ACME-[0-9]+")]))]
    pub patterns: BTreeMap<String, String>,
    /// How long a detector of your own may take over a text.
    #[schemars(range(min = 1))]
    pub detector_timeout_ms: u64,
    /// How many bytes of texts, and of what was decided about them, are kept so that they are not read again; 0 for none.
    pub history_bytes: usize,
    /// Rules in order: the first that speaks of a finding decides.
    pub rules: Vec<RuleSettings>,
}

impl Default for PolicySettings {
    fn default() -> Self {
        // Enough for a model on a processor that is busy, and short enough for somebody who waits.
        Self {
            keywords: BTreeMap::new(),
            patterns: BTreeMap::new(),
            detector_timeout_ms: 5_000,
            // Some ten conversations of two hundred messages, of two kilobytes each.
            history_bytes: 8 << 20,
            rules: Vec::new(),
        }
    }
}

/// `[[policy.rules]]`.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = json!({
    "name": "addresses of strangers",
    "what": ["EMAIL_ADDRESS"],
    "direction": ["tool_results"],
    "agents": ["research-*"],
    "tags": ["production"],
    "models": ["openai/*"],
    "not_models": ["openai/gpt-6-luna"],
    "tools": ["search"],
    "action": "redact",
    "threshold": 0.5,
}))]
#[schemars(example = json!({
    "name": "whole files",
    "what": ["size"],
    "action": "block",
    "max_bytes": 100_000,
    "max_total_bytes": 1_000_000,
}))]
pub struct RuleSettings {
    /// What it is called where it decides.
    pub name: Option<String>,
    /// Entities, families of entities, `keyword:NAME`, `pattern:NAME`, `detector:NAME`, `*` for all of them, or `size`; absent, the rule is about which calls may be made.
    #[serde(default)]
    pub what: Vec<String>,
    /// Where the text goes; everywhere when empty.
    #[serde(default)]
    pub direction: Vec<Direction>,
    /// Globs: the rule is about calls of agents with these names alone.
    #[serde(default)]
    pub agents: Vec<String>,
    /// Globs: the rule is about calls with one of these tags alone.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Globs: the rule is about calls to these models alone, by the alias that was asked for or by `provider/model`.
    #[serde(default)]
    pub models: Vec<String>,
    /// Globs: the rule is not about calls to these models.
    #[serde(default)]
    pub not_models: Vec<String>,
    /// Globs: the rule is about arguments and results of these tools alone.
    #[serde(default)]
    pub tools: Vec<String>,
    /// What is done.
    pub action: Action,
    /// The least score of a finding; 0.5 when absent.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub threshold: Option<f32>,
    /// With `what = ["size"]`: a text of more bytes is found.
    pub max_bytes: Option<u64>,
    /// With `what = ["size"]`: texts of one call that have more bytes together are found.
    pub max_total_bytes: Option<u64>,
}

impl RuleSettings {
    /// A rule for everybody, in every direction.
    pub fn new<W: Into<String>>(what: impl IntoIterator<Item = W>, action: Action) -> Self {
        Self {
            name: None,
            what: what.into_iter().map(Into::into).collect(),
            direction: Vec::new(),
            agents: Vec::new(),
            tags: Vec::new(),
            models: Vec::new(),
            not_models: Vec::new(),
            tools: Vec::new(),
            action,
            threshold: None,
            max_bytes: None,
            max_total_bytes: None,
        }
    }
}
