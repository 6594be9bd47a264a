//! The format against its fixtures: what goes out, what comes back whole, and what comes back in pieces.

use std::fs;
use std::path::PathBuf;

use bytes::Bytes;
use serde_json::{Value, json};

use super::{Reading, chat, reply};
use crate::call::{ChatRequest, Chunk, Content, Message, Part, Role};
use crate::config::{Config, Sources, Target};
use crate::json::Json;
use crate::provider::Output;
use crate::provider::lacks::Lacks;

/// The fixtures of one kind by name.
fn fixtures(kind: &str, extension: &str) -> Vec<(String, String)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/anthropic").join(kind);
    let mut found: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (name, fs::read_to_string(path).unwrap())
        })
        .collect();
    found.sort();
    assert!(!found.is_empty(), "no fixtures of {kind}");
    found
}

/// A model of Anthropic, with `settings` for it.
pub(super) fn target(model: &str, settings: &Value) -> Target {
    let overrides = json!({"budget": {"unpriced": "allow"}, "providers": {"anthropic": settings}});
    let sources = Sources { overrides: Some(overrides.to_string()), ..Sources::default() };
    let route = Config::load(&sources).unwrap().routes.resolve(&format!("anthropic/{model}")).unwrap();
    route.targets().next().unwrap().clone()
}

fn json_text(value: &Value) -> Json {
    Json::from_value(value).unwrap()
}

fn part(part: &Value) -> Part {
    let extra = |known: &[&str]| {
        let fields = part.as_object().unwrap().iter().filter(|(name, _)| !known.contains(&name.as_str()));
        fields.map(|(name, value)| (name.as_str().into(), json_text(value))).collect()
    };
    match part["type"].as_str() {
        Some("text") => {
            Part::Text { text: part["text"].as_str().unwrap().into(), extra: extra(&["type", "text"]) }
        }
        Some("image_url") => Part::Image {
            url: part["image_url"]["url"].as_str().unwrap().into(),
            detail: part["image_url"]["detail"].as_str().map(Into::into),
            extra: extra(&["type", "image_url"]),
        },
        _ => Part::Other(json_text(part)),
    }
}

fn message(message: &Value) -> Message {
    let content = match &message["content"] {
        Value::String(text) => Content::Text(text.as_str().into()),
        Value::Array(parts) => Content::Parts(parts.iter().map(part).collect()),
        _ => Content::None,
    };
    let extra = message.as_object().unwrap().iter();
    let extra = extra.filter(|(name, _)| !["role", "content"].contains(&name.as_str()));
    Message {
        role: Role::from_name(message["role"].as_str().unwrap()).unwrap(),
        content,
        extra: extra.map(|(name, value)| (name.as_str().into(), json_text(value))).collect(),
    }
}

/// A request as OpenAI shapes it.
fn request(body: &Value) -> ChatRequest {
    let messages = body["messages"].as_array().unwrap().iter().map(message).collect();
    let mut request = ChatRequest::new("m", messages);
    for (name, value) in body.as_object().unwrap() {
        let number = || value.as_u64().and_then(|number| u32::try_from(number).ok());
        match name.as_str() {
            "messages" | "model" => {}
            "max_tokens" => request.max_tokens = number(),
            "n" => request.n = number(),
            _ => request.params.push((name.as_str().into(), json_text(value))),
        }
    }
    request
}

/// What goes out for `body`, and what is said of it.
fn sent(target: &Target, body: &Value, output: Output) -> Result<(Value, Vec<String>), String> {
    let mut warnings = Vec::new();
    let mut lacks = Lacks::new(&target.provider, &mut warnings);
    let encoded = chat(&request(body), target, output, false, &mut lacks);
    let encoded = encoded.map_err(|error| error.to_string())?;
    Ok((serde_json::from_slice(&encoded).unwrap(), warnings))
}

#[test]
fn requests_go_out_as_anthropic_shapes_them() {
    for (name, fixture) in fixtures("requests", "json") {
        let fixture: Value = serde_json::from_str(&fixture).unwrap();
        let model = fixture["openai"]["model"].as_str().unwrap();
        let target = target(model, &json!({"unsupported_params": "drop"}));
        let (sent, warnings) = sent(&target, &fixture["openai"], Output::Asked).unwrap();
        // As text, so that the order of fields counts.
        assert_eq!(format!("{sent:#}"), format!("{:#}", fixture["anthropic"]), "{name}");
        assert_eq!(json!(warnings), fixture["warnings"], "{name}");
    }
}

