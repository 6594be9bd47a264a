//! `[router]`: where the router listens, and to whom.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use iron_protocol::NanoUsd;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::BudgetSettings;
use super::budget::ClientBudget;
use super::environment::Environment;
use super::nearest::shown;
use super::token::TokenDigest;
use super::validate::positive;
use crate::Error;
use crate::budget::{Budget, Ledger, Window};
use crate::run::Who;

/// `[router]`.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RouterSettings {
    /// The address and the port to listen on. One that other machines can reach needs `tokens`.
    #[schemars(length(min = 1))]
    pub listen: String,
    /// Who may ask. Without any, every program of this machine may.
    pub tokens: Vec<TokenSettings>,
    /// Longest body of a request that is taken.
    #[schemars(range(min = 1))]
    pub max_body_bytes: usize,
    /// Most connections at once; further ones wait.
    #[schemars(range(min = 1))]
    pub max_connections: usize,
    /// How long the head of a request may take, and how long a connection may be idle.
    #[schemars(range(min = 1))]
    pub header_timeout_ms: u64,
    /// How long the body of a request may take.
    #[schemars(range(min = 1))]
    pub body_timeout_ms: u64,
    /// How long requests under way may go on once the router is told to stop.
    pub drain_ms: u64,
}

/// `[[router.tokens]]`.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenSettings {
    /// What the token is called, in messages and as the name of its budget.
    #[schemars(length(min = 1), example = &"ci")]
    pub name: String,
    /// The token's SHA-256 in hexadecimal, as `iron router token` prints it.
    #[schemars(length(equal = 64), example = &"2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae")]
    pub sha256: String,
    /// The agent that its calls are from, whatever they say themselves.
    #[serde(default)]
    #[schemars(example = &"ci")]
    pub agent: Option<String>,
    /// What else its calls are from.
    #[serde(default)]
    #[schemars(example = ["batch"])]
    pub tags: Vec<String>,
    /// What its calls may cost, in US dollars, beside what the client's budget allows.
    #[serde(default)]
    #[schemars(example = "5.00")]
    pub limit_usd: Option<NanoUsd>,
    /// After which time that limit begins anew, in UTC; it is kept in the ledger file then.
    #[serde(default)]
    #[schemars(example = &"daily")]
    pub window: Option<Window>,
}

impl Default for RouterSettings {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8080".to_owned(),
            tokens: Vec::new(),
            // What OpenAI takes of one request with images is 50 MB.
            max_body_bytes: 64 << 20,
            max_connections: 4_096,
            // Longer than clients keep an idle connection, so that it is they who close it.
            header_timeout_ms: 75_000,
            body_timeout_ms: 60_000,
            drain_ms: 30_000,
        }
    }
}

/// How a router serves.
#[derive(Clone, Debug)]
pub struct RouterConfig {
    /// The address to listen on.
    pub listen: SocketAddr,
    /// Who may ask; everybody on this machine if it is empty, and then the address is loopback.
    pub tokens: Vec<RouterToken>,
    /// Longest body of a request that is taken.
    pub max_body_bytes: usize,
    /// Most connections at once.
    pub max_connections: usize,
    /// How long the head of a request may take, and how long a connection may be idle.
    pub header_timeout: Duration,
    /// How long the body of a request may take.
    pub body_timeout: Duration,
    /// How long requests under way may go on once the router is told to stop.
    pub drain: Duration,
}

/// One token of a router.
#[derive(Clone, Debug)]
pub struct RouterToken {
    /// What the token is known by.
    pub digest: TokenDigest,
    /// Who its calls are from.
    pub who: Arc<Who>,
    budget: Option<ClientBudget>,
}

impl RouterToken {
    /// The token's own budget, if it has a limit.
    ///
    /// # Errors
    /// [`Error::Ledger`] if the ledger file of a shared one cannot be used.
    pub fn open(&self, ledger: &Ledger) -> Result<Option<Budget>, Error> {
        self.budget.as_ref().map(|budget| budget.open(ledger)).transpose()
    }
}

impl RouterSettings {
    pub(super) fn checked(
        &self,
        budget: &BudgetSettings,
        environment: &Environment,
    ) -> Result<RouterConfig, Error> {
        let listen: SocketAddr = self.listen.parse().map_err(|_| {
            Error::config(format!(
                "router.listen is {:?}: give an address and a port, such as \"127.0.0.1:8080\"",
                shown(&self.listen)
            ))
        })?;
        let tokens = self.tokens.iter().enumerate();
        let tokens = tokens
            .map(|(index, token)| token.checked(&format!("router.tokens[{index}]"), budget, environment));
        let tokens: Vec<_> = tokens.collect::<Result<_, _>>()?;
        if tokens.is_empty() && !listen.ip().is_loopback() {
            return Err(Error::config(
                "router.listen can be reached from other machines, and there are no tokens: \
                 add [[router.tokens]], which `iron router token` makes, or listen on 127.0.0.1",
            ));
        }
        let count = |key, value: usize| positive(key, value as u64).map(|_| value);
        let millis = |key, value| positive(key, value).map(Duration::from_millis);
        Ok(RouterConfig {
            listen,
            tokens,
            max_body_bytes: count("router.max_body_bytes", self.max_body_bytes)?,
            max_connections: count("router.max_connections", self.max_connections)?,
            header_timeout: millis("router.header_timeout_ms", self.header_timeout_ms)?,
            body_timeout: millis("router.body_timeout_ms", self.body_timeout_ms)?,
            drain: Duration::from_millis(self.drain_ms),
        })
    }
}

impl TokenSettings {
    fn checked(
        &self,
        place: &str,
        budget: &BudgetSettings,
        environment: &Environment,
    ) -> Result<RouterToken, Error> {
        if self.name.is_empty() {
            return Err(Error::config(format!("{place}.name is empty: call it something, such as \"ci\"")));
        }
        let digest = TokenDigest::read(&self.sha256).ok_or_else(|| {
            Error::config(format!(
                "{place}.sha256 is not a SHA-256 of 64 hexadecimal digits: `iron router token` prints one"
            ))
        })?;
        let who = Who::new(self.agent.as_deref(), &self.tags)
            .map_err(|error| Error::config(format!("{place}.{error}")))?;
        let own = BudgetSettings {
            limit_usd: self.limit_usd,
            window: self.window,
            // A ledger alone is no reason to keep a token's limit in it: a window is.
            ledger: budget.ledger.clone().filter(|_| self.window.is_some()),
            name: self.name.clone(),
            ..BudgetSettings::default()
        };
        let budget = own.limited(place, environment)?;
        Ok(RouterToken { digest, who: Arc::new(who), budget })
    }
}
