//! Settings of a simulator.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use crate::clock;
use crate::draw::Draw;
use crate::error::Error;
use crate::rule::Rule;

/// How a simulator behaves; every field has a default, and JSON has the same names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Same seed and same sequence of requests give the same bytes. Default 0.
    pub seed: u64,
    /// Address to listen on. Default `127.0.0.1:0`: loopback, a free port.
    pub bind: SocketAddr,
    /// The key to require as `Authorization: Bearer <key>`. Default none: any key or no key will do.
    pub api_key: Option<String>,
    /// Wait before the head of a reply. Default 0.
    pub latency_ms: Millis,
    /// Rate of generation. Default none: at once.
    pub tokens_per_second: Option<f64>,
    /// Tokens in one chunk of a stream. Default 1.
    pub tokens_per_chunk: NonZeroU32,
    /// Names that `GET /v1/models` lists.
    pub models: Vec<String>,
    /// Whether a model that is not in `models` is served as well. Default true.
    pub any_model: bool,
    /// Rules; the first that matches a request and is not used up decides. Default none: every reply is an echo.
    pub rules: Vec<Rule>,
    /// Most requests that are remembered; the oldest go first. Default 1000.
    pub record_limit: usize,
    /// Longest request body that is remembered. Default 1 MiB.
    pub record_body_limit_bytes: usize,
    /// Longest request body that is accepted; longer is 413. Default 64 MiB.
    pub max_body_bytes: usize,
    /// The `created` of every reply, in seconds since 1970. Default 1735689600 (2025-01-01), so that bytes repeat.
    pub created_unix: u64,
    /// Limits to announce in `x-ratelimit-*` headers, or Anthropic's. Default none: no such header. Nothing is limited by
    /// them.
    pub rate_limit_headers: Option<RateLimitHeaders>,
}

/// Limits announced in `x-ratelimit-*` or `anthropic-ratelimit-*` headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateLimitHeaders {
    /// Requests per minute.
    pub requests: u64,
    /// Tokens per minute.
    pub tokens: u64,
}

/// A length of time in milliseconds: a number, or a pair to draw from evenly by seed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Millis {
    /// Always the same.
    Fixed(f64),
    /// From the first up to the second.
    Between(f64, f64),
}

impl Default for Millis {
    fn default() -> Self {
        Self::Fixed(0.0)
    }
}

impl From<f64> for Millis {
    fn from(ms: f64) -> Self {
        Self::Fixed(ms)
    }
}

impl Millis {
    pub(crate) fn draw(self, draw: &mut Draw) -> std::time::Duration {
        clock::millis(match self {
            Self::Fixed(ms) => ms,
            Self::Between(low, high) => low + (high - low) * draw.unit(),
        })
    }

    pub(crate) fn check(self, setting: &str) -> Result<(), Error> {
        let (low, high) = match self {
            Self::Fixed(ms) => (ms, ms),
            Self::Between(low, high) => (low, high),
        };
        // A day: longer than any test, short enough for every clock's arithmetic.
        if (0.0..=86_400_000.0).contains(&low) && (low..=86_400_000.0).contains(&high) {
            return Ok(());
        }
        Err(Error::config(
            setting,
            "must be milliseconds from 0 to 86400000, or a pair of them with the smaller first",
        ))
    }
}

/// Check a rate of generation.
pub(crate) fn check_rate(rate: Option<f64>, setting: &str) -> Result<(), Error> {
    match rate {
        Some(rate) if !(0.001..=1e9).contains(&rate) => {
            Err(Error::config(setting, "must be a rate from 0.001 to 1000000000"))
        }
        _ => Ok(()),
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            seed: 0,
            bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            api_key: None,
            latency_ms: Millis::default(),
            tokens_per_second: None,
            tokens_per_chunk: NonZeroU32::MIN,
            models: [
                "gpt-6-sol",
                "gpt-6-luna",
                "gpt-5-mini",
                "gpt-4o",
                "gpt-4o-mini",
                "text-embedding-3-small",
            ]
            .map(String::from)
            .to_vec(),
            any_model: true,
            rules: Vec::new(),
            record_limit: 1000,
            record_body_limit_bytes: 1 << 20,
            max_body_bytes: 64 << 20,
            created_unix: 1_735_689_600,
            rate_limit_headers: None,
        }
    }
}

impl Settings {
    /// Check every value but the rules, which [`crate::script::Script`] checks as it takes them.
    pub(crate) fn check(&self) -> Result<(), Error> {
        self.latency_ms.check("latency_ms")?;
        check_rate(self.tokens_per_second, "tokens_per_second")
    }
}
