//! Requests that are not in order.

mod client;

use client::{Client, chat, simulator};
use serde_json::{Value, json};

fn assert_error_shape(body: &Value) {
    let error = &body["error"];
    assert!(error["message"].is_string() && error["type"].is_string(), "{body}");
    assert!(error.get("param").is_some() && error.get("code").is_some(), "{body}");
}

#[tokio::test]
async fn each_has_its_status_and_openais_body() {
    let simulator = simulator(json!({"any_model": false, "max_body_bytes": 1000})).await;
    let mut client = Client::connect(simulator.address()).await;
    let good = chat(json!({})).to_string();
    let long = chat(json!({"user": "x".repeat(2000)})).to_string();
    let unknown = chat(json!({"model": "unknown"})).to_string();
    for (method, path, body, status) in [
        ("POST", "/v1/chat/completions", good.as_str(), 200),
        ("POST", "/v1/chat/completions", "{\"model\":", 400),
        ("POST", "/v1/chat/completions", "", 400),
        ("POST", "/v1/chat/completions", "{\"model\": \"gpt-5\"}", 400),
        ("POST", "/v1/chat/completions", unknown.as_str(), 404),
        ("POST", "/v1/chat/completions", long.as_str(), 413),
        ("GET", "/v1/chat/completions", "", 405),
        ("POST", "/v1/models", "", 405),
        ("POST", "/v1/embeddings", "{\"model\": \"gpt-5\"}", 400),
        ("POST", "/v1/elsewhere", good.as_str(), 404),
        ("GET", "/", "", 404),
    ] {
        client.send(method, path, &[], body).await;
        let reply = client.reply().await;
        assert_eq!(reply.status, status, "{method} {path} {body}");
        if status != 200 {
            assert_error_shape(&reply.json());
        }
        assert_eq!(reply.headers.contains_key("allow"), status == 405);
    }
    assert!(simulator.quiet(client::LONG).await);
    let stats = simulator.stats();
    assert_eq!((stats.requests, stats.served, stats.chat_calls, stats.connections_opened), (11, 1, 1, 1));
    assert_eq!(stats.by_status[&400], 4);
    assert_eq!(stats.by_model.len(), 1);
}

#[tokio::test]
async fn the_key_is_asked_for_and_not_repeated() {
    let simulator = simulator(json!({"api_key": "sk-right-one-1234"})).await;
    let mut client = Client::connect(simulator.address()).await;
    let body = chat(json!({})).to_string();
    for (header, status, code) in [
        (None, 401, json!(null)),
        (Some("Bearer sk-wrong-secret-9876"), 401, json!("invalid_api_key")),
        (Some("Basic sk-right-one-1234"), 401, json!(null)),
        (Some("Bearer sk-right-one-1234"), 200, json!(null)),
    ] {
        let headers: Vec<_> = header.map(|value| ("authorization", value)).into_iter().collect();
        client.send("POST", "/v1/chat/completions", &headers, &body).await;
        let reply = client.reply().await;
        assert_eq!((reply.status, &reply.json()["error"]["code"]), (status, &code), "{header:?}");
        assert!(!reply.text().contains("secret"));
    }
    let recorded = serde_json::to_string(&simulator.requests()).unwrap();
    assert!(recorded.contains("Bearer ...1234") && !recorded.contains("right"), "{recorded}");
}

#[tokio::test]
async fn rules_are_not_used_up_by_them() {
    let simulator = simulator(json!({"rules": [{"times": 1, "reply": {"text": "scripted"}}]})).await;
    let mut client = Client::connect(simulator.address()).await;
    assert_eq!(client.chat(json!({"n": 0})).await.status, 400);
    assert!(client.chat(json!({})).await.text().contains("scripted"));
    assert!(!client.chat(json!({})).await.text().contains("scripted"));
}
