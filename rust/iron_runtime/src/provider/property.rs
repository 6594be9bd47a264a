//! What holds of every JSON: nothing of it breaks a format, and what is not known passes both ways.

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{Output, Reading, WireFormat};
use crate::call::{ChatRequest, Message};
use crate::config::{Config, Sources, Target};
use crate::json::Json;

const FORMATS: [WireFormat; 2] = [WireFormat::OpenAi, WireFormat::Anthropic];
/// What both formats speak of, so that what is drawn is sometimes half right.
const NAMES: [&str; 24] = [
    "choices",
    "delta",
    "content",
    "usage",
    "error",
    "type",
    "message",
    "code",
    "index",
    "finish_reason",
    "text",
    "content_block",
    "stop_reason",
    "input",
    "tool_calls",
    "prompt_tokens",
    "input_tokens",
    "output_tokens",
    "prompt_tokens_details",
    "cache_creation",
    "iterations",
    "service_tier",
    "partial_json",
    "citations",
];
const TEXTS: [&str; 10] = [
    "",
    "é\n🦀",
    "text",
    "tool_use",
    "error",
    "message_start",
    "content_block_start",
    "content_block_delta",
    "content_block_stop",
    "message_delta",
];

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(&TEXTS[..]).prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 5, |inner| {
        let name = prop_oneof![4 => prop::sample::select(&NAMES[..]).prop_map(str::to_owned), 1 => ".{0,6}"];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((name, inner), 0..5)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// Fields that no format knows, without floating numbers, whose text may change.
fn unknown() -> impl Strategy<Value = Map<String, Value>> {
    let value = prop_oneof![
        any::<i64>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
        prop::collection::vec(any::<i64>().prop_map(Value::from), 1..4).prop_map(Value::from),
        "[a-z]{1,4}".prop_map(|name| json!({name: null})),
    ];
    prop::collection::vec(("x_[a-z]{1,8}", value), 0..5).prop_map(|fields| fields.into_iter().collect())
}

fn read_all(format: WireFormat, body: &Bytes) {
    drop(format.reply(body));
    format.error(body);
    let request = ChatRequest::new("m", vec![Message::user("x")]);
    let mut reading = Reading::new(format, &request);
    let mut chunks = Vec::new();
    // Twice: the second time it goes on where something has been.
    for _ in 0..2 {
        drop(reading.read(body.clone(), &mut chunks));
    }
    reading.finished();
    reading.most_tokens();
    reading.whole();
}

fn target(provider: &str) -> Target {
    let settings = json!({"budget": {"unpriced": "allow"}, "providers": {provider: {"api_key": "sk-none"}}});
    let sources = Sources { overrides: Some(settings.to_string()), ..Sources::default() };
    let route = Config::load(&sources).unwrap().routes.resolve(&format!("{provider}/m")).unwrap();
    route.targets().next().unwrap().clone()
}

proptest! {
    #[test]
    fn no_json_and_no_bytes_break_a_format(json in any_json(), bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        for format in FORMATS {
            read_all(format, &Bytes::from(json.to_string()));
            read_all(format, &Bytes::from(bytes.clone()));
        }
    }

    #[test]
    fn what_a_reply_holds_beside_what_is_known_is_kept(unknown in unknown()) {
        let with = |mut reply: Value| {
            reply.as_object_mut().unwrap().extend(unknown.clone());
            Bytes::from(reply.to_string())
        };
        let openai = with(json!({"choices": [], "usage": null}));
        prop_assert_eq!(&WireFormat::OpenAi.reply(&openai).unwrap().body, &openai);
        let anthropic = with(json!({"content": [], "stop_reason": "end_turn", "usage": null}));
        let decoded = WireFormat::Anthropic.reply(&anthropic).unwrap();
        prop_assert_eq!(decoded.raw.as_ref(), Some(&anthropic));
        let body: Value = serde_json::from_slice(&decoded.body).unwrap();
        for (name, value) in &unknown {
            prop_assert_eq!(&body[name], value);
        }
    }

    #[test]
    fn what_a_request_holds_beside_what_is_known_is_sent(unknown in unknown()) {
        let mut request = ChatRequest::new("m", vec![Message::user("x")]);
        let params = unknown.iter().map(|(name, value)| (name.as_str().into(), Json::from_value(value).unwrap()));
        request.params.extend(params);
        for provider in ["openai", "anthropic"] {
            let target = target(provider);
            let sent = target.provider.format.chat(&request, &target, Output::Asked, true, &mut Vec::new());
            let sent: Value = serde_json::from_slice(&sent.unwrap()).unwrap();
            for (name, value) in &unknown {
                prop_assert_eq!(&sent[name], value);
            }
        }
    }
}
