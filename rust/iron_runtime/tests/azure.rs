//! Azure OpenAI: the same requests at a resource of one's own.

use iron_protocol::NanoUsd;
use iron_runtime::{CallContext, ChatRequest, EmbedRequest, Error, Message};
use iron_simulator::{Settings, Simulator};
use serde_json::{Value, json};

use crate::faults::raw::Raw;
use crate::rig::{INPUT, OUTPUT, Rig, Wire, ask, nanos, soon, within};

const KEY: &str = "key-of-the-resource";
const STREAM: &str = include_str!("golden/azure/stream.sse");
const FILTERED: &str = include_str!("golden/azure/filtered.json");

/// A resource, reached at its address alone.
async fn rig(changes: Value) -> Rig {
    let settings = Settings { api_key: Some(KEY.to_owned()), ..Settings::default() };
    let simulator = Simulator::start(settings).await.unwrap();
    let root = simulator.url().trim_end_matches("/v1").to_owned();
    let mut azure = json!({"base_url": root, "api_key": KEY});
    crate::rig::merge(&mut azure, changes);
    Rig::of(simulator, json!({"providers": {"azure": azure}, "budget": {"unpriced": "allow"}}))
}

fn request() -> ChatRequest {
    ChatRequest::new("azure/my-gpt", vec![Message::user("Hello")])
}

/// Where the requests went.
async fn paths(rig: &Rig) -> Vec<String> {
    soon(rig.client.chat(request(), CallContext::new())).await.unwrap();
    let mut stream = soon(rig.client.stream(request(), CallContext::new())).await.unwrap();
    soon(stream.reply()).await.unwrap();
    let texts =
        EmbedRequest { model: "azure/my-embedder".into(), input: vec!["a".into()], params: Vec::new() };
    soon(rig.client.embed(texts, CallContext::new())).await.unwrap();
    let requests = rig.simulator.requests();
    for sent in &requests {
        assert_eq!((sent.headers["api-key"].as_str(), sent.headers.get("authorization")), ("...urce", None));
    }
    requests.into_iter().map(|sent| sent.path).collect()
}

#[tokio::test]
async fn each_deployment_is_called_at_its_address_in_the_version_asked_for() {
    // The simulator knows no deployment without a version.
    let rig = rig(json!({"api_version": "2024-10-21"})).await;
    let chat = "/openai/deployments/my-gpt/chat/completions";
    assert_eq!(paths(&rig).await, [chat, chat, "/openai/deployments/my-embedder/embeddings"]);
    let model = &rig.simulator.requests()[0].body["model"];
    assert_eq!(model, "my-gpt");
}

#[tokio::test]
async fn without_a_version_the_api_is_the_one_that_needs_none() {
    let rig = rig(json!({})).await;
    let chat = "/openai/v1/chat/completions";
    assert_eq!(paths(&rig).await, [chat, chat, "/openai/v1/embeddings"]);
}

#[tokio::test]
async fn a_wrong_key_is_refused_once_and_not_shown() {
    let rig = rig(json!({"api_version": "2024-10-21", "api_key": "key-of-another"})).await;
    let error = soon(rig.client.chat(request(), CallContext::new())).await.unwrap_err();
    assert!(matches!(error, Error::UpstreamStatus { status: 401, .. }), "{error:?}");
    assert!(!error.to_string().contains("another") && rig.stats().await.requests == 1, "{error}");
}

fn settings() -> Value {
    json!({"providers": {"sim": {"vendor": "azure"}}})
}

#[tokio::test]
async fn what_its_filters_say_in_a_stream_is_nobody_s_text() {
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {}\r\n\r\n",
        STREAM.len()
    );
    let server = Raw::speaking(Wire::OpenAi, format!("{head}{STREAM}"), Vec::new(), 0, settings()).await;
    let mut stream = soon(server.client.stream(ask("x", 20), within([server.budget.clone()]))).await.unwrap();
    let reply = soon(stream.reply()).await.unwrap();
    let body: Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(body["choices"][0]["message"]["content"], "whole");
    assert_eq!((&body["choices"][0]["finish_reason"], &body["id"]), (&json!("stop"), &json!("chatcmpl-1")));
    assert_eq!(server.budget.snapshot().settled, nanos(3 * INPUT + 2 * OUTPUT));
}

#[tokio::test]
async fn a_prompt_that_its_filters_refuse_is_refused_once_and_costs_nothing() {
    let head = format!("HTTP/1.1 400 Bad Request\r\ncontent-length: {}\r\n\r\n", FILTERED.len());
    let server = Raw::speaking(Wire::OpenAi, format!("{head}{FILTERED}"), Vec::new(), 0, settings()).await;
    let error = soon(server.client.chat(ask("x", 20), within([server.budget.clone()]))).await.unwrap_err();
    let Error::UpstreamStatus { status: 400, body, .. } = &error else { panic!("{error:?}") };
    assert!(error.to_string().contains("content management policy"), "{error}");
    assert_eq!(serde_json::from_slice::<Value>(body).unwrap()["error"]["code"], "content_filter");
    assert_eq!((server.seen().len(), server.budget.snapshot().spent()), (1, NanoUsd::ZERO));
}
