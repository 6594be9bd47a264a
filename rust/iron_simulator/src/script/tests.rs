use std::sync::Arc;

use http::HeaderMap;
use serde_json::{Value, json};

use super::{Facts, Script};
use crate::rule::Rule;

fn script(rules: Value) -> Arc<Script> {
    let rules: Vec<Rule> = serde_json::from_value(rules).unwrap();
    Arc::new(Script::new(rules).unwrap())
}

fn facts<'a>(model: &'a str, text: &'a str, headers: &'a HeaderMap) -> Facts<'a> {
    Facts { chat: true, stream: false, model, text, path: "/v1/chat/completions", headers }
}

/// Which rule takes each of so many requests alike.
fn taken(script: &Arc<Script>, requests: usize) -> Vec<Option<usize>> {
    let headers = HeaderMap::new();
    (0..requests).map(|_| script.plan(&facts("m", "hello", &headers), 1).line).collect()
}

#[test]
fn the_first_rule_that_is_not_used_up_takes_the_request() {
    let script = script(json!([{"when": {"nth": 1}}, {"when": {"nth": 2}}, {"times": 2}, {}]));
    assert_eq!(taken(&script, 6), [Some(0), Some(1), Some(2), Some(2), Some(3), Some(3)]);
    script.reset();
    assert_eq!(taken(&script, 1), [Some(0)]);
}

#[test]
fn every_third_is_taken() {
    assert_eq!(taken(&script(json!([{"every": 3}])), 6), [None, None, Some(0), None, None, Some(0)]);
}

#[test]
fn chance_follows_the_seed() {
    let rules = json!([{"probability": 0.25}]);
    let first = taken(&script(rules.clone()), 4000);
    assert_eq!(first, taken(&script(rules), 4000));
    let hits = first.iter().flatten().count();
    assert!((900..1100).contains(&hits), "{hits}");
}

#[test]
fn each_condition_can_fail() {
    let mut headers = HeaderMap::new();
    headers.insert("x-test", "on".parse().unwrap());
    for (when, holds) in [
        (json!({"model": "gpt-*", "text": "weather", "headers": {"X-Test": "on"}, "stream": false}), true),
        (json!({"path": "/v1/chat/*"}), true),
        (json!({"model": "claude*"}), false),
        (json!({"text": "football"}), false),
        (json!({"headers": {"x-test": "off"}}), false),
        (json!({"headers": {"x-other": "on"}}), false),
        (json!({"stream": true}), false),
        (json!({"path": "/v1/embeddings"}), false),
    ] {
        let plan = script(json!([{"when": when.clone()}])).plan(&facts("gpt-5", "the weather?", &headers), 0);
        assert_eq!(plan.line.is_some(), holds, "{when}");
    }
}

#[test]
fn faults_of_streams_leave_plain_requests_alone() {
    let script = script(json!([{"fault": {"kind": "no_done"}}, {"fault": {"kind": "malformed_json"}}]));
    assert_eq!(taken(&script, 1), [Some(1)]);
}

#[test]
fn values_that_cannot_be_obeyed_are_named() {
    for (rule, setting) in [
        (json!({"probability": 1.5}), "rules[0].probability"),
        (json!({"every": 0}), "rules[0].every"),
        (json!({"when": {"nth": 0}}), "rules[0].when.nth"),
        (json!({"latency_ms": -1}), "rules[0].latency_ms"),
        (json!({"latency_ms": [5, 1]}), "rules[0].latency_ms"),
        (json!({"tokens_per_second": 0}), "rules[0].tokens_per_second"),
        (json!({"fault": {"kind": "status", "status": 42}}), "rules[0].fault.status"),
        (
            json!({"fault": {"kind": "status", "status": 429, "retry_after": "a\nb"}}),
            "rules[0].fault.retry_after",
        ),
        (json!({"fault": {"kind": "redirect", "to": "a\nb"}}), "rules[0].fault.to"),
        (json!({"fault": {"kind": "redirect", "to": "/", "status": 200}}), "rules[0].fault.status"),
        (json!({"fault": {"kind": "refuse"}, "when": {"model": "x"}}), "rules[0].when"),
        (json!({"reply": {"text": "a", "output_tokens": 1}}), "rules[0].reply"),
        (json!({"reply": {"text": "a", "refusal": "b"}}), "rules[0].reply"),
        (json!({"reply": {"text": []}}), "rules[0].reply.text"),
        (json!({"reply": {"tool_calls": [{}]}}), "rules[0].reply.tool_calls"),
    ] {
        let parsed: Rule = serde_json::from_value(rule.clone()).unwrap();
        let error = Script::new(vec![parsed]).err().unwrap().to_string();
        assert!(error.starts_with(&format!("{setting}: ")), "{rule}: {error}");
    }
}

#[test]
fn unknown_keys_are_refused_everywhere() {
    for rule in [
        json!({"wen": {}}),
        json!({"when": {"modle": "x"}}),
        json!({"reply": {"txt": "x"}}),
        json!({"fault": {"kind": "no_done", "extra": 1}}),
        json!({"fault": {"kind": "status", "status": 500, "extra": 1}}),
        json!({"fault": {"kind": "unheard_of"}}),
    ] {
        assert!(serde_json::from_value::<Rule>(rule.clone()).is_err(), "{rule}");
    }
}
