//! Requests to JSON.

use bytes::Bytes;
use serde::Deserialize;

use super::model::Generation;
use super::output::OutputConfig;
use super::sampling::Sampling;
use super::thinking::Thinking;
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
    let thinking = Thinking::new(request, generation, max_tokens, lacks)?;
    let sampling = Sampling::new(request, generation, thinking.is_on());
    let mut body = Writer::sized_for(request);
    body.string("model", &target.model);
    body.number("max_tokens", max_tokens);
    messages::write(&mut body, &request.messages, lacks)?;
    for (name, value) in &request.params {
        if lacks.lets(name, value)? {
            param(&mut body, name, value, &sampling, lacks)?;
        }
    }
    tools::write_choice(&mut body, request)?;
    thinking.write(&mut body);
    OutputConfig::new(request, thinking.effort(), lacks)?.write(&mut body);
    metadata(&mut body, request, lacks)?;
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
    sampling: &Sampling,
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
        "temperature" | "top_p" | "top_k" => {
            if sampling.lets(name, value, lacks)? {
                body.raw(name, json);
            }
        }
        "tools" => tools::write(body, json, lacks)?,
        "stop" => stop(body, json, lacks)?,
        "service_tier" => match text(json).as_deref() {
            Some("default") => body.string("service_tier", "standard_only"),
            Some(tier @ ("flex" | "priority")) => lacks.found(&format!("service_tier {tier:?}"))?,
            _ => body.raw("service_tier", json),
        },
        _ => body.raw(name, json),
    }
    Ok(())
}

/// `stop`, one or several; Anthropic refuses those that are white space alone.
fn stop(body: &mut Writer, json: &str, lacks: &mut Lacks<'_>) -> Result<(), Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Stop {
        One(String),
        Several(Vec<String>),
    }
    let stops = match serde_json::from_str(json) {
        Ok(Stop::One(stop)) => vec![stop],
        Ok(Stop::Several(stops)) => stops,
        Err(_) => return Err(Error::config("stop: neither a text nor a list of texts")),
    };
    let (blank, stops): (Vec<_>, Vec<_>) = stops.into_iter().partition(|stop| stop.trim().is_empty());
    if blank.iter().any(|stop| !stop.is_empty()) {
        lacks.found("a stop of white space alone")?;
    }
    if !stops.is_empty() {
        body.key("stop_sequences");
        body.value(&stops);
    }
    Ok(())
}

/// `metadata`, of which Anthropic takes `user_id` alone, with `user` in its place.
fn metadata(body: &mut Writer, request: &ChatRequest, lacks: &mut Lacks<'_>) -> Result<(), Error> {
    let given = request.param("metadata").filter(|given| !given.is_null()).map(Json::as_str);
    let given = given.map_or_else(|| Some(Fields::default()), Fields::read);
    let given = given.ok_or_else(|| Error::config("metadata is not an object"))?;
    for (name, value) in given.except(&["user_id"]) {
        if !asks_nothing(value) {
            lacks.found(&format!("metadata.{name}"))?;
        }
    }
    let user = request.param("user").filter(|user| !user.is_null()).map(Json::as_str);
    if let Some(user) = user.or_else(|| given.get("user_id")) {
        body.key("metadata");
        body.object(|metadata| metadata.raw("user_id", user));
    }
    Ok(())
}
