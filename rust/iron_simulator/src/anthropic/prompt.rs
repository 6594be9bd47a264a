//! The prompt: instructions and messages, checked, and counted in tokens.

use serde_json::Value;

use super::error::{missing, wrong};
use crate::openai::error::ApiError;
use crate::tokens::count_tokens;

/// Around each message, and to prime the reply; Anthropic publishes no number, so OpenAI's stand.
const TOKENS_PER_MESSAGE: u64 = 3;
const TOKENS_PRIMING: u64 = 3;
/// An image of 1,092 by 1,092 pixels by the published rule, width × height / 750, whatever its size.
/// <https://platform.claude.com/docs/en/build-with-claude/vision>
const TOKENS_IMAGE: u64 = 1_590;
/// A document whose text is not in the request, whatever its length.
const TOKENS_DOCUMENT: u64 = 2_000;

/// What is known of the messages.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Prompt {
    pub(super) tokens: u64,
    /// The text of the last message of the user.
    pub(super) last_text: String,
}

impl Prompt {
    pub(super) fn read(system: Option<&Value>, messages: &[Value]) -> Result<Self, ApiError> {
        if messages.is_empty() {
            return Err(ApiError::invalid("messages: at least one message is required"));
        }
        let mut prompt = Self { tokens: TOKENS_PRIMING, last_text: String::new() };
        if let Some(system) = system {
            prompt.tokens += content(system, "system")?;
        }
        for (nth, message) in messages.iter().enumerate() {
            let place = format!("messages.{nth}");
            let said = message.get("content").ok_or_else(|| missing(&format!("{place}.content")))?;
            match message.get("role").and_then(Value::as_str) {
                Some("user") => prompt.last_text = text_of(said),
                Some("assistant") => {}
                _ => return Err(wrong(&format!("{place}.role"), "'user' or 'assistant'")),
            }
            if said.as_array().is_some_and(Vec::is_empty) {
                return Err(ApiError::invalid(format!("{place}: content must be non-empty")));
            }
            prompt.tokens += TOKENS_PER_MESSAGE + content(said, &format!("{place}.content"))?;
        }
        Ok(prompt)
    }
}

fn content(content: &Value, place: &str) -> Result<u64, ApiError> {
    match content {
        Value::String(text) => Ok(count_tokens(text)),
        Value::Array(blocks) => {
            blocks.iter().enumerate().map(|(nth, value)| block(value, &format!("{place}.{nth}"))).sum()
        }
        _ => Err(wrong(place, "a valid string or array")),
    }
}

fn block(block: &Value, place: &str) -> Result<u64, ApiError> {
    let field = |name: &str| block.get(name).ok_or_else(|| missing(&format!("{place}.{name}")));
    let text = |name: &str| {
        let path = format!("{place}.{name}");
        field(name)?.as_str().ok_or_else(|| wrong(&path, "a valid string"))
    };
    match text("type")? {
        "text" if text("text")?.is_empty() => {
            Err(ApiError::invalid(format!("{place}: text content blocks must be non-empty")))
        }
        "text" => Ok(count_tokens(text("text")?)),
        "thinking" => {
            text("signature")?;
            Ok(count_tokens(text("thinking")?))
        }
        "redacted_thinking" => Ok(count_tokens(text("data")?)),
        "image" => {
            source(field("source")?, place)?;
            Ok(TOKENS_IMAGE)
        }
        "document" => Ok(match source(field("source")?, place)? {
            Some(text) => count_tokens(text),
            None => TOKENS_DOCUMENT,
        }),
        "tool_use" => {
            text("id")?;
            let input = field("input")?;
            if !input.is_object() {
                return Err(wrong(&format!("{place}.input"), "a valid dictionary"));
            }
            Ok(count_tokens(text("name")?) + count_tokens(&input.to_string()))
        }
        "tool_result" => {
            text("tool_use_id")?;
            block.get("content").map_or(Ok(0), |said| content(said, &format!("{place}.content")))
        }
        // Blocks of tools that ran at the provider, and those that are newer than this program.
        _ => Ok(count_tokens(&block.to_string())),
    }
}

/// The text that a source holds, if it holds any.
fn source<'a>(source: &'a Value, place: &str) -> Result<Option<&'a str>, ApiError> {
    let field = |name: &str| {
        let path = format!("{place}.source.{name}");
        source.get(name).and_then(Value::as_str).ok_or_else(|| missing(&path))
    };
    match field("type")? {
        "base64" => {
            field("media_type")?;
            field("data").map(|_| None)
        }
        "text" => field("data").map(Some),
        "url" => field("url").map(|_| None),
        "file" => field("file_id").map(|_| None),
        "content" => Ok(None),
        _ => Err(wrong(&format!("{place}.source.type"), "'base64', 'text', 'url', 'file' or 'content'")),
    }
}

/// The texts of a message, those of results included.
fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(blocks) => {
            let texts = blocks.iter().filter_map(|block| block.get("text").and_then(Value::as_str));
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
        Prompt::read(None, messages.as_array().unwrap())
    }

    #[test]
    fn texts_images_and_documents_count() {
        let prompt = read(&json!([
            {"role": "user", "content": [
                {"type": "text", "text": "abcd"},
                {"type": "image", "source": {"type": "url", "url": "https://x"}},
                {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "AA=="}},
                {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "12345678"}},
            ]},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "f", "input": {}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a", "content": "wxyz"}]},
        ]));
        let prompt = prompt.unwrap();
        assert_eq!(prompt.tokens, 3 + 3 * 3 + 1 + TOKENS_IMAGE + TOKENS_DOCUMENT + 2 + 1 + 1 + 1);
        assert_eq!(prompt.last_text, "");
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (messages, expected) in [
            (json!([]), "messages: at least one message is required"),
            (json!([{"role": "user"}]), "messages.0.content: Field required"),
            (
                json!([{"role": "system", "content": "x"}]),
                "messages.0.role: Input should be 'user' or 'assistant'",
            ),
            (json!([{"role": "user", "content": []}]), "messages.0: content must be non-empty"),
            (
                json!([{"role": "user", "content": [{"type": "text", "text": ""}]}]),
                "messages.0.content.0: text content blocks must be non-empty",
            ),
            (
                json!([{"role": "user", "content": [{"type": "image", "source": {"type": "url"}}]}]),
                "messages.0.content.0.source.url: Field required",
            ),
            (
                json!([{"role": "assistant", "content": [{"type": "thinking", "thinking": "x"}]}]),
                "messages.0.content.0.signature: Field required",
            ),
            (
                json!([{"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "f", "input": "{}"}]}]),
                "messages.0.content.0.input: Input should be a valid dictionary",
            ),
        ] {
            assert_eq!(read(&messages).unwrap_err().message, expected);
        }
    }
}
