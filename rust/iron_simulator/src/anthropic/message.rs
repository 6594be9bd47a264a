//! A message that is not streamed.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::reply::Choice;
use crate::stats::Usage;

/// What a message says of itself.
pub(crate) struct Heading {
    pub(crate) id: String,
    pub(crate) model: String,
    /// Of thoughts: what the provider would know them by.
    pub(crate) signature: String,
}

/// The body of a reply.
pub(crate) fn message(heading: &Heading, choice: &Choice, usage: Usage) -> Bytes {
    let mut message = start(heading, &usage_body(usage));
    message["content"] = blocks(heading, choice).into();
    let (reason, sequence, details) = ending(choice);
    message["stop_reason"] = reason.into();
    message["stop_sequence"] = sequence;
    if !details.is_null() {
        message["stop_details"] = details;
    }
    Bytes::from(message.to_string())
}

/// A message before anything is written.
pub(super) fn start(heading: &Heading, usage: &Value) -> Value {
    json!({
        "id": heading.id, "type": "message", "role": "assistant", "model": heading.model, "content": [],
        "stop_reason": null, "stop_sequence": null, "usage": usage,
    })
}

/// The blocks of a message, in their order.
pub(super) fn blocks(heading: &Heading, choice: &Choice) -> Vec<Value> {
    let thinking = choice
        .thinking
        .as_ref()
        .map(|thinking| json!({"type": "thinking", "thinking": thinking, "signature": heading.signature}));
    let text = choice.content.as_ref().filter(|text| !text.is_empty());
    let text = text.map(|text| json!({"type": "text", "text": text}));
    let calls = choice.calls.iter().map(|call| {
        // A script may write arguments that are no JSON; then they are shown as they are.
        let input = serde_json::from_str(&call.arguments).unwrap_or_else(|_| json!(call.arguments));
        json!({"type": "tool_use", "id": call.id, "name": call.name, "input": input})
    });
    thinking.into_iter().chain(text).chain(calls).collect()
}

/// Why a message ended: the reason, the sequence that stopped it, and what is said of a refusal.
pub(super) fn ending(choice: &Choice) -> (&str, Value, Value) {
    if let Some(refusal) = &choice.refusal {
        let details = json!({"type": "refusal", "category": null, "explanation": refusal});
        return ("refusal", Value::Null, details);
    }
    let reason = match choice.finish_reason.as_str() {
        "stop" if choice.stopped_by.is_some() => "stop_sequence",
        "stop" if choice.calls.is_empty() => "end_turn",
        "stop" | "tool_calls" => "tool_use",
        "length" => "max_tokens",
        "content_filter" => "refusal",
        other => other,
    };
    (reason, json!(choice.stopped_by), Value::Null)
}

/// `usage` as Anthropic sends it: input that has to do with the cache is counted beside the rest.
pub(super) fn usage_body(usage: Usage) -> Value {
    let fresh = usage.input.saturating_sub(usage.cached).saturating_sub(usage.written);
    let long = usage.written_1h.min(usage.written);
    json!({
        "input_tokens": fresh,
        "cache_creation_input_tokens": usage.written,
        "cache_read_input_tokens": usage.cached,
        "cache_creation": {
            "ephemeral_5m_input_tokens": usage.written - long, "ephemeral_1h_input_tokens": long,
        },
        "output_tokens": usage.output,
        "output_tokens_details": {"thinking_tokens": usage.reasoning},
        "service_tier": "standard",
    })
}
