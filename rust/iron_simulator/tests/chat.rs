//! Chat completions, embeddings and models as a client sees them.

mod client;

use client::{Client, rules, simulator, with_rule};
use serde_json::{Value, json};

#[tokio::test]
async fn a_plain_reply_has_every_field_of_openais() {
    let (_simulator, mut client) =
        with_rule(json!({"reply": {"text": "Hi there", "cached_tokens": 2, "reasoning_tokens": 3}})).await;
    let reply = client.chat(json!({})).await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.headers["content-type"], "application/json");
    assert!(reply.headers["x-request-id"].starts_with("req_"));
    assert!(reply.headers.contains_key("openai-processing-ms"));
    assert!(!reply.headers.contains_key("date"));
    let mut body = reply.json();
    assert!(body["id"].as_str().unwrap().starts_with("chatcmpl-"));
    assert!(body["system_fingerprint"].as_str().unwrap().starts_with("fp_"));
    body["id"] = json!("");
    body["system_fingerprint"] = json!("");
    assert_eq!(
        body,
        json!({
            "id": "", "object": "chat.completion", "created": 1_735_689_600, "model": "gpt-5-mini",
            "choices": [{
                "index": 0,
                "message": {"role": "assistant", "content": "Hi there", "refusal": null, "annotations": []},
                "logprobs": null,
                "finish_reason": "stop",
            }],
            "usage": {
                "prompt_tokens": 8, "completion_tokens": 5, "total_tokens": 13,
                "prompt_tokens_details": {"cached_tokens": 2, "audio_tokens": 0},
                "completion_tokens_details": {
                    "reasoning_tokens": 3, "audio_tokens": 0,
                    "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0,
                },
            },
            "service_tier": "default", "system_fingerprint": "",
        })
    );
}

#[tokio::test]
async fn parallel_tools_and_choices() {
    let calls =
        json!([{"name": "a", "arguments": {"x": 1}}, {"name": "b", "arguments": "{broken", "id": "call_b"}]);
    let (_simulator, mut client) = with_rule(json!({"reply": {"tool_calls": calls}})).await;
    let body = client.chat(json!({"n": 2})).await.json();
    assert_eq!(body["choices"].as_array().unwrap().len(), 2);
    let choice = &body["choices"][1];
    assert_eq!((&choice["index"], &choice["finish_reason"]), (&json!(1), &json!("tool_calls")));
    assert_eq!(choice["message"]["content"], Value::Null);
    let calls = &choice["message"]["tool_calls"];
    assert_eq!(calls[0]["type"], "function");
    assert_eq!(calls[0]["function"], json!({"name": "a", "arguments": "{\"x\":1}"}));
    assert_eq!((&calls[1]["id"], &calls[1]["function"]["arguments"]), (&json!("call_b"), &json!("{broken")));
}

#[tokio::test]
async fn a_stream_is_chunked_event_by_event() {
    let (_simulator, mut client) = with_rule(json!({"reply": {"text": "naïve 🦀 text"}})).await;
    let reply = client.chat(json!({"stream": true, "stream_options": {"include_usage": true}})).await;
    assert_eq!(reply.headers["content-type"], "text/event-stream; charset=utf-8");
    assert_eq!(reply.streamed_text(), "naïve 🦀 text");
    let events = reply.events();
    assert_eq!(events.len(), reply.chunks.len(), "an event is a chunk");
    assert_eq!(events.last().unwrap(), "[DONE]");
    let first: Value = serde_json::from_str(&events[0]).unwrap();
    assert_eq!(first["object"], "chat.completion.chunk");
    assert_eq!(first["choices"][0]["delta"], json!({"role": "assistant", "content": "", "refusal": null}));
    let usage: Value = serde_json::from_str(&events[events.len() - 2]).unwrap();
    assert_eq!(usage["usage"]["completion_tokens"], 5);
    assert_eq!(usage["choices"], json!([]));
}

