use serde_json::{Value, json};

use super::*;
use crate::reply::Call;

fn heading() -> Heading {
    Heading { id: "chatcmpl-1".into(), model: "m\"odel".into(), created: 5, fingerprint: "fp_1".into() }
}

fn choice() -> Choice {
    Choice {
        content: Some("naïve 🦀 text".into()),
        calls: vec![Call {
            id: "call_1".into(), name: "find".into(), arguments: "{\"q\": \"日本\"}".into()
        }],
        finish_reason: "tool_calls".into(),
        reasoning_tokens: 3,
        ..Choice::default()
    }
}

fn usage_of(choices: &[Choice]) -> Usage {
    let tokens = |choice: &Choice| {
        let call = &choice.calls[0];
        let text = count_tokens(choice.content.as_deref().unwrap());
        text + count_tokens(&call.name) + count_tokens(&call.arguments) + choice.reasoning_tokens
    };
    Usage {
        input: 9,
        cached: 0,
        output: choices.iter().map(tokens).sum(),
        reasoning: choices.iter().map(|c| c.reasoning_tokens).sum(),
        ..Usage::default()
    }
}

fn stream(choices: Vec<Choice>, per_chunk: u32) -> ChatStream {
    let usage = usage_of(&choices);
    ChatStream::new(&heading(), choices, usage, NonZeroU32::new(per_chunk).unwrap())
}

/// All events as text, and the output and reasoning tokens they carry.
fn run(mut stream: ChatStream) -> (Vec<String>, u64, u64) {
    let (mut events, mut output, mut reasoning) = (Vec::new(), 0, 0);
    while let Some(piece) = stream.next() {
        events.push(String::from_utf8(piece.bytes.to_vec()).unwrap());
        output += piece.output;
        reasoning += piece.reasoning;
    }
    (events, output, reasoning)
}

/// The data of events as a client joins it.
fn data(event: &str) -> String {
    let lines = event.lines().filter_map(|line| line.strip_prefix("data: "));
    lines.collect::<Vec<_>>().join("\n")
}

fn fault(fault: Value) -> Fault {
    serde_json::from_value(fault).unwrap()
}

#[test]
fn events_rebuild_the_reply_and_carry_its_tokens() {
    for (choices, per_chunk) in [(1, 1), (1, 3), (3, 1), (2, 100)] {
        let made: Vec<Choice> = (0..choices).map(|_| choice()).collect();
        let usage = usage_of(&made);
        let (events, output, reasoning) = run(stream(made, per_chunk).with_usage(usage));
        assert_eq!((output, reasoning), (usage.output, usage.reasoning));
        let (done, events) = events.split_last().unwrap();
        assert_eq!(done, "data: [DONE]\n\n");
        let (last, events) = events.split_last().unwrap();
        let last: Value = serde_json::from_str(&data(last)).unwrap();
        assert_eq!(
            (&last["choices"], &last["usage"]["completion_tokens"]),
            (&json!([]), &json!(usage.output))
        );
        for index in 0..choices {
            let (mut text, mut arguments, mut finish) = (String::new(), String::new(), None);
            for event in events {
                let event: Value = serde_json::from_str(&data(event)).unwrap();
                assert_eq!(event["model"], "m\"odel");
                assert!(event.get("usage").is_some_and(Value::is_null));
                let choice = &event["choices"][0];
                if choice["index"] != index {
                    continue;
                }
                text.push_str(choice["delta"]["content"].as_str().unwrap_or_default());
                let call = &choice["delta"]["tool_calls"][0];
                arguments.push_str(call["function"]["arguments"].as_str().unwrap_or_default());
                assert!(finish.is_none(), "nothing follows the end of a choice");
                finish = choice["finish_reason"].as_str().map(String::from);
            }
            assert_eq!((text.as_str(), arguments.as_str()), ("naïve 🦀 text", "{\"q\": \"日本\"}"));
            assert_eq!(finish.as_deref(), Some("tool_calls"));
        }
    }
}

#[test]
fn usage_that_was_told_is_carried_to_the_token() {
    for told in [0, 4, 1000] {
        let usage = Usage { output: told, reasoning: told / 2, ..Usage::default() };
        let stream = ChatStream::new(&heading(), vec![choice()], usage, NonZeroU32::MIN);
        let (_, output, reasoning) = run(stream);
        assert_eq!((output, reasoning), (told, told / 2));
    }
}

#[test]
fn usage_is_sent_only_if_asked_for() {
    let (events, ..) = run(stream(vec![choice()], 1));
    assert!(!events.concat().contains("usage"));
}

#[test]
fn forms_that_differ_mean_the_same() {
    let (plain, ..) = run(stream(vec![choice()], 1));
    let plain: Vec<Value> =
        plain.iter().filter_map(|event| serde_json::from_str(&data(event)).ok()).collect();
    for (kind, sign) in
        [("crlf", "\r\n\r\n"), ("comments", ": keep-alive\n\n"), ("multi_line_data", ",\ndata: ")]
    {
        let (events, ..) = run(stream(vec![choice()], 1).with_fault(&fault(json!({"kind": kind}))));
        assert!(
            events.iter().all(|event| event.contains(sign) || event.contains("[DONE]")),
            "{kind}: {events:?}"
        );
        let read: Vec<Value> =
            events.iter().filter_map(|event| serde_json::from_str(&data(event)).ok()).collect();
        assert_eq!(read, plain, "{kind}");
    }
}

#[test]
fn parts_are_left_out() {
    let (events, ..) = run(stream(vec![choice()], 1).with_fault(&fault(json!({"kind": "no_done"}))));
    assert!(events.last().unwrap().contains("\"finish_reason\":\"tool_calls\""));
    let (events, ..) = run(stream(vec![choice()], 1).with_fault(&fault(json!({"kind": "no_finish_reason"}))));
    assert!(!events.concat().contains("\"finish_reason\":\""));
    assert_eq!(events.last().unwrap(), "data: [DONE]\n\n");
}

#[test]
fn one_event_is_wrong_where_told_or_at_the_end() {
    let len = run(stream(vec![choice()], 1)).0.len();
    for (after, at) in [(0, 0), (2, 2), (1000, len - 2)] {
        let spoilt = fault(json!({"kind": "malformed_event", "after_chunks": after}));
        let (events, ..) = run(stream(vec![choice()], 1).with_fault(&spoilt));
        let wrong = |event: &&String| serde_json::from_str::<Value>(&data(event)).is_err();
        assert_eq!(events.iter().position(|event| wrong(&event)), Some(at));
        assert_eq!(events.iter().filter(wrong).count(), 2, "it and [DONE]");

        let error = fault(json!({"kind": "error_event", "after_chunks": after}));
        let (events, ..) = run(stream(vec![choice()], 1).with_fault(&error));
        assert_eq!(events.len(), at + 1);
        let last: Value = serde_json::from_str(&data(&events[at])).unwrap();
        assert_eq!(last["error"]["type"], "server_error");
    }
}
