//! What a server of each format sends: a reply of two tokens to a prompt of three, whole and in events.

use iron_protocol::NanoUsd;
use serde_json::json;

use super::{Form, Way};
use crate::rig::{INPUT, OUTPUT, Wire, nanos};

/// What the whole reply says.
pub(super) const TEXT: &str = "whole";

/// What the reply costs.
pub(super) fn price() -> NanoUsd {
    nanos(3 * INPUT + 2 * OUTPUT)
}

/// The headers of a whole reply, and its body.
pub(super) fn usual((wire, form): Way) -> (&'static str, String) {
    match form {
        Form::Plain => ("content-type: application/json\r\n", wire.reply()),
        Form::Stream => ("content-type: text/event-stream\r\n", wire.events()),
    }
}

impl Wire {
    pub(super) fn reply(self) -> String {
        match self {
            Self::OpenAi => json!({
                "id": "c", "object": "chat.completion", "model": "m",
                "choices": [{
                    "index": 0, "message": {"role": "assistant", "content": TEXT}, "finish_reason": "stop",
                }],
                "usage": {"prompt_tokens": 3, "completion_tokens": 2},
            }),
            Self::Anthropic => json!({
                "id": "c", "type": "message", "role": "assistant", "model": "m",
                "content": [{"type": "text", "text": TEXT}],
                "stop_reason": "end_turn", "stop_sequence": null,
                "usage": {"input_tokens": 3, "output_tokens": 2},
            }),
        }
        .to_string()
    }

    pub(super) fn events(self) -> String {
        [&*self.begin(), &self.text(TEXT), &self.finish(), &self.usage(), self.end()].concat()
    }

    /// What stands before the first of the content.
    pub(super) fn begin(self) -> String {
        let message = json!({
            "id": "c", "type": "message", "role": "assistant", "model": "m", "content": [],
            "stop_reason": null, "stop_sequence": null, "usage": {"input_tokens": 3, "output_tokens": 1},
        });
        match self {
            Self::OpenAi => event(&json!({"choices": [{"index": 0, "delta": {"role": "assistant"}}]})),
            Self::Anthropic => [
                json!({"type": "message_start", "message": message}),
                json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
            ]
            .iter()
            .map(event)
            .collect(),
        }
    }

    pub(super) fn text(self, content: &str) -> String {
        event(&match self {
            Self::OpenAi => json!({"choices": [{"index": 0, "delta": {"content": content}}]}),
            Self::Anthropic => json!({
                "type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": content},
            }),
        })
    }

    /// The end of the content, without its usage.
    pub(super) fn finish(self) -> String {
        match self {
            Self::OpenAi => event(&json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})),
            Self::Anthropic => [
                json!({"type": "content_block_stop", "index": 0}),
                json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}}),
            ]
            .iter()
            .map(event)
            .collect(),
        }
    }

    pub(super) fn usage(self) -> String {
        event(&match self {
            Self::OpenAi => json!({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}),
            Self::Anthropic => {
                json!({"type": "message_delta", "delta": {}, "usage": {"input_tokens": 3, "output_tokens": 2}})
            }
        })
    }

    /// Nothing comes after it.
    pub(super) fn end(self) -> &'static str {
        match self {
            Self::OpenAi => "data: [DONE]\n\n",
            Self::Anthropic => "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
        }
    }

    /// An error as a body.
    pub(super) fn error(self, message: &str) -> String {
        match self {
            Self::OpenAi => json!({"error": {"message": message}}),
            Self::Anthropic => json!({"type": "error", "error": {"type": "newer_error", "message": message}}),
        }
        .to_string()
    }

    /// What a list is that should be a reply.
    pub(super) fn no_reply(self) -> &'static str {
        match self {
            Self::OpenAi => "its body has neither choices nor data",
            Self::Anthropic => "its body is not a JSON object",
        }
    }

    /// What a body is that should be an error and is none.
    pub(super) fn no_error(self) -> &'static str {
        match self {
            Self::OpenAi => "a body that is no OpenAI error",
            Self::Anthropic => "a body that is no Anthropic error",
        }
    }

    /// Where chats go.
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::OpenAi => "chat/completions",
            Self::Anthropic => "messages",
        }
    }
}

fn event(data: &serde_json::Value) -> String {
    match data["type"].as_str() {
        Some(name) => format!("event: {name}\ndata: {data}\n\n"),
        None => format!("data: {data}\n\n"),
    }
}
