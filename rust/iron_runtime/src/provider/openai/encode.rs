//! Requests to JSON.

use bytes::Bytes;

use crate::Error;
use crate::call::{ChatRequest, Content, EmbedRequest, Message, Part, Role};
use crate::config::Target;
use crate::json::Json;
use crate::provider::Output;
use crate::provider::lacks::Lacks;
use crate::provider::writer::Writer;

/// What an assistant's message holds of another format's reply, and only that format can read.
const FOREIGN: [&str; 2] = ["content_blocks", "reasoning_content"];

/// A chat completion's body.
///
/// # Errors
/// [`Error::Config`] for what the provider does not take.
pub(crate) fn chat(
    request: &ChatRequest,
    target: &Target,
    output: Output,
    stream: bool,
    lacks: &mut Lacks<'_>,
) -> Result<Bytes, Error> {
    let vendor = target.provider.vendor;
    let mut body = Writer::sized_for(request);
    body.string("model", &target.model);
    body.key("messages");
    body.list(&request.messages, |body, given| message(body, given, vendor.developer_role));
    let bound = match output {
        Output::Asked => request.max_tokens.map(u64::from),
        Output::Lowered(tokens) => Some(tokens),
    };
    if let Some(tokens) = bound {
        body.number(target.provider.max_tokens_field.as_str(), tokens);
    }
    match request.n {
        Some(n) if n > 1 && vendor.lacks("n") => return Err(lacks.one_choice()),
        Some(n) => body.number("n", u64::from(n)),
        None => {}
    }
    for (name, value) in &request.params {
        if !lacks.lets(name, value)? || (stream && name == "stream_options") {
            continue;
        }
        match vendor.renames.get(&**name) {
            // What is given by the vendor's own name stands.
            Some(own) if request.param(own).is_some() => {}
            Some(own) => body.raw(own, value.as_str()),
            None => body.raw(name, value.as_str()),
        }
    }
    if stream {
        body.raw("stream", "true");
        if !vendor.lacks("stream_options") {
            // Without it a stream tells no usage, and the cost could only be estimated.
            body.raw("stream_options", &with_usage(request.param("stream_options")));
        }
    }
    Ok(body.finish())
}

/// The messages alone, as one object.
pub(crate) fn messages_json(messages: &[Message]) -> Bytes {
    let mut body = Writer::new(512);
    body.key("messages");
    body.list(messages, |body, given| message(body, given, true));
    body.finish()
}

/// An embeddings request's body.
pub(crate) fn embed(request: &EmbedRequest, target: &Target) -> Bytes {
    let mut body = Writer::new(256 + request.input.iter().map(|text| text.len() + 8).sum::<usize>());
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

fn message(body: &mut Writer, message: &Message, developer_role: bool) {
    body.object(|body| {
        let role = match message.role {
            Role::Developer if !developer_role => Role::System,
            role => role,
        };
        body.string("role", role.as_str());
        match &message.content {
            Content::None => body.raw("content", "null"),
            Content::Text(text) => body.string("content", text),
            Content::Parts(parts) => {
                body.key("content");
                body.list(parts, part);
            }
        }
        let foreign = message.extra.iter().any(|(name, _)| name == FOREIGN[0]);
        for (name, value) in &message.extra {
            if !(foreign && FOREIGN.contains(&&**name)) {
                body.raw(name, value.as_str());
            }
        }
    });
}

fn part(body: &mut Writer, part: &Part) {
    match part {
        Part::Other(json) => body.json(json.as_str()),
        Part::Text { text, extra } => body.object(|body| {
            body.string("type", "text");
            body.string("text", text);
            body.fields(extra);
        }),
        Part::Image { url, detail, extra } => body.object(|body| {
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
