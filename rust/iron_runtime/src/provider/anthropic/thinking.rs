//! How hard the model thinks, and what form its answer has.

use super::model::Generation;
use crate::Error;
use crate::call::ChatRequest;
use crate::json::Json;
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

/// The request's `output_config`.
pub(super) struct OutputConfig<'a> {
    given: Fields<'a>,
    effort: Option<&'static str>,
    schema: Option<&'a str>,
}

impl Thinking {
    /// `thinking` as it is given; otherwise what `reasoning_effort` asks for.
    pub(super) fn new(
        request: &ChatRequest,
        generation: Generation,
        max_tokens: u64,
        lacks: &mut Lacks<'_>,
    ) -> Result<Self, Error> {
        let level = request.param("reasoning_effort").filter(|effort| !effort.is_null());
        let level = level.map(|effort| Level::read(effort.as_str())).transpose()?;
        let effort = level.and_then(Level::effort).filter(|_| generation.adapts());
        if let Some(given) = request.param("thinking").filter(|given| !given.is_null()) {
            return Ok(Self { config: within(given.as_str(), max_tokens, lacks), effort });
        }
        let config = match level {
            None => None,
            Some(Level::None) => Some(r#"{"type":"disabled"}"#.to_owned()),
            Some(_) if generation.adapts() => Some(r#"{"type":"adaptive"}"#.to_owned()),
            Some(level) => enabled(level.budget(), max_tokens, lacks),
        };
        Ok(Self { config, effort })
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
#[derive(Clone, Copy)]
enum Level {
    None,
    Low,
    Medium,
    High,
    XHigh,
    Max,
}

impl Level {
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
    /// Gemini 2.5, the only ones of any vendor. <https://ai.google.dev/gemini-api/docs/openai#thinking>
    const fn budget(self) -> u64 {
        match self {
            Self::None | Self::Low => LEAST_BUDGET,
            Self::Medium => 8_192,
            Self::High | Self::XHigh | Self::Max => 24_576,
        }
    }
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

impl<'a> OutputConfig<'a> {
    /// `output_config` as it is given, with effort and schema where it names none.
    pub(super) fn new(
        request: &'a ChatRequest,
        effort: Option<&'static str>,
        lacks: &mut Lacks<'_>,
    ) -> Result<Self, Error> {
        let given = request.param("output_config").filter(|given| !given.is_null()).map(Json::as_str);
        let given = given.map_or_else(|| Some(Fields::default()), Fields::read);
        let given = given.ok_or_else(|| Error::config("output_config is not an object"))?;
        let schema = match request.param("response_format").filter(|format| !format.is_null()) {
            Some(format) => schema(format.as_str(), lacks)?,
            None => None,
        };
        Ok(Self { effort: effort.filter(|_| given.get("effort").is_none()), schema, given })
    }

    pub(super) fn write(&self, body: &mut Writer) {
        let mut given = self.given.except(&[]).peekable();
        if given.peek().is_none() && self.effort.is_none() && self.schema.is_none() {
            return;
        }
        body.key("output_config");
        body.object(|body| {
            for (name, value) in given {
                body.raw(name, value);
            }
            if let Some(effort) = self.effort {
                body.string("effort", effort);
            }
            if let Some(schema) = self.schema.filter(|_| self.given.get("format").is_none()) {
                body.key("format");
                body.object(|body| {
                    body.string("type", "json_schema");
                    body.raw("schema", schema);
                });
            }
        });
    }
}

/// The schema that the answer is held to, if it is held to one.
fn schema<'a>(format: &'a str, lacks: &mut Lacks<'_>) -> Result<Option<&'a str>, Error> {
    let format = Fields::read(format).ok_or_else(|| Error::config("response_format is not an object"))?;
    match format.text("type").as_deref() {
        Some("text") => Ok(None),
        Some("json_schema") => {
            let schema = format.object("json_schema").and_then(|named| named.get("schema"));
            schema.map(Some).ok_or_else(|| Error::config("response_format.json_schema.schema is missing"))
        }
        _ => {
            lacks.found("response_format without a schema (\"json_schema\" is taken)")?;
            Ok(None)
        }
    }
}
