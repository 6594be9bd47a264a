//! What a client gets instead of a reply.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::rig::{Rig, hello, post, raw, streamed};

#[tokio::test]
async fn each_refusal_has_its_status_and_code_and_says_whether_to_try_again() {
    let no_retry = Some("false");
    for (rules, settings, status, code, retry) in [
        (json!([]), json!({"budget": {"limit_usd": 0}}), 402, "budget_exceeded", no_retry),
        (
            json!([]),
            json!({"policy": {"keywords": {"words": ["hello"]}, "rules": [{"what": ["keyword:words"], "action": "block"}]}}),
            400,
            "content_blocked",
            no_retry,
        ),
        (
            json!([{"fault": {"kind": "reset", "at": "before_headers"}}]),
            json!({}),
            502,
            "upstream_connection",
            Some("true"),
        ),
        (
            json!([{"fault": {"kind": "stall", "at": "before_headers"}}]),
            json!({"timeouts": {"ttft_ms": 50}}),
            504,
            "upstream_timeout",
            Some("true"),
        ),
        (json!([{"fault": {"kind": "status", "status": 429}}]), json!({}), 429, "rate_limited", Some("true")),
        (json!([{"fault": {"kind": "malformed_json"}}]), json!({}), 502, "upstream_status", no_retry),
    ] {
        let mut rig = Rig::with(rules.clone(), settings).await;
        for body in [hello(), streamed()] {
            if rules[0]["fault"]["kind"] == "malformed_json" && body["stream"] == true {
                continue;
            }
            let answer = rig.chat(body).await;
            assert_eq!((answer.status.as_u16(), &answer.json()["error"]["code"]), (status, &json!(code)));
            assert_eq!(answer.header("x-should-retry"), retry, "{code}");
            assert!(answer.header("x-iron-request-id").is_some());
            assert!(!answer.json()["error"]["message"].as_str().unwrap().is_empty());
        }
    }
}

#[tokio::test]
async fn a_providers_own_error_is_passed_on_but_for_its_judgement_of_the_routers_key() {
    for (status, seen) in [(400, 400), (404, 404), (422, 422), (500, 500), (401, 502), (403, 502)] {
        let mut rig = Rig::new(json!([{"fault": {"kind": "status", "status": status}}])).await;
        let answer = rig.chat(hello()).await;
        assert_eq!(answer.status.as_u16(), seen);
        assert!(answer.json()["error"]["message"].is_string(), "{status}");
    }
}

#[tokio::test]
async fn requests_that_are_none_are_refused_at_once() {
    let mut rig = Rig::with(json!([]), json!({"router": {"max_body_bytes": 1_000}})).await;
    let path = "/v1/chat/completions";
    let long = json!({"model": "m", "messages": [{"role": "user", "content": "a".repeat(1_000)}]});
    let deep = format!(r#"{{"model": "m", "messages": {}"#, "[".repeat(900));
    for (request, status, code, param) in [
        (raw(Method::POST, path, "{"), 400, "invalid_request", Value::Null),
        (raw(Method::POST, path, vec![b'"', 0xff, b'"']), 400, "invalid_request", Value::Null),
        (raw(Method::POST, path, deep), 400, "invalid_request", Value::Null),
        (post(path, &json!({"model": "m", "messages": [3]})), 400, "invalid_request", json!("messages[0]")),
        (
            post(path, &json!({"model": "x/y", "messages": hello()["messages"]})),
            404,
            "model_not_found",
            json!("model"),
        ),
        (post(path, &long), 413, "request_too_large", Value::Null),
        (post("/v1/nothing", &hello()), 404, "unknown_path", Value::Null),
        (raw(Method::GET, path, ""), 405, "wrong_method", Value::Null),
    ] {
        let answer = rig.ask(request).await;
        let told = answer.json();
        assert_eq!((answer.status.as_u16(), &told["error"]["code"]), (status, &json!(code)), "{told}");
        assert_eq!(told["error"]["param"], param);
    }
    let mut plain = post(path, &hello());
    plain.headers_mut().insert("content-type", "text/plain".parse().unwrap());
    assert_eq!(rig.ask(plain).await.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(rig.simulator.stats().requests, 0);
}

#[tokio::test]
async fn a_stream_that_breaks_ends_with_an_error_and_without_done() {
    let mut rig = Rig::new(json!([{"fault": {"kind": "close", "at": {"after_chunks": 2}}}])).await;
    let events = rig.chat(streamed()).await.events();
    assert!(!events.iter().any(|event| event == "[DONE]"));
    let last: Value = serde_json::from_str(events.last().unwrap()).unwrap();
    assert_eq!(last["error"]["code"], "upstream_connection");
    assert!(events.len() > 1, "what came before it was shown");
}
