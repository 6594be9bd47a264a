//! Replies from JSON: Anthropic's message becomes the body that an OpenAI call would have had.

use std::borrow::Cow;

use bytes::Bytes;

use super::messages::BLOCKS;
use super::usage::Counted;
use crate::clock::calendar_now;
use crate::provider::fields::Fields;
use crate::provider::writer::Writer;
use crate::provider::{ReplyFacts, Told};

/// Fields of a message that are told in other places.
const TOLD: [&str; 9] =
    ["id", "type", "role", "model", "content", "stop_reason", "stop_sequence", "stop_details", "usage"];

/// Codes of a spend that has reached its limit. <https://platform.claude.com/docs/en/api/errors>
const SPENT: [&str; 3] = [
    "contract_spend_limit_reached",
    "enforced_spend_limit_reached",
    "linked_organization_spend_limit_reached",
];

/// The status of each type of error. <https://platform.claude.com/docs/en/api/errors>
const STATUSES: [(&str, u16); 10] = [
    ("invalid_request_error", 400),
    ("authentication_error", 401),
    ("billing_error", 402),
    ("permission_error", 403),
    ("not_found_error", 404),
    ("request_too_large", 413),
    ("rate_limit_error", 429),
    ("api_error", 500),
    ("timeout_error", 504),
    ("overloaded_error", 529),
];

/// Read a message: what settling needs, and the body as OpenAI shapes it.
///
/// # Errors
/// The error that it tells, or what is wrong with it, as a sentence without its content.
pub(crate) fn reply(body: &[u8]) -> Result<(ReplyFacts, Bytes), Told> {
    let text = std::str::from_utf8(body).map_err(|_| Told::wrong("its body is not UTF-8"))?;
    let wrong = |what: &'static str| move || Told::wrong(what);
    let message = Fields::read(text).ok_or_else(wrong("its body is not a JSON object, or ends too early"))?;
    if let Some(told) = told(&message) {
        return Err(told);
    }
    let content = message.get("content").filter(|content| content.starts_with('['));
    let content = content.ok_or_else(wrong("its body has no list of content"))?;
    let blocks = Fields::read_list(content).ok_or_else(wrong("its content is not a list of blocks"))?;
    let stop = message.text("stop_reason").ok_or_else(wrong("its body has no stop_reason"))?;
    let usage = message.get("usage").unwrap_or("null");
    let counted = Counted::read(usage);

    let mut written = Writer::new(body.len() + body.len() / 2 + 256);
    written.string("id", &message.text("id").unwrap_or_default());
    written.string("object", "chat.completion");
    written.number("created", created());
    written.string("model", &message.text("model").unwrap_or_default());
    written.key("choices");
    written.open_list();
    written.open();
    written.number("index", 0);
    written.key("message");
    write_message(&mut written, &blocks, content, &message);
    written.raw("logprobs", "null");
    written.string("finish_reason", finish_reason(&stop));
    if let Some(sequence) = message.get("stop_sequence") {
        written.raw("stop_sequence", sequence);
    }
    written.close();
    written.close_list();
    counted.write(&mut written, usage);
    for (name, value) in message.except(&TOLD) {
        written.raw(name, value);
    }
    Ok((counted.facts(), written.finish()))
}

