//! Requests to JSON.

use bytes::Bytes;

use super::model::Generation;
use super::thinking::{OutputConfig, Thinking};
use super::{messages, tools};
use crate::Error;
use crate::call::ChatRequest;
use crate::config::Target;
use crate::json::Json;
use crate::provider::Output;
use crate::provider::fields::{Fields, text};
use crate::provider::lacks::{Lacks, asks_nothing};
use crate::provider::writer::Writer;

/// Of a model whose maximum is not known: every model since Claude 3 takes as many.
const UNKNOWN_MAX_TOKENS: u64 = 4_096;

/// A message request's body.
///
/// # Errors
/// [`Error::Config`] for what the format cannot say.
pub(crate) fn chat(
    request: &ChatRequest,
    target: &Target,
    output: Output,
    stream: bool,
    lacks: &mut Lacks<'_>,
) -> Result<Bytes, Error> {
    if request.n.is_some_and(|n| n > 1) {
        return Err(lacks.one_choice());
    }
    let generation = Generation::of(&target.model);
    let max_tokens = max_tokens(request, target, output, lacks);
    let mut body = Writer::sized_for(request);
    body.string("model", &target.model);
    body.number("max_tokens", max_tokens);
    messages::write(&mut body, &request.messages, lacks)?;
    for (name, value) in &request.params {
        if lacks.lets(name, value)? {
            param(&mut body, name, value, generation, lacks)?;
        }
    }
    tools::write_choice(&mut body, request)?;
    let thinking = Thinking::new(request, generation, max_tokens, lacks)?;
    thinking.write(&mut body);
    OutputConfig::new(request, thinking.effort(), lacks)?.write(&mut body);
    if let Some(id) = metadata(request)? {
        body.raw("metadata", &id);
    }
    if stream {
        body.raw("stream", "true");
    }
    Ok(body.finish())
}

/// The bound on the output, which a message request cannot go without.
fn max_tokens(request: &ChatRequest, target: &Target, output: Output, lacks: &mut Lacks<'_>) -> u64 {
    if let Output::Lowered(tokens) = output {
        return tokens;
    }
    let published = || target.price.as_deref().and_then(|price| price.max_output_tokens);
    request.max_tokens.map(u64::from).or_else(published).unwrap_or_else(|| {
        lacks.say(format!(
            "max_tokens was set to {UNKNOWN_MAX_TOKENS}: provider {:?} needs it, and the maximum of {} is not known",
            target.provider.name, target.model
        ));
        UNKNOWN_MAX_TOKENS
    })
}

/// Write one of the request's other fields; those that become one with others are written together, later.
fn param(
    body: &mut Writer,
    name: &str,
    value: &Json,
    generation: Generation,
    lacks: &mut Lacks<'_>,
) -> Result<(), Error> {
    let json = value.as_str();
    match name {
        "tool_choice"
        | "parallel_tool_calls"
        | "reasoning_effort"
        | "thinking"
        | "output_config"
        | "response_format"
        | "user"
        | "metadata"
        | "stream_options" => {}
        _ if value.is_null() => {}
        "temperature" | "top_p" | "top_k" if !generation.samples() => {
            lacks.found(&format!("{name} with this model"))?;
        }
        "tools" => tools::write(body, json)?,
        "stop" if asks_nothing(json) => {}
        "stop" if json.trim_start().starts_with('[') => body.raw("stop_sequences", json),
        "stop" => body.raw("stop_sequences", &format!("[{json}]")),
        "service_tier" => match text(json).as_deref() {
            Some("default") => body.string("service_tier", "standard_only"),
            Some(tier @ ("flex" | "priority")) => lacks.found(&format!("service_tier {tier:?}"))?,
            _ => body.raw("service_tier", json),
        },
        _ => body.raw(name, json),
    }
    Ok(())
}

/// `metadata`, with `user` in the place that Anthropic has for it.
fn metadata(request: &ChatRequest) -> Result<Option<String>, Error> {
    let given = request.param("metadata").filter(|given| !given.is_null()).map(Json::as_str);
    let Some(user) = request.param("user").filter(|user| !user.is_null()) else {
        return Ok(given.map(str::to_owned));
    };
    let Some(fields) = given.map_or_else(|| Some(Fields::default()), Fields::read) else {
        return Err(Error::config("metadata is not an object"));
    };
    let mut written = Writer::new(64);
    written.raw("user_id", user.as_str());
    for (name, value) in fields.except(&["user_id"]) {
        written.raw(name, value);
    }
    Ok(Some(String::from_utf8_lossy(&written.finish()).into_owned()))
}