#[tokio::test]
async fn structured_output_satisfies_the_schema() {
    let simulator = simulator(json!({})).await;
    let mut client = Client::connect(simulator.address()).await;
    let schema = json!({
        "type": "object", "additionalProperties": false, "required": ["city", "unit"],
        "properties": {"city": {"type": "string"}, "unit": {"enum": ["c", "f"]}},
    });
    let format =
        json!({"type": "json_schema", "json_schema": {"name": "w", "strict": true, "schema": schema}});
    let body = client.chat(json!({"response_format": format})).await.json();
    let value: Value =
        serde_json::from_str(body["choices"][0]["message"]["content"].as_str().unwrap()).unwrap();
    assert!(value["city"].is_string() && (value["unit"] == "c" || value["unit"] == "f"), "{value}");
    let body = client.chat(json!({"response_format": {"type": "json_object"}})).await.json();
    assert_eq!(body["choices"][0]["message"]["content"], "{\"echo\":\"hello\"}");
}

#[tokio::test]
async fn the_same_seed_and_requests_give_the_same_bytes() {
    let settings = json!({
        "seed": 5, "latency_ms": [0, 3], "rate_limit_headers": {"requests": 9, "tokens": 99},
        "rules": [{"when": {"nth": 3}, "fault": {"kind": "status", "status": 429}}, {"reply": {"output_tokens": 9}}],
    });
    let mut runs = Vec::new();
    let first = simulator(settings.clone()).await;
    let second = simulator(settings.clone()).await;
    for (simulator, reset) in [(&first, false), (&second, false), (&first, true)] {
        if reset {
            simulator.reset();
        }
        let mut client = Client::connect(simulator.address()).await;
        let mut bytes = Vec::new();
        for request in 0..6 {
            bytes.push(client.chat(json!({"stream": request % 2 == 1})).await);
        }
        bytes.push(client.post("/v1/embeddings", &json!({"model": "e", "input": "x"})).await);
        runs.push(bytes);
    }
    assert_eq!(runs[0], runs[1]);
    assert_eq!(runs[0], runs[2], "reset starts the sequence again");
    assert_ne!(runs[0][0].body, runs[0][4].body);
    let mut other = settings;
    other["seed"] = json!(6);
    let other = simulator(other).await;
    let mut client = Client::connect(other.address()).await;
    assert_ne!(client.chat(json!({"stream": false})).await.body, runs[0][0].body);
}

#[tokio::test]
async fn embeddings_and_models() {
    let simulator = simulator(json!({"models": ["a", "b/c"]})).await;
    let mut client = Client::connect(simulator.address()).await;
    let request = json!({"model": "e", "input": ["one", "two"], "dimensions": 8});
    let body = client.post("/v1/embeddings", &request).await.json();
    assert_eq!((&body["object"], &body["data"][1]["index"]), (&json!("list"), &json!(1)));
    assert_eq!(body["data"][0]["embedding"].as_array().unwrap().len(), 8);
    assert_eq!(body["usage"], json!({"prompt_tokens": 2, "total_tokens": 2}));
    client.send("GET", "/v1/models", &[], "").await;
    let body = client.reply().await.json();
    assert_eq!(
        body["data"][0],
        json!({"id": "a", "object": "model", "created": 1_735_689_600, "owned_by": "openai"})
    );
    client.send("GET", "/v1/models/b%2Fc", &[], "").await;
    assert_eq!(client.reply().await.json()["id"], "b/c");
    client.send("GET", "/v1/models/none", &[], "").await;
    let reply = client.reply().await;
    assert_eq!((reply.status, &reply.json()["error"]["code"]), (404, &json!("model_not_found")));
}

#[tokio::test]
async fn rules_can_be_changed_while_running() {
    let simulator = simulator(json!({"rules": [{"reply": {"text": "old"}}]})).await;
    let mut client = Client::connect(simulator.address()).await;
    let text = |body: Value| body["choices"][0]["message"]["content"].as_str().unwrap().to_owned();
    assert_eq!(text(client.chat(json!({})).await.json()), "old");
    simulator.set_rules(rules(json!([{"reply": {"text": "new"}}]))).unwrap();
    assert_eq!(text(client.chat(json!({})).await.json()), "new");
    assert!(simulator.set_rules(rules(json!([{"every": 0}]))).is_err());
    assert_eq!(text(client.chat(json!({})).await.json()), "new");
}
