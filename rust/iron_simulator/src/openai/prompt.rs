//! The prompt: the messages of a chat request, checked, and counted in tokens.

use serde_json::Value;

use crate::openai::error::ApiError;
use crate::openai::fields::{Fields, invalid_type, invalid_value};
use crate::tokens::count_tokens;

/// What OpenAI's cookbook ("How to count tokens with tiktoken") adds for each message.
const TOKENS_PER_MESSAGE: u64 = 3;
/// What it adds for priming the reply.
const TOKENS_PRIMING: u64 = 3;
/// What it adds to a message's `name`.
const TOKENS_PER_NAME: u64 = 1;
/// An image at `"detail": "low"`: OpenAI's base price of gpt-4o.
const TOKENS_IMAGE_LOW: u64 = 85;
/// Any other image: OpenAI's price of a 1024 by 1024 one for gpt-4o, whatever its size.
const TOKENS_IMAGE: u64 = 765;
/// A piece of audio or a file, whatever its length.
const TOKENS_ATTACHMENT: u64 = 100;

/// What is known of the messages.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Prompt {
    pub(crate) tokens: u64,
    /// The text of the last user message; of the last message, if there is no user message.
    pub(crate) last_text: String,
}

impl Prompt {
    pub(crate) fn read(messages: &[Value]) -> Result<Self, ApiError> {
        if messages.is_empty() {
            return Err(ApiError::invalid(
                "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array \
                 instead.",
            )
            .param("messages")
            .code("empty_array"));
        }
        let mut tokens = TOKENS_PRIMING;
        let mut last: Option<(bool, &Value)> = None;
        for (nth, message) in messages.iter().enumerate() {
            let place = format!("messages[{nth}]");
            let fields = Fields::of(message, &place)?;
            let role = fields.required_string("role")?;
            tokens += message_tokens(fields, role)?;
            let user = role == "user";
            if user || !last.is_some_and(|(user, _)| user) {
                last = fields.get("content").map(|content| (user, content)).or(last);
            }
        }
        Ok(Self { tokens, last_text: last.map(|(_, content)| text_of(content)).unwrap_or_default() })
    }
}

/// Check a message: its tokens.
fn message_tokens(fields: Fields<'_, '_>, role: &str) -> Result<u64, ApiError> {
    let roles = ["system", "assistant", "user", "function", "tool", "developer"];
    if !roles.contains(&role) {
        return Err(invalid_value(&fields.path("role"), role, &roles));
    }
    let mut tokens = TOKENS_PER_MESSAGE;
    if let Some(name) = fields.string("name")? {
        tokens += TOKENS_PER_NAME + count_tokens(name);
    }
    if role == "tool" {
        fields.required_string("tool_call_id")?;
    }
    let calls = fields.array("tool_calls")?;
    for (nth, call) in calls.unwrap_or_default().iter().enumerate() {
        tokens += call_tokens(call, &fields.path(&format!("tool_calls[{nth}]")))?;
    }
    if let Some(refusal) = fields.string("refusal")? {
        tokens += count_tokens(refusal);
    }
    match fields.get("content") {
        Some(content) => Ok(tokens + content_tokens(fields, content)?),
        None if role == "assistant" && (calls.is_some() || fields.get("refusal").is_some()) => Ok(tokens),
        None if role == "assistant" && fields.get("function_call").is_some() => Ok(tokens),
        None => {
            Err(invalid_type(&fields.path("content"), "one of a string or array of objects", &Value::Null))
        }
    }
}

fn call_tokens(call: &Value, place: &str) -> Result<u64, ApiError> {
    let fields = Fields::of(call, place)?;
    fields.required_string("id")?;
    let (part, text) = match fields.required_string("type")? {
        "function" => ("function", "arguments"),
        "custom" => ("custom", "input"),
        other => return Err(invalid_value(&fields.path("type"), other, &["function", "custom"])),
    };
    let place = fields.path(part);
    let fields = Fields::of(fields.required(part)?, &place)?;
    Ok(count_tokens(fields.required_string("name")?) + count_tokens(fields.required_string(text)?))
}

fn content_tokens(fields: Fields<'_, '_>, content: &Value) -> Result<u64, ApiError> {
    match content {
        Value::String(text) => Ok(count_tokens(text)),
        Value::Array(parts) => parts
            .iter()
            .enumerate()
            .map(|(nth, part)| part_tokens(part, &fields.path(&format!("content[{nth}]"))))
            .sum(),
        other => Err(fields.wrong("content", "one of a string or array of objects", other)),
    }
}

fn part_tokens(part: &Value, place: &str) -> Result<u64, ApiError> {
    let fields = Fields::of(part, place)?;
    match fields.required_string("type")? {
        "text" => Ok(count_tokens(fields.required_string("text")?)),
        "refusal" => Ok(count_tokens(fields.required_string("refusal")?)),
        "image_url" => {
            let place = fields.path("image_url");
            let image = Fields::of(fields.required("image_url")?, &place)?;
            image.required_string("url")?;
            Ok(if image.string("detail")? == Some("low") { TOKENS_IMAGE_LOW } else { TOKENS_IMAGE })
        }
        kind @ ("input_audio" | "file") => {
            fields.required(kind)?;
            Ok(TOKENS_ATTACHMENT)
        }
        other => Err(invalid_value(
            &fields.path("type"),
            other,
            &["text", "image_url", "input_audio", "refusal", "file"],
        )),
    }
}

/// The text of a message's content.
fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            let texts = parts.iter().filter_map(|part| part.get("text").and_then(Value::as_str));
            texts.collect::<Vec<_>>().join("\n")
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(messages: &Value) -> Result<Prompt, ApiError> {
        Prompt::read(messages.as_array().unwrap())
    }

    #[test]
    fn tokens_are_texts_and_the_cookbooks_additions() {
        let prompt = read(&json!([
            {"role": "system", "content": "12345678"},
            {"role": "user", "name": "Ann", "content": [
                {"type": "text", "text": "abcd"},
                {"type": "image_url", "image_url": {"url": "data:", "detail": "low"}},
                {"type": "image_url", "image_url": {"url": "data:"}},
            ]},
            {"role": "assistant", "content": null, "tool_calls": [
                {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "c", "content": "42"},
        ]))
        .unwrap();
        assert_eq!(prompt.tokens, 3 + (3 + 2) + (3 + 2 + 1 + 85 + 765) + (3 + 2) + (3 + 1));
        assert_eq!(prompt.last_text, "abcd");
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (messages, param) in [
            (json!([]), "messages"),
            (json!(["x"]), "messages[0]"),
            (json!([{"content": "x"}]), "messages[0].role"),
            (json!([{"role": "robot", "content": "x"}]), "messages[0].role"),
            (json!([{"role": "user"}]), "messages[0].content"),
            (json!([{"role": "user", "content": 5}]), "messages[0].content"),
            (json!([{"role": "user", "content": [{"type": "text"}]}]), "messages[0].content[0].text"),
            (json!([{"role": "user", "content": [{"type": "smell"}]}]), "messages[0].content[0].type"),
            (
                json!([{"role": "user", "content": "a"}, {"role": "tool", "content": "x"}]),
                "messages[1].tool_call_id",
            ),
            (
                json!([{"role": "assistant", "tool_calls": [{"id": "c", "type": "function"}]}]),
                "messages[0].tool_calls[0].function",
            ),
        ] {
            assert_eq!(read(&messages).unwrap_err().param.as_deref(), Some(param), "{messages}");
        }
    }
}