/// The body as OpenAI shapes it, without the time of reading.
fn shaped(body: &Bytes) -> Value {
    let mut shaped: Value = serde_json::from_slice(body).unwrap();
    assert!(shaped["created"].take().as_u64().unwrap() > 1_700_000_000);
    shaped
}

#[test]
fn replies_come_back_as_openai_shapes_them() {
    for (name, fixture) in fixtures("replies", "json") {
        let fixture: Value = serde_json::from_str(&fixture).unwrap();
        let (facts, body) = reply(fixture["anthropic"].to_string().as_bytes()).unwrap();
        assert_eq!(format!("{:#}", shaped(&body)), format!("{:#}", fixture["openai"]), "{name}");
        let usage = facts.usage.unwrap();
        assert_eq!(json!(usage.input_tokens), fixture["openai"]["usage"]["prompt_tokens"], "{name}");
    }
}

/// What is read of a stream's events.
fn read(stream: &str) -> (Reading, Vec<Chunk>, bool) {
    let asked = json!({"messages": [], "stream_options": {"include_usage": true}});
    let mut reading = Reading::new(&request(&asked));
    let mut chunks = Vec::new();
    let mut done = false;
    for line in stream.lines() {
        let Some(data) = line.strip_prefix("data: ") else { continue };
        assert!(!done, "something comes after the end");
        done = reading.read(Bytes::copy_from_slice(data.as_bytes()), &mut chunks).unwrap();
    }
    (reading, chunks, done)
}

#[test]
fn a_stream_gives_the_reply_of_the_plain_call() {
    let replies = fixtures("replies", "json");
    for (name, stream) in fixtures("streams", "sse") {
        let (_, fixture) = replies.iter().find(|(reply, _)| *reply == name).unwrap();
        let fixture: Value = serde_json::from_str(fixture).unwrap();
        let (reading, chunks, done) = read(&stream);
        assert!(done && reading.finished(), "{name}");
        let whole = reading.whole();
        let raw: Value = serde_json::from_slice(&whole.raw.unwrap()).unwrap();
        assert_eq!(raw, fixture["anthropic"], "{name}");
        assert_eq!(shaped(&whole.body), fixture["openai"], "{name}");
        let (plain, _) = reply(fixture["anthropic"].to_string().as_bytes()).unwrap();
        assert_eq!(*reading.facts(), plain, "{name}: the cost is the same");
        let text: String = chunks.iter().map(|chunk| &*chunk.text).collect();
        assert_eq!(
            text,
            fixture["openai"]["choices"][0]["message"]["content"].as_str().unwrap_or(""),
            "{name}"
        );
        assert_eq!(chunks.iter().filter(|chunk| chunk.finish_reason.is_some()).count(), 1, "{name}");
    }
}

#[test]
fn chunks_are_as_openai_shapes_them() {
    let (_, stream) =
        fixtures("streams", "sse").into_iter().find(|(name, _)| name == "parallel_tools").unwrap();
    let (_, chunks, _) = read(&stream);
    let deltas: Vec<Value> = chunks
        .iter()
        .map(|chunk| {
            let data: Value = serde_json::from_slice(&chunk.data).unwrap();
            assert_eq!(data["object"], "chat.completion.chunk");
            assert!(chunk.raw.is_some());
            data["choices"]
                .get(0)
                .map_or_else(|| data["usage"]["total_tokens"].clone(), |choice| choice["delta"].clone())
        })
        .collect();
    let begun = |index: u64, id: &str, name: &str| json!({"tool_calls": [{"index": index, "id": id, "type": "function", "function": {"name": name, "arguments": ""}}]});
    let more = |index: u64, arguments: &str| json!({"tool_calls": [{"index": index, "function": {"arguments": arguments}}]});
    let expected = [
        json!({"role": "assistant", "content": ""}),
        json!({}),
        json!({"content": "Both."}),
        begun(0, "toolu_1", "weather"),
        more(0, "{\"city\":"),
        more(0, "\"Oslo\"}"),
        begun(1, "toolu_2", "time"),
        json!({}),
        json!(482),
    ];
    assert_eq!(deltas, expected);
}

#[test]
fn no_prefix_of_a_stream_is_taken_for_a_whole_reply() {
    for (name, stream) in fixtures("streams", "sse") {
        let ends: Vec<usize> = stream.match_indices("\n\n").map(|(at, _)| at).collect();
        for end in &ends[..ends.len() - 2] {
            let (reading, _, done) = read(&stream[..*end]);
            assert!(!done, "{name}");
            assert!(!reading.finished(), "{name} up to {end}");
            assert_eq!(reading.facts().usage, None, "{name}: what it began with is not what it used");
        }
    }
}

