//! What a client gets of a reply.

use http::{Method, StatusCode};
use iron_protocol::NanoUsd;
use serde_json::{Value, json};

use crate::rig::{Rig, hello, post, raw, streamed};

/// One dollar for a million tokens in, four for a million out.
fn cost(usage: &Value) -> NanoUsd {
    let tokens = |name: &str| usage[name].as_i64().unwrap();
    NanoUsd::from_nanos(1_000 * tokens("prompt_tokens") + 4_000 * tokens("completion_tokens"))
}

#[tokio::test]
async fn a_reply_is_the_providers_own_bytes_and_its_head_tells_of_the_call() {
    let mut rig = Rig::with(json!([]), json!({"budget": {"limit_usd": 1}})).await;
    let answer = rig.chat(hello()).await;
    assert_eq!((answer.status, answer.header("content-type")), (StatusCode::OK, Some("application/json")));
    assert_eq!(answer.json()["choices"][0]["message"]["content"], "echo: hello");
    let cost = cost(&answer.json()["usage"]);
    assert_eq!(answer.header("x-iron-cost-usd"), Some(&*cost.to_string()));
    let remaining = NanoUsd::from_nanos(1_000_000_000 - cost.nanos());
    assert_eq!(answer.header("x-iron-budget-remaining-usd"), Some(&*remaining.to_string()));
    assert_eq!(answer.header("x-iron-upstream"), Some("sim/m"));
    assert_eq!(answer.header("x-request-id"), answer.header("x-iron-request-id"));
    // The provider got the router's key, and none of the caller's headers.
    let asked = &rig.simulator.requests()[0];
    assert_eq!(asked.headers.iter().find(|(name, _)| *name == "authorization").unwrap().1, "Bearer ...ider");
}

#[tokio::test]
async fn a_stream_ends_with_done_and_tells_usage_and_cost_to_those_who_ask() {
    let mut rig = Rig::new(json!([])).await;
    let answer = rig.chat(streamed()).await;
    assert_eq!(answer.header("content-type"), Some("text/event-stream"));
    let events = answer.events();
    let (done, chunks) = events.split_last().unwrap();
    assert_eq!(done, "[DONE]");
    let said = chunks.iter().map(|chunk| serde_json::from_str::<Value>(chunk).unwrap());
    let said: Vec<_> = said.collect();
    let text: String =
        said.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!(text, "echo: hello");
    assert!(said.iter().all(|chunk| chunk["choices"][0].is_object()), "usage was not asked for");

    let mut body = streamed();
    body["stream_options"] = json!({"include_usage": true});
    let events = rig.chat(body).await.events();
    let last: Value = serde_json::from_str(&events[events.len() - 2]).unwrap();
    let cost = cost(&last["usage"]).to_string();
    assert_eq!((&last["choices"], &last["iron"]["cost_usd"]), (&json!([]), &json!(cost)));
    assert_eq!(last["iron"]["upstream"], "sim/m");
}

#[tokio::test]
async fn embeddings_and_models_are_there() {
    let mut rig = Rig::new(json!([])).await;
    let answer = rig.ask(post("/v1/embeddings", &json!({"model": "sim/m", "input": ["a", "b"]}))).await;
    assert_eq!((answer.status, answer.json()["data"].as_array().unwrap().len()), (StatusCode::OK, 2));
    assert!(answer.header("x-iron-cost-usd").is_some());

    let list = rig.ask(raw(Method::GET, "/v1/models", "")).await.json();
    let ids: Vec<_> =
        list["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap()).collect();
    assert!(ids.contains(&"m") && ids.contains(&"sim/m") && ids.is_sorted());
    let one = rig.ask(raw(Method::GET, "/v1/models/sim/m", "")).await.json();
    assert_eq!(
        (&one["id"], &one["owned_by"], &one["object"]),
        (&json!("sim/m"), &json!("sim"), &json!("model"))
    );
    let none = rig.ask(raw(Method::GET, "/v1/models/sim/x", "")).await;
    assert_eq!(
        (none.status, &none.json()["error"]["code"]),
        (StatusCode::NOT_FOUND, &json!("model_not_found"))
    );
}

#[tokio::test]
async fn what_the_router_does_not_know_reaches_the_provider() {
    let mut rig = Rig::new(json!([])).await;
    let mut body = hello();
    body["a_new_field"] = json!({"b": [1.50, null]});
    body["messages"][0]["name"] = "ada".into();
    rig.chat(body).await;
    let sent = &rig.simulator.requests()[0].body;
    assert_eq!(
        (&sent["a_new_field"], &sent["messages"][0]["name"]),
        (&json!({"b": [1.50, null]}), &json!("ada"))
    );
}

#[tokio::test]
async fn health_tells_whether_calls_are_taken() {
    let mut rig = Rig::new(json!([])).await;
    for path in ["/health/live", "/health/ready"] {
        assert_eq!(rig.ask(raw(Method::GET, path, "")).await.status, StatusCode::OK);
    }
    rig.client.close();
    assert_eq!(rig.ask(raw(Method::GET, "/health/live", "")).await.status, StatusCode::OK);
    assert_eq!(rig.ask(raw(Method::GET, "/health/ready", "")).await.status, StatusCode::SERVICE_UNAVAILABLE);
}
