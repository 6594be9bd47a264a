//! Content: what was asked and what was said, after the policies.

use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::body::Content;
use super::digest::Key;
use crate::call::{Content as Said, Message, Part, Text};
use crate::config::AuditContent;
use crate::provider::messages_json;

/// What was asked, as the policies left it.
pub(crate) enum Prompt {
    Chat(Vec<Message>),
    Embed(Vec<Text>),
}

impl Prompt {
    /// As one JSON object.
    pub(super) fn json(&self) -> Vec<u8> {
        match self {
            Self::Chat(messages) => messages_json(messages).into(),
            Self::Embed(input) => {
                let input: Vec<&str> = input.iter().map(|text| &**text).collect();
                json!({"input": input}).to_string().into_bytes()
            }
        }
    }

    /// About how much memory it holds.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Embed(input) => input.iter().map(|text| text.len()).sum(),
            Self::Chat(messages) => messages.iter().map(|message| size(&message.content)).sum(),
        }
    }
}

fn size(content: &Said) -> usize {
    match content {
        Said::None => 0,
        Said::Text(text) => text.len(),
        Said::Parts(parts) => parts
            .iter()
            .map(|part| match part {
                Part::Text { text, .. } => text.len(),
                Part::Image { url, .. } => url.len(),
                Part::Other(json) => json.as_str().len(),
            })
            .sum(),
    }
}

/// The messages of a reply's choices, as one JSON object.
pub(super) fn messages(body: &[u8]) -> Option<Vec<u8>> {
    let mut body: Value = serde_json::from_slice(body).ok()?;
    let choices = body.get_mut("choices")?.as_array_mut()?;
    let messages: Vec<Value> =
        choices.iter_mut().filter_map(|choice| choice.get_mut("message")).map(Value::take).collect();
    Some(json!({ "messages": messages }).to_string().into_bytes())
}

/// What a record holds of a content.
pub(super) fn of(json: Vec<u8>, shown: AuditContent, key: &Key) -> Option<Content> {
    match shown {
        AuditContent::None => None,
        AuditContent::Hash => {
            Some(Content::Hash { hmac_sha256: key.digest(&json), bytes: json.len() as u64 })
        }
        // Compact JSON of our own writing, but for fields that a caller wrote, which may be in lines.
        AuditContent::Full => {
            let mut text = String::from_utf8(json).ok()?;
            if text.contains(['\n', '\r']) {
                text = serde_json::from_str::<Value>(&text).ok()?.to_string();
            }
            RawValue::from_string(text).ok().map(Content::Full)
        }
    }
}
