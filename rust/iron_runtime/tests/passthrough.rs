//! What is asked and answered goes through as it is.

use iron_protocol::{ErrorCode, NanoUsd};
use iron_runtime::{ChatRequest, Content, EmbedRequest, Json, Message, Part, Role};
use iron_simulator::Reply;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::rig::{INPUT, MODEL, OUTPUT, Rig, ask, nanos, param, served, soon, within};

/// The body that the provider received, with its fields in order.
async fn sent(rig: &Rig, request: ChatRequest, limit: u64) -> String {
    let budget = rig.budget(limit);
    soon(rig.client.chat(request, within([budget]))).await.unwrap();
    let requests = rig.simulator.requests();
    format!("{:#}\n", requests.last().unwrap().body)
}

fn message(role: Role, content: Content, extra: &Value) -> Message {
    let extra = extra.as_object().unwrap().iter();
    let extra = extra.map(|(name, value)| (name.as_str().into(), Json::from_value(value).unwrap()));
    Message { role, content, extra: extra.collect() }
}

fn text(text: &str) -> Content {
    Content::Text(text.into())
}

fn json_text(value: &Value) -> Json {
    Json::from_value(value).unwrap()
}

fn plain() -> ChatRequest {
    let messages = vec![
        message(Role::Developer, text("Be \"brief\"."), &json!({})),
        message(Role::System, text("line\nbreak\ttab \u{1} \\ / 🦀"), &json!({"name": "rules"})),
        Message::user("Hello"),
    ];
    ChatRequest::new(MODEL, messages)
}

fn tools() -> ChatRequest {
    let calls = json!([{"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{\"city\":\"Oslo\"}"}}]);
    let mut request = ChatRequest::new(
        MODEL,
        vec![
            Message::user("Weather?"),
            message(Role::Assistant, Content::None, &json!({"tool_calls": calls})),
            message(Role::Tool, text("{\"c\": -3}"), &json!({"tool_call_id": "c1"})),
        ],
    );
    let parameters =
        json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]});
    let tool = json!({"type": "function", "function": {"name": "weather", "parameters": parameters, "strict": true}});
    param(&mut request, "tools", &json!([tool]));
    param(&mut request, "tool_choice", &json!("auto"));
    param(&mut request, "parallel_tool_calls", &json!(true));
    request
}

fn images() -> ChatRequest {
    let image = |url: &str, detail: Option<&str>| Part::Image {
        url: url.into(),
        detail: detail.map(Into::into),
        extra: vec![("x_vendor".into(), json_text(&json!({"kept": [1]})))],
    };
    let parts = vec![
        Part::Text {
            text: "What is it?".into(),
            extra: vec![("cache_control".into(), json_text(&json!({"type": "ephemeral"})))],
        },
        image("https://example.com/a.png", None),
        image("data:image/png;base64,AAAA", Some("low")),
        Part::Other(json_text(&json!({"type": "file", "file": {"file_id": "file-1"}}))),
    ];
    ChatRequest::new(MODEL, vec![message(Role::User, Content::Parts(parts), &json!({"name": "Ann"}))])
}

fn structured() -> ChatRequest {
    let schema = json!({"type": "object", "properties": {"answer": {"type": "integer"}}, "required": ["answer"], "additionalProperties": false});
    let mut request = ChatRequest::new(MODEL, vec![Message::user("6 × 7?")]);
    let format =
        json!({"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": true}});
    param(&mut request, "response_format", &format);
    request
}

fn sampled() -> ChatRequest {
    let mut request = ask("Sample", 50);
    request.n = Some(2);
    for (name, value) in [
        ("stop", json!(["END", "\n\n"])),
        ("seed", json!(7)),
        ("temperature", json!(0.25)),
        ("logit_bias", json!({"50256": -100})),
        ("x_unknown", json!({"deep": [null, 1e-7, 12_345_678_901_234_567_890_u64, "é"]})),
        ("metadata", Value::Null),
    ] {
        param(&mut request, name, &value);
    }
    request
}

#[tokio::test]
async fn requests_are_encoded_as_the_provider_documents() {
    let rig = Rig::new(vec![]).await;
    for (request, golden) in [
        (plain(), include_str!("golden/plain.json")),
        (tools(), include_str!("golden/tools.json")),
        (images(), include_str!("golden/images.json")),
        (structured(), include_str!("golden/structured.json")),
        (sampled(), include_str!("golden/sampled.json")),
    ] {
        let body = sent(&rig, request, 1_000_000_000_000).await;
        assert_eq!(body, golden, "\n{body}");
    }
}

