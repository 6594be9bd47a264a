//! Settings as they are written in `iron.toml`, in the environment and in keyword arguments.
//!
//! A setting is a field with a doc comment in the type of its section, and a row in `docs/configuration.md`. Its variable,
//! its place in an error, `iron check`, `iron schema` and `iron init` follow from the field: its default, its range, and,
//! where it has no default, its example. What is checked beyond types is told by [`Error::config`](crate::Error::config).

mod address;
mod audit;
mod budget;
mod environment;
mod find;
mod in_force;
mod inspect;
mod keys;
mod limit;
mod load;
mod nearest;
mod origin;
mod output;
mod parse;
mod policy;
mod prices;
mod profile;
mod provider;
mod read;
mod reliability;
mod risk;
mod route;
mod router;
mod schema;
mod secret;
mod shape;
mod template;
mod token;
mod tools;
mod tree;
mod validate;
mod wrong;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

pub(crate) use audit::AuditPolicy;
pub use audit::{AuditContent, AuditSettings, AuditSync, OnFailure};
pub(crate) use budget::ClientBudget;
pub use budget::{BudgetSettings, Unpriced, default_ledger};
pub use in_force::InForce;
pub use inspect::{InspectedProvider, InspectedRoute, InspectedUpstream, Inspection};
pub use limit::{LimitSettings, OnLimit, ScopeSettings};
pub use load::Sources;
pub(crate) use nearest::unknown;
pub use origin::Origin;
pub use output::OutputSettings;
pub use policy::{PolicySettings, RuleSettings};
pub use prices::{LongContextSettings, PriceSettings, Prices, TierSettings};
pub use profile::Profiles;
pub(crate) use provider::Provider;
pub(crate) use reliability::{BreakerPolicy, RetryPolicy};
pub use reliability::{BreakerSettings, RetrySettings};
pub use route::{RouteSettings, Strategy};
pub use router::{RouterConfig, RouterSettings, RouterToken, TokenSettings};
pub use schema::schema;
pub(crate) use secret::HIDDEN;
pub use secret::Secret;
pub use template::template;
pub use token::{TokenDigest, new_token};
pub use tools::{AgentToolSettings, OnDenied, ToolSettings};
pub use validate::Config;
pub(crate) use validate::{Target, Timeouts};
pub(crate) use wrong::path as toml_path;

pub use crate::provider::vendor::MaxTokensField;

/// Everything that can be configured. Unknown keys are errors.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The model of calls that name none: an alias of `models`, or `provider/model`.
    #[schemars(example = "openai/gpt-6-luna")]
    pub default_model: Option<String>,
    /// The agent that calls are from, as policies, events and records name it.
    #[schemars(example = &"research")]
    pub agent: Option<String>,
    /// What else calls are from: each a word to which policies can be narrowed.
    #[schemars(example = ["production"])]
    pub tags: Vec<String>,
    /// What the client may spend.
    pub budget: BudgetSettings,
    /// How fast the client may call.
    pub limits: LimitSettings,
    /// How long things may take.
    pub timeouts: TimeoutSettings,
    /// How a failed request is tried again.
    pub retry: RetrySettings,
    /// When an upstream that fails is left alone.
    pub breaker: BreakerSettings,
    /// Providers by name; those of a known vendor are built in and may be changed here.
    #[schemars(extend("propertyNames" = { "examples": ["local", "azure"] }))]
    pub providers: BTreeMap<String, ProviderSettings>,
    /// Routes by alias.
    #[schemars(extend("propertyNames" = { "examples": ["fast"] }))]
    pub models: BTreeMap<String, RouteSettings>,
    /// Prices by `provider/model`, beside and above the built-in ones.
    #[schemars(extend("propertyNames" = { "examples": ["local/qwen3-8b"] }))]
    pub prices: Prices,
    /// What may be said.
    pub policy: PolicySettings,
    /// What is recorded of calls.
    pub audit: AuditSettings,
    /// Which tools a model may call.
    pub tools: ToolSettings,
    /// What replies have to be.
    pub output: OutputSettings,
    /// Where the router listens, and to whom.
    pub router: RouterSettings,
    /// Settings by environment, laid over all of the above where the environment is chosen.
    pub profiles: Profiles,
}

/// `[timeouts]`, all in milliseconds.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TimeoutSettings {
    /// Opening a connection.
    #[schemars(range(min = 1))]
    pub connect_ms: u64,
    /// From the request to the first byte of the reply.
    #[schemars(range(min = 1))]
    pub ttft_ms: u64,
    /// Between two parts of a reply.
    #[schemars(range(min = 1))]
    pub idle_ms: u64,
    /// The whole call, waiting and retries included.
    #[schemars(range(min = 1))]
    pub total_ms: u64,
}

impl Default for TimeoutSettings {
    fn default() -> Self {
        // 10 minutes in all is what the OpenAI and Anthropic SDKs allow; a reasoning model may think for minutes
        // before its first byte.
        Self { connect_ms: 5_000, ttft_ms: 300_000, idle_ms: 60_000, total_ms: 600_000 }
    }
}

/// `[providers.NAME]`.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(example = json!({
    "vendor": "vllm",
    "base_url": "http://127.0.0.1:8000/v1",
    "api_key": "sk-...",
    "api_key_env": "LOCAL_API_KEY",
    "api_keys": [],
    "api_key_envs": [],
    "headers": {"x-team": "research"},
    "max_tokens_field": "max_tokens",
    "unsupported_params": "refuse",
}))]
#[schemars(example = json!({
    "base_url": "https://my-resource.openai.azure.com",
    "token_env": "AZURE_OPENAI_AD_TOKEN",
    "api_version": "2024-10-21",
}))]
pub struct ProviderSettings {
    /// Whose API it is, by name; the one of its own name when absent.
    #[schemars(example = &"vllm")]
    pub vendor: Option<String>,
    /// Where the API begins, for example `https://api.openai.com/v1`.
    #[schemars(example = "http://127.0.0.1:8000/v1")]
    pub base_url: Option<String>,
    /// The key itself. Prefer `api_key_env`.
    #[schemars(example = "sk-...")]
    pub api_key: Option<Secret>,
    /// The environment variable that holds the key.
    #[schemars(example = &"LOCAL_API_KEY")]
    pub api_key_env: Option<String>,
    /// Several keys, used in turn. Prefer `api_key_envs`.
    pub api_keys: Vec<Secret>,
    /// The environment variables that hold several keys, used in turn.
    #[schemars(example = ["FIRST_API_KEY", "SECOND_API_KEY"])]
    pub api_key_envs: Vec<String>,
    /// For Azure: the environment variable that holds a token of Entra ID, in place of a key.
    #[schemars(example = &"AZURE_OPENAI_AD_TOKEN")]
    pub token_env: Option<String>,
    /// For Azure: the version of the API. With it, a model is the name of a deployment, and `base_url` that of the resource.
    #[schemars(example = &"2024-10-21")]
    pub api_version: Option<String>,
    /// Headers sent with each request.
    #[schemars(example = BTreeMap::from([("x-team", "research")]))]
    pub headers: BTreeMap<String, Secret>,
    /// The request field that bounds the output.
    pub max_tokens_field: Option<MaxTokensField>,
    /// What to do with parameters that the provider lacks.
    pub unsupported_params: UnsupportedParams,
}

/// What to do with parameters that a provider lacks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UnsupportedParams {
    /// Refuse the call, naming the parameter.
    #[default]
    Refuse,
    /// Leave the parameter out, and say so in the reply's warnings.
    Drop,
}

#[cfg(test)]
mod tests;
