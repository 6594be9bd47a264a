//! `[retry]` and `[breaker]`: what is done about an upstream that fails.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::validate::positive;
use crate::Error;

/// `[retry]`.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RetrySettings {
    /// Requests sent to one upstream for one call, the first included.
    #[schemars(range(min = 1))]
    pub max_attempts: u32,
    /// Upper end of the first random wait.
    pub initial_ms: u64,
    /// Upper end of the longest random wait.
    pub max_ms: u64,
    /// The retry budget of each upstream: retries for every hundred calls.
    #[schemars(range(max = 100))]
    pub budget_percent: u32,
    /// The retry budget of each upstream: retries each second beyond that share.
    pub budget_per_second: u32,
}

impl Default for RetrySettings {
    fn default() -> Self {
        // The budget is that of tower and linkerd: a fifth of the calls, and ten a second.
        Self { max_attempts: 3, initial_ms: 500, max_ms: 8_000, budget_percent: 20, budget_per_second: 10 }
    }
}

/// `[breaker]`, for each upstream.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BreakerSettings {
    /// Whether there is one.
    pub enabled: bool,
    /// Failures in a row that open it.
    #[schemars(range(min = 1))]
    pub failures: u32,
    /// The share of failures that opens it.
    #[schemars(range(min = 1, max = 100))]
    pub failure_percent: u32,
    /// The time over which the share is taken.
    #[schemars(range(min = 1))]
    pub window_ms: u64,
    /// Requests within that time below which a share says nothing.
    #[schemars(range(min = 1))]
    pub min_requests: u32,
    /// How long it stays open before it probes.
    #[schemars(range(min = 1))]
    pub open_ms: u64,
    /// Probes at once, and how many must succeed to close it.
    #[schemars(range(min = 1))]
    pub probes: u32,
}

impl Default for BreakerSettings {
    fn default() -> Self {
        // Ten failures are those of four calls that have been tried three times each, or nearly.
        Self {
            enabled: true,
            failures: 10,
            failure_percent: 50,
            window_ms: 30_000,
            min_requests: 20,
            open_ms: 10_000,
            probes: 1,
        }
    }
}

/// How a failed request is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RetryPolicy {
    pub(crate) max_attempts: u32,
    pub(crate) initial: Duration,
    pub(crate) max: Duration,
    pub(crate) budget_percent: u32,
    pub(crate) budget_per_second: u32,
}

/// When a circuit breaker opens, and how it closes again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BreakerPolicy {
    pub(crate) enabled: bool,
    pub(crate) failures: u32,
    pub(crate) failure_percent: u32,
    pub(crate) window: Duration,
    pub(crate) min_requests: u32,
    pub(crate) open: Duration,
    pub(crate) probes: u32,
}

impl RetrySettings {
    pub(super) fn policy(&self) -> Result<RetryPolicy, Error> {
        positive("retry.max_attempts", u64::from(self.max_attempts))?;
        if self.initial_ms > self.max_ms {
            return Err(Error::config("retry.initial_ms is larger than retry.max_ms"));
        }
        percent("retry.budget_percent", self.budget_percent)?;
        Ok(RetryPolicy {
            max_attempts: self.max_attempts,
            initial: Duration::from_millis(self.initial_ms),
            max: Duration::from_millis(self.max_ms),
            budget_percent: self.budget_percent,
            budget_per_second: self.budget_per_second,
        })
    }
}

impl BreakerSettings {
    pub(super) fn policy(&self) -> Result<BreakerPolicy, Error> {
        let counts = [
            ("breaker.failures", self.failures),
            ("breaker.failure_percent", self.failure_percent),
            ("breaker.min_requests", self.min_requests),
            ("breaker.probes", self.probes),
        ];
        for (key, count) in counts {
            positive(key, u64::from(count))?;
        }
        percent("breaker.failure_percent", self.failure_percent)?;
        Ok(BreakerPolicy {
            enabled: self.enabled,
            failures: self.failures,
            failure_percent: self.failure_percent,
            window: Duration::from_millis(positive("breaker.window_ms", self.window_ms)?),
            min_requests: self.min_requests,
            open: Duration::from_millis(positive("breaker.open_ms", self.open_ms)?),
            probes: self.probes,
        })
    }
}

fn percent(key: &str, value: u32) -> Result<(), Error> {
    if value > 100 { Err(Error::config(format!("{key} is {value}: a share is at most 100"))) } else { Ok(()) }
}
