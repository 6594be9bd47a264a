//! Requests to JSON.

use std::io::Write as _;

use bytes::Bytes;
use serde::Serialize;

use crate::call::{ChatRequest, Content, EmbedRequest, Message, Part, Text};
use crate::config::Target;
use crate::json::Json;
use crate::provider::Output;

/// A chat completion's body.
pub(crate) fn chat(request: &ChatRequest, target: &Target, output: Output, stream: bool) -> Bytes {
    let mut body = Body::new(512 + size(request));
    body.string("model", &target.model);
    body.key("messages");
    body.list(&request.messages, Body::message);
    let bound = match output {
        Output::Asked => request.max_tokens.map(u64::from),
        Output::Lowered(tokens) => Some(tokens),
    };
    if let Some(tokens) = bound {
        body.number(target.provider.max_tokens_field.as_str(), tokens);
    }
    if let Some(n) = request.n {
        body.number("n", u64::from(n));
    }
    for (name, value) in &request.params {
        if !(stream && name == "stream_options") {
            body.raw(name, value.as_str());
        }
    }
    if stream {
        body.raw("stream", "true");
        // Without it a stream tells no usage, and the cost could only be estimated.
        body.raw("stream_options", &with_usage(request.param("stream_options")));
    }
    body.finish()
}

/// An embeddings request's body.
pub(crate) fn embed(request: &EmbedRequest, target: &Target) -> Bytes {
    let mut body = Body::new(256 + request.input.iter().map(|text| text.len() + 8).sum::<usize>());
    body.string("model", &target.model);
    body.key("input");
    body.list(&request.input, |body, text| body.text(text));
    for (name, value) in &request.params {
        body.raw(name, value.as_str());
    }
    body.finish()
}

/// The caller's stream options, with usage asked for.
fn with_usage(options: Option<&Json>) -> String {
    const USAGE: &str = r#"{"include_usage":true}"#;
    let fields = options.and_then(|options| {
        serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(options.as_str()).ok()
    });
    let Some(mut fields) = fields else { return USAGE.to_owned() };
    fields.insert("include_usage".to_owned(), true.into());
    serde_json::Value::Object(fields).to_string()
}

/// About how long the body will be; text that needs escapes makes it grow.
fn size(request: &ChatRequest) -> usize {
    let content = |content: &Content| match content {
        Content::None => 4,
        Content::Text(text) => text.len(),
        Content::Parts(parts) => parts
            .iter()
            .map(|part| match part {
                Part::Text { text, .. } => text.len() + 32,
                Part::Image { url, .. } => url.len() + 64,
                Part::Other(json) => json.as_str().len(),
            })
            .sum(),
    };
    let fields = |fields: &[(Text, Json)]| -> usize {
        fields.iter().map(|(name, value)| name.len() + value.as_str().len() + 8).sum()
    };
    let messages =
        request.messages.iter().map(|message| content(&message.content) + fields(&message.extra) + 40);
    messages.sum::<usize>() + fields(&request.params)
}

/// A JSON object being written.
struct Body {
    bytes: Vec<u8>,
}

impl Body {
    fn new(capacity: usize) -> Self {
        let mut bytes = Vec::with_capacity(capacity);
        bytes.push(b'{');
        Self { bytes }
    }

    fn finish(mut self) -> Bytes {
        self.bytes.push(b'}');
        self.bytes.into()
    }

    fn key(&mut self, name: &str) {
        if self.bytes.last() != Some(&b'{') {
            self.bytes.push(b',');
        }
        self.text(name);
        self.bytes.push(b':');
    }

    fn text(&mut self, text: &str) {
        self.value(text);
    }

    fn value(&mut self, value: &(impl Serialize + ?Sized)) {
        // Writing a text or a number to memory cannot fail.
        drop(serde_json::to_writer(&mut self.bytes, value));
    }

    fn string(&mut self, name: &str, value: &str) {
        self.key(name);
        self.text(value);
    }

    fn number(&mut self, name: &str, value: u64) {
        self.key(name);
        drop(write!(self.bytes, "{value}"));
    }

    fn raw(&mut self, name: &str, json: &str) {
        self.key(name);
        self.bytes.extend_from_slice(json.as_bytes());
    }

    fn list<T>(&mut self, items: &[T], mut each: impl FnMut(&mut Self, &T)) {
        self.bytes.push(b'[');
        for (nth, item) in items.iter().enumerate() {
            if nth > 0 {
                self.bytes.push(b',');
            }
            each(self, item);
        }
        self.bytes.push(b']');
    }

    fn object(&mut self, fields: impl FnOnce(&mut Self)) {
        self.bytes.push(b'{');
        fields(self);
        self.bytes.push(b'}');
    }

    fn message(&mut self, message: &Message) {
        self.object(|body| {
            body.string("role", message.role.as_str());
            match &message.content {
                Content::None => body.raw("content", "null"),
                Content::Text(text) => body.string("content", text),
                Content::Parts(parts) => {
                    body.key("content");
                    body.list(parts, Self::part);
                }
            }
            body.fields(&message.extra);
        });
    }

    fn part(&mut self, part: &Part) {
        match part {
            Part::Other(json) => self.bytes.extend_from_slice(json.as_str().as_bytes()),
            Part::Text { text, extra } => self.object(|body| {
                body.string("type", "text");
                body.string("text", text);
                body.fields(extra);
            }),
            Part::Image { url, detail, extra } => self.object(|body| {
                body.string("type", "image_url");
                body.key("image_url");
                body.object(|body| {
                    body.string("url", url);
                    if let Some(detail) = detail {
                        body.string("detail", detail);
                    }
                });
                body.fields(extra);
            }),
        }
    }

    fn fields(&mut self, fields: &[(Text, Json)]) {
        for (name, value) in fields {
            self.raw(name, value.as_str());
        }
    }
}
