//! Usage, as Anthropic counts it and as OpenAI shapes it.

use serde::Deserialize;

use crate::call::Usage;
use crate::pricing::Tier;
use crate::provider::ReplyFacts;
use crate::provider::counts::credible;
use crate::provider::fields::Fields;
use crate::provider::writer::Writer;

/// Fields that are told by others of OpenAI's names.
const RENAMED: [&str; 5] = [
    "input_tokens",
    "output_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "output_tokens_details",
];

/// The counts of a message, or of one pass over it.
#[derive(Deserialize)]
struct Tokens {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
    cache_creation: Option<CacheCreation>,
}

#[derive(Clone, Copy, Default, Deserialize)]
struct CacheCreation {
    ephemeral_5m_input_tokens: Option<u64>,
    ephemeral_1h_input_tokens: Option<u64>,
}

/// What is told beside the counts.
#[derive(Deserialize)]
struct Beside {
    output_tokens_details: Option<OutputDetails>,
    server_tool_use: Option<ServerTools>,
    iterations: Option<Vec<Pass>>,
    service_tier: Option<String>,
    speed: Option<String>,
}

#[derive(Deserialize)]
struct OutputDetails {
    thinking_tokens: Option<u64>,
}

#[derive(Deserialize)]
struct ServerTools {
    web_search_requests: Option<u64>,
}

/// One of the passes that a message took.
#[derive(Deserialize)]
struct Pass {
    r#type: Option<String>,
    #[serde(flatten)]
    tokens: Tokens,
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
        let Ok(beside) = serde_json::from_str::<Beside>(json) else { return Self::default() };
        let tokens = serde_json::from_str::<Tokens>(json).ok();
        let usage = tokens.and_then(|tokens| tokens.usage()).and_then(|usage| beside.complete(usage));
        // "fast" is a price of its own here, and at OpenAI another name of "priority".
        let tier = match beside.speed.as_deref() {
            Some("fast") => Some(Tier::Fast),
            _ => beside.service_tier.and_then(|name| Tier::from_name(&name)),
        };
        Self { usage: usage.and_then(credible), tier }
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

impl Tokens {
    /// Anthropic counts input that was read from the cache or written to it beside the rest; we count it in.
    fn usage(&self) -> Option<Usage> {
        let count = |tokens: Option<u64>| tokens.unwrap_or(0);
        let kept = self.cache_creation.unwrap_or_default();
        let long = count(kept.ephemeral_1h_input_tokens);
        // The parts are of the whole; if they come to more, that errs upwards.
        let parts = long.saturating_add(count(kept.ephemeral_5m_input_tokens));
        let written = count(self.cache_creation_input_tokens).max(parts);
        let read = count(self.cache_read_input_tokens);
        Some(Usage {
            input_tokens: self.input_tokens?.saturating_add(read).saturating_add(written),
            cached_input_tokens: read,
            cache_write_tokens: written,
            cache_write_1h_tokens: long,
            output_tokens: self.output_tokens?,
            ..Usage::default()
        })
    }
}

impl Beside {
    fn complete(&self, mut usage: Usage) -> Option<Usage> {
        for pass in self.iterations.iter().flatten() {
            // The passes of the message are in its own counts; one that compacts the conversation is billed beside them.
            // <https://platform.claude.com/docs/en/build-with-claude/compaction#understanding-usage>
            if pass.r#type.as_deref() != Some("message") {
                let (whole, more) = (usage.counts(), pass.tokens.usage()?.counts());
                usage = Usage::from_counts(std::array::from_fn(|nth| whole[nth].saturating_add(more[nth])));
            }
        }
        let thought = self.output_tokens_details.as_ref().and_then(|details| details.thinking_tokens);
        usage.reasoning_tokens = thought.unwrap_or(0);
        usage.output_tokens = usage.output_tokens.max(usage.reasoning_tokens);
        usage.web_searches =
            self.server_tool_use.as_ref().and_then(|tools| tools.web_search_requests).unwrap_or(0);
        Some(usage)
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
            r#"{"input_tokens":1}"#,
            r#"{"output_tokens":2}"#,
            r#"{"input_tokens":-1,"output_tokens":2}"#,
            r#"{"input_tokens":1,"output_tokens":2,"server_tool_use":{"web_search_requests":5000000000}}"#,
            r#"{"input_tokens":1,"output_tokens":2,"iterations":[{"type":"compaction"}]}"#,
            r#"{"input_tokens":0,"output_tokens":0}"#,
            r#"{"input_tokens":1e30,"output_tokens":2}"#,
            r#"{"input_tokens":5000000000,"output_tokens":2}"#,
            r#"{"input_tokens":18446744073709551615,"cache_read_input_tokens":5,"output_tokens":2}"#,
        ] {
            assert_eq!(Counted::read(usage).usage, None, "{usage}");
        }
    }
}