/// Anthropic does not say when: when it was read.
pub(super) fn created() -> u64 {
    calendar_now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// OpenAI's word for why a message ended; Anthropic's own where OpenAI has none.
pub(super) fn finish_reason(stop: &str) -> &str {
    match stop {
        "end_turn" | "stop_sequence" => "stop",
        "max_tokens" | "model_context_window_exceeded" => "length",
        "tool_use" => "tool_calls",
        "refusal" => "content_filter",
        other => other,
    }
}

fn write_message(body: &mut Writer, blocks: &[Fields<'_>], content: &str, message: &Fields<'_>) {
    let of_kind =
        |kind: &'static str| blocks.iter().filter(move |block| block.text("type").as_deref() == Some(kind));
    let joined = |kind: &'static str, field: &'static str| {
        let mut texts = of_kind(kind).filter_map(move |block| block.text(field)).peekable();
        texts.peek().is_some().then(|| join(texts))
    };
    body.open();
    body.string("role", "assistant");
    match joined("text", "text") {
        Some(text) => body.string("content", &text),
        None => body.raw("content", "null"),
    }
    let explained = message.object("stop_details").and_then(|details| details.text("explanation"));
    match explained.filter(|_| message.text("stop_reason").as_deref() == Some("refusal")) {
        Some(refusal) => body.string("refusal", &refusal),
        None => body.raw("refusal", "null"),
    }
    if let Some(thoughts) = joined("thinking", "thinking").filter(|thoughts| !thoughts.is_empty()) {
        body.string("reasoning_content", &thoughts);
    }
    if of_kind("tool_use").next().is_some() {
        body.key("tool_calls");
        body.list(of_kind("tool_use"), write_call);
    }
    let plain = |block: &Fields<'_>| match block.text("type").as_deref() {
        Some("text") => block.get("citations").is_none(),
        Some("tool_use") => true,
        _ => false,
    };
    if !blocks.iter().all(plain) {
        // What has no place in an OpenAI message must go back as it came: thoughts with their signatures, results of
        // tools that ran at the provider.
        body.raw(BLOCKS, content);
    }
    body.close();
}

fn join<'a>(mut texts: impl Iterator<Item = Cow<'a, str>>) -> Cow<'a, str> {
    let first = texts.next().unwrap_or_default();
    texts.fold(first, |mut all, text| {
        all.to_mut().push_str(&text);
        all
    })
}

fn write_call(body: &mut Writer, block: &Fields<'_>) {
    body.object(|body| {
        body.raw("id", block.get("id").unwrap_or("\"\""));
        body.string("type", "function");
        body.key("function");
        body.object(|body| {
            body.raw("name", block.get("name").unwrap_or("\"\""));
            let input = block.get("input").unwrap_or("{}");
            // A text stands for arguments that broke off, and so are no object.
            match crate::provider::fields::text(input) {
                Some(broken) => body.string("arguments", &broken),
                None => body.string("arguments", input),
            }
        });
    });
}

/// Read the body of an error status.
pub(crate) fn error(body: &[u8]) -> Told {
    let told_by = std::str::from_utf8(body).ok().and_then(Fields::read).as_ref().and_then(told);
    told_by.unwrap_or_else(|| {
        Told::wrong(if body.is_empty() { "an empty body" } else { "a body that is no Anthropic error" })
    })
}

/// What `{"type": "error", "error": {...}}` says.
pub(super) fn told(body: &Fields<'_>) -> Option<Told> {
    let error = body.object("error")?;
    let kind = error.text("type").unwrap_or_default();
    let code = error.object("details").and_then(|details| details.text("error_code"));
    Some(Told {
        message: error.text("message").map(Cow::into_owned),
        status: STATUSES.iter().find(|(name, _)| *name == kind).map(|(_, status)| *status),
        out_of_quota: kind == "billing_error" || code.is_some_and(|code| SPENT.contains(&&*code)),
        // Told in words alone, which may change.
        too_long: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_message_is_not_taken_for_one() {
        for (body, expected) in [
            ("", "not a JSON object"),
            (r#"{"content":[{"#, "not a JSON object"),
            ("<html>", "not a JSON object"),
            ("{}", "no list of content"),
            (r#"{"content":null}"#, "no list of content"),
            (r#"{"content":[1]}"#, "not a list of blocks"),
            (r#"{"content":[]}"#, "no stop_reason"),
            (r#"{"content":[],"stop_reason":null}"#, "no stop_reason"),
            (r#"{"type":"error","error":{"type":"api_error","message":"broken"}}"#, "broken"),
        ] {
            let error = reply(body.as_bytes()).unwrap_err().message.unwrap();
            assert!(error.contains(expected), "{body}: {error}");
        }
    }

    #[test]
    fn an_error_body_tells_its_message_and_whether_the_quota_is_used_up() {
        let told = |error: &str| super::error(format!(r#"{{"type":"error","error":{error}}}"#).as_bytes());
        let busy = told(r#"{"type":"overloaded_error","message":"busy"}"#);
        assert_eq!(busy, Told { message: Some("busy".into()), status: Some(529), ..Told::default() });
        assert!(told(r#"{"type":"billing_error","message":"pay"}"#).out_of_quota);
        let limit = r#"{"type":"rate_limit_error","message":"m","details":{"error_code":"enforced_spend_limit_reached"}}"#;
        assert!(told(limit).out_of_quota);
        assert_eq!(error(b"<html>").message.unwrap(), "a body that is no Anthropic error");
    }
}
