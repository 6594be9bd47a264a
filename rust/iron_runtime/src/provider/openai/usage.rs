//! Usage, as OpenAI and the vendors that speak its protocol tell it.

use iron_protocol::NanoUsd;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::call::Usage;
use crate::provider::counts::credible;

/// No single call costs ten thousand dollars.
const MOST_COST: NanoUsd = NanoUsd::from_nanos(10_000_000_000_000);
/// xAI counts its bill in units of 10⁻¹⁰ dollars. <https://docs.x.ai/developers/cost-tracking>
const TICK_SCALE: i32 = -10;

#[derive(Deserialize)]
struct Body<'a> {
    prompt_tokens: Option<u64>,
    #[serde(default)]
    completion_tokens: u64,
    total_tokens: Option<u64>,
    prompt_tokens_details: Option<InputDetails>,
    completion_tokens_details: Option<OutputDetails>,
    /// DeepSeek's name for what it had cached.
    prompt_cache_hit_tokens: Option<u64>,
    /// Moonshot's.
    cached_tokens: Option<u64>,
    /// Perplexity counts reasoning and the pages it cites beside the rest.
    reasoning_tokens: Option<u64>,
    citation_tokens: Option<u64>,
    num_search_queries: Option<u64>,
    /// xAI's tools.
    server_side_tool_usage_details: Option<XaiTools>,
    /// OpenRouter's.
    server_tool_use: Option<RouterTools>,
    #[serde(borrow)]
    cost_in_usd_ticks: Option<&'a RawValue>,
    #[serde(borrow)]
    cost: Option<&'a RawValue>,
    #[serde(borrow)]
    cost_details: Option<CostDetails<'a>>,
    is_byok: Option<bool>,
}

#[derive(Default, Deserialize)]
struct InputDetails {
    cached_tokens: Option<u64>,
    cache_write_tokens: Option<u64>,
    audio_tokens: Option<u64>,
    image_tokens: Option<u64>,
}

#[derive(Default, Deserialize)]
struct OutputDetails {
    reasoning_tokens: Option<u64>,
    audio_tokens: Option<u64>,
    image_tokens: Option<u64>,
}

#[derive(Default, Deserialize)]
struct XaiTools {
    web_search_calls: Option<u64>,
    x_search_calls: Option<u64>,
    code_interpreter_calls: Option<u64>,
    file_search_calls: Option<u64>,
    document_search_calls: Option<u64>,
}

#[derive(Deserialize)]
struct RouterTools {
    web_search_requests: Option<u64>,
}

#[derive(Deserialize)]
struct CostDetails<'a> {
    #[serde(borrow)]
    upstream_inference_cost: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct CostTable<'a> {
    #[serde(borrow)]
    total_cost: Option<&'a RawValue>,
}

/// What a provider says it counted, if it can be true.
pub(super) fn usage(value: &RawValue) -> Option<Usage> {
    let body: Body<'_> = serde_json::from_str::<Option<_>>(value.get()).ok()??;
    credible(body.usage()?)
}

impl Body<'_> {
    fn usage(&self) -> Option<Usage> {
        let none = (InputDetails::default(), OutputDetails::default(), XaiTools::default());
        let input = self.prompt_tokens_details.as_ref().unwrap_or(&none.0);
        let output = self.completion_tokens_details.as_ref().unwrap_or(&none.1);
        let xai = self.server_side_tool_usage_details.as_ref().unwrap_or(&none.2);
        let count = |count: Option<u64>| count.unwrap_or(0);
        let sum = |counts: [Option<u64>; 2]| count(counts[0]).saturating_add(count(counts[1]));

        let cached = input.cached_tokens.or(self.prompt_cache_hit_tokens).or(self.cached_tokens).unwrap_or(0);
        let written = count(input.cache_write_tokens);
        let reasoning = output.reasoning_tokens.or(self.reasoning_tokens).unwrap_or(0);
        let mut prompt = match self.prompt_tokens {
            Some(tokens) => tokens,
            // Some count embeddings by their sum alone.
            None if self.completion_tokens == 0 => self.total_tokens?,
            None => return None,
        };
        // xAI and Gemini count reasoning in the sum alone, Perplexity nowhere but by itself.
        let beside = output.reasoning_tokens.is_none() || reasoning > self.completion_tokens;
        let completion = self
            .completion_tokens
            .saturating_add(if beside { reasoning } else { 0 })
            .max(count(self.total_tokens).saturating_sub(prompt));
        prompt = prompt.saturating_add(count(self.citation_tokens));
        // More than the whole can only be counted beside it; if it is nonsense, this errs upwards.
        if cached.saturating_add(written) > prompt {
            prompt = prompt.saturating_add(cached).saturating_add(written);
        }
        let searched = self.server_tool_use.as_ref().and_then(|tools| tools.web_search_requests);
        Some(Usage {
            input_tokens: prompt,
            cached_input_tokens: cached,
            cache_write_tokens: written,
            audio_input_tokens: count(input.audio_tokens),
            image_input_tokens: count(input.image_tokens),
            output_tokens: completion,
            reasoning_tokens: reasoning,
            audio_output_tokens: count(output.audio_tokens),
            image_output_tokens: count(output.image_tokens),
            web_searches: sum([xai.web_search_calls, xai.x_search_calls])
                .max(sum([self.num_search_queries, searched])),
            file_searches: sum([xai.file_search_calls, xai.document_search_calls]),
            code_executions: count(xai.code_interpreter_calls),
            told_cost: self.told_cost().filter(|cost| (NanoUsd::ZERO..=MOST_COST).contains(cost)),
            ..Usage::default()
        })
    }

    /// The bill in the reply: xAI's ticks, Perplexity's table, OpenRouter's number and, where the host is paid with the
    /// caller's own key, what the host bills.
    fn told_cost(&self) -> Option<NanoUsd> {
        let dollars = |value: &RawValue, scale| NanoUsd::from_decimal(value.get(), scale).ok();
        if let Some(ticks) = self.cost_in_usd_ticks {
            return dollars(ticks, TICK_SCALE);
        }
        let cost = self.cost?;
        if cost.get().starts_with('{') {
            return dollars(serde_json::from_str::<CostTable<'_>>(cost.get()).ok()?.total_cost?, 0);
        }
        let host = match &self.cost_details {
            Some(details) if self.is_byok == Some(true) => dollars(details.upstream_inference_cost?, 0)?,
            _ => NanoUsd::ZERO,
        };
        dollars(cost, 0)?.checked_add(host)
    }
}
