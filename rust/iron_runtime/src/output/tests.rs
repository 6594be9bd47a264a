//! Forms that are read, and what replies are to them.

use serde_json::{Value, json};

use super::*;
use crate::call::Content;
use crate::json::Json;
use crate::schema::Violation;

fn form(format: &Value) -> Option<Form> {
    Form::read(&Json::from_value(format).unwrap()).unwrap()
}

fn schema(schema: &Value) -> Value {
    json!({"type": "json_schema", "json_schema": {"name": "x", "schema": schema}})
}

fn told(form: &Form, text: &str) -> Vec<String> {
    form.violations(text).iter().map(ToString::to_string).collect()
}

fn flaws(body: &Value) -> Vec<String> {
    let form = form(&schema(&json!({"type": "object"}))).unwrap();
    let wanted = Wanted { form, validator: None, max_repairs: 0 };
    let fits = wanted.fits(body.to_string().as_bytes()).unwrap();
    fits.err().map(|flaw| flaw.violations.iter().map(ToString::to_string).collect()).unwrap_or_default()
}

#[test]
fn what_a_request_asks_for_is_read_wherever_vendors_have_it() {
    let integer = json!({"type": "integer"});
    for format in [
        schema(&integer),
        json!({"type": "json_schema", "schema": integer}),
        json!({"type": "json_object", "schema": integer}),
        json!({"type": "json_schema", "json_schema": {"schema": integer, "strict": false}}),
    ] {
        let form = form(&format).unwrap();
        assert_eq!(told(&form, " 5\n"), Vec::<String>::new(), "{format}");
        assert_eq!(told(&form, "\"5\""), ["the value is not of type \"integer\""], "{format}");
    }
    for format in
        [json!({"type": "json_object"}), json!({"type": "json_schema", "json_schema": {"name": "x"}})]
    {
        let form = form(&format).unwrap();
        assert_eq!(told(&form, "[{\"a\": null}]"), Vec::<String>::new(), "{format}");
        assert_eq!(told(&form, "{\"a\": SECRET}"), ["is not valid JSON: expected value at line 1 column 7"]);
    }
    for format in [json!({"type": "text"}), json!({"type": "grammar"}), json!("x"), json!({})] {
        assert!(form(&format).is_none(), "{format}");
    }
}

#[test]
fn a_schema_that_cannot_be_used_is_told_with_its_place() {
    for (format, expected) in [
        (schema(&json!({"type": "strin"})), "response_format.json_schema.schema is no JSON Schema"),
        (schema(&json!({"$ref": "https://example.org/x"})), "example.org"),
        (json!({"type": "json_schema", "schema": []}), "response_format.schema is no JSON Schema"),
    ] {
        let error = Form::read(&Json::from_value(&format).unwrap()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn texts_that_hold_nothing_or_too_much_do_not_fit() {
    let form = form(&json!({"type": "json_object"})).unwrap();
    assert_eq!(told(&form, " \n"), ["says nothing"]);
    let long = format!("\"{}\"", "x".repeat(form::MOST_TEXT_BYTES));
    assert_eq!(told(&form, &long), ["is longer than 4194304 bytes"]);
    let deep = "[".repeat(100_000);
    assert!(told(&form, &deep)[0].starts_with("is not valid JSON: recursion limit"));
    let form = super::Form::read(&Json::from_value(&schema(&json!({}))).unwrap()).unwrap().unwrap();
    assert!(told(&form, &deep)[0].starts_with("is not valid JSON: recursion limit"));
    assert_eq!(told(&form, "```json\n{}\n```").len(), 1, "a fence is no JSON");
}

#[test]
fn refusals_and_calls_of_tools_are_no_output() {
    let reply =
        |message: Value, reason: &str| json!({"choices": [{"message": message, "finish_reason": reason}]});
    let call = json!([{"function": {"name": "f", "arguments": "{}"}}]);
    for (message, reason) in [
        (json!({"content": null, "refusal": "No."}), "stop"),
        (json!({"content": "", "refusal": "No."}), "content_filter"),
        (json!({"content": [{"type": "refusal", "refusal": "No."}]}), "stop"),
        (json!({"content": "Let me see", "tool_calls": call}), "tool_calls"),
        (json!({"content": null, "function_call": {"name": "f", "arguments": "{}"}}), "function_call"),
        (json!({"content": [{"type": "text", "text": "{"}, {"type": "text", "text": "}"}]}), "stop"),
        (json!({"content": "{}", "refusal": null, "tool_calls": []}), "stop"),
    ] {
        assert_eq!(flaws(&reply(message.clone(), reason)), Vec::<String>::new(), "{message}");
    }
    for (message, reason, expected) in [
        (json!({"content": null}), "stop", "says nothing"),
        (json!({"content": "", "refusal": "", "tool_calls": [ ]}), "stop", "says nothing"),
        (json!({"content": "5", "refusal": "No."}), "stop", "the value is not of type \"object\""),
        (json!({"content": "{}"}), "length", "was cut off: finish_reason is \"length\""),
        (json!({"content": null}), "content_filter", "was cut off: finish_reason is \"content_filter\""),
    ] {
        assert_eq!(flaws(&reply(message.clone(), reason)), [expected], "{message}");
    }
}

#[test]
fn every_choice_is_looked_at_and_named() {
    let choice = |content: &str| json!({"message": {"content": content}, "finish_reason": "stop"});
    let body = json!({"choices": [choice("{}"), choice("[]"), choice("{")]});
    assert_eq!(
        flaws(&body),
        [
            "choices[1]: the value is not of type \"object\"",
            "choices[2]: is not valid JSON: EOF while parsing an object at line 1 column 1",
        ]
    );
}

#[test]
fn a_repair_tells_the_model_what_is_wrong() {
    let violation = |path: &str| Violation { path: path.to_owned(), message: "is wrong".to_owned() };
    let messages = turn("[]".into(), &[violation("a[0]"), violation("")]);
    let texts: Vec<_> = messages
        .iter()
        .map(|message| match &message.content {
            Content::Text(text) => (message.role.as_str(), &**text),
            _ => panic!("a text"),
        })
        .collect();
    let wrong = "Your last answer cannot be used. What is wrong with it:\n- a[0]: is wrong\n- is wrong\n\
        Answer again with the corrected JSON and nothing else.";
    assert_eq!(texts, [("assistant", "[]"), ("user", wrong)]);
    assert_eq!(turn(" ".into(), &[violation("")]).len(), 1);
}
