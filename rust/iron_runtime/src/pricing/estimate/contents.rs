//! What a request holds, as far as it bounds what the request costs.

use std::borrow::Cow;

use memchr::memmem;
use serde::Deserialize;

use crate::call::{ChatRequest, Content, Part, Text};
use crate::json::Json;
use crate::pricing::{ImageRule, Kind, Tier};

/// Around each message: OpenAI's cookbook counts 3 tokens, and 1 for a name.
/// <https://cookbook.openai.com/examples/how_to_count_tokens_with_tiktoken>
pub(super) const MESSAGE_TOKENS: u64 = 8;
/// Around the whole prompt: the cookbook counts 3 to prime the reply and 12 around tools.
pub(super) const PROMPT_TOKENS: u64 = 32;
/// OpenAI fits an image into 2,048 px squares and scales its short side to 768 px: at most 2 × 4 tiles of 512 px.
const MOST_TILES: u64 = 8;
/// Turns that a provider takes for one request to run its own tools, unless `max_uses` says otherwise: Anthropic's limit.
/// <https://platform.claude.com/docs/en/agents-and-tools/tool-use/server-tools>
const MOST_TOOL_RUNS: u64 = 10;
/// Fields that let a provider search without a tool being named.
const SEARCH_FIELDS: [&str; 4] = ["web_search_options", "search_parameters", "plugins", "compound_custom"];

/// What a request holds.
#[derive(Debug)]
pub(super) struct Contents {
    /// At most that many input tokens at each reading; `None` if a part has no bound of its own.
    pub(super) tokens: Option<u64>,
    /// At most so many runs of tools by the provider, each followed by a reading of everything so far.
    pub(super) tool_runs: u64,
    pub(super) tier: Option<Tier>,
    /// Sound, images or files, which may have prices of their own.
    media: bool,
    /// It speaks of caching: only on request is input kept longer than usual.
    caches: bool,
    /// It asks for more than text.
    speaks: bool,
}

/// A tool, as far as it tells who runs it.
#[derive(Deserialize)]
struct Tool<'a> {
    #[serde(borrow, default)]
    r#type: Option<Cow<'a, str>>,
    #[serde(default)]
    max_uses: Option<u64>,
}

impl Contents {
    pub(super) fn of(request: &ChatRequest, image: Option<ImageRule>) -> Self {
        let mut contents = Self {
            tokens: Some(PROMPT_TOKENS),
            tool_runs: 0,
            tier: tier(request),
            media: false,
            caches: false,
            speaks: request.param("modalities").or(request.param("audio")).is_some(),
        };
        for message in &request.messages {
            contents.add(Some(MESSAGE_TOKENS));
            contents.fields(&message.extra);
            // What the model said before is named by an id: its length does not show.
            if message.extra.iter().any(|(name, value)| name == "audio" && !value.is_null()) {
                contents.media(None);
            }
            match &message.content {
                Content::None => {}
                Content::Text(text) => contents.add(Some(bytes(text))),
                Content::Parts(parts) => parts.iter().for_each(|part| contents.part(part, image)),
            }
        }
        // Tools and schemas become part of the prompt; the other parameters are short, and counting them errs upwards.
        contents.fields(&request.params);
        for (name, value) in &request.params {
            contents.tool_runs = contents.tool_runs.saturating_add(tool_runs(name, value));
        }
        contents
    }

    /// At most that many input tokens, all readings together, of a model with that context; `None` without a bound.
    pub(super) fn bounded(&self, context: Option<u64>) -> Option<u64> {
        match (self.tokens, context) {
            // What the tools bring in is read too, and nothing bounds it but the context.
            _ if self.tool_runs > 0 => Some(context?.saturating_mul(self.tool_runs.saturating_add(1))),
            (Some(tokens), Some(context)) => Some(tokens.min(context)),
            (tokens, context) => tokens.or(context),
        }
    }