#[test]
fn what_it_cannot_be_asked_is_refused_by_name() {
    let target = target("claude-sonnet-4-5", &json!({}));
    let user = json!({"role": "user", "content": "hi"});
    let with = |change: Value| {
        let mut body = json!({"messages": [user]});
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        sent(&target, &body, Output::Asked)
    };
    for (change, expected) in [
        (
            json!({"seed": 7}),
            "\"anthropic\" does not take seed: leave it out, or set providers.anthropic.unsupported_params",
        ),
        (json!({"logprobs": true}), "does not take logprobs"),
        (json!({"service_tier": "flex"}), "does not take service_tier \"flex\""),
        (
            json!({"response_format": {"type": "json_object"}}),
            "does not take response_format without a schema",
        ),
        (json!({"n": 2}), "gives one choice a call"),
        (json!({"stop": ["END", "\n"]}), "does not take a stop of white space alone"),
        (json!({"stop": 7}), "stop: neither a text nor a list"),
        (json!({"metadata": {"trace": "a"}}), "does not take metadata.trace"),
        (json!({"temperature": 1.5}), "does not take temperature above 1"),
        (json!({"temperature": 0.5, "top_p": 0.5}), "does not take top_p beside temperature with this model"),
        (
            json!({"temperature": 0.5, "reasoning_effort": "low", "max_tokens": 4096}),
            "does not take temperature beside thinking",
        ),
        (json!({"reasoning_effort": "huge"}), "reasoning_effort: write"),
        (json!({"tool_choice": "maybe"}), "tool_choice \"maybe\""),
        (json!({"tools": [{"type": "function", "function": {}}]}), "tools[0].function.name is missing"),
        (json!({"messages": [{"role": "function", "content": "x"}]}), "messages[0].role is \"function\""),
        (
            json!({"messages": [{"role": "user", "content": "x", "name": "Ann"}]}),
            "does not take messages[0].name",
        ),
        (json!({"messages": [{"role": "tool", "content": "x"}]}), "messages[0].tool_call_id is missing"),
        (
            json!({"messages": [user, {"role": "assistant", "tool_calls": [{"id": "a", "function": {"name": "f", "arguments": "{"}}]}]}),
            "messages[1].tool_calls[0].function.arguments is not a JSON object",
        ),
        (
            json!({"messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}]}),
            "messages[0].content[0]: it holds audio",
        ),
        (
            json!({"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_data": "data:application/zip;base64,AA=="}}]}]}),
            "a file is a PDF, plain text or an image",
        ),
        (
            json!({"messages": [{"role": "system", "content": [{"type": "image_url", "image_url": {"url": "https://x"}}]}]}),
            "takes only text as instructions",
        ),
    ] {
        let error = with(change.clone()).unwrap_err();
        assert!(error.contains(expected), "{change}: {error}");
    }
    for nothing in
        [json!({"seed": null}), json!({"presence_penalty": 0}), json!({"logprobs": false}), json!({"n": 1})]
    {
        let (sent, warnings) = with(nothing.clone()).unwrap();
        assert_eq!((sent.get("seed"), sent.get("n"), warnings.len()), (None, None, 0), "{nothing}");
    }
}

#[test]
fn sampling_is_refused_where_the_model_refuses_it() {
    let body = json!({"messages": [{"role": "user", "content": "hi"}], "max_tokens": 9, "temperature": 0.2});
    let older = sent(&target("claude-sonnet-4-6", &json!({})), &body, Output::Asked).unwrap().0;
    assert_eq!(older["temperature"], json!(0.2));
    let error = sent(&target("claude-opus-4-7", &json!({})), &body, Output::Asked).unwrap_err();
    assert!(error.contains("does not take temperature with this model"), "{error}");
}

#[test]
fn a_lowered_bound_leaves_room_for_thinking_or_none() {
    let body = json!({
        "messages": [{"role": "user", "content": "hi"}],
        "thinking": {"type": "enabled", "budget_tokens": 8000},
    });
    let target = target("claude-sonnet-4-5", &json!({}));
    let (lowered, warnings) = sent(&target, &body, Output::Lowered(3000)).unwrap();
    assert_eq!((&lowered["max_tokens"], &lowered["thinking"]["budget_tokens"]), (&json!(3000), &json!(1500)));
    assert!(warnings[0].contains("lowered from 8000 to 1500"), "{warnings:?}");
    let (without, warnings) = sent(&target, &body, Output::Lowered(900)).unwrap();
    assert_eq!(without.get("thinking"), None);
    assert!(warnings[0].contains("thinking was left out"), "{warnings:?}");
}
