//! The validated configuration: what later code relies on without checking again.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::load::Loaded;
use super::provider::{Provider, providers};
use super::{
    AuditPolicy, BreakerPolicy, ClientBudget, LimitSettings, OutputSettings, RetryPolicy, RouterConfig,
    Settings, Sources, Unpriced,
};
use crate::Error;
use crate::audit::Key;
use crate::policy::PolicySet;
use crate::pricing::{Catalog, ModelPrice};
use crate::route::RouteTable;
use crate::run::Who;
use crate::tool::ToolRules;

/// Settings that have been checked against each other.
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) default_model: Option<String>,
    pub(crate) budget: Option<ClientBudget>,
    ledger: Option<PathBuf>,
    pub(crate) min_output_tokens: u32,
    pub(crate) limits: LimitSettings,
    pub(crate) timeouts: Timeouts,
    pub(crate) retry: RetryPolicy,
    pub(crate) breaker: BreakerPolicy,
    pub(crate) routes: RouteTable,
    pub(crate) policy: Option<PolicySet>,
    pub(crate) history_bytes: usize,
    pub(crate) who: Arc<Who>,
    pub(crate) detector_timeout: Duration,
    pub(crate) audit: Option<AuditPolicy>,
    audit_key: Option<Key>,
    pub(crate) tools: Option<ToolRules>,
    pub(crate) output: OutputSettings,
    router: RouterConfig,
}

/// The four timeouts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timeouts {
    pub(crate) connect: Duration,
    pub(crate) first_byte: Duration,
    pub(crate) idle: Duration,
    pub(crate) total: Duration,
}

/// One model at one provider, under one of its keys.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// The upstream's name: `provider/model`, or `provider#2/model` under the second of several keys.
    pub(crate) name: Arc<str>,
    /// `provider/model`, as the model is listed.
    pub(crate) listed: Arc<str>,
    pub(crate) provider: Arc<Provider>,
    pub(crate) model: Arc<str>,
    /// `None` only where unpriced models are allowed.
    pub(crate) price: Option<Arc<ModelPrice>>,
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

    /// The ledger file of shared budgets; `None` if nothing says where it is.
    pub fn ledger(&self) -> Option<&Path> {
        self.ledger.as_deref()
    }

    /// What may be said; `None` where the configuration has no rules.
    pub fn policy(&self) -> Option<&PolicySet> {
        self.policy.as_ref()
    }

    /// Every name by which a model that has a price can be asked for.
    pub fn models(&self) -> Vec<String> {
        self.routes.names()
    }

    /// `provider/model` of every upstream that may answer a call to `model`; to the default one, if that is empty.
    ///
    /// # Errors
    /// [`Error::Config`] if the name is not known or the model has no price.
    pub fn upstreams(&self, model: &str) -> Result<Vec<Arc<str>>, Error> {
        let route = self.routes.resolve(self.model(model))?;
        Ok(route.targets().map(|target| target.listed.clone()).collect())
    }

    /// A model as it was asked for, or the one that calls without a model mean; empty without one.
    pub fn model<'a>(&'a self, model: &'a str) -> &'a str {
        if model.is_empty() { self.default_model.as_deref().unwrap_or_default() } else { model }
    }

    /// The directory of the audit log; `None` where nothing is recorded.
    pub fn audit_directory(&self) -> Option<&Path> {
        self.audit.as_ref().map(|audit| &*audit.options.directory)
    }

    /// How a router serves.
    pub fn router(&self) -> &RouterConfig {
        &self.router
    }

    /// The key of the audit log's seal and of its content digests, if the configuration names one.
    pub fn audit_key(&self) -> Option<&Key> {
        self.audit_key.as_ref()
    }

    /// What to do about a key that `model` needs and its provider lacks; `None` if it can be called.
    ///
    /// # Errors
    /// [`Error::Config`] if the model is not known or has no price.
    pub fn missing_key(&self, model: &str) -> Result<Option<String>, Error> {
        let route = self.routes.resolve(model)?;
        Ok(route.targets().next().and_then(|target| target.provider.missing_key.clone()))
    }

    pub(super) fn new(loaded: &Loaded) -> Result<Self, Error> {
        Self::validate(loaded).map_err(|error| loaded.place(error))
    }

    /// Check settings against each other. What is wrong begins with the key in full, which is how its place is found.
    fn validate(loaded: &Loaded) -> Result<Self, Error> {
        let (settings, environment) = (loaded.settings.clone(), &loaded.environment);
        let budget = settings.budget.client(environment)?;
        let ledger = settings.budget.ledger_file(environment).ok();
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
        let policy =
            if settings.policy.rules.is_empty() { None } else { Some(PolicySet::new(&settings.policy)?) };
        let who = Arc::new(Who::new(settings.agent.as_deref(), &settings.tags)?);
        let timeout_ms = settings.policy.detector_timeout_ms;
        let detector_timeout_ms = positive("policy.detector_timeout_ms", timeout_ms)?;
        let audit = settings.audit.policy(loaded)?;
        let audit_key = settings.audit.key(environment);
        positive("tools.approval_timeout_ms", settings.tools.approval_timeout_ms)?;
        let tools = ToolRules::new(&settings.tools)?;
        settings.output.check()?;
        let serving = loaded.settings.router.checked(&loaded.settings.budget, environment)?;
        Ok(Self {
            default_model: settings.default_model,
            budget,
            ledger,
            min_output_tokens: settings.budget.min_output_tokens,
            limits: settings.limits,
            timeouts,
            retry,
            breaker,
            routes,
            policy,
            history_bytes: settings.policy.history_bytes,
            who,
            detector_timeout: Duration::from_millis(detector_timeout_ms),
            audit,
            audit_key,
            tools,
            output: settings.output,
            router: serving,
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
