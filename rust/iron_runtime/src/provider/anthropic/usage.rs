//! Usage, as Anthropic counts it and as OpenAI shapes it.

use serde::Deserialize;

use crate::call::Usage;
use crate::pricing::Tier;
use crate::provider::ReplyFacts;
use crate::provider::fields::Fields;
use crate::provider::writer::Writer;

/// No model has a context of a billion tokens: a count beyond it is a fault, not a bill.
const MOST_TOKENS: u64 = 1_000_000_000;

/// Fields that are told by others of OpenAI's names.
const RENAMED: [&str; 5] = [
    "input_tokens",
    "output_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "output_tokens_details",
];

#[derive(Deserialize)]
struct Body {
    #[serde(default)]
    input_tokens: Option<u64>,
    #[serde(default)]
    output_tokens: Option<u64>,
    #[serde(default)]
    cache_read_input_tokens: Option<u64>,
    #[serde(default)]
    cache_creation_input_tokens: Option<u64>,
    #[serde(default)]
    cache_creation: Option<CacheCreation>,
    #[serde(default)]
    output_tokens_details: Option<OutputDetails>,
    #[serde(default)]
    server_tool_use: Option<ServerTools>,
    #[serde(default)]
    service_tier: Option<String>,
    #[serde(default)]
    speed: Option<String>,
}

#[derive(Deserialize)]
struct OutputDetails {
    #[serde(default)]
    thinking_tokens: Option<u64>,
}

#[derive(Deserialize)]
struct CacheCreation {
    #[serde(default)]
    ephemeral_1h_input_tokens: Option<u64>,
}

#[derive(Deserialize)]
struct ServerTools {
    #[serde(default)]
    web_search_requests: Option<u64>,
}

/// What one `usage` says.
#[derive(Default)]
pub(super) struct Counted {
    usage: Option<Usage>,
    tier: Option<Tier>,
}

impl Counted {
    /// Read `usage`; of counts that cannot be true nothing is taken.
    pub(super) fn read(json: &str) -> Self {
        let Ok(body) = serde_json::from_str::<Body>(json) else { return Self::default() };
        let count = |tokens: Option<u64>| tokens.unwrap_or(0);
        // Anthropic counts input that was read from the cache or written to it beside the rest; we count it in.
        let (read, written) = (count(body.cache_read_input_tokens), count(body.cache_creation_input_tokens));
        let usage = Usage {
            input_tokens: count(body.input_tokens).saturating_add(read).saturating_add(written),
            cached_input_tokens: read,
            cache_write_tokens: written,
            cache_write_1h_tokens: count(body.cache_creation.and_then(|kept| kept.ephemeral_1h_input_tokens)),
            output_tokens: count(body.output_tokens),
            reasoning_tokens: count(body.output_tokens_details.and_then(|details| details.thinking_tokens)),
            web_searches: count(body.server_tool_use.and_then(|tools| tools.web_search_requests)),
            ..Usage::default()
        };
        let nothing = usage.input_tokens == 0 && usage.output_tokens == 0;
        let absurd = usage.input_tokens > MOST_TOKENS || usage.output_tokens > MOST_TOKENS;
        // "fast" is a price of its own here, and at OpenAI another name of "priority".
        let tier = match body.speed.as_deref() {
            Some("fast") => Some(Tier::Fast),
            _ => body.service_tier.and_then(|name| Tier::from_name(&name)),
        };
        Self { usage: (!nothing && !absurd).then_some(usage), tier }
    }

    pub(super) fn facts(&self) -> ReplyFacts {
        ReplyFacts { usage: self.usage, tier: self.tier }
    }

    /// Write `usage` as OpenAI shapes it, with what else Anthropic tells beside it.
    pub(super) fn write(&self, body: &mut Writer, json: &str) {
        let Some(usage) = self.usage else { return body.raw("usage", "null") };
        body.key("usage");
        body.object(|body| {
            body.number("prompt_tokens", usage.input_tokens);
            body.number("completion_tokens", usage.output_tokens);
            body.number("total_tokens", usage.input_tokens.saturating_add(usage.output_tokens));
            body.key("prompt_tokens_details");
            body.object(|body| {
                body.number("cached_tokens", usage.cached_input_tokens);
                body.number("cache_write_tokens", usage.cache_write_tokens);
            });
            body.key("completion_tokens_details");
            body.object(|body| body.number("reasoning_tokens", usage.reasoning_tokens));
            for (name, value) in Fields::read(json).unwrap_or_default().except(&RENAMED) {
                body.raw(name, value);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fast_is_a_tier_of_its_own() {
        let counted =
            Counted::read(r#"{"input_tokens":1,"output_tokens":1,"speed":"fast","service_tier":"standard"}"#);
        assert_eq!(counted.tier, Some(Tier::Fast));
    }

    #[test]
    fn cached_input_counts_as_input() {
        let counted = Counted::read(
            r#"{"input_tokens":10,"cache_read_input_tokens":200,"cache_creation_input_tokens":30,
                "cache_creation":{"ephemeral_5m_input_tokens":10,"ephemeral_1h_input_tokens":20},
                "server_tool_use":{"web_search_requests":2},
                "output_tokens":7,"output_tokens_details":{"thinking_tokens":4},"service_tier":"priority"}"#,
        );
        let usage = counted.usage.unwrap();
        assert_eq!((usage.input_tokens, usage.cached_input_tokens, usage.cache_write_tokens), (240, 200, 30));
        assert_eq!((usage.cache_write_1h_tokens, usage.web_searches), (20, 2));
        assert_eq!((usage.output_tokens, usage.reasoning_tokens), (7, 4));
        assert_eq!(counted.tier, Some(Tier::Priority));
    }

    #[test]
    fn counts_that_cannot_be_true_are_none() {
        for usage in [
            "null",
            "{}",
            r#"{"input_tokens":-1,"output_tokens":2}"#,
            r#"{"input_tokens":0,"output_tokens":0}"#,
            r#"{"input_tokens":1e30,"output_tokens":2}"#,
            r#"{"input_tokens":5000000000,"output_tokens":2}"#,
            r#"{"input_tokens":18446744073709551615,"cache_read_input_tokens":5,"output_tokens":2}"#,
        ] {
            assert_eq!(Counted::read(usage).usage, None, "{usage}");
        }
    }
}
