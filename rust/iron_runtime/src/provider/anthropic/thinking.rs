//! How hard the model thinks.

use super::model::Generation;
use super::{messages, tools};
use crate::Error;
use crate::call::ChatRequest;
use crate::provider::fields::{Fields, text};
use crate::provider::lacks::Lacks;
use crate::provider::writer::Writer;

/// The least that models take which are told how many tokens to think.
const LEAST_BUDGET: u64 = 1_024;

/// The request's `thinking` and its effort.
pub(super) struct Thinking {
    config: Option<String>,
    effort: Option<&'static str>,
}

impl Thinking {
    /// `thinking` as it is given; otherwise what `reasoning_effort` asks for.
    pub(super) fn new(
        request: &ChatRequest,
        generation: Generation,
        max_tokens: u64,
        lacks: &mut Lacks<'_>,
    ) -> Result<Self, Error> {
        let level = Level::asked(request, generation, lacks)?;
        let effort = level.and_then(Level::effort).filter(|_| generation.adapts());
        if let Some(given) = request.param("thinking").filter(|given| !given.is_null()) {
            return Ok(Self { config: within(given.as_str(), max_tokens, lacks), effort });
        }
        let config = match level {
            None => None,
            Some(Level::None) => Some(r#"{"type":"disabled"}"#.to_owned()),
            Some(level) => match hindrance(request, generation) {
                Some(why) => {
                    lacks.say(format!("thinking was left out: {why}"));
                    None
                }
                None if generation.adapts() => Some(r#"{"type":"adaptive"}"#.to_owned()),
                None => enabled(level.budget(), max_tokens, lacks),
            },
        };
        Ok(Self { config, effort })
    }

    /// Whether it is asked for.
    pub(super) fn is_on(&self) -> bool {
        let kind = |config: &String| Fields::read(config)?.text("type").map(|kind| kind != "disabled");
        self.config.as_ref().and_then(kind).unwrap_or(false)
    }

    pub(super) fn effort(&self) -> Option<&'static str> {
        self.effort
    }

    pub(super) fn write(&self, body: &mut Writer) {
        if let Some(config) = &self.config {
            body.raw("thinking", config);
        }
    }
}

/// `reasoning_effort`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    None,
    Low,
    Medium,
    High,
    XHigh,
    Max,
}

impl Level {
    /// What the request asks for of a model that can think.
    fn asked(
        request: &ChatRequest,
        generation: Generation,
        lacks: &mut Lacks<'_>,
    ) -> Result<Option<Self>, Error> {
        let effort = request.param("reasoning_effort").filter(|effort| !effort.is_null());
        let Some(level) = effort.map(|effort| Self::read(effort.as_str())).transpose()? else {
            return Ok(None);
        };
        if generation.thinks() {
            return Ok(Some(level));
        }
        if level != Self::None {
            lacks.found("reasoning_effort with this model")?;
        }
        Ok(None)
    }

    fn read(json: &str) -> Result<Self, Error> {
        match text(json).as_deref() {
            Some("none") => Ok(Self::None),
            Some("minimal" | "low") => Ok(Self::Low),
            Some("medium") => Ok(Self::Medium),
            Some("high") => Ok(Self::High),
            Some("xhigh") => Ok(Self::XHigh),
            Some("max") => Ok(Self::Max),
            _ => Err(Error::config(
                "reasoning_effort: write \"none\", \"minimal\", \"low\", \"medium\", \"high\", \"xhigh\" or \"max\"",
            )),
        }
    }

    fn effort(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Low => Some("low"),
            Self::Medium => Some("medium"),
            Self::High => Some("high"),
            Self::XHigh => Some("xhigh"),
            Self::Max => Some("max"),
        }
    }

    /// Of models that are told a number: Anthropic publishes none for a level, so those stand that Google publishes for
    /// Gemini 2.5, the only ones of any vendor. <https://ai.google.dev/gemini-api/docs/openai#thinking> could not be read
    /// itself; three copies of its table agree (`Portkey-AI/docs-core`, `integrations/llms/gemini.mdx`; `malonaz/core`,
    /// `go/ai/ai_service/provider/openai/google.go`; `tashfeenahmed/freellmapi#160`, but for 512 as "minimal").
    const fn budget(self) -> u64 {
        match self {
            Self::None | Self::Low => LEAST_BUDGET,
            Self::Medium => 8_192,
            Self::High | Self::XHigh | Self::Max => 24_576,
        }
    }
}

/// What else is asked for, and goes together with no thinking.
/// <https://platform.claude.com/docs/en/build-with-claude/extended-thinking#extended-thinking-with-tool-use>
fn hindrance(request: &ChatRequest, generation: Generation) -> Option<&'static str> {
    if tools::is_forced(request) {
        return Some("tool_choice forces a call, and this provider's models do not think before one");
    }
    // A turn that began with thoughts goes on with them, and one that began without goes on without.
    (!generation.adapts() && messages::calls_without_thoughts(&request.messages))
        .then_some("the calls that were answered last came without this provider's thoughts")
}

/// Thoughts count as output: how many leave room for an answer below `max_tokens`, which a budget may have lowered.
fn room(max_tokens: u64) -> Option<u64> {
    (max_tokens > LEAST_BUDGET).then(|| LEAST_BUDGET.max(max_tokens / 2))
}

fn enabled(wanted: u64, max_tokens: u64, lacks: &mut Lacks<'_>) -> Option<String> {
    let Some(room) = room(max_tokens) else {
        lacks.say(format!(
            "reasoning_effort was left out: max_tokens is {max_tokens}, and thinking needs more"
        ));
        return None;
    };
    Some(format!(r#"{{"type":"enabled","budget_tokens":{}}}"#, wanted.min(room)))
}

/// `thinking` as it is given, unless a lowered `max_tokens` has no room for it.
fn within(given: &str, max_tokens: u64, lacks: &mut Lacks<'_>) -> Option<String> {
    let fields = Fields::read(given);
    let budget = fields.as_ref().and_then(|fields| fields.get("budget_tokens")?.parse::<u64>().ok());
    let (Some(fields), Some(budget)) = (fields, budget.filter(|budget| *budget >= max_tokens)) else {
        return Some(given.to_owned());
    };
    let Some(lowered) = room(max_tokens) else {
        lacks.say(format!("thinking was left out: max_tokens is {max_tokens}, and it needs more"));
        return None;
    };
    lacks.say(format!(
        "thinking.budget_tokens was lowered from {budget} to {lowered}, to fit below max_tokens"
    ));
    let mut written = Writer::new(given.len());
    for (name, value) in fields.except(&["budget_tokens"]) {
        written.raw(name, value);
    }
    written.number("budget_tokens", lowered);
    Some(String::from_utf8_lossy(&written.finish()).into_owned())
}