#[tokio::test]
async fn a_budget_with_little_room_lowers_the_bound_on_the_output_and_says_so() {
    let rig = Rig::new(vec![Reply::tokens(2_000).into()]).await;
    let request = ChatRequest::new(MODEL, vec![Message::user("Lower me")]);
    // What 40 and 8 bytes cost, and 1,000 tokens of output.
    let limit = 48 * INPUT + 1_000 * OUTPUT;
    let body = sent(&rig, request.clone(), limit).await;
    assert_eq!(body, include_str!("golden/lowered.json"), "\n{body}");
    let budget = rig.budget(limit);
    let reply = soon(rig.client.chat(request.clone(), within([budget.clone()]))).await.unwrap();
    assert!(reply.report.warnings.iter().any(|warning| warning.contains("lowered to 1000")));
    assert_eq!(reply.report.usage.output_tokens, 1_000);
    assert!(budget.snapshot().settled <= budget.snapshot().limit);
    // Less than the least that is of use is refused.
    let budget = rig.budget(48 * INPUT + 255 * OUTPUT);
    let error = soon(rig.client.chat(request, within([budget]))).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::BudgetExceeded);
    assert_eq!(rig.stats().await.requests, 2);
}

#[tokio::test]
async fn a_vendor_that_reads_another_bound_gets_it() {
    let changes = json!({"providers": {"sim": {"max_tokens_field": "max_completion_tokens"}}});
    let rig = Rig::with(vec![], changes).await;
    let body: Value = serde_json::from_str(&sent(&rig, ask("Hi", 9), 1_000_000_000).await).unwrap();
    assert_eq!((&body["max_completion_tokens"], body.get("max_tokens")), (&json!(9), None));
}

/// What governing rests on cannot be changed behind its back.
#[tokio::test]
async fn fields_that_a_reservation_rests_on_cannot_be_given_twice() {
    let rig = Rig::new(vec![]).await;
    let budget = rig.budget(1_000_000_000);
    for (name, value) in [
        ("n", json!(100)),
        ("max_tokens", json!(100_000)),
        ("max_completion_tokens", json!(100_000)),
        ("model", json!("dearer")),
        ("messages", json!([{"role": "user", "content": "x".repeat(1_000)}])),
        ("stream", json!(true)),
    ] {
        let mut request = ask("Hi", 9);
        param(&mut request, name, &value);
        let plain = soon(rig.client.chat(request.clone(), within([budget.clone()]))).await.unwrap_err();
        let stream = soon(rig.client.stream(request, within([budget.clone()]))).await.unwrap_err();
        for error in [plain, stream] {
            assert!(error.code() == ErrorCode::Config && error.to_string().contains(name), "{error}");
        }
    }
    assert_eq!((rig.stats().await.requests, budget.snapshot().spent()), (0, NanoUsd::ZERO));
}

#[tokio::test]
async fn the_reply_is_the_providers_own_bytes() {
    let rig = Rig::new(vec![Reply::text("né 🦀 \u{2028}").into()]).await;
    let reply = soon(rig.client.chat(ask("Hi", 9), within([]))).await.unwrap();
    let body = rig.simulator.requests()[0].body.to_string();
    rig.simulator.reset();
    let address = rig.simulator.address();
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    let mut raw = Vec::new();
    soon(stream.read_to_end(&mut raw)).await.unwrap();
    assert!(raw.ends_with(&reply.body) && raw.ends_with(b"}"));
    let fields: Value = serde_json::from_slice(&reply.body).unwrap();
    assert!(fields["system_fingerprint"].is_string(), "a field that governing does not read");
}

#[tokio::test]
async fn embeddings_go_through_and_are_paid_for() {
    let rig = Rig::new(vec![]).await;
    let budget = rig.budget(1_000_000_000);
    let request = EmbedRequest {
        model: MODEL.into(),
        input: vec!["one".into(), "zwei 🦀".into()],
        params: vec![("dimensions".into(), json_text(&json!(8)))],
    };
    let reply = soon(rig.client.embed(request, within([budget.clone()]))).await.unwrap();
    let body: Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(
        (body["data"].as_array().unwrap().len(), body["data"][0]["embedding"].as_array().unwrap().len()),
        (2, 8)
    );
    let stats = rig.stats().await;
    assert_eq!(
        rig.simulator.requests()[0].body,
        json!({"model": "m", "input": ["one", "zwei 🦀"], "dimensions": 8})
    );
    assert_eq!((reply.report.cost, budget.snapshot().settled), (served(&stats), served(&stats)));
    rig.at_rest(&budget);
}

#[tokio::test]
async fn a_bill_above_the_bound_is_shown_and_not_hidden() {
    let usage = iron_simulator::UsageOverride { output_tokens: Some(500), ..Default::default() };
    let rig = Rig::new(vec![Reply { usage, ..Reply::tokens(5) }.into()]).await;
    let limit = u64::try_from(crate::rig::reserved("Hi", 9).nanos()).unwrap();
    let budget = rig.budget(limit);
    let reply = soon(rig.client.chat(ask("Hi", 9), within([budget.clone()]))).await.unwrap();
    let snapshot = budget.snapshot();
    assert_eq!(
        (reply.report.cost, snapshot.spent()),
        (served(&rig.stats().await), served(&rig.stats().await))
    );
    assert_eq!((snapshot.settled, snapshot.held), (nanos(limit), NanoUsd::ZERO));
    assert!(snapshot.overage > NanoUsd::ZERO);
}
