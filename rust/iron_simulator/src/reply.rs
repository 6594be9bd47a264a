//! Replies: what the model says, by script or generated from the request.

use serde_json::{Value, json};

use crate::draw::Draw;
use crate::openai::request::{ChatRequest, Format, ToolChoice};
use crate::rule::{self, Reply, Text};
use crate::schema::instance;
use crate::stats::Usage;
use crate::tokens::{count_tokens, first_tokens};

/// One choice of a reply.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Choice {
    pub(crate) content: Option<String>,
    pub(crate) refusal: Option<String>,
    pub(crate) calls: Vec<Call>,
    pub(crate) finish_reason: String,
    /// The sequence that ended the text.
    pub(crate) stopped_by: Option<String>,
    /// Thoughts that are shown to those who ask for them; they count as reasoning.
    pub(crate) thinking: Option<String>,
    pub(crate) reasoning_tokens: u64,
}

/// A tool call.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) arguments: String,
}

/// The draws that replies are made of.
pub(crate) struct Draws {
    pub(crate) ids: Draw,
    pub(crate) words: Draw,
    pub(crate) schema: Draw,
}

impl Choice {
    /// Tokens of the choice, reasoning included.
    fn tokens(&self) -> u64 {
        let text = |text: &Option<String>| text.as_deref().map_or(0, count_tokens);
        let calls: u64 =
            self.calls.iter().map(|call| count_tokens(&call.name) + count_tokens(&call.arguments)).sum();
        self.reasoning_tokens + text(&self.content) + text(&self.refusal) + calls
    }

    /// Cut the choice to at most `limit` tokens, hidden reasoning first.
    fn cut(&mut self, limit: u64) {
        if self.tokens() <= limit {
            return;
        }
        self.finish_reason = "length".into();
        self.stopped_by = None;
        if let Some(thinking) = &mut self.thinking {
            thinking.truncate(first_tokens(thinking, limit).len());
        }
        self.reasoning_tokens = self.reasoning_tokens.min(limit);
        let mut left = limit - self.reasoning_tokens;
        for text in [&mut self.content, &mut self.refusal].into_iter().flatten() {
            text.truncate(first_tokens(text, left).len());
            left -= count_tokens(text);
        }
        self.calls.retain_mut(|call| {
            let Some(rest) = left.checked_sub(count_tokens(&call.name)) else {
                left = 0;
                return false;
            };
            call.arguments.truncate(first_tokens(&call.arguments, rest).len());
            left = rest - count_tokens(&call.arguments);
            true
        });
    }

    /// Show thoughts: those of the script, or some about what was asked.
    fn think(&mut self, request: &ChatRequest, reply: Option<&Reply>) {
        let scripted = reply.and_then(|reply| reply.thinking.clone());
        let thinking = scripted.unwrap_or_else(|| format!("thinking of: {}", request.last_text));
        self.reasoning_tokens += count_tokens(&thinking);
        self.thinking = Some(thinking);
    }

    /// End the text before the first of the stop sequences.
    fn stop(&mut self, stops: &[String]) {
        if let Some(text) = &mut self.content {
            let first = stops
                .iter()
                .filter(|stop| !stop.is_empty())
                .filter_map(|stop| Some((text.find(stop.as_str())?, stop)))
                .min_by_key(|(at, _)| *at);
            if let Some((end, stop)) = first {
                text.truncate(end);
                self.stopped_by = Some(stop.clone());
            }
        }
    }
}

/// The choices that answer `request`. `turn` is how often the rule was used before.
pub(crate) fn choices(
    request: &ChatRequest,
    reply: Option<&Reply>,
    turn: u64,
    draws: &mut Draws,
) -> Vec<Choice> {
    (0..request.choices)
        .map(|nth| {
            let mut choice = match reply {
                Some(reply) => scripted(request, reply, turn + nth, draws),
                None => generated(request, draws),
            };
            if request.thinking {
                choice.think(request, reply);
            }
            choice.stop(&request.stop);
            choice.cut(request.max_tokens.unwrap_or(u64::MAX));
            choice
        })
        .collect()
}