    /// The kinds that its input may be.
    pub(super) fn input_kinds(&self) -> impl Iterator<Item = Kind> {
        let kinds = [
            (Kind::Input, true),
            (Kind::CachedInput, true),
            (Kind::CacheWrite, true),
            (Kind::CacheWrite1h, self.caches),
            (Kind::AudioInput, self.media),
            (Kind::ImageInput, self.media),
        ];
        kinds.into_iter().filter_map(|(kind, may_be)| may_be.then_some(kind))
    }

    /// The kinds that its output may be. Models that draw do so unasked.
    pub(super) fn output_kinds(&self) -> impl Iterator<Item = Kind> {
        let kinds = [Kind::Output, Kind::Reasoning, Kind::ImageOutput];
        kinds.into_iter().chain(self.speaks.then_some(Kind::AudioOutput))
    }

    fn add(&mut self, tokens: Option<u64>) {
        self.tokens = self.tokens.zip(tokens).map(|(sum, tokens)| sum.saturating_add(tokens));
    }

    fn media(&mut self, tokens: Option<u64>) {
        self.media = true;
        self.add(tokens);
    }

    /// Field names count too: a provider may render `name` and `tool_calls` into the prompt.
    fn fields(&mut self, fields: &[(Text, Json)]) {
        for (name, value) in fields {
            self.add(Some(bytes(name) + bytes(value.as_str())));
            self.caches |= mentions_cache(name) || mentions_cache(value.as_str());
        }
    }

    fn part(&mut self, part: &Part, rule: Option<ImageRule>) {
        match part {
            Part::Text { text, extra } => {
                self.add(Some(bytes(text)));
                self.fields(extra);
            }
            Part::Image { detail, extra, .. } => {
                let low = detail.as_deref() == Some("low");
                self.media(rule.and_then(|rule| image_tokens(rule, low)));
                self.fields(extra);
            }
            Part::Other(json) => {
                self.media(None);
                self.caches |= mentions_cache(json.as_str());
            }
        }
    }
}

fn bytes(text: &str) -> u64 {
    text.len() as u64
}

/// `cache_control`, `prompt_cache_retention`: every field that asks for a longer cache has the word in its name.
fn mentions_cache(json: &str) -> bool {
    memmem::find(json.as_bytes(), b"cache").is_some()
}

fn tier(request: &ChatRequest) -> Option<Tier> {
    let named = |name| request.param(name).map(|value| value.as_str().trim().trim_matches('"'));
    if named("speed") == Some("fast") { Some(Tier::Fast) } else { Tier::from_name(named("service_tier")?) }
}

/// At most so many runs of tools by the provider for the sake of one field.
fn tool_runs(name: &str, value: &Json) -> u64 {
    if SEARCH_FIELDS.contains(&name) {
        return MOST_TOOL_RUNS;
    }
    if name != "tools" {
        return 0;
    }
    let Ok(tools) = serde_json::from_str::<Vec<Tool<'_>>>(value.as_str()) else { return MOST_TOOL_RUNS };
    let runs = tools.iter().map(|tool| match tool.r#type.as_deref() {
        // The caller runs these.
        None | Some("function" | "custom") => 0,
        Some(_) => tool.max_uses.unwrap_or(MOST_TOOL_RUNS),
    });
    runs.fold(0, u64::saturating_add)
}

/// The most tokens that one image can be under its model's published rule.
fn image_tokens(rule: ImageRule, low: bool) -> Option<u64> {
    match rule {
        ImageRule::Tiles { base_tokens, .. } if low => Some(base_tokens),
        ImageRule::Tiles { base_tokens, tile_tokens } => Some(base_tokens + MOST_TILES * tile_tokens),
        ImageRule::Patches { multiplier, max_patches } => {
            let tokens = u128::from(max_patches) * u128::from(multiplier.nanos().unsigned_abs());
            u64::try_from(tokens.div_ceil(1_000_000_000)).ok()
        }
        ImageRule::Pixels { max_tokens, .. } => Some(max_tokens),
    }
}
