//! The validated configuration: what later code relies on without checking again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};
use iron_protocol::NanoUsd;
use reqwest::Url;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::environment::Environment;
use super::load::Loaded;
use super::{
    BreakerPolicy, LimitSettings, ProviderSettings, RetryPolicy, Secret, Settings, Sources, Unpriced,
};
use crate::Error;
use crate::pricing::{Catalog, ModelPrice};
use crate::provider::WireFormat;
use crate::route::RouteTable;

/// The name of the built-in provider.
const OPENAI: &str = "openai";
const OPENAI_BASE_URL: &str = "https://api.openai.com/v1";
const OPENAI_KEY: &str = "OPENAI_API_KEY";
/// The variable that OpenAI's own SDKs read.
const OPENAI_BASE_URL_VARIABLE: &str = "OPENAI_BASE_URL";

/// Settings that have been checked against each other.
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) default_model: Option<String>,
    pub(crate) limit: Option<NanoUsd>,
    pub(crate) min_output_tokens: u32,
    pub(crate) limits: LimitSettings,
    pub(crate) timeouts: Timeouts,
    pub(crate) retry: RetryPolicy,
    pub(crate) breaker: BreakerPolicy,
    pub(crate) routes: RouteTable,
}

/// The four timeouts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timeouts {
    pub(crate) connect: Duration,
    pub(crate) first_byte: Duration,
    pub(crate) idle: Duration,
    pub(crate) total: Duration,
}

/// The request field that bounds the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MaxTokensField {
    /// What most OpenAI-compatible vendors read.
    MaxTokens,
    /// What OpenAI reads; its reasoning models refuse the other.
    MaxCompletionTokens,
}

impl MaxTokensField {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::MaxTokens => "max_tokens",
            Self::MaxCompletionTokens => "max_completion_tokens",
        }
    }
}

/// One provider, ready to be called.
#[derive(Clone, Debug)]
pub(crate) struct Provider {
    pub(crate) format: WireFormat,
    pub(crate) chat_url: Url,
    pub(crate) embeddings_url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) max_tokens_field: MaxTokensField,
    /// Where the key was found.
    pub(crate) key_from: Option<String>,
    /// What to do about a key that is needed and absent.
    pub(crate) missing_key: Option<String>,
}

/// One model at one provider.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// `provider/model`.
    pub(crate) name: Arc<str>,
    pub(crate) provider: Arc<Provider>,
    pub(crate) model: Arc<str>,
    /// `None` only where unpriced models are allowed.
    pub(crate) price: Option<Arc<ModelPrice>>,
}

impl Target {
    /// The provider's name.
    pub(crate) fn provider(&self) -> &str {
        self.name.split_once('/').map_or(&self.name, |(provider, _)| provider)
    }
}

impl Config {
    /// Read settings and check them.
    ///
    /// # Errors
    /// [`Error::Config`] that names the place, what is wrong, and what would be right.
    pub fn load(sources: &Sources) -> Result<Self, Error> {
        Self::new(&sources.read()?)
    }

    /// The model of calls that name none.
    pub fn default_model(&self) -> Option<&str> {
        self.default_model.as_deref()
    }

    /// The prices in force: built in, and those of the configuration above them.
    pub fn prices(&self) -> &Catalog {
        self.routes.catalog()
    }

    /// What to do about a key that `model` needs and its provider lacks; `None` if it can be called.
    ///
    /// # Errors
    /// [`Error::Config`] if the model is not known or has no price.
    pub fn missing_key(&self, model: &str) -> Result<Option<String>, Error> {
        let route = self.routes.resolve(model)?;
        Ok(route.targets().first().and_then(|target| target.provider.missing_key.clone()))
    }

    pub(super) fn new(loaded: &Loaded) -> Result<Self, Error> {
        Self::validate(loaded).map_err(|error| loaded.place(error))
    }