/// What the reply costs: as counted, unless the script says otherwise.
pub(crate) fn usage(request: &ChatRequest, reply: Option<&Reply>, choices: &[Choice]) -> Usage {
    let (cached, told) = reply.map(|reply| (reply.cached_tokens, reply.usage)).unwrap_or_default();
    let (written, written_1h) =
        reply.map(|reply| (reply.cache_write_tokens, reply.cache_write_1h_tokens)).unwrap_or_default();
    let input = told.input_tokens.unwrap_or(request.input_tokens);
    Usage {
        input,
        cached: told.cached_tokens.unwrap_or(cached.min(input)),
        written: written.min(input.saturating_sub(cached)),
        written_1h,
        output: told.output_tokens.unwrap_or_else(|| choices.iter().map(Choice::tokens).sum()),
        reasoning: told
            .reasoning_tokens
            .unwrap_or_else(|| choices.iter().map(|choice| choice.reasoning_tokens).sum()),
    }
}

fn scripted(request: &ChatRequest, reply: &Reply, turn: u64, draws: &mut Draws) -> Choice {
    let content = match (&reply.text, reply.output_tokens) {
        (Some(Text::One(text)), _) => Some(text.clone()),
        (Some(Text::Cycle(texts)), _) => {
            usize::try_from(turn % texts.len() as u64).ok().and_then(|nth| texts.get(nth)).cloned()
        }
        (None, Some(tokens)) => Some(draws.words.words(tokens)),
        (None, None) => None,
    };
    let calls: Vec<Call> = reply.tool_calls.iter().map(|call| scripted_call(request, call, draws)).collect();
    let mut choice = if content.is_none() && calls.is_empty() && reply.refusal.is_none() {
        generated(request, draws)
    } else {
        Choice {
            content,
            refusal: reply.refusal.clone(),
            finish_reason: if calls.is_empty() { "stop" } else { "tool_calls" }.into(),
            calls,
            ..Choice::default()
        }
    };
    choice.reasoning_tokens = reply.reasoning_tokens;
    if let Some(reason) = &reply.finish_reason {
        choice.finish_reason.clone_from(reason);
    }
    choice
}

fn scripted_call(request: &ChatRequest, call: &rule::ToolCall, draws: &mut Draws) -> Call {
    let arguments = match &call.arguments {
        Some(Value::String(text)) => text.clone(),
        Some(arguments) => arguments.to_string(),
        None => {
            let tool = request.tools.iter().find(|tool| tool.name == call.name);
            arguments(tool.map_or(&Value::Null, |tool| &tool.parameters), draws)
        }
    };
    Call { id: call.id.clone().unwrap_or_else(|| call_id(draws)), name: call.name.clone(), arguments }
}

fn call_id(draws: &mut Draws) -> String {
    format!("call_{}", draws.ids.letters(24))
}

/// Arguments that satisfy a function's schema.
fn arguments(parameters: &Value, draws: &mut Draws) -> String {
    if parameters.is_null() { "{}".into() } else { instance(parameters, &mut draws.schema).to_string() }
}

/// The reply when no script gives one: a call if the request demands one, JSON if it asks for JSON, or an echo.
fn generated(request: &ChatRequest, draws: &mut Draws) -> Choice {
    let tool = match &request.tool_choice {
        ToolChoice::Free => None,
        ToolChoice::Required => request.tools.first().map(|tool| (tool, "tool_calls")),
        // OpenAI reports "stop" when the caller itself named the function.
        ToolChoice::Named(name) => {
            request.tools.iter().find(|tool| tool.name == *name).map(|tool| (tool, "stop"))
        }
    };
    if let Some((tool, finish_reason)) = tool {
        let arguments = arguments(&tool.parameters, draws);
        let call = Call { id: call_id(draws), name: tool.name.clone(), arguments };
        return Choice { calls: vec![call], finish_reason: finish_reason.into(), ..Choice::default() };
    }
    let content = match &request.format {
        Format::Text => format!("echo: {}", request.last_text),
        Format::Json => json!({"echo": request.last_text}).to_string(),
        Format::Schema(schema) => instance(schema, &mut draws.schema).to_string(),
    };
    Choice { content: Some(content), finish_reason: "stop".into(), ..Choice::default() }
}

#[cfg(test)]
mod tests;
