//! `[limits]`: how fast the client may call.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::nearest::unknown;
use super::validate::positive;
use crate::Error;

/// `[limits]`. Absent means unlimited.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LimitSettings {
    /// Calls admitted each minute.
    #[schemars(range(min = 1))]
    #[schemars(example = 500)]
    pub requests_per_minute: Option<u32>,
    /// Tokens admitted each minute: the request's text at four bytes a token, and its `max_tokens`.
    #[schemars(range(min = 1))]
    #[schemars(example = 200_000)]
    pub tokens_per_minute: Option<u32>,
    /// Requests in flight at once.
    #[schemars(range(min = 1))]
    #[schemars(example = 64)]
    pub concurrency: Option<u32>,
    /// What a call does at a limit.
    pub on_limit: OnLimit,
    /// The same for a model, by `provider/model`.
    #[schemars(extend("propertyNames" = { "examples": ["openai/gpt-6-luna"] }))]
    pub models: BTreeMap<String, ScopeSettings>,
    /// The same for a provider, by its name.
    #[schemars(extend("propertyNames" = { "examples": ["openai"] }))]
    pub providers: BTreeMap<String, ScopeSettings>,
    /// The same for an upstream, by its name in `reply.upstream`.
    #[schemars(extend("propertyNames" = { "examples": ["openai/gpt-6-luna"] }))]
    pub upstreams: BTreeMap<String, ScopeSettings>,
    /// The same for all calls within budgets of that name.
    #[schemars(extend("propertyNames" = { "examples": ["research"] }))]
    pub budgets: BTreeMap<String, ScopeSettings>,
}

/// `[limits.models."provider/model"]` and its siblings. Absent means unlimited.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ScopeSettings {
    /// Requests each minute.
    #[schemars(range(min = 1))]
    #[schemars(example = 500)]
    pub requests_per_minute: Option<u32>,
    /// Tokens each minute.
    #[schemars(range(min = 1))]
    #[schemars(example = 200_000)]
    pub tokens_per_minute: Option<u32>,
    /// Requests in flight at once.
    #[schemars(range(min = 1))]
    #[schemars(example = 64)]
    pub concurrency: Option<u32>,
}

/// What a call does at a limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnLimit {
    /// Wait in order, up to the call's deadline.
    #[default]
    Wait,
    /// Fail at once.
    Fail,
}

impl LimitSettings {
    /// The limits of the whole client.
    pub(crate) fn client(&self) -> ScopeSettings {
        ScopeSettings {
            requests_per_minute: self.requests_per_minute,
            tokens_per_minute: self.tokens_per_minute,
            concurrency: self.concurrency,
        }
    }

    /// Check every limit, and that each is of something that there is.
    pub(super) fn check<'a>(&self, providers: &(impl Iterator<Item = &'a str> + Clone)) -> Result<(), Error> {
        self.client().check("limits")?;
        let tables = [
            ("providers", &self.providers),
            ("models", &self.models),
            ("upstreams", &self.upstreams),
            ("budgets", &self.budgets),
        ];
        for (table, scopes) in tables {
            for (name, settings) in scopes {
                let key = format!("limits.{table}.{name:?}");
                settings.check(&key)?;
                let provider = match table {
                    "budgets" => continue,
                    "providers" => name,
                    _ => name.split_once('/').map(|(provider, _)| provider).ok_or_else(|| {
                        Error::config(format!("{key}: write the name as \"provider/model\""))
                    })?,
                };
                // The upstream `provider#2/model` is under the provider's second key.
                let provider = match (table, provider.split_once('#')) {
                    ("upstreams", Some((provider, _))) => provider,
                    _ => provider,
                };
                if !providers.clone().any(|known| known == provider) {
                    return Err(Error::config(format!(
                        "{key}: {}",
                        unknown("provider", provider, providers.clone())
                    )));
                }
            }
        }
        Ok(())
    }
}

impl ScopeSettings {
    fn check(&self, key: &str) -> Result<(), Error> {
        let limits = [
            ("requests_per_minute", self.requests_per_minute),
            ("tokens_per_minute", self.tokens_per_minute),
            ("concurrency", self.concurrency),
        ];
        for (name, limit) in limits {
            positive(&format!("{key}.{name}"), u64::from(limit.unwrap_or(1)))?;
        }
        Ok(())
    }
}