    /// Check settings against each other. What is wrong begins with the key in full, which is how its place is found.
    fn validate(loaded: &Loaded) -> Result<Self, Error> {
        let (settings, environment) = (loaded.settings.clone(), &loaded.environment);
        let limit = settings.budget.limit_usd;
        if limit.is_some_and(|limit| limit < NanoUsd::ZERO) {
            return Err(Error::config("budget.limit_usd is negative: a limit is zero or more US dollars"));
        }
        positive("budget.min_output_tokens", u64::from(settings.budget.min_output_tokens))?;
        let timeouts = timeouts(&settings)?;
        let (retry, breaker) = (settings.retry.policy()?, settings.breaker.policy()?);
        let providers = providers(settings.providers, environment)?;
        settings.limits.check(&providers.keys().map(String::as_str))?;
        let catalog = Catalog::with_prices(&settings.prices)?;
        let routes = RouteTable::new(
            providers,
            catalog,
            settings.budget.unpriced == Unpriced::Allow,
            settings.models,
        )?;
        if let Some(model) = &settings.default_model {
            routes.resolve(model).map_err(|error| Error::config(format!("default_model: {error}")))?;
        }
        Ok(Self {
            default_model: settings.default_model,
            limit,
            min_output_tokens: settings.budget.min_output_tokens,
            limits: settings.limits,
            timeouts,
            retry,
            breaker,
            routes,
        })
    }
}

pub(super) fn positive(key: &str, value: u64) -> Result<u64, Error> {
    if value == 0 { Err(Error::config(format!("{key} is 0: it must be at least 1"))) } else { Ok(value) }
}

fn timeouts(settings: &Settings) -> Result<Timeouts, Error> {
    let millis = |key, value| positive(key, value).map(Duration::from_millis);
    let timeouts = &settings.timeouts;
    Ok(Timeouts {
        connect: millis("timeouts.connect_ms", timeouts.connect_ms)?,
        first_byte: millis("timeouts.ttft_ms", timeouts.ttft_ms)?,
        idle: millis("timeouts.idle_ms", timeouts.idle_ms)?,
        total: millis("timeouts.total_ms", timeouts.total_ms)?,
    })
}

fn providers(
    mut settings: BTreeMap<String, ProviderSettings>,
    environment: &Environment,
) -> Result<BTreeMap<String, Arc<Provider>>, Error> {
    settings.entry(OPENAI.to_owned()).or_default();
    settings
        .into_iter()
        .map(|(name, settings)| {
            let provider = provider(&name, settings, environment)?;
            Ok((name, Arc::new(provider)))
        })
        .collect()
}

fn provider(name: &str, settings: ProviderSettings, environment: &Environment) -> Result<Provider, Error> {
    if name.is_empty() || name.contains('/') {
        return Err(Error::config(format!(
            "providers.{name:?}: a provider's name is not empty and has no slash"
        )));
    }
    let built_in = name == OPENAI;
    let from_variable =
        environment.get(OPENAI_BASE_URL_VARIABLE).filter(|_| built_in && settings.base_url.is_none());
    let place = match from_variable {
        Some(_) => format!("environment variable {OPENAI_BASE_URL_VARIABLE}"),
        None => format!("providers.{name}.base_url"),
    };
    let base_url = settings
        .base_url
        .or_else(|| from_variable.cloned())
        .or_else(|| built_in.then(|| OPENAI_BASE_URL.to_owned()))
        .ok_or_else(|| Error::config(format!("providers.{name} needs base_url, where its API begins")))?;
    let variable = settings.api_key_env.or_else(|| built_in.then(|| OPENAI_KEY.to_owned()));
    let from_environment =
        || environment.get(variable.as_ref()?).filter(|key| !key.is_empty()).map(Secret::new);
    let key_place = match (&settings.api_key, &variable) {
        (None, Some(variable)) => format!("environment variable {variable}"),
        _ => format!("providers.{name}.api_key"),
    };
    let key = settings.api_key.or_else(from_environment);
    let missing_key = match (&key, variable) {
        (None, Some(variable)) => Some(format!(
            "provider {name:?} has no key: set {variable}, or providers.{name}.api_key in the configuration"
        )),
        _ => None,
    };
    let format = WireFormat::OpenAi;
    Ok(Provider {
        format,
        chat_url: endpoint(&place, &base_url, format.chat_path())?,
        embeddings_url: endpoint(&place, &base_url, format.embeddings_path())?,
        headers: headers(name, key.as_ref().map(|key| (key, &*key_place)), &settings.headers)?,
        max_tokens_field: settings.max_tokens_field.unwrap_or(if built_in {
            MaxTokensField::MaxCompletionTokens
        } else {
            MaxTokensField::MaxTokens
        }),
        key_from: key.map(|_| key_place),
        missing_key,
    })
}

