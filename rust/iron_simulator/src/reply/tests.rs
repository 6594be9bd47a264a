use serde_json::{Value, json};

use super::*;
use crate::draw::Purpose;

fn request(change: Value) -> ChatRequest {
    let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "hello there"}]});
    if let (Value::Object(body), Value::Object(change)) = (&mut body, change) {
        body.extend(change);
    }
    ChatRequest::read(body.to_string().as_bytes()).unwrap()
}

fn reply(reply: Value) -> Reply {
    serde_json::from_value(reply).unwrap()
}

fn draws() -> Draws {
    let draw = |purpose| Draw::new(1, purpose, 0);
    Draws { ids: draw(Purpose::Ids), words: draw(Purpose::Words), schema: draw(Purpose::Schema) }
}

fn one(change: Value, script: Option<Value>) -> Choice {
    let script = script.map(reply);
    choices(&request(change), script.as_ref(), 0, &mut draws()).remove(0)
}

#[test]
fn without_a_script_the_last_user_text_is_echoed() {
    let choice = one(json!({}), None);
    assert_eq!(
        (choice.content.as_deref(), choice.finish_reason.as_str()),
        (Some("echo: hello there"), "stop")
    );
}

#[test]
fn max_tokens_cuts_every_kind_of_reply() {
    for script in [
        json!(null),
        json!({"output_tokens": 50}),
        json!({"text": "日本語のテキストはここで切れる"}),
        json!({"refusal": "I will not do that for you"}),
        json!({"tool_calls": [{"name": "find", "arguments": {"q": "a long enough text"}}, {"name": "other"}]}),
        json!({"text": "a text beside a call", "tool_calls": [{"name": "find", "arguments": {"q": "long text"}}]}),
        json!({"output_tokens": 50, "reasoning_tokens": 2}),
        json!({"output_tokens": 50, "reasoning_tokens": 20}),
    ] {
        let request = request(json!({"max_completion_tokens": 3, "n": 2}));
        let script = Some(script).filter(|script| !script.is_null()).map(reply);
        let choices = choices(&request, script.as_ref(), 0, &mut draws());
        assert!(choices.iter().all(|choice| choice.finish_reason == "length"), "{script:?} {choices:?}");
        assert!(choices.iter().all(|choice| choice.tokens() <= 3), "{script:?} {choices:?}");
        assert!(usage(&request, script.as_ref(), &choices).output <= 6);
    }
}

#[test]
fn a_reply_that_just_fits_is_whole() {
    let choice = one(json!({"max_tokens": 5}), Some(json!({"output_tokens": 5})));
    assert_eq!((choice.tokens(), choice.finish_reason.as_str()), (5, "stop"));
}

#[test]
fn stop_sequences_end_the_text() {
    assert_eq!(one(json!({"stop": ["there", "lo"]}), None).content.as_deref(), Some("echo: hel"));
    assert_eq!(one(json!({"stop": ""}), None).content.as_deref(), Some("echo: hello there"));
}

#[test]
fn texts_are_used_in_turn_over_calls_and_choices() {
    let script = reply(json!({"text": ["a", "b", "c"]}));
    let request = request(json!({"n": 2}));
    let texts = |turn| -> Vec<String> {
        choices(&request, Some(&script), turn, &mut draws()).into_iter().filter_map(|c| c.content).collect()
    };
    assert_eq!(texts(0), ["a", "b"]);
    assert_eq!(texts(2), ["c", "a"]);
}

#[test]
fn a_demanded_tool_is_called_with_arguments_of_its_schema() {
    let tools = json!([
        {"type": "function", "function": {"name": "now"}},
        {"type": "function", "function": {"name": "add", "parameters": {
            "type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}}},
    ]);
    let first = one(json!({"tools": tools, "tool_choice": "required"}), None);
    assert_eq!((first.calls[0].name.as_str(), first.calls[0].arguments.as_str()), ("now", "{}"));
    assert_eq!((first.content, first.finish_reason.as_str()), (None, "tool_calls"));
    let named = json!({"tools": tools, "tool_choice": {"type": "function", "function": {"name": "add"}}});
    let named = one(named, None);
    assert_eq!((named.calls[0].name.as_str(), named.finish_reason.as_str()), ("add", "stop"));
    let arguments: Value = serde_json::from_str(&named.calls[0].arguments).unwrap();
    assert!(arguments["a"].is_i64(), "{arguments}");
    let free = one(json!({"tools": tools, "tool_choice": "auto"}), None);
    assert!(free.calls.is_empty());
}

#[test]
fn usage_is_counted_or_told() {
    let request = request(json!({}));
    let script = reply(json!({"text": "12345678", "reasoning_tokens": 7, "cached_tokens": 1000}));
    let made = choices(&request, Some(&script), 0, &mut draws());
    let input = 3 + 3 + 3;
    assert_eq!(
        usage(&request, Some(&script), &made),
        Usage { input, cached: input, output: 9, reasoning: 7, ..Usage::default() }
    );
    let script = reply(json!({"text": "x", "usage": {"input_tokens": 100, "output_tokens": 5}}));
    let made = choices(&request, Some(&script), 0, &mut draws());
    assert_eq!(usage(&request, Some(&script), &made), Usage { input: 100, output: 5, ..Usage::default() });
}