fn endpoint(place: &str, base_url: &str, path: &str) -> Result<Url, Error> {
    let wrong = |why: &str| Error::config(format!("{place} {why}: write it like \"{OPENAI_BASE_URL}\""));
    let url = Url::parse(&format!("{}/{path}", base_url.trim_end_matches('/')))
        .map_err(|_| wrong("is not a URL"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong("is neither http nor https"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        // It would show up in errors; keys belong in api_key or headers.
        return Err(wrong("holds a user name or password"));
    }
    Ok(url)
}

fn headers(
    name: &str,
    key: Option<(&Secret, &str)>,
    given: &BTreeMap<String, Secret>,
) -> Result<HeaderMap, Error> {
    let mut headers = HeaderMap::new();
    if let Some((key, place)) = key {
        headers.insert(AUTHORIZATION, hidden(&format!("Bearer {}", key.reveal()), || place.to_owned())?);
    }
    for (header, value) in given {
        let place = || format!("providers.{name}.headers.{header}");
        let header = HeaderName::try_from(header.as_str())
            .map_err(|_| Error::config(format!("{}: not a header name", place())))?;
        headers.insert(header, hidden(value.reveal(), place)?);
    }
    Ok(headers)
}

fn hidden(value: &str, place: impl Fn() -> String) -> Result<HeaderValue, Error> {
    let mut value = HeaderValue::from_str(value).map_err(|_| {
        Error::config(format!(
            "{}: has characters that a header cannot carry (a line break, perhaps)",
            place()
        ))
    })?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(json: &str) -> Result<Config, String> {
        let sources = Sources { overrides: Some(json.into()), ..Sources::default() };
        Config::load(&sources).map_err(|error| error.to_string())
    }

    #[test]
    fn wrong_settings_say_what_and_where() {
        for (json, expected) in [
            (r#"{"budget": {"limit_usd": "-1"}}"#, "budget.limit_usd is negative"),
            (r#"{"limits": {"concurrency": 0}}"#, "limits.concurrency is 0"),
            (
                r#"{"limits": {"models": {"openai/x": {"tokens_per_minute": 0}}}}"#,
                "limits.models.\"openai/x\".tokens_per_minute is 0",
            ),
            (r#"{"limits": {"models": {"x": {}}}}"#, "limits.models.\"x\": write the name as"),
            (r#"{"limits": {"providers": {"opnai": {}}}}"#, "did you mean \"openai\"?"),
            (r#"{"timeouts": {"idle_ms": 0}}"#, "timeouts.idle_ms is 0"),
            (r#"{"retry": {"initial_ms": 9, "max_ms": 8}}"#, "retry.initial_ms is larger"),
            (r#"{"retry": {"budget_percent": 101}}"#, "retry.budget_percent is 101"),
            (r#"{"breaker": {"probes": 0}}"#, "breaker.probes is 0"),
            (r#"{"breaker": {"failure_percent": 101}}"#, "breaker.failure_percent is 101"),
            (r#"{"providers": {"x": {}}}"#, "providers.x needs base_url"),
            (r#"{"providers": {"x": {"base_url": "ftp://x"}}}"#, "neither http nor https"),
            (r#"{"providers": {"x": {"base_url": "http://u:p@x"}}}"#, "user name or password"),
            (r#"{"providers": {"openai": {"api_key": "a\nb"}}}"#, "providers.openai.api_key: has characters"),
            (r#"{"models": {"fast": {"upstreams": []}}}"#, "models.fast.upstreams is empty"),
            (
                r#"{"models": {"fast": {"upstreams": ["openai/gpt-5-mini"], "strategy": "weighted"}}}"#,
                "models.fast.weights needs a number",
            ),
            (
                r#"{"models": {"fast": {"upstreams": ["openai/gpt-5-mini"], "weights": [1]}}}"#,
                "models.fast.weights has no meaning here",
            ),
            (
                r#"{"models": {"fast": {"upstreams": ["openai/gpt-5-mini"], "strategy": "weighted", "weights": [0]}}}"#,
                "models.fast.weights are all 0",
            ),
            (r#"{"models": {"fast": {"upstreams": ["opnai/gpt-5-mini"]}}}"#, "did you mean \"openai\""),
            (r#"{"default_model": "openai/gpt-5-mni"}"#, "gpt-5-mini"),
        ] {
            let error = config(json).unwrap_err();
            assert!(error.contains(expected), "{json}: {error}");
        }
    }

    #[test]
    fn secrets_do_not_show() {
        let json =
            r#"{"providers": {"openai": {"api_key": "sk-visible", "headers": {"x-key": "also-visible"}}}}"#;
        let shown = format!("{:?}", config(json).unwrap());
        assert!(!shown.contains("visible"), "{shown}");
    }
}
